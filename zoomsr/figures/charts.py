"""Charts of final numbers: error by spatial frequency, and a dot per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoomsr.figures.style import BLUE, GREY, INK, SMALL, TEXT, blank, decimals, dress, looks, plainly, wrapped


def spectrum(bands: Mapping[str, Sequence[float]]) -> Figure:
    """Error over truth in rings of equal width from 0 to half a cycle per pixel, a line per net.

    Args:
        bands: net to the error energy in each ring as a share of the truth's, in dB, lowest frequencies first.

    Raises:
        ValueError: no nets, or one without rings.
    """
    if not bands or not all(len(values) for values in bands.values()):
        raise ValueError("a spectrum needs at least one net, and at least one ring of each")
    figure = blank(7.0, 3.8)
    ax = figure.subplots()
    dress(ax, x="spatial frequency (cycles/pixel)", y="error over truth (dB)")
    chosen = looks(bands)
    for label, values in bands.items():
        centres = (np.arange(len(values)) + 0.5) * 0.5 / len(values)
        look, linestyle = chosen[label], "-." if label == "bicubic" else "-"
        ax.plot(centres, values, linestyle, label=label, color=look.colour, marker=look.marker, markersize=5)
    ax.axhline(0, color=INK, linewidth=0.8, linestyle=":", label="0 dB: as bad as an empty picture")
    ax.set_xlim(0, 0.5)
    rings = {len(values) for values in bands.values()}
    if len(rings) == 1 and max(rings) <= 8:
        ax.set_xticks(np.linspace(0, 0.5, max(rings) + 1))  # the rings' edges
        ax.xaxis.set_major_formatter("{x:g}")
    legend = figure.legend(loc="outside right center", fontsize=TEXT, frameon=False)
    plainly(legend.get_texts(), INK)
    for text in legend.get_texts():
        text.set_text(wrapped(text.get_text(), 1.5))
    return figure


def dots(values: Mapping[str, Sequence[float]], *, axis: str, baseline: float | None = None) -> Figure:
    """One row per label: a dot per seed, and the mean as a tick, with its number at the right edge.

    Args:
        values: label to one number per seed, the first at the top; a label without numbers has an empty row.
        axis: what the numbers are, with the unit: "PSNR on Y (dB)". In dB they have two decimals, otherwise four.
        baseline: of bicubic, as a vertical line.

    Raises:
        ValueError: no labels.
    """
    if not values:
        raise ValueError("dots need at least one label")
    figure = blank(7.0, 1.15 + 0.3 * len(values))
    ax = figure.subplots()
    dress(ax, x=axis, y="")
    ax.grid(visible=False, axis="y")
    for row, numbers in enumerate(values.values()):
        ax.axhline(row, color=GREY, linewidth=0.4, alpha=0.5, zorder=0)
        _draw_dots(ax, row, numbers, decimals(axis))
    if baseline is not None:
        ax.axvline(baseline, color=GREY, linewidth=1.2, linestyle="-.")
    ax.set_yticks(range(len(values)), [wrapped(label, 2.2) for label in values])
    plainly(ax.get_yticklabels(), INK)
    ax.tick_params(axis="y", labelsize=TEXT, length=0)
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.margins(x=0.08)
    _head(ax, baseline, decimals(axis))
    return figure


def _head(ax: Axes, baseline: float | None, places: int) -> None:
    """What stands above the line of bicubic and above the numbers."""
    mean = ax.annotate("mean", (1, 1), (6, 3), xycoords="axes fraction", textcoords="offset points")
    mean.set(ha="left", va="bottom", fontsize=SMALL, color=INK)
    if baseline is not None:
        low, high = ax.get_xlim()
        align = "left" if baseline < (low + high) / 2 else "right"  # away from "mean"
        note = ax.annotate(f"bicubic {baseline:.{places}f}", (baseline, 1), (0, 3), xycoords=("data", "axes fraction"))
        note.set(anncoords="offset points", ha=align, va="bottom", fontsize=SMALL, color=GREY)


def _draw_dots(ax: Axes, row: int, numbers: Sequence[float], places: int) -> None:
    if not numbers:
        return
    mean = float(np.mean(numbers))
    ax.plot(numbers, [row] * len(numbers), linestyle="", marker="o", markersize=5, color=BLUE, alpha=0.6, mew=0)
    ax.plot([mean], [row], linestyle="", marker="|", markersize=13, markeredgewidth=2, color=INK)
    number = ax.annotate(f"{mean:.{places}f}", (1, row), (6, 0), xycoords=("axes fraction", "data"))
    number.set(anncoords="offset points", ha="left", va="center", fontsize=TEXT, color=INK)
