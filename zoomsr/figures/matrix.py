"""A table as colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from zoomsr.figures.style import INK, SMALL, TEXT, blank, decimals, dress, dress_bar, inches, plainly, wrapped


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
    figure = blank(side * len(columns) + margin + 1.6, 0.62 * len(rows) + 1.1)
    ax = figure.subplots()
    dress(ax, x=column_title, y=row_title)
    ax.grid(visible=False)
    image = ax.imshow(np.ma.masked_invalid(table), cmap="cividis", aspect="auto")
    ax.set_xticks(range(len(columns)), [wrapped(name, 0.92 * side, SMALL) for name in columns])
    ax.set_yticks(range(len(rows)), names)
    plainly([*ax.get_xticklabels(), *ax.get_yticklabels()], INK)
    ax.tick_params(length=0)
    _write_cells(ax, table, decimals(axis))
    bar = figure.colorbar(image, ax=ax, fraction=0.06, pad=0.03)
    dress_bar(bar, axis)
    return figure


def _write_cells(ax: Axes, table: NDArray[np.float64], places: int) -> None:
    low, high = np.nanmin(table), np.nanmax(table)
    for (row, column), value in np.ndenumerate(table):
        if math.isfinite(value):
            bright = high > low and (value - low) / (high - low) > 0.45
            text = ax.text(column, row, f"{value:.{places}f}", ha="center", va="center", fontsize=TEXT)
            text.set_color(INK if bright else "white")
