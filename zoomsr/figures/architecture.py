"""A net traced by forward hooks and drawn: a block per stage, a level per size, so that a U-Net looks like a U."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import accumulate, groupby, pairwise

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from zoomsr.figures.data import Stage
from zoomsr.figures.style import BLUE, GREY, INK, ORANGE, SKY, SMALL, TEXT, inches, wrapped

_PAGE, _COLUMN, _LINE, _ARC, _END = 10.0, 1.7, 0.13, 0.2, 0.4  # inches
_ARROW = {"arrowstyle": "-|>", "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8, "color": GREY}
# By the sign of the change of size: a block's colour and meaning; the arrow to it, from and to (shares of the sides).
_CHANGES = {
    -1: (SKY, "smaller than before", (1, 0.5), (0.25, 1), {**_ARROW, "connectionstyle": "angle,angleA=0,angleB=90"}),
    0: ("#d0d0d0", "as large as before", (1, 0.5), (0, 0.5), {**_ARROW, "connectionstyle": "arc3"}),
    1: (ORANGE, "larger than before", (0.75, 1), (0, 0.5), {**_ARROW, "connectionstyle": "angle,angleA=90,angleB=0"}),
}


@torch.no_grad()
def stages(net: nn.Module, side: int = 64) -> list[Stage]:
    """The stages of a net in the order in which they first run.

    A stage is a child of the net with a kernel (a parameter of two or more dimensions). A ModuleList is opened; so is
    an only child, and a Sequential that is the only one among the children. A net without kernels is one stage.
    A skip connection leads to a stage whose input is the output before it plus an earlier one, or the two concatenated.

    Args:
        net: with the contract of ``zoomsr.models.Net``.
        side: of the square input, in pixels.
    """
    found: dict[str, Stage] = {}
    outputs: list[Tensor] = []

    def record(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and name not in found:
            channels, height, width = output.shape[1:]
            found[name] = Stage(name, channels, height, width, _skip_from(outputs, inputs[0]))
            outputs.append(output.clone())  # later layers may work in place

    with ExitStack() as stack:
        for name, module in (_modules(net) or {type(net).__name__: net}).items():
            stack.enter_context(module.register_forward_hook(partial(record, name)))
        stack.callback(net.train, net.training)
        noise = torch.rand(1, int(getattr(net, "channels", 3)), side, side, generator=torch.Generator().manual_seed(0))
        net.eval()(noise.to(next(net.parameters(), noise).device))
    return list(found.values())


def _modules(net: nn.Module, opened: frozenset[str] = frozenset({""})) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for name, module in net.named_modules():
        is_open = name in opened or isinstance(module, nn.ModuleList)
        is_inside = any(name.startswith(f"{outer}.") for outer in found)
        if not is_open and not is_inside and any(parameter.ndim > 1 for parameter in module.parameters()):
            found[name] = module
    only = [name for name, module in found.items() if len(found) == 1 or isinstance(module, nn.Sequential)]
    return (_modules(net, opened | {*only}) if len(only) == 1 else {}) or found


def _skip_from(outputs: Sequence[Tensor], taken: Tensor) -> int | None:
    for earlier in reversed(range(len(outputs) - 1)):
        output, before = outputs[earlier], outputs[-1]
        missing = taken.shape[1] - before.shape[1], *taken.shape[2:]
        if output.shape[1:] == missing or (output.shape == before.shape and torch.equal(taken, before + output)):
            return earlier
    return None


def architecture(stages: Sequence[Stage]) -> Figure:
    """The stages from left to right, the largest outputs on the highest level, so that a U-Net looks like a U.

    A block's height follows the logarithm of its output's height, its width that of the channels. Dashed lines are skip
    connections. Equal stages in a row are one block, with their number.

    Raises:
        ValueError: no stages, or a skip connection from no earlier stage.
    """
    blocks, texts, (width, height) = _blocks(stages)
    figure = Figure(figsize=(width, height), facecolor="white", edgecolor="white")
    ax = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    words = [(text, blocks[number], (0.5, 0.0), (0, -4), "center", "top") for number, text in texts.items()]
    words.append(("in \N{RIGHTWARDS ARROW}", blocks[0], (0, 0.5), (-3, 0), "right", "center"))
    words.append(("\N{RIGHTWARDS ARROW} out", blocks[max(blocks)], (1, 0.5), (3, 0), "left", "center"))
    for text, block, place, offset, across, down in words:
        written = ax.annotate(text, place, offset, xycoords=block, textcoords="offset points", parse_math=False)
        written.set(ha=across, va=down, fontsize=SMALL, color=INK, linespacing=1.15)
    for before, number in pairwise([0, *blocks]):
        block, size, size_before = blocks[number], stages[number].height, stages[max(number - 1, 0)].height
        colour, meaning, leaves, enters, arrow = _CHANGES[(size > size_before) - (size < size_before)]
        ax.add_patch(block).set(facecolor=colour, edgecolor=INK, label=meaning)
        if number:
            ax.annotate("", enters, leaves, xycoords=block, textcoords=blocks[before], arrowprops=arrow)
        if (skip := stages[number].skip_from) is not None:
            (x0, y0), (x1, y1) = (ends.get_corners()[2:].mean(0) for ends in (blocks[skip], block))  # upper edges
            above = max(y0, y1) + _ARC - 0.06
            (line,) = ax.plot([x0, x0, x1, x1], [y0, above, above, y1 + 0.04], color=BLUE, linestyle=(0, (4, 2)))
            line.set(linewidth=1.2, marker="v", markevery=[3], markersize=4.5, label="skip connection")
    legend = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    if len(legend) > 1:
        ax.legend(legend.values(), legend, loc="lower center", ncols=4, fontsize=TEXT, frameon=False, labelcolor=INK)
    return figure


def _blocks(stages: Sequence[Stage]) -> tuple[dict[int, Rectangle], dict[int, str], tuple[float, float]]:
    """Equal stages in a row, by the number of the first: their block and its text. Then the page's sides, in inches."""
    names = _names(stages)
    facts = {n: (f"{stages[n].channels} ch", f"{stages[n].width}x{stages[n].height}") for n in names}
    widest = max(inches(fact, SMALL) for pair in facts.values() for fact in pair)
    column = max(min(_COLUMN, (_PAGE - 2 * _END) / len(names)), widest + 0.06)
    broken = {n: wrapped(re.sub(r"[._]", " ", name), column - 0.06, SMALL) for n, name in names.items()}
    shown = {n: name if inches(name, SMALL) <= column - 0.06 else broken[n] for n, name in names.items()}
    texts = {n: "\n".join([name, *facts[n]]) for n, name in shown.items()}
    words = _LINE * max(text.count("\n") + 1 for text in texts.values())
    sizes = sorted({stage.height for stage in stages}, reverse=True)
    tall = {size: 0.35 + 0.13 * math.log2(size / sizes[-1]) for size in sizes}
    *tops, end = accumulate((_ARC + tall[size] + words + 0.14 for size in sizes), initial=0.1 + _ARC)
    has_legend = len(sizes) > 1 or any(stage.skip_from is not None for stage in stages)
    blocks, height = {}, end - _ARC + (0.35 if has_legend else 0.1)
    for place, n in enumerate(names):
        size, wide = stages[n].height, min(0.8, 0.55 * column) * min(1.0, math.log2(stages[n].channels + 1) / 10)
        left = _END + column * (place + 0.5) - wide / 2
        blocks[n] = Rectangle((left, height - tops[sizes.index(size)] - tall[size]), wide, tall[size])
    return blocks, texts, (column * len(names) + 2 * _END, height)


def _names(stages: Sequence[Stage]) -> dict[int, str]:
    """Of equal stages in a row, by the number of the first; the ends of a skip connection stay alone."""
    if not stages:
        raise ValueError("an architecture needs at least one stage")
    alike = [replace(stage, name=re.sub(r"\.?\d+$", "", stage.name)) for stage in stages]
    keys: list[Stage | int] = [*alike]
    for number, stage in enumerate(stages):
        if stage.skip_from is not None:
            if not 0 <= stage.skip_from < number:
                raise ValueError(f"stage {stage.name} skips from {stage.skip_from}, which is no earlier stage")
            keys[stage.skip_from], keys[number] = stage.skip_from, number
    groups = groupby(range(len(stages)), keys.__getitem__)
    return {n: f"{alike[n].name} x{1 + len(more)}" if more else stages[n].name for _, (n, *more) in groups}
