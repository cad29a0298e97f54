"""Quality against time: which nets are worth their cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from zoomsr.figures.data import Cost
from zoomsr.figures.labels import Spot
from zoomsr.figures.style import GREY, INK, TEXT, blank, dress, looks, plainly


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
    figure = blank(7.0, 4.6)
    ax = figure.subplots()
    dress(ax, x="latency (ms), 128x128 input", y="PSNR on Y (dB)")
    _logarithmic(ax, [cost.latency_ms for cost in nets.values()])
    front = _draw_front(ax, nets)
    chosen, largest = looks(nets), max(cost.params for cost in nets.values())
    for label, cost in nets.items():
        area, look = 4 * _radius(cost.params, largest) ** 2, chosen[label]
        marks = ax.scatter([cost.latency_ms], [cost.psnr_y], s=area, marker=look.marker, color=look.colour, zorder=3)
        marks.set(edgecolor=INK, linewidth=0.7, alpha=0.9)
    size = Line2D([], [], marker="o", color=GREY, linestyle="", label="area: with the square root of the parameters")
    legend = figure.legend(handles=[front, size], loc="outside lower center", ncols=2, fontsize=TEXT, frameon=False)
    plainly(legend.get_texts(), INK)
    _label(figure, ax, nets)
    return figure


def pareto(nets: Mapping[str, Cost]) -> list[str]:
    """The nets that no other beats in both latency and PSNR, quickest first."""
    front: list[str] = []
    for label in sorted(nets, key=lambda label: (nets[label].latency_ms, -nets[label].psnr_y)):
        if not front or nets[label].psnr_y > nets[front[-1]].psnr_y:
            front.append(label)
    return front


def _draw_front(ax: Axes, nets: Mapping[str, Cost]) -> Line2D:
    """Stairs: the best that is to be had within each latency."""
    points = [nets[label] for label in pareto(nets)]
    times = [cost.latency_ms for cost in points]
    (line,) = ax.step(times, [cost.psnr_y for cost in points], "--", where="post", color=GREY, linewidth=1.1)
    line.set(zorder=1, label="Pareto front: no net is both quicker and better")
    return line


def _logarithmic(ax: Axes, times: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers, a few of them whatever its span."""
    ax.set_xscale("log")
    ax.margins(x=0.15, y=0.15)
    span = max(times) / min(times)
    subs = (1.0, 2.0, 5.0) if span < 500 else (1.0,)
    ax.xaxis.set_major_locator(MaxNLocator(6) if span < 5 else LogLocator(subs=subs))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def _radius(params: int, largest: int) -> float:
    """In points. The area follows the square root of the parameters, because nets differ a thousandfold."""
    return math.sqrt(25 + 255 * math.sqrt(params / largest)) / 2 if largest else 2.5


def _label(figure: Figure, ax: Axes, nets: Mapping[str, Cost]) -> None:
    """Name and parameters beside each marker, with a line to it where the place is not near."""
    figure.draw_without_rendering()  # settles where everything is
    figure.set_layout_engine("none")
    point = figure.dpi / 72
    frame = Bbox(ax.get_window_extent().get_points() / point)
    largest = max(cost.params for cost in nets.values())
    spots = []
    for cost in nets.values():
        x, y = ax.transData.transform((cost.latency_ms, cost.psnr_y)) / point
        spots.append(Spot(x, y, _radius(cost.params, largest) + 1))
    taken, lines = [spot.box() for spot in spots], _segments(ax, point)
    for (label, cost), spot in zip(nets.items(), spots, strict=True):
        at = (cost.latency_ms, cost.psnr_y)
        note = ax.annotate(f"{label}\n{_params(cost.params)}", at, (0, 0), textcoords="offset points", fontsize=TEXT)
        note.set(color=INK, ha="center", va="center", parse_math=False)
        note.set_path_effects([effects.withStroke(linewidth=2, foreground="white")])
        extent = note.get_window_extent()
        size = extent.width / point + 3, extent.height / point + 2
        offset = spot.free(size, frame=frame, taken=taken, lines=lines)
        note.set_position(offset)
        taken.append(spot.beside(offset, size))
        if abs(offset[0]) > spot.radius + size[0] / 2 + 6 or abs(offset[1]) > spot.radius + size[1] / 2 + 6:
            line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": size[1] / 2, "shrinkB": spot.radius}
            ax.annotate("", at, offset, textcoords="offset points", arrowprops=line, zorder=2)


def _segments(ax: Axes, point: float) -> list[Bbox]:
    """What the stairs of the front cover, in points."""
    boxes = []
    for line in ax.lines:
        corners = line.get_transform().transform(np.asarray(line.get_path().vertices)) / point
        for (x0, y0), (x1, y1) in pairwise(corners):  # across, then up
            boxes.append(Bbox([[x0 - 1, y0 - 1], [x1 + 1, y0 + 1]]))
            boxes.append(Bbox([[x1 - 1, y0 - 1], [x1 + 1, y1 + 1]]))
    return boxes


def _params(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M parameters"
    return f"{count / 1e3:.0f} k parameters" if count >= 1000 else f"{count} parameters"
