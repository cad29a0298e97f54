"""Hydra commands: where conf/ is, instantiate(), the start, and the run's directory."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from zoomsr.cli.arguments import require_types
from zoomsr.cli.composition import trace
from zoomsr.cli.errors import nearest, one_line_errors
from zoomsr.cli.explain import EXPLAIN, explain, is_hydra
from zoomsr.cli.native import share_cores
from zoomsr.cli.overrides import LAST, is_first_rank, quoted, stray
from zoomsr.runs import directories
from zoomsr.runs.files import short
from zoomsr.runs.layout import HYDRA, MULTIRUN

_PACKAGE = Path(__file__).resolve().parents[1]
_SWITCHES = ("channels_last", "overwrite", "plan", "reuse", "self_ensemble", "tf32", "trust")
"""Settings that are true or false."""
CONF_DIR = next(
    # A wheel carries conf/ inside the package; a checkout has it beside.
    (folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if (folder / "train.yaml").is_file()),
    _PACKAGE / "conf",
)


def instantiate(node: DictConfig | dict[str, Any]) -> Any:
    """Turn yaml into objects: plain lists and dicts reach the code, never a config.

    Raises:
        ValueError: the constructor refused its arguments, or there is no such class.
    """
    require_types(node)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, (ValueError, OSError)):
            raise error.__cause__ from None  # our own words
        raise ValueError(_cause(error)) from None


def _cause(error: BaseException) -> str:
    """Hydra's message with the error that it hides, or the missing module and the extra that installs it."""
    message = " ".join(str(error).split())
    link: BaseException | None = error
    while link is not None:
        error, link = link, link.__cause__ or link.__context__
        module = (getattr(error, "name", None) or "").split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if module and importlib.util.find_spec(module) is None:
            extras = [line for line in _requirements() if re.match(rf"{module}\b", line)]
            names = [name for line in extras for name in re.findall(r"extra == ['\"](\w+)['\"]", line) if name != "dev"]
            advice = f"pip install zoomsr[{names[0]}]" if names else "install it, or name its folder in PYTHONPATH"
            return f"{message.split(', set env var')[0]}: {module} is not installed: {advice}"
    return message.replace(", set env var HYDRA_FULL_ERROR=1 to see chained exception.", f": {error}.")


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("zoomsr") or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return []


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved config as plain data, safe to store in a checkpoint."""
    data = OmegaConf.to_container(config, resolve=True)
    return {str(key): value for key, value in dict(data).items()} if isinstance(data, dict) else {}


def start(task: Callable[[DictConfig], float | None], *, config_name: str) -> None:
    """Parse the command line with Hydra and run ``task``, or each job of a sweep; report a mistake in one line.

    With the word ``explain`` nothing runs: it says where settings come from.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises its errors instead of printing pages
    share_cores()

    def job(config: DictConfig) -> float | None:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return task(config)  # an error must reach the sweeper
        try:
            with one_line_errors(HydraException, OmegaConfBaseException, on_error=directories.discard_unused):
                return task(config)
        finally:
            directories.drop_replaced()

    with one_line_errors(HydraException, OmegaConfBaseException):
        try:
            if EXPLAIN in sys.argv[1:]:
                explain(sys.argv[1:], config_name=config_name, conf_dir=CONF_DIR)
                return
            if (found := stray(sys.argv[1:])) is not None:
                near = _nearest(found[0].lstrip("-").replace("-", "_"), config_name)
                advice = f"{near[0]}={found[1] or 'VALUE'}" if near else "explain lists every setting"
                raise ValueError(f"{found[0]} is no option; settings are written KEY=VALUE: {advice}")
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)(job)()
        except ConfigCompositionException as error:
            raise ValueError(_message(error, config_name)) from None
        except _Refused as refused:
            raise refused.error from None


