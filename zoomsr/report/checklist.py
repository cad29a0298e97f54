"""The NeurIPS paper checklist, of the questions that runs can answer: what they know, and what is not known."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from zoomsr.pretrained.card import Card
from zoomsr.report.captions import about_set, about_tests
from zoomsr.report.entries import BICUBIC, Entry, read_entries
from zoomsr.report.groups import SeedGroup, name_of, names_of
from zoomsr.report.leaderboard import Leaderboard
from zoomsr.report.page import differing, value_at
from zoomsr.report.tables import templates
from zoomsr.runs.files import write_text
from zoomsr.runs.layout import SETTINGS, run_of
from zoomsr.runs.provenance import read_starts

NOT_KNOWN = "not known"

_SETTINGS = (
    *("choices.model", "choices.data", "choices.degradation", "scale", "data.patch", "data.batch_size"),
    *("choices.loss", "choices.target", "choices.optimizer", "optimizer.lr", "choices.scheduler"),
    *("trainer.max_epochs", "budget", "trainer.accumulate_grad_batches", "trainer.precision", "ema", "monitor"),
)
"""Hyper-parameters that are always listed, before the others in which the nets differ."""


@dataclass(frozen=True)
class Training:
    """A run that trained a net, finished or not.

    Attributes:
        label: of its net in the tables.
        name: of the run.
        entry: what was read of it.
        start: its last one in ``starts.json``; empty of a run of an older version.
    """

    label: str
    name: str
    entry: Entry
    start: Mapping[str, Any]

    @property
    def seconds(self) -> float | None:
        """It took; of a run without results those of its whole epochs; None where there is neither."""
        if self.entry.results is not None:
            found = self.entry.results.get("seconds")
            return None if found is None else float(found)
        times = [row["seconds"] for row in self.entry.epochs if "seconds" in row]
        return sum(times) if times else None

    @property
    def processes(self) -> int | None:
        """Devices that it ran on, where they are known."""
        ranks = len((self.entry.results or {}).get("ranks", ()))
        return ranks or self.start.get("device", {}).get("ranks")

    @property
    def row(self) -> list[str]:
        """Of the table of compute: run, net, state, time, devices, peak memory."""
        device = (self.entry.results or {}).get("device") or self.start.get("device", {})
        peak = f"{device['peak_mb']:,.0f} MB" if "peak_mb" in device else NOT_KNOWN
        devices = f"{self.processes or '?'} x {device['name']}" if "name" in device else NOT_KNOWN
        return [self.name, self.label, self.entry.state, _duration(self.seconds), devices, peak]


def write_checklist(path: Path, groups: Sequence[SeedGroup], tables: Sequence[Leaderboard], *, command: str) -> None:
    """Write the checklist as Markdown.

    The questions are those of "NeurIPS Paper Checklist", https://neurips.cc/public/guides/PaperChecklist (2024, 2025).

    Args:
        path: of the file.
        groups: the nets; failed and unfinished trainings count as compute.
        tables: of their scores.
        command: that made the report.
    """
    trainings = list(_trainings(groups))
    results = [entry.results for group in groups for entry in group.entries if entry.results is not None]
    results += [one.entry.results for one in trainings if one.entry.results is not None]
    commits = [one["versions"].get("commit") for one in results]
    commits += [one.start["code"]["commit"] for one in trainings if one.start]
    packages = dict.fromkeys(name for one in results for name in one["versions"] if name != "commit")
    versions = {name: _all(one["versions"].get(name) for one in results) for name in packages}
    settings = {group.label: group.settings for group in groups if group.settings}
    keys = dict.fromkeys([*_SETTINGS, *differing(list(settings.values()))]) if settings else {}
    template = templates().get_template("checklist.md")
    text = template.render(
        command=command,
        commit=_all(commits),
        versions=versions,
        commands=list(dict.fromkeys(_command(one.entry) for one in trainings)),
        splits=list(dict.fromkeys(_split(one) for one in trainings)),
        tests=list(dict.fromkeys((one.title, _measured_by(one), about_set(one)) for one in tables)),
        nets=list(settings),
        settings=[[key, *(value_at(one, key) for one in settings.values())] for key in keys],
        seeds=_seeds(trainings),
        error_bars=about_tests(tables) if tables else "",
        trainings=[one.row for one in trainings],
        totals=_totals(trainings),
        weights=list(dict.fromkeys(_weights(groups))),
    )
    write_text(path, text)


def _trainings(groups: Sequence[SeedGroup]) -> Iterator[Training]:
    """Each once: the runs, and those whose checkpoints were evaluated."""
    found: dict[Path, tuple[str, Entry]] = {}
    for group in groups:
        for entry in group.entries:
            run = entry.place if entry.is_run else run_of(Path((entry.about.get("weights") or {}).get("path", "")))
            if run is not None and (entry.is_run or (run / SETTINGS).is_file()) and group.label != BICUBIC:
                found.setdefault(run.resolve(), (group.label, entry if entry.is_run else read_entries([run])[0]))
    names = names_of([entry for _, entry in found.values()])
    for label, entry in found.values():
        yield Training(label, name_of(entry, names), entry, next(iter(read_starts(entry.place)[-1:]), {}))


def _command(entry: Entry) -> str:
    return shlex.join(["python", "-m", "zoomsr.train", *entry.overrides]) if entry.overrides else NOT_KNOWN


def _split(training: Training) -> tuple[str, ...]:
    """Set, training images, validation images, hash, what the first weights had seen, licences."""
    data = (training.entry.results or {}).get("data") or training.start.get("data", {})
    name = data.get("name") or value_at(training.entry.settings, "choices.data")
    licences = ", ".join(f"{count} {licence}" for licence, count in data.get("licences", {}).items())
    started = "; ".join(data.get("started_from", ()))
    counts = (str(data.get(key, NOT_KNOWN)) for key in ("n_train", "n_val"))
    return (name, *counts, str(data.get("hash", NOT_KNOWN))[:12], started, licences or NOT_KNOWN)


def _measured_by(table: Leaderboard) -> str:
    entries = [entry for members in table.entries.values() for entry in members]
    return "validation images of a training" if any(entry.is_run for entry in entries) else "test set"


def _seeds(trainings: Sequence[Training]) -> list[tuple[str, str, int]]:
    """Net, its seeds and their number, of finished trainings."""
    found: dict[str, list[str]] = {}
    for one in trainings:
        if one.entry.results is not None:
            found.setdefault(one.label, []).append(str(NOT_KNOWN if one.entry.seed is None else one.entry.seed))
    return [(label, ", ".join(seeds), len(seeds)) for label, seeds in found.items()]


def _totals(trainings: Sequence[Training]) -> dict[str, Any]:
    """Time of all trainings, of those without results, and how many have no known time or devices."""
    rest = [one for one in trainings if one.entry.results is None]
    return {
        "runs": len(trainings),
        "time": _sum(trainings),
        "rest": len(rest),
        "rest_time": _sum(rest),
        "unknown": sum(one.seconds is None for one in trainings),
        "single": sum(one.processes is None for one in trainings),
    }


def _sum(trainings: Sequence[Training]) -> str:
    """Device time: that of a training on two devices counts twice."""
    times = [one.seconds * (one.processes or 1) for one in trainings if one.seconds is not None]
    return _duration(sum(times) if times else None)


def _weights(groups: Sequence[SeedGroup]) -> Iterator[tuple[str, str, str]]:
    """Net, licence and sha256 of weights that were evaluated and were not trained in a run that is known."""
    for group in groups:
        for entry in group.entries:
            weights = entry.about.get("weights") or {}
            if not entry.is_run and weights and run_of(Path(weights["path"])) is None:
                path = Path(weights["path"])
                card = Card.beside(path) if path.is_file() else None
                yield group.label, NOT_KNOWN if card is None else card.licence, weights["sha256"][:12]


def _duration(seconds: float | None) -> str:
    return NOT_KNOWN if seconds is None else str(timedelta(seconds=round(seconds)))


def _all(values: Iterable[Any]) -> str:
    """Each value once."""
    return ", ".join(dict.fromkeys(NOT_KNOWN if value is None else str(value) for value in values)) or NOT_KNOWN
