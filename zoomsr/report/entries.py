"""Read what a report compares: each net of each run or evaluation, with its scores, epochs and settings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zoomsr.cli.console import SCORES
from zoomsr.runs.files import read_rows
from zoomsr.runs.job import Job
from zoomsr.runs.layout import HYDRA, HYDRA_CONFIG, HYDRA_OVERRIDES, METRICS_CSV, METRICS_JSON, SETTINGS, STATUS, run_of
from zoomsr.runs.run import UNRANKED

BICUBIC = "bicubic"
_DEPTH = 3
"""How many levels below a folder runs are looked for: runs/studies/STUDY/RUN."""


@dataclass(frozen=True)
class Entry:
    """One net of one run, or of an evaluation.

    Attributes:
        place: the run's directory, or the evaluation's.
        net: its name there.
        state: finished, unfinished, failed, stopped, pruned, or debug: scores that are not ranked.
        reason: of a failure, or why nothing is ranked, in one line.
        overrides: of the command line that trained it; empty where they are not known.
        settings: of its training; empty where they are not known.
        epochs: rows of ``metrics.csv``.
        results: ``metrics.json``, or None.
        about: the part of ``metrics.json`` about this net: params, latency_ms and so on.
        is_run: whether it is a run, not an evaluation.
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
        """Of the training, where it is known."""
        return self.settings.get("seed")

    @property
    def title(self) -> str:
        """The net's name in conf/model, where it is known."""
        return str((self.settings.get("choices") or {}).get("model") or self.net)

    @property
    def sets(self) -> dict[str, Any]:
        """Of ``metrics.json``: set, net and protocol to scores; empty without it."""
        return {} if self.results is None else self.results["sets"]


def read_entries(paths: Sequence[Path]) -> list[Entry]:
    """The nets of runs, folders of runs, sweeps and evaluations, each once.

    Raises:
        ValueError: no such path, no run at or below it, or a damaged file.
    """
    places = dict.fromkeys(place.resolve() for path in paths for place in _runs_at(path))
    return [entry for place in places for entry in _read(place)]


def _runs_at(path: Path) -> list[Path]:
    if path.name == METRICS_JSON and path.is_file():
        return [path.parent]
    if not path.exists():
        raise ValueError(f"there is no {path}")
    if found := [path] if _is_run(path) else list(_below(path, _DEPTH)):
        return found
    if (path / HYDRA).is_dir():
        return [path]  # a run that ended before it wrote anything
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
    results = _results(place)
    if results is not None and "nets" in results:
        nets = [net for net in results["nets"] if net != BICUBIC] or [BICUBIC]
        return [_evaluated(place, net, results) for net in nets]
    settings, epochs = _settings(place), read_rows(place / METRICS_CSV)
    if any("epoch" not in row for row in epochs):
        raise ValueError(f"{place / METRICS_CSV} is damaged: a row has no epoch")
    with _errors_name(place / STATUS):
        status = Job(place).status()
        state, reason = str(status["state"]), str(status.get("error", ""))
    name = results["net"]["name"] if results else str((settings.get("choices") or {}).get("model", "?"))
    if results is not None and UNRANKED in results:
        state, reason, results = "debug", results[UNRANKED], None
    return [
        Entry(
            place=place,
            net=name,
            state="finished" if results else state,
            reason="" if results else reason,
            overrides=_overrides(place),
            settings=settings,
            epochs=epochs,
            results=results,
            about=results["net"] if results else {},
            is_run=True,
        )
    ]


def _evaluated(place: Path, net: str, results: dict[str, Any]) -> Entry:
    """A net of an evaluation, with the settings and costs of the run that its checkpoint lies in, where it exists."""
    about = results["nets"][net]
    run = run_of(Path((about.get("weights") or {}).get("path", "")))
    if run is not None and not (run / SETTINGS).is_file():
        run = None
    trained = (None if run is None else _results(run)) or {}
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


def _settings(place: Path) -> dict[str, Any]:
    """The frozen settings; Hydra's config where the run is older than these, or was started by torchrun."""
    if (place / SETTINGS).is_file():
        return Job(place).settings()
    data = _yaml(place / HYDRA_CONFIG)
    return data if isinstance(data, dict) else {}


def _overrides(place: Path) -> list[str]:
    data = _yaml(place / HYDRA_OVERRIDES)
    return [str(text) for text in data] if isinstance(data, list) else []


def _yaml(path: Path) -> object:
    with _errors_name(path):
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def _results(place: Path) -> dict[str, Any] | None:
    """``metrics.json`` of a run or an evaluation, checked; None where there is none."""
    path = place / METRICS_JSON
    if not path.is_file():
        return None
    with _errors_name(path):
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _require_complete(data)
        return data


def _require_complete(data: Mapping[str, Any]) -> None:
    for key in ("protocols", "data", "net", "sets", "degradation", "scale", "versions"):
        data[key]
    str(data["net"]["name"]), str(data["data"]["hash"])
    if not data["sets"]:
        raise ValueError("it has no test set")
    for name, nets in data["sets"].items():
        if BICUBIC not in nets:
            raise ValueError(f"set {name} lacks bicubic")
        for net, protocols in nets.items():
            for protocol, scores in protocols.items():
                data["protocols"][protocol].items()
                if not scores["images"]:
                    raise ValueError(f"{name}, {net}, {protocol}: no image")
                for image, row in scores["images"].items():
                    # Files of older versions lack the frequency bands.
                    for metric, value in {**{score: row[score] for score in SCORES}, **row}.items():
                        if not isinstance(value, (int, float)) or not math.isfinite(value):
                            raise ValueError(f"{name}, {net}, {protocol}, {image}: {metric} is {value}")


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Errors about the content of a file name the file."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is damaged: {what}") from error
