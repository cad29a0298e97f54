"""What is to be compared: from paths to nets, each with its scores, its epochs and its settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zoomsr.report.results import read_results
from zoomsr.runs.files import read_rows
from zoomsr.runs.job import Job
from zoomsr.runs.layout import HYDRA, HYDRA_CONFIG, HYDRA_OVERRIDES, METRICS_CSV, METRICS_JSON, SETTINGS, STATUS, run_of

BICUBIC = "bicubic"
_DEPTH = 3
"""How far below a folder runs are looked for: runs/studies/STUDY/RUN."""


@dataclass(frozen=True)
class Entry:
    """One net of one run, or of an evaluation.

    Attributes:
        place: the run's directory, or the evaluation's.
        net: its name there.
        state: finished, unfinished, failed, stopped or pruned.
        reason: of a failure, in one line.
        overrides: of the command line that trained it; empty where nothing is known of it.
        settings: with which it was trained; empty where nothing is known of them.
        epochs: rows of ``metrics.csv``.
        results: ``metrics.json``, or None.
        about: of ``metrics.json``, what it says of this net: params, latency_ms and their like.
        is_run: not an evaluation.
    """

    place: Path
    net: str
    state: str
    reason: str
    overrides: list[str]
    settings: dict[str, Any]
    epochs: list[dict[str, float]]
    results: dict[str, Any] | None
    about: dict[str, Any]
    is_run: bool

    @property
    def seed(self) -> int | None:
        """With which it was trained, where that is known."""
        return self.settings.get("seed")

    @property
    def title(self) -> str:
        """What its net is called in conf/model, where that is known."""
        return str((self.settings.get("choices") or {}).get("model") or self.net)

    @property
    def is_scored(self) -> bool:
        """Whether its final scores are there."""
        return self.results is not None

    @property
    def has_metrics(self) -> bool:
        """Whether there is anything to show of it."""
        return self.is_scored or bool(self.epochs)


def read_entries(paths: Sequence[Path]) -> list[Entry]:
    """The nets of runs, folders of runs, sweeps and evaluations, each once.

    Raises:
        ValueError: no such path, nothing below it that is a run, or a damaged file.
    """
    places = dict.fromkeys(place.resolve() for path in paths for place in _runs_at(path))
    return [entry for place in places for entry in _read(place)]


def _runs_at(path: Path) -> list[Path]:
    if path.name == METRICS_JSON and path.is_file():
        return [path.parent]
    if not path.exists():
        raise ValueError(f"there is no {path}")
    if _is_run(path):
        return [path]
    if found := list(_below(path, _DEPTH)):
        return found
    if (path / HYDRA).is_dir():
        return [path]  # it has ended before it could write anything
    raise ValueError(f"{path} is no run and holds none: a run has {METRICS_CSV} or {METRICS_JSON}")


def _below(folder: Path, depth: int) -> Iterator[Path]:
    for child in sorted(folder.iterdir()) if folder.is_dir() and depth else ():
        if _is_run(child):
            yield child
        elif child.is_dir() and not child.name.startswith("."):
            yield from _below(child, depth - 1)


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in (SETTINGS, METRICS_JSON, METRICS_CSV))


def _read(place: Path) -> list[Entry]:
    results = read_results(place / METRICS_JSON)
    if results is not None and "nets" in results:
        nets = [net for net in results["nets"] if net != BICUBIC] or [BICUBIC]
        return [_evaluated(place, net, results) for net in nets]
    settings, epochs = _settings(place), read_rows(place / METRICS_CSV)
    if any("epoch" not in row for row in epochs):
        raise ValueError(f"{place / METRICS_CSV} is damaged: a row has no epoch")
    state, reason = _status(place, finished=results is not None)
    return [
        Entry(
            place=place,
            net=results["net"]["name"] if results else str((settings.get("choices") or {}).get("model", "?")),
            state=state,
            reason=reason,
            overrides=_overrides(place),
            settings=settings,
            epochs=epochs,
            results=results,
            about={} if results is None else results["net"],
            is_run=True,
        )
    ]


def _evaluated(place: Path, net: str, results: dict[str, Any]) -> Entry:
    """A net of an evaluation; the run whose checkpoint it is, where that is still there, says how it was trained."""
    about = results["nets"][net]
    run = _trained_by(Path((about.get("weights") or {}).get("path", "")))
    trained = {} if run is None else read_results(run / METRICS_JSON) or {}
    return Entry(
        place=place,
        net=net,
        state="finished",
        reason="",
        overrides=[] if run is None else _overrides(run),
        settings={} if run is None else _settings(run),
        epochs=[],
        results=results,
        about={**trained.get("net", {}), **about, **{key: trained.get(key) for key in ("best_epoch", "seconds")}},
        is_run=False,
    )


def _trained_by(checkpoint: Path) -> Path | None:
    """The run that a checkpoint lies in, where it is still there."""
    run = run_of(checkpoint)
    return run if run is not None and (run / SETTINGS).is_file() else None


def _settings(place: Path) -> dict[str, Any]:
    """Frozen ones; those of Hydra where a run is older, or was started by torchrun."""
    if (place / SETTINGS).is_file():
        return Job(place).settings()
    data = _yaml(place / HYDRA_CONFIG)
    return data if isinstance(data, dict) else {}


def _overrides(place: Path) -> list[str]:
    data = _yaml(place / HYDRA_OVERRIDES)
    return [str(text) for text in data] if isinstance(data, list) else []


def _yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _status(place: Path, *, finished: bool) -> tuple[str, str]:
    try:
        status = Job(place).status()
        return ("finished", "") if finished else (str(status["state"]), str(status.get("error", "")))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{place / STATUS} is damaged: {error}") from error
