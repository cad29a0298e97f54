"""The look that all figures share: colours that colour-blind readers tell apart, sizes, and text that fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import TextPath

INK = "#1a1a1a"
GREY = "#6e6e6e"
FAINT = "#e3e3e3"
PALE = "#c9c9c9"
BLUE, ORANGE, SKY, VERMILLION = "#0072b2", "#e69f00", "#56b4e9", "#d55e00"
# Okabe & Ito 2008, without black (for text) and yellow (too faint on white).
_COLOURS = (BLUE, VERMILLION, "#009e73", "#cc79a7", ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

TEXT = 8.0
"""Points. Labels, titles and legends."""

SMALL = 7.0
"""Points. Numbers on axes and under panels; nothing is smaller."""

TIE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Look:
    """How a label is drawn. No two labels share both; six colours and seven markers make 42."""

    colour: str
    marker: str


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """A look for each label, in order; bicubic, the baseline, is grey."""
    nets = [label for label in labels if label != "bicubic"]
    chosen = {
        label: Look(_COLOURS[number % len(_COLOURS)], MARKERS[number % len(MARKERS)])
        for number, label in enumerate(nets)
    }
    return {**chosen, "bicubic": Look(GREY, "*")}


def blank(width: float, height: float) -> Figure:
    """A white figure, in inches, whose parts move until nothing overlaps."""
    figure = Figure(figsize=(width, height), facecolor="white", edgecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    return figure


def dress(ax: Axes, *, x: str, y: str) -> None:
    """Label the axes of a chart and give it a faint grid."""
    ax.set_facecolor("white")
    ax.set_xlabel(x, fontsize=TEXT, color=INK, parse_math=False)
    ax.set_ylabel(y, fontsize=TEXT, color=INK, parse_math=False)
    ax.tick_params(which="both", labelsize=SMALL, colors=INK, color=GREY)
    ax.grid(visible=True, color=FAINT, linewidth=0.7)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set(color=GREY, linewidth=0.8, visible=side in ("left", "bottom"))


def dress_bar(bar: Colorbar, label: str, size: float = TEXT) -> None:
    """Label a colour bar."""
    bar.set_label(label, fontsize=size, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK)
    bar.outline.set(edgecolor=GREY, linewidth=0.6)


def chart(width: float, height: float, *, x: str, y: str) -> tuple[Figure, Axes]:
    """A figure of one dressed pair of axes."""
    figure = blank(width, height)
    ax = figure.subplots()
    dress(ax, x=x, y=y)
    return figure, ax


def plainly(texts: Iterable[Text]) -> None:
    """Take names as they are: a dollar sign in one starts no formula, and a reader's own style does not colour them."""
    for text in texts:
        text.set(parse_math=False, color=INK)


@lru_cache(maxsize=4096)
def inches(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """Width of a line of text, a little generous: at a low resolution letters are set wider than they are."""
    if not text.strip():
        return 0.0
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return 1.08 * float(TextPath((0, 0), text, size=size, prop=font).get_extents().width) / 72


def wrapped(text: str, width: float, size: float = TEXT, *, bold: bool = False) -> str:
    """The text in lines of at most ``width`` inches, broken between words, and within words that are longer.

    ``TIE`` holds two words together, and becomes a space.
    """
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}".strip()
        if inches(joined, size, bold=bold) <= width:
            lines[-1] = joined
            continue
        lines.append("")
        for letter in word:
            if inches(lines[-1] + letter, size, bold=bold) > width:
                lines.append("")
            lines[-1] += letter
    return "\n".join(line for line in lines if line).replace(TIE, " ")


def decimals(axis: str) -> int:
    """PSNR to 0.01 dB; MAE and SSIM to four digits."""
    return 2 if "dB" in axis else 4
