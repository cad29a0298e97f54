"""From figures to files, and to what the page shows of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from zoomsr.figures import Figure
from zoomsr.report.drawings import Drawing
from zoomsr.report.html import Picture

_DPI = 150
"""Of the PNG files, for print."""
_PAGE_DPI = 110
"""Of photographs on the page and within an SVG."""
_HEAVY = 300_000
"""Bytes of a chart that the page shows as pixels instead: one with very much text."""
_SCREEN_DPI = 96
"""Of a CSS inch."""


def render(
    drawings: Sequence[Drawing], folder: Path, *, advance: Callable[[], object]
) -> tuple[list[Picture], list[str]]:
    """Draw, and write each as PNG and SVG.

    Args:
        drawings: what to draw.
        folder: where the files go.
        advance: called after each, for a progress bar.

    Returns:
        What the page shows, and a line for each that could not be drawn, because a file of its run is damaged.
    """
    pictures, lacking = [], []
    for drawing in drawings:
        try:
            figure = drawing.draw()
        except ValueError as error:  # the numbers do not depend on it, and the report says so
            lacking.append(f"{drawing.name} is missing: {' '.join(str(error).split())}")
        else:
            pictures.append(_written(drawing, figure, folder))
        advance()
    return pictures, lacking


def _written(drawing: Drawing, figure: Figure, folder: Path) -> Picture:
    png, svg = folder / f"{drawing.name}.png", folder / f"{drawing.name}.svg"
    figure.savefig(png, dpi=_DPI)
    figure.savefig(svg, dpi=_PAGE_DPI, metadata={"Date": None})
    width, height = (round(side * _SCREEN_DPI) for side in figure.get_size_inches())
    drawn = drawing.is_chart and svg.stat().st_size <= _HEAVY
    data, suffix = (svg.read_bytes(), ".svg") if drawn else (_webp(png), ".webp")
    return Picture(drawing.name, drawing.caption, drawing.alt, data, suffix, (width, height))


def _webp(png: Path) -> bytes:
    """A smaller copy: a page is looked at, the PNG is printed."""
    with Image.open(png) as picture:
        size = [round(side * _PAGE_DPI / _DPI) for side in picture.size]
        smaller = picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    smaller.save(file, "WEBP", quality=85)
    return file.getvalue()
