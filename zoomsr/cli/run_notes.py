"""What Hydra's notes say of the runs in a directory: which is the newest, and the ``--config-dir`` of each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from zoomsr.runs.layout import CHECKPOINTS, HYDRA_OVERRIDES, HYDRA_SELF, LAST_CKPT, PREVIOUS_CKPT


def newest_run(config_dir: str | None) -> Path:
    """The run with the newest last checkpoint; with ``--config-dir`` of those that had the same, if there are any.

    Raises:
        ValueError: there is no run.
    """
    root = Path(os.environ.get("ZOOMSR_RUNS", "runs"))
    patterns = [f"{depth}/{CHECKPOINTS}/{name}" for depth in ("*", "*/*") for name in (LAST_CKPT, PREVIOUS_CKPT)]
    # A run that is being replaced is hidden.
    found = [path for pattern in patterns for path in root.glob(pattern) if not path.parts[-3].startswith(".")]
    found = [path for path in found if has_notes(path.parent.parent)]
    if not found:
        raise ValueError(f"ckpt=last: no run below {root} has a {CHECKPOINTS}/{LAST_CKPT} to resume from")
    runs = [path.parent.parent for path in sorted(found, key=lambda path: path.stat().st_mtime)]
    return next((run for run in reversed(runs) if config_dir and remembered(run) == config_dir), runs[-1])


def remembered(run_dir: Path) -> str | None:
    """The ``--config-dir`` of a run, where it had one."""
    return config_dir_of(read_notes(run_dir / HYDRA_SELF) if (run_dir / HYDRA_SELF).is_file() else {})


def has_notes(run_dir: Path) -> bool:
    """Whether Hydra started it."""
    return (run_dir / HYDRA_OVERRIDES).is_file()


def config_dir_of(config: dict[str, Any]) -> str | None:
    """The ``--config-dir`` in Hydra's notes."""
    sources = config.get("hydra", {}).get("runtime", {}).get("config_sources", [])
    return next((str(source["path"]) for source in sources if source["provider"] == "command-line"), None)


def read_notes(path: Path) -> Any:
    """A yaml file of plain data."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
