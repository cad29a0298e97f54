"""Labels of the points of a scatter chart, where they cover nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from zoomsr.figures.style import GREY, INK, TEXT

_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0), (0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 1), (-1, -1))
_DISTANCES = (1, 8, 16, 26, 38, 52, 68, 86, 110, 140)  # points


@dataclass(frozen=True)
class PointLabel:
    """A label to place.

    Attributes:
        text: one line or more.
        at: the point, in data coordinates.
        radius: of its marker, in points.
        bold: whether it stands out.
    """

    text: str
    at: tuple[float, float]
    radius: float
    bold: bool = False


def draw_labels(figure: Figure, ax: Axes, labels: Sequence[PointLabel]) -> None:
    """Write each label beside its marker, with a line to it where the place is not near. The layout is then final."""
    figure.draw_without_rendering()  # settles where everything is
    figure.set_layout_engine("none")
    point = figure.dpi / 72  # boxes are in points
    frame = Bbox(ax.get_window_extent().get_points() / point)
    lines = list(_segments(ax, point))
    places = [ax.transData.transform(one.at) / point for one in labels]
    markers = [Bbox([xy, xy]).padded(one.radius + 1) for one, xy in zip(labels, places, strict=True)]
    taken = [*markers]
    for one, marker in zip(labels, markers, strict=True):
        radius = marker.width / 2
        note = ax.annotate(one.text, one.at, (0, 0), textcoords="offset points", fontsize=TEXT)
        note.set(color=INK, ha="center", va="center", parse_math=False, weight="bold" if one.bold else "normal")
        note.set_path_effects([effects.withStroke(linewidth=2, foreground="white")])
        extent = note.get_window_extent()
        size = extent.width / point + 3, extent.height / point + 2
        offset = _free(marker, size, frame=frame, taken=taken, lines=lines)
        note.set_position(offset)
        taken.append(_box(marker, offset, size))
        if abs(offset[0]) > radius + size[0] / 2 + 6 or abs(offset[1]) > radius + size[1] / 2 + 6:
            line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": size[1] / 2, "shrinkB": radius}
            ax.annotate("", one.at, offset, textcoords="offset points", arrowprops=line, zorder=2)


def _free(
    marker: Bbox, size: tuple[float, float], *, frame: Bbox, taken: Sequence[Bbox], lines: Sequence[Bbox]
) -> tuple[float, float]:
    """The offset of the nearest box of a size that is inside the frame and covers nothing.

    Where there is none, of the nearest that covers lines only; where there is none of these, of the one above.
    """
    radius, (width, height) = marker.width / 2, size
    for obstacles in ([*taken, *lines], taken):
        for distance, (right, up) in product(_DISTANCES, _DIRECTIONS):
            offset = right * (radius + distance + width / 2), up * (radius + distance + height / 2)
            box = _box(marker, offset, size)
            inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
            if inside and not box.count_overlaps(obstacles):
                return offset
    return 0, radius + height / 2


def _box(marker: Bbox, offset: tuple[float, float], size: tuple[float, float]) -> Bbox:
    x, y = (marker.x0 + marker.x1) / 2 + offset[0], (marker.y0 + marker.y1) / 2 + offset[1]
    return Bbox.from_bounds(x - size[0] / 2, y - size[1] / 2, *size)


def _segments(ax: Axes, point: float) -> Iterator[Bbox]:
    """What the stairs of a front cover, in points."""
    for line in ax.lines:
        corners = line.get_transform().transform(np.asarray(line.get_path().vertices)) / point
        for (x0, y0), (x1, y1) in pairwise(corners):  # across, then up
            yield Bbox([[x0 - 1, y0 - 1], [x1 + 1, y0 + 1]])
            yield Bbox([[x1 - 1, y0 - 1], [x1 + 1, y1 + 1]])
