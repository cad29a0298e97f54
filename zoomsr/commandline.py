"""What a command line leaves unsaid: a run that goes on, or a sweep, brings the settings that it was started with."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

_CHECKPOINTS = "checkpoints"
LAST = "last"
_MULTIRUN = ("-m", "--multirun")
LAST_CKPT, PREVIOUS_CKPT = "last.ckpt", "previous.ckpt"


def completed(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra.

    ``sweep_resume=SWEEP`` becomes the sweep's own command line. ``ckpt=last``, ``ckpt=RUN`` and the last checkpoint of
    a run become that run's settings, with those given here on top, and its directory. All else stays as it is.

    Raises:
        ValueError: there is no such run or sweep.
    """
    # Hydra's parser wants its flags together; where -m stands says nothing.
    arguments = sorted(arguments, key=lambda text: text not in _MULTIRUN)
    given = dict(text.split("=", 1) for text in arguments if "=" in text)
    if "sweep_resume" in given:
        return _sweep(Path(given["sweep_resume"]), [text for text in arguments if not text.startswith("sweep_resume=")])
    ckpt = given.get("ckpt", "null")
    if ckpt in ("null", "") or given.get("ckpt_mode") == "weights" or set(_MULTIRUN) & set(arguments):
        return arguments
    own_dir = given.get("hydra.run.dir")
    if own_dir is not None and ckpt != LAST:
        return arguments  # from there, but in a directory of its own
    run_dir = _run_dir(ckpt) if own_dir is None else Path(own_dir)
    if run_dir is None or not (run_dir / ".hydra" / "overrides.yaml").is_file():
        return arguments  # another file: a new run starts from where it stood
    own = [text for text in arguments if not re.match(r"(ckpt|hydra\.run\.dir)=", text)]
    settings = _merged(yaml.safe_load((run_dir / ".hydra" / "overrides.yaml").read_text()) or [], own)
    return [*settings, f"ckpt={LAST}", f"hydra.run.dir={run_dir}"]


def _run_dir(ckpt: str) -> Path | None:
    """The run whose last checkpoint is meant; None for any other file."""
    if ckpt == LAST:
        return _newest_run()
    path = Path(ckpt)
    if path.is_dir():
        if not any((path / _CHECKPOINTS / name).is_file() for name in (LAST_CKPT, PREVIOUS_CKPT)):
            raise ValueError(f"ckpt={ckpt} has no {_CHECKPOINTS}/{LAST_CKPT} to go on from")
        return path
    is_last = path.name in (LAST_CKPT, PREVIOUS_CKPT) and path.parent.name == _CHECKPOINTS
    return path.parent.parent if is_last else None


def _newest_run() -> Path:
    root = Path(os.environ.get("ZOOMSR_RUNS", "runs"))
    found = [path for depth in ("*", "*/*") for path in root.glob(f"{depth}/{_CHECKPOINTS}/{LAST_CKPT}")]
    if not found:
        raise ValueError(f"ckpt=last: no run below {root} has a {_CHECKPOINTS}/{LAST_CKPT} to go on from")
    return max(found, key=lambda path: path.stat().st_mtime).parent.parent


def _sweep(sweep_dir: Path, others: list[str]) -> list[str]:
    try:
        overrides: dict[str, Any] = yaml.safe_load((sweep_dir / "multirun.yaml").read_text())["hydra"]["overrides"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ValueError(f"sweep_resume={sweep_dir} is no sweep's directory: {error}") from error
    if changes := [text for text in others if "=" in text and not text.startswith("-")]:
        raise ValueError(f"sweep_resume goes on with the sweep as it was started: leave out {' '.join(changes)}")
    kept = [text for text in overrides["hydra"] if not text.startswith(("hydra.mode=", "hydra.sweep.dir="))]
    return ["-m", *others, *overrides["task"], *kept, f"hydra.sweep.dir={sweep_dir}"]


def _merged(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Both, the newer one of each key."""
    return list({_key(text): text for text in [*old, *new]}.values())


def _key(override: str) -> str:
    return re.sub(r"^[+~]*|=.*", "", override, flags=re.DOTALL) if "=" in override else override
