"""Training curves: MAE and PSNR on Y against the epoch, training and validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from zoomsr.figures.data import History
from zoomsr.figures.style import GREY, INK, TEXT, Look, blank, dress, inches, looks, plainly

_WIDTH = 9.6
_AXES = {"mae": "MAE, on [0, 1]", "psnr_y": "PSNR on Y (dB)"}
_DASHES = (0, (4, 2))
_FEW = 4  # labels; beyond, lines of training carry no markers


@dataclass(frozen=True)
class _Course:
    """A column of metrics.csv: the epochs that have a finite value, and values (seeds, epochs), NaN where missing."""

    epochs: NDArray[np.float64]
    values: NDArray[np.float64]

    @staticmethod
    def read(histories: Sequence[History], column: str) -> _Course:
        """Of several rows of an epoch the last counts."""
        seeds = [{row["epoch"]: row[column] for row in history if column in row} for history in histories]
        epochs = sorted({epoch for seed in seeds for epoch, value in seed.items() if math.isfinite(value)})
        values = np.array([[seed.get(epoch, math.nan) for epoch in epochs] for seed in seeds], float)
        values[~np.isfinite(values)] = math.nan
        return _Course(np.array(epochs), values.reshape(len(seeds), len(epochs)))

    def best(self) -> tuple[float, float] | None:
        """The epoch where the mean is highest, and the mean, among the epochs that most seeds have reached."""
        if not self.epochs.size:
            return None
        seeds = np.isfinite(self.values).sum(0)
        mean = np.where(seeds == seeds.max(), np.nanmean(self.values, 0), -np.inf)
        return float(self.epochs[mean.argmax()]), float(mean.max())


def curves(runs: Mapping[str, Sequence[History]], *, baseline: Mapping[str, float] | None = None) -> Figure:
    """MAE and PSNR on Y against the epoch: training dashed, validation solid.

    Of several seeds the mean is drawn, and a band from the smallest to the largest. A star marks the epoch with the
    highest validation PSNR of the mean, among those that most seeds have reached. Epochs without a value are left out.

    Args:
        runs: label to one history per seed; a history may be shorter than others, or empty.
        baseline: ``mae`` and ``psnr_y`` of bicubic on the validation images.

    Raises:
        ValueError: no runs.
    """
    if not runs:
        raise ValueError("curves need at least one run")
    chosen = looks(runs)
    handles = [*(_handle(label, seeds, chosen[label]) for label, seeds in runs.items()), *_signs(baseline is not None)]
    columns = max(1, int(_WIDTH / (max(inches(str(handle.get_label())) for handle in handles) + 0.65)))
    figure = blank(_WIDTH, 3.4 + 0.19 * math.ceil(len(handles) / columns))
    for ax, (metric, title) in zip(figure.subplots(1, 2), _AXES.items(), strict=True):
        dress(ax, x="epoch", y=title)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        for label, seeds in runs.items():
            _draw_run(ax, seeds, metric, look=chosen[label], crowded=len(runs) > _FEW)
        if not any(np.size(line.get_xdata()) for line in ax.lines):
            ax.set(xlim=(0, 10), ylim=(0, 1), yticks=[])
            ax.text(5, 0.5, "no epoch is finished yet", ha="center", va="center", fontsize=TEXT, color=GREY)
        elif baseline is not None:
            ax.axhline(baseline[metric], color=GREY, linewidth=1.2, linestyle="-.", zorder=1.5)
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=TEXT, frameon=False)
    plainly(legend.get_texts())
    return figure


def _draw_run(ax: Axes, histories: Sequence[History], metric: str, *, look: Look, crowded: bool) -> None:
    """Both lines of a label and its star."""
    for split in ("train", "val"):
        course = _Course.read(histories, f"{split}/{metric}")
        mean = np.nanmean(course.values, 0) if course.epochs.size else course.epochs
        (line,) = ax.plot(course.epochs, mean, color=look.colour, marker=look.marker, markersize=4.5, linewidth=1.6)
        line.set(markevery=max(1, len(course.epochs) // 8))
        if split == "train":
            line.set(linestyle=_DASHES, linewidth=0.9, alpha=0.75, markersize=3.5, markerfacecolor="white")
            if crowded:
                line.set(marker="", alpha=0.55)
        if np.isfinite(course.values).sum(0).max(initial=0) > 1:
            low, high = np.nanmin(course.values, 0), np.nanmax(course.values, 0)
            ax.fill_between(course.epochs, low, high, color=look.colour, alpha=0.15, linewidth=0)
    best = _Course.read(histories, "val/psnr_y").best()
    if best is not None and best[0] in course.epochs:
        star = ax.scatter([best[0]], mean[course.epochs == best[0]], s=110, marker="*", color=look.colour, zorder=5)
        star.set(edgecolor=INK, linewidth=0.8)


def _handle(label: str, histories: Sequence[History], look: Look) -> Line2D:
    """A label with its best epoch in numbers."""
    best = _Course.read(histories, "val/psnr_y").best()
    seeds = f", {len(histories)} seeds" if len(histories) > 1 else ""
    said = "no validation epoch" if best is None else f"{best[1]:.2f} dB at epoch {best[0]:g}"
    line = Line2D([], [], color=look.colour, marker=look.marker, markersize=4.5, linewidth=1.6)
    line.set_label(f"{label}{seeds}: {said}")
    return line


def _signs(has_baseline: bool) -> list[Line2D]:
    star = Line2D([], [], color=INK, marker="*", markersize=10, markerfacecolor="white", linestyle="")
    star.set_label("best validation epoch")
    bicubic = Line2D([], [], color=GREY, linewidth=1.2, linestyle="-.", label="bicubic, validation")
    return [
        Line2D([], [], color=INK, linewidth=1.6, label="validation"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=_DASHES, label="training"),
        star,
        *([bicubic] if has_baseline else []),
    ]
