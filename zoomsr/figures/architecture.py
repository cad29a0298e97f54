"""A net drawn from its stages: blocks as high as their pictures and as wide as their channels, on a level per size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from zoomsr.figures.data import Stage
from zoomsr.figures.runs import Run, merged
from zoomsr.figures.style import BLUE, GREY, INK, ORANGE, SKY, SMALL, TEXT, inches

_PAGE, _NARROW = 10.0, 5.5  # inches
_COLUMN = 1.7  # inches, of a stage with its words where there is room
_LINE, _ARC, _END = 0.13, 0.2, 0.45  # inches
_SMALLER, _SAME, _LARGER = SKY, "#d0d0d0", ORANGE
_DASHES = (0, (4, 2))


@dataclass(frozen=True)
class _Block:
    """A run of equal stages on the page, in inches from the lower left corner to the block's middle."""

    run: Run
    text: str
    x: float
    y: float
    width: float
    height: float
    colour: str

    def top(self, share: float) -> tuple[float, float]:
        """A point of the upper edge, ``share`` of the width right of the middle."""
        return self.x + share * self.width, self.y + self.height / 2


def architecture(stages: Sequence[Stage]) -> Figure:
    """The stages from left to right, the largest pictures on the highest level, so that a U-Net looks like a U.

    A block's height follows the logarithm of its picture's height, its width that of its channels. Broken lines above
    the blocks are skip connections. Equal stages in a row are one block, with their number.

    Raises:
        ValueError: no stages, or a skip connection from no earlier stage.
    """
    runs = merged(stages)
    facts = [line for run in runs for line in run.facts()]
    column = max(min(_COLUMN, (_PAGE - 2 * _END) / len(runs)), max(inches(line, SMALL) for line in facts) + 0.06)
    texts = ["\n".join([*run.name_in(column - 0.06), *run.facts()]) for run in runs]
    width = max(column * len(runs) + 2 * _END, _NARROW)
    levels, height = _levels(runs, max(text.count("\n") + 1 for text in texts))
    smallest = min(run.stage.height for run in runs)
    blocks = []
    for number, (run, text) in enumerate(zip(runs, texts, strict=True)):
        x = (width - column * len(runs)) / 2 + column * (number + 0.5)
        wide = min(0.8, 0.55 * column) * min(1.0, math.log2(run.stage.channels + 1) / 10)
        tall = _tall(run.stage.height, smallest, alone=len(levels) == 1)
        y = height - levels[run.stage.height] - tall / 2
        blocks.append(_Block(run, text, x, y, wide, tall, _colour(runs, number)))
    return _draw(blocks, width, height)


def _tall(size: int, smallest: int, *, alone: bool) -> float:
    """Of a block, in inches."""
    return (0.7 if alone else 0.3) + 0.13 * math.log2(size / smallest)


def _levels(runs: Sequence[Run], lines: int) -> tuple[dict[int, float], float]:
    """How far below the upper edge the blocks of each size begin, and how high the figure is, in inches."""
    sizes = sorted({run.stage.height for run in runs}, reverse=True)
    levels, top = {}, 0.1
    for size in sizes:
        levels[size] = top + (_ARC if len(sizes) > 1 else 0.05)
        top = levels[size] + _tall(size, sizes[-1], alone=len(sizes) == 1) + lines * _LINE + 0.14
    return levels, top + _legend_height(runs)


def _legend_height(runs: Sequence[Run]) -> float:
    """A chain on one level needs no legend."""
    return 0.35 if len({run.stage.height for run in runs}) > 1 or any(run.skip_from is not None for run in runs) else 0


def _colour(runs: Sequence[Run], number: int) -> str:
    before, here = runs[max(number - 1, 0)].stage.height, runs[number].stage.height
    return _SMALLER if here < before else _LARGER if here > before else _SAME


def _draw(blocks: Sequence[_Block], width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), facecolor="white", edgecolor="white")
    ax = figure.add_axes((0, 0, 1, 1), frameon=False)
    ax.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    for block in blocks:
        left, bottom = block.x - block.width / 2, block.y - block.height / 2
        ax.add_patch(Rectangle((left, bottom), block.width, block.height, facecolor=block.colour, edgecolor=INK))
        words = ax.text(block.x, bottom - 0.05, block.text, ha="center", va="top", fontsize=SMALL, color=INK)
        words.set(linespacing=1.15, parse_math=False)
        if block.run.skip_from is not None:
            _skip(ax, blocks[block.run.skip_from], block)
    for before, after in pairwise(blocks):
        _step(ax, before, after)
    _ends(ax, blocks)
    if _legend_height([block.run for block in blocks]):
        handles = _legend({block.colour for block in blocks}, any(block.run.skip_from is not None for block in blocks))
        ax.legend(handles=handles, loc="lower center", ncols=4, fontsize=TEXT, frameon=False, labelcolor=INK)
    return figure


def _legend(colours: set[str], skips: bool) -> list[Artist]:
    kinds = {_SMALLER: "smaller than before", _SAME: "as large as before", _LARGER: "larger than before"}
    handles: list[Artist] = [
        Patch(facecolor=colour, edgecolor=INK, label=kind) for colour, kind in kinds.items() if colour in colours
    ]
    return [*handles, *([Line2D([], [], color=BLUE, linestyle=_DASHES, label="skip connection")] if skips else [])]


def _skip(ax: Axes, before: _Block, after: _Block) -> None:
    """Up from one block, across, and down into the other."""
    (x0, y0), (x1, y1) = before.top(0.25), after.top(-0.25)
    above = max(y0, y1) + _ARC - 0.06
    ax.plot([x0, x0, x1], [y0, above, above], color=BLUE, linewidth=1.2, linestyle=_DASHES)
    _arrow(ax, (x1, above), (x1, y1), BLUE)


def _step(ax: Axes, before: _Block, after: _Block) -> None:
    """From one block to the next: across and then down, or up and then across, where the level changes."""
    left, right = before.x + before.width / 2, after.x - after.width / 2
    corner = (left, before.y)
    if before.y > after.y:
        end = after.top(-0.25)
        corner = (end[0], before.y)
        ax.plot([left, end[0]], [before.y, before.y], color=GREY, linewidth=1.1)
        _arrow(ax, corner, end, GREY)
        return
    if before.y < after.y:
        start = before.top(0.25)
        corner = (start[0], after.y)
        ax.plot([start[0], start[0]], [start[1], after.y], color=GREY, linewidth=1.1)
    _arrow(ax, corner, (right, after.y), GREY)


def _ends(ax: Axes, blocks: Sequence[_Block]) -> None:
    """Where the picture comes in and goes out."""
    left, right = blocks[0].x - blocks[0].width / 2, blocks[-1].x + blocks[-1].width / 2
    _arrow(ax, (left - 0.25, blocks[0].y), (left, blocks[0].y), GREY)
    _arrow(ax, (right, blocks[-1].y), (right + 0.25, blocks[-1].y), GREY)
    ax.text(left - 0.28, blocks[0].y, "in", ha="right", va="center", fontsize=SMALL, color=INK)
    ax.text(right + 0.28, blocks[-1].y, "out", ha="left", va="center", fontsize=SMALL, color=INK)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    ax.annotate("", xy=end, xytext=start, arrowprops=style)
