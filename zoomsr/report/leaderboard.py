"""A score table: bicubic, then the nets by falling PSNR on Y, each with how sure its numbers are."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from zoomsr.report.comparability import Images, Test
from zoomsr.report.entries import BICUBIC
from zoomsr.report.significance import Interval

COSTS = ("params", "macs", "latency_ms", "peak_mb", "best_epoch", "seconds")


@dataclass(frozen=True)
class Standing:
    """A net in a table.

    Attributes:
        label: of its row.
        seeds: how many were averaged.
        images: picture to its metrics, averaged over the seeds.
        by_seed: name of the run, or of the evaluation, to its own scores.
        costs: those of ``COSTS`` that are known, averaged over the seeds.
    """

    label: str
    images: Images
    by_seed: Mapping[str, Images]
    costs: Mapping[str, float]

    @property
    def seeds(self) -> int:
        """How many were averaged; 0 for bicubic, which is not trained."""
        return 0 if self.label == BICUBIC else len(self.by_seed)

    @property
    def mean(self) -> dict[str, float]:
        """Over pictures."""
        return _means(self.images)

    def psnr_by_seed(self) -> list[float]:
        """On Y, mean over pictures, of each seed."""
        return [_means(images)["psnr_y"] for images in self.by_seed.values()]

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds of the mean PSNR on Y; None of one seed."""
        return statistics.stdev(self.psnr_by_seed()) if self.seeds > 1 else None

    def psnr(self) -> list[float]:
        """On Y, of each picture."""
        return [row["psnr_y"] for row in self.images.values()]

    def ahead_of(self, other: Standing) -> list[float]:
        """By how many dB on Y, picture by picture."""
        return [row["psnr_y"] - other.images[image]["psnr_y"] for image, row in self.images.items()]


@dataclass(frozen=True)
class Table:
    """One set under one protocol.

    Attributes:
        title: of the set, as no other table under this protocol has it.
        test: what was measured.
        protocol: its name.
        hashes: of the data of all that stands in it.
        standings: bicubic first, then by falling PSNR on Y.
        intervals: label to the interval of its PSNR on Y.
        gains: label to the interval of its gain over bicubic; paired, picture by picture.
        p_values: a pair of labels, in the table's order, to p of their difference, corrected for all pairs.
    """

    title: str
    test: Test
    protocol: str
    hashes: list[str]
    standings: list[Standing]
    intervals: Mapping[str, Interval | None] = field(default_factory=dict)
    gains: Mapping[str, Interval | None] = field(default_factory=dict)
    p_values: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def nets(self) -> list[Standing]:
        """Without bicubic, the best first."""
        return self.standings[1:]

    def better(self, standing: Standing) -> Standing | None:
        """The net above; None for the best, and for bicubic."""
        place = self.standings.index(standing)
        return self.standings[place - 1] if place > 1 else None


def _means(images: Images) -> dict[str, float]:
    rows = list(images.values())
    metrics = [metric for metric in rows[0] if all(metric in row for row in rows)]
    return {metric: statistics.fmean(row[metric] for row in rows) for metric in metrics}
