"""Charts of final numbers: error by spatial frequency, a dot per seed, a table as colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from zoomsr.figures.style import (
    BLUE,
    GREY,
    INK,
    SMALL,
    TEXT,
    chart,
    decimals,
    dress_bar,
    inches,
    looks,
    plainly,
    wrapped,
)


def spectrum(bands: Mapping[str, Sequence[float]]) -> Figure:
    """Error over ground truth in rings of equal width from 0 to half a cycle per pixel, a line per net.

    Args:
        bands: net to the error energy in each ring as a share of the ground truth's, in dB, lowest frequencies first.

    Raises:
        ValueError: no nets, or one without rings.
    """
    if not bands or not all(len(values) for values in bands.values()):
        raise ValueError("a spectrum needs at least one net, and at least one ring of each")
    figure, ax = chart(7.0, 3.8, x="spatial frequency (cycles/pixel)", y="error over ground truth (dB)")
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
    plainly(legend.get_texts())
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
    places = decimals(axis)
    figure, ax = chart(7.0, 1.15 + 0.3 * len(values), x=axis, y="")
    ax.grid(visible=False, axis="y")
    for row, numbers in enumerate(values.values()):
        ax.axhline(row, color=GREY, linewidth=0.4, alpha=0.5, zorder=0)
        if numbers:
            mean = float(np.mean(numbers))
            ax.plot(numbers, [row] * len(numbers), linestyle="", marker="o", markersize=5, color=BLUE, alpha=0.6, mew=0)
            ax.plot([mean], [row], linestyle="", marker="|", markersize=13, markeredgewidth=2, color=INK)
            note = ax.annotate(f"{mean:.{places}f}", (1, row), (6, 0), xycoords=("axes fraction", "data"))
            note.set(anncoords="offset points", ha="left", va="center", fontsize=TEXT, color=INK)
    ax.set_yticks(range(len(values)), [wrapped(label, 2.2) for label in values])
    plainly(ax.get_yticklabels())
    ax.tick_params(axis="y", labelsize=TEXT, length=0)
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.margins(x=0.08)
    note = ax.annotate("mean", (1, 1), (6, 3), xycoords="axes fraction", textcoords="offset points")
    note.set(ha="left", va="bottom", fontsize=SMALL, color=INK)
    if baseline is not None:
        ax.axvline(baseline, color=GREY, linewidth=1.2, linestyle="-.")
        align = "left" if baseline < sum(ax.get_xlim()) / 2 else "right"  # away from "mean"
        note = ax.annotate(f"bicubic {baseline:.{places}f}", (baseline, 1), (0, 3), xycoords=("data", "axes fraction"))
        note.set(anncoords="offset points", ha=align, va="bottom", fontsize=SMALL, color=GREY)
    return figure


def matrix(
    values: Sequence[Sequence[float]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    axis: str,
    row_title: str,
    column_title: str,
) -> Figure:
    """A table as colours, with the number in each cell and a colour bar; NaN is an empty cell.

    Args:
        values: one sequence per row.
        rows: their names.
        columns: the columns' names.
        axis: what the numbers are, with the unit. In dB they have two decimals, otherwise four.
        row_title: what the rows are.
        column_title: what the columns are.

    Raises:
        ValueError: not as many rows or columns as names.
    """
    if len(values) != len(rows) or any(len(row) != len(columns) for row in values) or not rows or not columns:
        raise ValueError(f"a matrix of {len(rows)} rows and {len(columns)} columns needs that many values in each")
    table = np.array(values, float)
    side = min(1.0, 7.0 / len(columns))
    names = [wrapped(name, 2.0) for name in rows]
    margin = max(inches(line) for name in names for line in name.split("\n"))
    size = side * len(columns) + margin + 1.6, 0.62 * len(rows) + 1.1
    figure, ax = chart(*size, x=column_title, y=row_title)
    ax.grid(visible=False)
    image = ax.imshow(np.ma.masked_invalid(table), cmap="cividis", aspect="auto")
    ax.set_xticks(range(len(columns)), [wrapped(name, 0.92 * side, SMALL) for name in columns])
    ax.set_yticks(range(len(rows)), names)
    plainly([*ax.get_xticklabels(), *ax.get_yticklabels()])
    ax.tick_params(length=0)
    low, high = np.nanmin(table), np.nanmax(table)
    for (row, column), value in np.ndenumerate(table):
        if math.isfinite(value):
            text = ax.text(column, row, f"{value:.{decimals(axis)}f}", ha="center", va="center", fontsize=TEXT)
            text.set_color(INK if value - low > 0.45 * (high - low) else "white")
    dress_bar(figure.colorbar(image, ax=ax, fraction=0.06, pad=0.03), axis)
    return figure
