"""Leaderboards, one for each set and protocol: bicubic, then the nets by falling PSNR on Y."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

from zoomsr.report.comparability import MeasuredSet, ScoresByImage, sets_of
from zoomsr.report.entries import BICUBIC, Entry
from zoomsr.report.groups import SeedGroup, name_of, names_of
from zoomsr.report.significance import Interval, holm, interval, signed_rank

COSTS = ("params", "macs", "latency_ms", "peak_mb", "best_epoch", "seconds")


@dataclass(frozen=True)
class LeaderboardRow:
    """A net on a leaderboard.

    Attributes:
        label: of its group.
        images: image to its metrics, averaged over the seeds.
        by_seed: name of the run, or of the evaluation, to its own scores; empty for bicubic.
        costs: those of ``COSTS`` that are known, averaged over the seeds.
    """

    label: str
    images: ScoresByImage
    by_seed: Mapping[str, ScoresByImage]
    costs: Mapping[str, float]

    @property
    def seeds(self) -> int:
        """How many were averaged; 0 for bicubic, which is not trained."""
        return len(self.by_seed)

    @cached_property
    def mean(self) -> dict[str, float]:
        """Over images."""
        return _means(list(self.images.values()))

    def means_by_seed(self, metric: str) -> list[float]:
        """The mean over images, of each seed."""
        return [_means(list(images.values()))[metric] for images in self.by_seed.values()]

    def spread(self, metric: str) -> float | None:
        """Standard deviation over seeds of the mean over images; None for one seed."""
        return statistics.stdev(self.means_by_seed(metric)) if self.seeds > 1 else None

    @cached_property
    def interval(self) -> Interval | None:
        """Of the mean PSNR on Y."""
        return interval([row["psnr_y"] for row in self.images.values()])

    def ahead_of(self, other: LeaderboardRow) -> list[float]:
        """Difference in PSNR on Y (dB), image by image."""
        return [row["psnr_y"] - other.images[image]["psnr_y"] for image, row in self.images.items()]


@dataclass(frozen=True)
class Leaderboard:
    """One set under one protocol.

    Attributes:
        title: of the set; unique under this protocol.
        measured: the set.
        protocol: its name.
        entries: label to what was averaged.
        rows: bicubic first, then by falling PSNR on Y.
    """

    title: str
    measured: MeasuredSet
    protocol: str
    entries: Mapping[str, Sequence[Entry]]
    rows: list[LeaderboardRow]

    @property
    def bicubic(self) -> LeaderboardRow:
        """The baseline."""
        return self.rows[0]

    @property
    def nets(self) -> list[LeaderboardRow]:
        """Without bicubic, the best first."""
        return self.rows[1:]

    def next_better(self, row: LeaderboardRow) -> LeaderboardRow | None:
        """The net above; None for the best, and for bicubic."""
        place = self.rows.index(row)
        return self.rows[place - 1] if place > 1 else None

    def p_next_better(self, row: LeaderboardRow) -> float | None:
        """Of the difference to the net above; None where there is no net or no test."""
        better = self.next_better(row)
        return None if better is None else self.p_values.get((better.label, row.label))

    @cached_property
    def gains(self) -> dict[str, Interval | None]:
        """Label of each net to the interval of its gain over bicubic; paired, image by image."""
        return {net.label: interval(net.ahead_of(self.bicubic)) for net in self.nets}

    @cached_property
    def p_values(self) -> dict[tuple[str, str], float]:
        """A pair of labels, in the table's order, to p of their difference, corrected for all pairs."""
        found = {(a.label, b.label): signed_rank(a.ahead_of(b)) for a, b in combinations(self.rows, 2)}
        known = {pair: p for pair, p in found.items() if p is not None}
        return dict(zip(known, holm(list(known.values())), strict=True))


def leaderboards(groups: Sequence[SeedGroup]) -> list[Leaderboard]:
    """One for each set and protocol; sets of one name that were measured differently are different sets."""
    found: list[tuple[MeasuredSet, dict[str, list[Entry]]]] = []
    for group in groups:
        for entry in group.entries:
            for measured in sets_of(entry.results) if entry.results is not None else ():
                same = (one for one in found if one[0].name == measured.name and one[0].difference(measured) is None)
                if (place := next(same, None)) is None:
                    found.append(place := (measured, {}))
                place[1].setdefault(group.label, []).append(entry)
    names = names_of([entry for group in groups for entry in group.entries])
    titles = _titles([measured for measured, _ in found])
    return [
        _leaderboard(title, measured, protocol, members, names)
        for title, (measured, members) in zip(titles, found, strict=True)
        for protocol in measured.protocols
    ]


def _titles(sets: Sequence[MeasuredSet]) -> list[str]:
    """The sets' names; those of one name with what made lr, or with a number."""
    titles = []
    for number, one in enumerate(sets, 1):
        alike = [other.degradation for other in sets if other.name == one.name]
        title = one.name if len(alike) == 1 else f"{one.name}, {one.degradation}"
        titles.append(title if alike.count(one.degradation) == 1 else f"{title}, {number}")
    return titles


def _leaderboard(
    title: str,
    measured: MeasuredSet,
    protocol: str,
    members: Mapping[str, Sequence[Entry]],
    names: Mapping[Path, str],
) -> Leaderboard:
    baseline, nets, costs = measured.bicubic[protocol], [], {"params": 0.0}
    entries = {
        label: [one for one in found if protocol in one.sets[measured.name][BICUBIC]]
        for label, found in members.items()
    }
    for label, found in entries.items():
        if label == BICUBIC:
            costs |= _costs(found, ("macs", "latency_ms", "peak_mb"))
        elif found:
            by_seed = {}
            for one in found:
                images = one.sets[measured.name][one.net][protocol]["images"]
                by_seed[name_of(one, names)] = {image: images[image] for image in baseline}
            averaged = {image: _means([seed[image] for seed in by_seed.values()]) for image in baseline}
            nets.append(LeaderboardRow(label, averaged, by_seed, _costs(found, COSTS)))
    nets.sort(key=lambda net: -net.mean["psnr_y"])
    return Leaderboard(title, measured, protocol, entries, [LeaderboardRow(BICUBIC, baseline, {}, costs), *nets])


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of the metrics that all rows have."""
    shared = [metric for metric in rows[0] if all(metric in row for row in rows)]
    return {metric: statistics.fmean(row[metric] for row in rows) for metric in shared}


def _costs(entries: Sequence[Entry], wanted: Sequence[str]) -> dict[str, float]:
    costs = {}
    for name in wanted:
        values = [{**(entry.results or {}), **entry.about}.get(name) for entry in entries]
        if known := [float(value) for value in values if value is not None]:
            costs[name] = statistics.fmean(known)
    return costs
