"""Quality against time: which nets are worth their cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from zoomsr.figures.data import Cost
from zoomsr.figures.style import GREY, INK, TEXT, chart, looks, plainly

_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0), (0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 1), (-1, -1))
_DISTANCES = (1, 8, 16, 26, 38, 52, 68, 86, 110, 140)  # points


def tradeoff(nets: Mapping[str, Cost]) -> Figure:
    """PSNR on Y against latency, markers of an area that grows with the parameters, and the Pareto front.

    On the front are the nets that no other net beats in both. Labels stand where they cover nothing.

    Raises:
        ValueError: no nets, or a latency that is not above zero.
    """
    if not nets:
        raise ValueError("a trade-off needs at least one net")
    for label, cost in nets.items():
        if not cost.latency_ms > 0:
            raise ValueError(f"the latency of {label} is {cost.latency_ms} ms: it must be above 0")
    figure, ax = chart(7.0, 4.6, x="latency (ms), 128x128 input", y="PSNR on Y (dB)")
    _set_log_axis(ax, [cost.latency_ms for cost in nets.values()])
    front = _pareto(list(nets.values()))
    steps = [cost.latency_ms for cost in front], [cost.psnr_y for cost in front]
    (stairs,) = ax.step(*steps, "--", where="post", color=GREY, linewidth=1.1, zorder=1)
    stairs.set_label("Pareto front: no net is both quicker and better")
    chosen, radii = looks(nets), _radii(nets)
    for label, cost in nets.items():
        look, area = chosen[label], 4 * radii[label] ** 2
        marks = ax.scatter([cost.latency_ms], [cost.psnr_y], s=area, marker=look.marker, color=look.colour, zorder=3)
        marks.set(edgecolor=INK, linewidth=0.7, alpha=0.9)
    size = Line2D([], [], marker="o", color=GREY, linestyle="", label="area: with the square root of the parameters")
    legend = figure.legend(handles=[stairs, size], loc="outside lower center", ncols=2, fontsize=TEXT, frameon=False)
    plainly(legend.get_texts())
    _draw_labels(figure, ax, nets)
    return figure


def _pareto(nets: Sequence[Cost]) -> list[Cost]:
    """Those that no other beats in both latency and PSNR, quickest first."""
    front: list[Cost] = []
    for cost in sorted(nets, key=lambda cost: (cost.latency_ms, -cost.psnr_y)):
        if not front or cost.psnr_y > front[-1].psnr_y:
            front.append(cost)
    return front


def _set_log_axis(ax: Axes, times: Sequence[float]) -> None:
    """With plain numbers, a few of them whatever the span."""
    ax.set_xscale("log")
    ax.margins(x=0.15, y=0.15)
    span = max(times) / min(times)
    subs = (1.0, 2.0, 5.0) if span < 500 else (1.0,)
    ax.xaxis.set_major_locator(MaxNLocator(6) if span < 5 else LogLocator(subs=subs))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def _radii(nets: Mapping[str, Cost]) -> dict[str, float]:
    """In points. The area follows the square root of the parameters, because nets differ a thousandfold."""
    largest = max(1, *(cost.params for cost in nets.values()))
    return {label: math.sqrt(25 + 255 * math.sqrt(cost.params / largest)) / 2 for label, cost in nets.items()}


def _draw_labels(figure: Figure, ax: Axes, nets: Mapping[str, Cost]) -> None:
    """Name and parameters beside each marker, with a line to it where the place is not near."""
    figure.draw_without_rendering()  # settles where everything is
    figure.set_layout_engine("none")
    point = figure.dpi / 72  # boxes are in points
    frame = Bbox(ax.get_window_extent().get_points() / point)
    radii, lines = _radii(nets), list(_segments(ax, point))
    points = [ax.transData.transform((cost.latency_ms, cost.psnr_y)) / point for cost in nets.values()]
    markers = [Bbox([xy, xy]).padded(radii[label] + 1) for label, xy in zip(nets, points, strict=True)]
    taken = [*markers]
    for (label, cost), marker in zip(nets.items(), markers, strict=True):
        at, radius = (cost.latency_ms, cost.psnr_y), marker.width / 2
        note = ax.annotate(f"{label}\n{_params(cost.params)}", at, (0, 0), textcoords="offset points", fontsize=TEXT)
        note.set(color=INK, ha="center", va="center", parse_math=False)
        note.set_path_effects([effects.withStroke(linewidth=2, foreground="white")])
        extent = note.get_window_extent()
        size = extent.width / point + 3, extent.height / point + 2
        offset = _free(marker, size, frame=frame, taken=taken, lines=lines)
        note.set_position(offset)
        taken.append(_box(marker, offset, size))
        if abs(offset[0]) > radius + size[0] / 2 + 6 or abs(offset[1]) > radius + size[1] / 2 + 6:
            line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": size[1] / 2, "shrinkB": radius}
            ax.annotate("", at, offset, textcoords="offset points", arrowprops=line, zorder=2)


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
    """What the stairs of the front cover, in points."""
    for line in ax.lines:
        corners = line.get_transform().transform(np.asarray(line.get_path().vertices)) / point
        for (x0, y0), (x1, y1) in pairwise(corners):  # across, then up
            yield Bbox([[x0 - 1, y0 - 1], [x1 + 1, y0 + 1]])
            yield Bbox([[x1 - 1, y0 - 1], [x1 + 1, y1 + 1]])


def _params(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M parameters"
    return f"{count / 1e3:.0f} k parameters" if count >= 1000 else f"{count} parameters"
