"""The size of a result, as one thinks of it: a factor, a side, megapixels, a sheet of paper."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

_INCHES = {"cm": Fraction(100, 254), "mm": Fraction(10, 254), "in": Fraction(1)}
_NUMBER = r"(\d+(?:\.\d+)?)"
_PRINT = re.compile(rf"{_NUMBER}x{_NUMBER}(cm|mm|in)@{_NUMBER}(?:dpi)?", re.IGNORECASE)

ENDING = r"-(?:x[\d.]+|\d+w|\d+h|\d+w-\d+h|[\d.]+mp|[\d.]+x[\d.]+(?:cm|mm|in)-[\d.]+dpi)"
"""A regular expression for every ``OutputSize.ending``."""


@dataclass(frozen=True)
class OutputSize:
    """A rule for the size of a result; pictures keep their proportions.

    Attributes:
        ending: of a result's name: ``-x1.5``, ``-3000w``, ``-24mp``, ``-40x30cm-300dpi``.
        factor: of the sides of a picture of such height and width.
        dpi: of the result; None for that of the picture.
        net_scale: of the net that every picture takes; None where it depends on the picture, or none is needed.
    """

    ending: str
    factor: Callable[[int, int], Fraction]
    dpi: float | None = None
    net_scale: int | None = None

    def of(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the result: each side times the factor, rounded half up, at least 1."""
        factor = self.factor(height, width)
        return max(1, math.floor(height * factor + Fraction(1, 2))), max(1, math.floor(width * factor + Fraction(1, 2)))


def parse_size(
    *, scale: float | None, width: int | None, height: int | None, megapixels: float | None, paper: str | None
) -> OutputSize | None:
    """The size that the options of the command line ask for; None where they ask for none.

    Args:
        scale: of each side.
        width: in pixels.
        height: in pixels; with a width, both are the most that there may be.
        megapixels: width times height, in millions, up to rounding.
        paper: ``40x30cm@300``: a sheet and dots per inch. The whole picture fits on it, upright or turned.

    Raises:
        ValueError: two that contradict each other, or a value that is no size.
    """
    given = {"--scale": scale, "--width": width, "--height": height, "--megapixels": megapixels, "--print": paper}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1 and names != ["--width", "--height"]:
        raise ValueError(f"{' and '.join(names)} both say how large: give one of them")
    for name, number in given.items():
        if isinstance(number, (int, float)) and not 0 < number < math.inf:
            raise ValueError(f"{name} {number:g} is no size: give a number above 0")
    if scale is not None:
        factor = Fraction(str(scale))  # of 1.1 the decimal, not the binary fraction beside it
        net_scale = math.ceil(factor) if factor > 1 else None
        return OutputSize(f"-x{scale:.12g}", lambda _height, _width: factor, net_scale=net_scale)
    if width is not None or height is not None:
        sides = [f"{side}{letter}" for side, letter in ((width, "w"), (height, "h")) if side is not None]
        return OutputSize("-" + "-".join(sides), lambda h, w: _fitting(h, w, height, width))
    if megapixels is not None:
        pixels = megapixels * 1e6
        return OutputSize(f"-{megapixels:.12g}mp", lambda h, w: Fraction(math.sqrt(pixels / (h * w))))
    return None if paper is None else _on_paper(paper)


def _fitting(height: int, width: int, max_height: int | None, max_width: int | None) -> Fraction:
    """The largest factor with which neither side is over its limit."""
    limits = ((max_height, height), (max_width, width))
    return min(Fraction(most, side) for most, side in limits if most is not None)


def _on_paper(text: str) -> OutputSize:
    found = _PRINT.fullmatch(text.strip())
    if found is None or not all(float(found[n]) for n in (1, 2, 4)):
        raise ValueError(f"--print {text} is no sheet of paper: WIDTHxHEIGHTcm@DPI, as 40x30cm@300; also mm and in")
    across, down, unit, dpi = found[1], found[2], found[3].lower(), Fraction(found[4])
    sides = (max(1, round(Fraction(side) * _INCHES[unit] * dpi)) for side in (across, down))
    short, long = sorted(sides)

    def factor(height: int, width: int) -> Fraction:
        return _fitting(height, width, *((short, long) if width >= height else (long, short)))

    return OutputSize(f"-{across}x{down}{unit}-{found[4]}dpi", factor, dpi=float(dpi))