class RunDirectory(Callback):
    """Hydra's callback that makes the directory of a run or a sweep, and locks it until the command ends.

    A default name that is taken gets a suffix. A directory that the user names is refused when it holds a run, unless
    that is resumed or replaced.

    Args:
        resumes: whether a sweep in the directory is resumed.
    """

    def __init__(self, *, resumes: bool = False) -> None:
        self._resumes = resumes

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """See ``Callback``."""
        with _refusing(config):
            if not is_first_rank():  # the first has claimed it, and writes .hydra/
                config.hydra.output_subdir = None
                return
            folder, is_named = Path(config.hydra.run.dir), _is_named(config, "hydra.run.dir")
            resumes, overwrite = config.get("ckpt") == LAST, config.overwrite
            if resumes and overwrite:
                raise ValueError("ckpt=last resumes a run, and overwrite=true replaces it: leave one of them out")
            if is_named:
                searches = config.get("hparams_search") is not None
                resume = f"{shlex.join(['ckpt=last', f'hydra.run.dir={short(folder)}'])} resumes it, "
                advice = f"{resume if 'ckpt_mode' in config else ''}overwrite=true replaces it"
                directories.claim(folder, resumes=resumes, searches=searches, overwrite=overwrite, advice=advice)
                task = config.hydra.overrides.task
                task[:] = [text for text in task if not text.startswith("overwrite=")]  # no setting of the run
            else:
                config.hydra.run.dir = str(directories.make(folder))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """See ``Callback``."""
        with _refusing(config):
            folder = Path(config.hydra.sweep.dir)
            if config.overwrite:
                raise ValueError("overwrite=true replaces a run, and no sweep: choose another hydra.sweep.dir")
            if not _is_named(config, "hydra.sweep.dir"):
                folder = directories.make(folder)
                config.hydra.sweep.dir = str(folder)
                # The jobs are composed anew, from the overrides.
                config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(folder))}")
                return
            if not self._resumes and (folder / MULTIRUN).is_file():
                raise ValueError(
                    f"{folder} holds a sweep already: {shlex.quote(f'sweep_resume={short(folder)}')} resumes it"
                )
            folder.mkdir(parents=True, exist_ok=True)
            directories.lock(folder)


class _Refused(BaseException):  # Hydra only warns of an Exception in a callback
    def __init__(self, error: Exception) -> None:
        self.error = error


@contextmanager
def _refusing(config: DictConfig) -> Iterator[None]:
    """Let a callback resolve and change Hydra's part of the config; its errors end the command.

    So does text for a switch: to Hydra ``no`` is a text, which Python takes for true.
    """
    HydraConfig.instance().set_config(config)  # what ${hydra:...} stands for
    try:
        if wrong := [f"{key}={config[key]}" for key in _SWITCHES if isinstance(config.get(key), str)]:
            raise ValueError(f"{wrong[0]} must be true or false")
        if config.hydra.output_subdir != HYDRA:
            raise ValueError(f"hydra.output_subdir={config.hydra.output_subdir} must be {HYDRA}, which is read later")
        with read_write(config.hydra), open_dict(config.hydra):
            yield
    except Exception as error:
        raise _Refused(error) from error


def _is_named(config: DictConfig, key: str) -> bool:
    return any(text.startswith(f"{key}=") for text in config.hydra.overrides.hydra)


def compose_for(overrides: Sequence[str], *, run_dir: Path) -> dict[str, Any]:
    """The settings that the running command would have with these overrides alone, resolved."""
    outer = HydraConfig.instance().cfg
    name = HydraConfig.get().job.config_name
    config = compose(name, [*overrides, f"run_dir={quoted(str(run_dir))}"], return_hydra_config=True)
    try:
        HydraConfig.instance().set_config(config)  # what ${hydra:...} stands for
        return plain(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    finally:
        HydraConfig.instance().cfg = outer


def _message(error: ConfigCompositionException, config_name: str) -> str:
    """Hydra's message; for an unknown key, the nearest known ones."""
    message = " ".join(str(error).split()).split(" Config search path:")[0]
    unknown = re.search(r"Could not override '([^']+)'", message)
    if unknown is None:
        return message
    key = unknown.group(1)
    near = _nearest(key, config_name)
    hint = f"; the nearest: {', '.join(near)}" if near else "; explain lists every name"
    return f"no setting is called {key!r}{hint} (+{key}=... would add it)"


def _nearest(key: str, config_name: str) -> list[str]:
    """Settings that a mistyped key may mean, of the groups that the command line chooses."""
    chosen = [
        text for text in sys.argv[1:] if re.fullmatch(r"\w+=\w+", text) and (CONF_DIR / text.split("=")[0]).is_dir()
    ]
    known = trace(config_name, chosen, conf_dir=CONF_DIR).names()
    return nearest(key, [name for name in known if is_hydra(name) == is_hydra(key)])
