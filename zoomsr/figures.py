"""Pictures of results: pure functions from arrays to a matplotlib Figure. The caller saves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""(H, W, 3) on [0, 1]."""

ERROR_RANGE = 0.2
"""Upper end of every error map, on [0, 1]: the same in all figures, so that they compare."""

_PANEL_INCHES = 2.1
_MARK = "#39d353"  # the seed's green box
_INSET = "#e5484d"  # and its red inset


@dataclass(frozen=True)
class Enlargement:
    """One held-out area and what became of it.

    Attributes:
        name: of the photograph.
        lr: the input, (h, w, 3).
        hr: the truth, (scale h, scale w, 3).
        methods: name to (enlarged image, PSNR on Y of the area in dB).
        photograph: the whole picture, to mark the area on, or None.
        box: left, top, width, height of the area in the photograph, in its pixels.
    """

    name: str
    lr: Image
    hr: Image
    methods: dict[str, tuple[Image, float]]
    photograph: Image | None = None
    box: tuple[int, int, int, int] = (0, 0, 0, 0)


def comparison(rows: Sequence[Enlargement]) -> Figure:
    """One row per area: [photograph with the area marked] | input | each method | truth | absolute error of the last.

    All pictures share the range [0, 1]; the error maps share one colour bar.

    Raises:
        ValueError: no rows, or rows of different methods.
    """
    if not rows or any(row.methods.keys() != rows[0].methods.keys() for row in rows):
        raise ValueError("a comparison needs at least one row, and the same methods in each")
    marked = any(row.photograph is not None for row in rows)
    n_columns = marked + 1 + len(rows[0].methods) + 2
    figure = Figure(
        figsize=(_PANEL_INCHES * n_columns + 0.6, (_PANEL_INCHES + 0.35) * len(rows) + 0.2), layout="constrained"
    )
    grid = figure.subplots(len(rows), n_columns, squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        errors = _fill_row(list(axes), row, marked)
    bar = figure.colorbar(errors, ax=grid[:, -1], fraction=0.05, pad=0.02)
    bar.set_label("absolute error, mean of R, G and B, on [0, 1]", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    return figure


def enlarged_area(
    *,
    name: str,
    photograph: Image,
    box: tuple[int, int, int, int],
    lr: Image,
    methods: Mapping[str, tuple[Image, float | None]],
    hr: Image | None,
) -> Figure:
    """A photograph with the area marked, and the area: input | each method | truth, with the same inset in each.

    Args:
        name: of the photograph.
        photograph: (H, W, 3).
        box: left, top, width, height of the area, in its pixels.
        lr: the area, (h, w, 3).
        methods: name to (enlarged area, PSNR on Y in dB where the truth is known).
        hr: the area's truth, or None.
    """
    panels = {"input (nearest)": lr}
    for label, (enlarged, decibels) in methods.items():
        panels[label if decibels is None else f"{label}\n{decibels:.2f} dB"] = enlarged
    if hr is not None:
        panels["truth"] = hr
    figure = Figure(figsize=(_PANEL_INCHES * (len(panels) + 1), 1.75 * _PANEL_INCHES), layout="constrained")
    (first, *upper), (below, *lower) = figure.subplots(2, len(panels) + 1, height_ratios=[1.5, 1], squeeze=False)
    _show(first, photograph, f"{name}\narea marked")
    _mark(first, box, _MARK)
    below.set_axis_off()
    for whole, inset, (title, panel) in zip(upper, lower, panels.items(), strict=True):
        _with_inset(whole, inset, panel, title)
    return figure


def _with_inset(ax: Axes, inset: Axes, picture: Image, title: str) -> None:
    """The picture with its middle marked, and that middle by itself."""
    height, width = picture.shape[:2]
    left, top, right, bottom = width * 3 // 8, height * 3 // 8, -(-width * 5 // 8), -(-height * 5 // 8)
    _show(ax, picture, title)
    _mark(ax, (left, top, right - left, bottom - top), _INSET)
    _show(inset, picture[top:bottom, left:right], "")
    for spine in inset.spines.values():
        spine.set(color=_INSET, linewidth=1.5)


def _mark(ax: Axes, box: tuple[int, int, int, int], colour: str) -> None:
    left, top, width, height = box
    # Pixels' centres have whole numbers.
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, linewidth=1.5))


def _fill_row(axes: list[Axes], row: Enlargement, marked: bool) -> AxesImage:
    if marked:
        _photograph(axes.pop(0), row)
    height, width = row.lr.shape[:2]
    _show(axes[0], row.lr, f"input {width}x{height}\n(nearest)")
    *_, (last, _psnr) = row.methods.values()
    for ax, (name, (enlarged, psnr)) in zip(axes[1:], row.methods.items(), strict=False):
        _show(ax, enlarged, f"{name}\n{psnr:.2f} dB")
    height, width = row.hr.shape[:2]
    _show(axes[-2], row.hr, f"truth\n{width}x{height}")
    error = np.abs(np.clip(last, 0, 1) - row.hr).mean(-1)
    _bare(axes[-1], f"|error| of\n{list(row.methods)[-1]}")
    return axes[-1].imshow(error, vmin=0, vmax=ERROR_RANGE, cmap="magma", interpolation="nearest")


def _photograph(ax: Axes, row: Enlargement) -> None:
    if row.photograph is None:
        ax.set_axis_off()
        return
    _show(ax, row.photograph, f"{row.name}\narea marked")
    _mark(ax, row.box, _MARK)


def _show(ax: Axes, image: Image, title: str) -> None:
    _bare(ax, title)
    ax.imshow(np.clip(image, 0, 1), vmin=0, vmax=1, interpolation="nearest")


def _bare(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=8)
    ax.set_xticks([])
    ax.set_yticks([])
