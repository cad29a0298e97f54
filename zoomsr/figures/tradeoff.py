"""Quality against cost: which nets are worth their time, and where ours stand among published ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from zoomsr.figures.data import Cost, PublishedNet
from zoomsr.figures.labels import PointLabel, draw_labels
from zoomsr.figures.style import BLUE, GREY, INK, MARKERS, PALE, TEXT, chart, looks, plainly


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
    labels = [
        PointLabel(f"{label}\n{_params(cost.params)}", (cost.latency_ms, cost.psnr_y), radii[label])
        for label, cost in nets.items()
    ]
    draw_labels(figure, ax, labels)
    return figure


def published(nets: Mapping[str, PublishedNet], *, of: str) -> Figure:
    """PSNR on Y against multiply-adds: ours in colour among the published ones, a marker for each training set.

    Args:
        nets: by name.
        of: the test set and the scale.

    Raises:
        ValueError: no nets.
    """
    if not nets:
        raise ValueError("a chart of published nets needs at least one net")
    figure, ax = chart(7.4, 4.8, x="G multiply-adds for an output of 1280x720", y=f"PSNR on Y, {of} (dB)")
    _set_log_axis(ax, [net.gmacs for net in nets.values()])
    ax.margins(x=0.1, y=0.12)
    first = sorted(nets.items(), key=lambda item: not item[1].ours)
    marks = dict(zip(dict.fromkeys(net.trained_on for _, net in first), cycle(MARKERS), strict=False))
    colours = {net.trained_on: BLUE if net.ours else PALE for _, net in first}
    for _, net in reversed(first):
        area = 110 if net.ours else 42
        points = ax.scatter([net.gmacs], [net.psnr_y], s=area, marker=marks[net.trained_on], zorder=3)
        points.set(color=BLUE if net.ours else PALE, edgecolor=INK, linewidth=0.7)
    handles = [
        Line2D([], [], marker=marker, linestyle="", color=colours[label], markeredgecolor=INK, label=label)
        for label, marker in marks.items()
    ]
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=TEXT, frameon=False)
    legend.set_title("trained on")
    plainly([*legend.get_texts(), legend.get_title()])
    legend.get_title().set_fontsize(TEXT)
    labels = [
        PointLabel(label, (net.gmacs, net.psnr_y), 6.0 if net.ours else 3.8, bold=net.ours) for label, net in first
    ]
    draw_labels(figure, ax, labels)
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


def _params(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M parameters"
    return f"{count / 1e3:.0f} k parameters" if count >= 1000 else f"{count} parameters"
