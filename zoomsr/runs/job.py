"""A job: a run's directory with its settings, frozen, and how its process ended.

Runs on several ranks, sweeps, searches and clusters start from such a directory. All ranks read the same file, so that
none resolves a setting differently, and no command line with sweep syntax is run a second time.
"""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zoomsr.runs.files import write_json, write_text
from zoomsr.runs.layout import METRICS_JSON, OUTPUT, SETTINGS, STATUS
from zoomsr.runs.moved import with_new_names
from zoomsr.runs.trust import sign

AUTO = "auto"
"""``data.batch_size`` that is to be found; see ``zoomsr.training.batch_size``."""
PRUNED = 3
"""Exit code of a job that a search has pruned."""
STOPPED = (130, 143, 129, -1, -2, -15)  # the signals by number: Windows has no SIGHUP
"""Exit codes of a job that was told to stop, and has written a checkpoint."""

# Where and how a job runs, not what it computes.
_PLACE = ("run_dir", "ckpt", "ckpt_mode", "overwrite", "launcher", "rerun", "plan")


@dataclass(frozen=True)
class Job:
    """A run's directory that holds ``settings.yaml``: every setting, resolved, as plain data.

    Attributes:
        path: the run's directory.
    """

    path: Path

    @staticmethod
    def freeze(settings: Mapping[str, Any]) -> Job:
        """Write the settings into their own ``run_dir``, atomically; a batch size that was found there stays."""
        job = Job(Path(settings["run_dir"]))
        if settings.get("data", {}).get("batch_size") == AUTO and job.exists:
            settings = with_batch(settings, job.settings()["data"]["batch_size"])
        job.path.mkdir(parents=True, exist_ok=True)
        write_text(job.path / SETTINGS, yaml.safe_dump(dict(settings), sort_keys=False))
        (job.path / STATUS).unlink(missing_ok=True)
        sign(job.path)
        return job

    def settings(self) -> dict[str, Any]:
        """The frozen settings.

        Raises:
            ValueError: there is none, or it is damaged.
        """
        try:
            data = yaml.safe_load((self.path / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ValueError(f"{self.path} is no job: {SETTINGS} cannot be read ({error})") from error
        if not isinstance(data, dict):
            raise ValueError(f"{self.path / SETTINGS} is damaged")
        settings: dict[str, Any] = with_new_names(data)
        return settings

    @property
    def exists(self) -> bool:
        """Whether settings were frozen here."""
        return (self.path / SETTINGS).is_file()

    @property
    def is_finished(self) -> bool:
        """Whether its final scores are there."""
        return (self.path / METRICS_JSON).is_file()

    def record(self, exit_code: int) -> None:
        """Write how it ended into ``status.json``: state, exit_code and the error's line."""
        state = "finished" if exit_code == 0 and self.is_finished else "failed"
        state = "pruned" if exit_code == PRUNED else "stopped" if exit_code in STOPPED else state
        error = self._error(exit_code) if state == "failed" else ""
        write_json(self.path / STATUS, {"state": state, "exit_code": exit_code, "error": error})

    def status(self) -> dict[str, Any]:
        """As ``record`` wrote it; without a file ``{"state": "finished"}`` or ``{"state": "unfinished"}``."""
        path = self.path / STATUS
        if path.is_file():
            status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return status
        return {"state": "finished" if self.is_finished else "unfinished"}

    def _error(self, exit_code: int) -> str:
        if exit_code < 0:  # it could not print an error
            name = signal.Signals(-exit_code).name
            return f"{self.path} was killed by {name}, and with it its other ranks; by hand, or for lack of memory"
        log = self.path / OUTPUT
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return (errors or [line for line in lines if line.strip()] or ["it printed nothing"])[-1]


def with_batch(settings: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The settings with a batch of this size."""
    data = settings["data"]
    module = {**data["module"], "batch_size": size}
    return {**settings, "data": {**data, "batch_size": size, "module": module}}


def stop_signals() -> list[signal.Signals]:
    """Signals on which a job writes a checkpoint and ends: SIGINT (Ctrl-C), SIGTERM, and SIGHUP where there is one.

    SIGHUP is left out where it is ignored, as under ``nohup``.
    """
    found = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


def settings_hash(settings: Mapping[str, Any]) -> str:
    """A hash of what a job computes; where it runs and what it resumes from is left out."""
    kept = {key: value for key, value in settings.items() if key not in _PLACE}
    text = json.dumps(kept, sort_keys=True, default=str).replace(str(settings["run_dir"]), "RUN")
    return hashlib.sha256(text.encode()).hexdigest()


def known_to(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The new settings without those that an old run does not have: an older version had no such key."""
    kept = {key: (old[key], value) for key, value in new.items() if key in old}
    return {
        key: known_to(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
        for key, (before, value) in kept.items()
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """``trainer.max_epochs: 10 -> 20`` for every setting that is not the same."""
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after or (not prefix and key in _PLACE):
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differences(before, after, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}: {before} -> {after}"
