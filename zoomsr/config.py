"""Where conf/ is, the one instantiate(), and how a command that Hydra configures starts."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoomsr.errors import one_line_errors

_PACKAGE = Path(__file__).resolve().parent
CONF_DIR = next(
    # A wheel carries conf/ inside the package; a checkout has it beside.
    (folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if (folder / "train.yaml").is_file()),
    _PACKAGE / "conf",
)


def instantiate(node: DictConfig) -> Any:
    """Turn yaml into objects: plain lists and dicts reach the code, never a config."""
    return hydra.utils.instantiate(node, _convert_="all")


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved config as plain data, safe to store in a checkpoint."""
    data = OmegaConf.to_container(config, resolve=True)
    return {str(key): value for key, value in dict(data).items()} if isinstance(data, dict) else {}


def start(task: Callable[[DictConfig], float | None], *, config_name: str) -> None:
    """Parse the command line with Hydra and run ``task``, or each job of a sweep; a user's mistake is one line."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises its errors instead of printing pages

    def job(config: DictConfig) -> float | None:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return task(config)  # an error must reach Hydra, which runs the other jobs first
        with one_line_errors(HydraException, OmegaConfBaseException, on_error=_discard_unused_run):
            return task(config)

    with one_line_errors(HydraException, OmegaConfBaseException):
        try:
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)(job)()
        except ConfigCompositionException as error:
            raise ValueError(_explain(error)) from None


def _discard_unused_run() -> None:
    """Take back the run directory that Hydra made, where nothing but Hydra's own files is in it."""
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    ours = [run_dir / ".hydra" / name for name in ("config.yaml", "hydra.yaml", "overrides.yaml")]
    ours.append(run_dir / f"{HydraConfig.get().job.name}.log")
    if {path for path in run_dir.rglob("*") if path.is_file()} <= set(ours):
        for path in ours:
            path.unlink(missing_ok=True)
        for folder in (run_dir / ".hydra", run_dir):
            folder.rmdir()


def _explain(error: ConfigCompositionException) -> str:
    """Hydra's message, and the names nearest to a key that does not exist."""
    message = " ".join(f"{error}".split())
    unknown = re.search(r"Could not override '([^']+)'", message)
    if unknown is None or not GlobalHydra.instance().is_initialized():
        return message
    key = unknown.group(1)
    known = list(_keys(compose("train")))
    near = difflib.get_close_matches(key, known, n=3) or [name for name in known if name.endswith(f".{key}")][:3]
    hint = f"; the nearest names: {', '.join(near)}" if near else "; --cfg job shows every name"
    return f"no setting is called {key!r}{hint} (+{key}=... adds a new one)"


def _keys(node: DictConfig | ListConfig | Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig):
        for key in node:
            yield f"{prefix}{key}"
            yield from _keys(node._get_node(key), f"{prefix}{key}.")
