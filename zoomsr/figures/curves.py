"""The course of a training: MAE and PSNR on Y, epoch by epoch, training and held-out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from zoomsr.figures.courses import Course
from zoomsr.figures.data import History
from zoomsr.figures.style import GREY, INK, TEXT, Look, blank, dress, inches, looks, plainly

_WIDTH = 9.6
_AXES = {"mae": "MAE, on [0, 1]", "psnr_y": "PSNR on Y (dB)"}
_DASHES = (0, (4, 2))
_FEW = 4  # labels; beyond, lines of training carry no markers


def curves(runs: Mapping[str, Sequence[History]], *, baseline: Mapping[str, float] | None = None) -> Figure:
    """MAE and PSNR on Y against the epoch: training dashed, held-out solid.

    Of several seeds the mean is drawn, and a band from the smallest to the largest. A star marks the epoch with the
    highest held-out PSNR of the mean, among those that most seeds have reached. Epochs without a value are left out.

    Args:
        runs: label to one history per seed; a history may be shorter than others, or empty.
        baseline: ``mae`` and ``psnr_y`` of bicubic on the held-out photographs.

    Raises:
        ValueError: no runs.
    """
    if not runs:
        raise ValueError("curves need at least one run")
    handles = [*_runs_legend(runs), *_signs_legend(baseline is not None)]
    columns = max(1, int(_WIDTH / (max(inches(str(handle.get_label())) for handle in handles) + 0.65)))
    figure = blank(_WIDTH, 3.4 + 0.19 * math.ceil(len(handles) / columns))
    for ax, (metric, title) in zip(figure.subplots(1, 2), _AXES.items(), strict=True):
        dress(ax, x="epoch", y=title)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        drawn = [_draw_run(ax, histories, metric, look=_look(runs, label)) for label, histories in runs.items()]
        if not any(drawn):
            ax.set(xlim=(0, 10), ylim=(0, 1), yticks=[])
            ax.text(5, 0.5, "no epoch is finished yet", ha="center", va="center", fontsize=TEXT, color=GREY)
        elif baseline is not None:
            ax.axhline(baseline[metric], color=GREY, linewidth=1.2, linestyle="-.", zorder=1.5)
        if len(runs) > _FEW:
            _thin(ax)
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=TEXT, frameon=False)
    plainly(legend.get_texts(), INK)
    return figure


def _draw_run(ax: Axes, histories: Sequence[History], metric: str, *, look: Look) -> bool:
    """Both lines of a label and its star; whether there was anything to draw."""
    held_out, training = (Course.read(histories, f"{split}/{metric}") for split in ("val", "train"))
    for course in (training, held_out):
        (line,) = ax.plot(course.epochs, course.mean, color=look.colour, marker=look.marker, markersize=4.5)
        line.set(linewidth=1.6, markevery=max(1, len(course.epochs) // 8))
        if course is training:
            line.set(linestyle=_DASHES, linewidth=0.9, alpha=0.75, markersize=3.5, markerfacecolor="white")
        if course.seeds.size and course.seeds.max() > 1:
            ax.fill_between(course.epochs, course.low, course.high, color=look.colour, alpha=0.15, linewidth=0)
    best = Course.read(histories, "val/psnr_y").best()
    if best is not None:
        star = ax.scatter([best[0]], [held_out.at(best[0])], s=110, marker="*", color=look.colour, zorder=5)
        star.set(edgecolor=INK, linewidth=0.8)
    return bool(held_out.epochs.size or training.epochs.size)


def _thin(ax: Axes) -> None:
    """Many runs: those of training step back."""
    for line in ax.lines:
        if line.get_markerfacecolor() == "white":
            line.set(marker="", alpha=0.55)


def _look(runs: Mapping[str, Sequence[History]], label: str) -> Look:
    return looks(runs)[label]


def _runs_legend(runs: Mapping[str, Sequence[History]]) -> list[Line2D]:
    """Each label with its best epoch in numbers."""
    handles = []
    for label, histories in runs.items():
        best, look = Course.read(histories, "val/psnr_y").best(), _look(runs, label)
        seeds = f", {len(histories)} seeds" if len(histories) > 1 else ""
        said = "no held-out epoch" if best is None else f"{best[1]:.2f} dB at epoch {best[0]:g}"
        line = Line2D([], [], color=look.colour, marker=look.marker, markersize=4.5, linewidth=1.6)
        line.set_label(f"{label}{seeds}: {said}")
        handles.append(line)
    return handles


def _signs_legend(baseline: bool) -> list[Line2D]:
    star = Line2D([], [], color=INK, marker="*", markersize=10, markerfacecolor="white", linestyle="")
    star.set_label("best held-out epoch")
    return [
        Line2D([], [], color=INK, linewidth=1.6, label="held-out"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=_DASHES, label="training"),
        star,
        *([Line2D([], [], color=GREY, linewidth=1.2, linestyle="-.", label="bicubic, held-out")] if baseline else []),
    ]
