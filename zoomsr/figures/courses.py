"""One column of metrics.csv over the epochs, for several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoomsr.figures.data import History

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """What the seeds that have a value at an epoch have there.

    Attributes:
        epochs: those with a value, ascending.
        mean: over the seeds.
        low: smallest.
        high: largest.
        seeds: how many.
    """

    epochs: Values
    mean: Values
    low: Values
    high: Values
    seeds: NDArray[np.int64]

    @staticmethod
    def read(histories: Sequence[History], column: str) -> Course:
        """Rows without a finite number in the column are left out; of several of an epoch the last counts."""
        values: dict[float, list[float]] = {}
        for history in histories:
            last = {row["epoch"]: row[column] for row in history if column in row}
            for epoch, value in last.items():
                if math.isfinite(value):
                    values.setdefault(epoch, []).append(value)
        ordered = [values[epoch] for epoch in sorted(values)]
        mean, low, high = (np.array([f(found) for found in ordered], float) for f in (np.mean, np.min, np.max))
        return Course(np.array(sorted(values), float), mean, low, high, np.array([len(v) for v in ordered], np.int64))

    def best(self) -> tuple[float, float] | None:
        """The epoch where the mean is highest, and the mean, among the epochs that most seeds have reached."""
        if not self.epochs.size:
            return None
        index = int(np.where(self.seeds == self.seeds.max(), self.mean, -np.inf).argmax())
        return float(self.epochs[index]), float(self.mean[index])

    def at(self, epoch: float) -> float:
        """The mean at an epoch; NaN, which draws nothing, where that is missing."""
        found = self.mean[self.epochs == epoch]
        return float(found[0]) if found.size else math.nan
