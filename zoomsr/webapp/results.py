"""Findings and results on the page, as HTML: before and after in one view, all nets side by side, and the numbers.

These are not Gradio's own parts: its ImageSlider cannot be moved by keyboard and has no text for screen readers, its
Gallery scales pictures, and its Dataframe shows one column on a phone. The templates are in ``results.html.j2``.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from PIL import Image

from zoomsr.figures import ERROR_RANGE
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.certificate import MAP_RANGE
from zoomsr.webapp.opened import Opened
from zoomsr.webapp.steps import RAMP_CSS, Score, Upscaled, error_map

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
_MACROS: Any = _TEMPLATES.get_template("results.html.j2").module


@dataclass(frozen=True)
class View:
    """A picture on the page.

    Attributes:
        name: of the net, or ``ground truth``.
        source: the picture as a ``data:`` address, so that no file of it is kept.
        width: pixels.
        height: pixels.
        caption: numbers below the name.
        error: the error map, as ``source``; or None.
        added: the map of added detail, as ``source``; or None.
        reshrunk: the largest and the mean error in grey levels when it is shrunk again; or None.
    """

    name: str
    source: str
    width: int
    height: int
    caption: str = ""
    error: str | None = None
    added: str | None = None
    reshrunk: tuple[float, float] | None = None

    @staticmethod
    def of(name: str, shown: Photograph, *, caption: str = "", hr: Photograph | None = None) -> View:
        """With an error map where the ground truth is known."""
        height, width = shown.size
        error = None if hr is None else data_address(Image.fromarray(error_map(shown, hr)))
        return View(name, data_address(shown.picture()), width, height, f"{width}x{height} {caption}".strip(), error)

    @staticmethod
    def of_net(result: Upscaled, *, caption: str, hr: Photograph | None) -> View:
        """With what is known of it beside its pixels."""
        view = View.of(result.name, result.photograph, caption=caption, hr=hr)
        added = None if result.added is None else data_address(Image.fromarray(result.added))
        return replace(view, added=added, reshrunk=result.error)


def found(photograph: Opened) -> str:
    """What was found in a file, in a line that wraps."""
    one = photograph.findings
    return str(_MACROS.found(photograph.path.name, one, [*one.file_lines, *one.lines]))


def data_address(picture: Image.Image) -> str:
    """The picture as PNG in a ``data:`` address; its colour profile goes with it."""
    file = io.BytesIO()
    picture.save(file, "PNG", icc_profile=picture.info.get("icc_profile"))
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def under_slider(before: View, after: View) -> str:
    """Two pictures of one size, of which a slider shows the left part of one and the right part of the other.

    ``viewer.js`` zooms and moves both.
    """
    return str(_MACROS.compare(before, after, MAP_RANGE, RAMP_CSS))


def side_by_side(views: Sequence[View]) -> str:
    """All pictures in a row that scrolls, one pixel of them on one of the page; error maps below, with a colour bar."""
    return str(_MACROS.side_by_side(views, ERROR_RANGE, RAMP_CSS))


def numbers(results: Sequence[Upscaled], scores: Sequence[Score], scale: int) -> str:
    """A row for each net; with scores where the ground truth is known.

    Args:
        results: of the nets.
        scores: of each of them, or none.
        scale: pixels shaved off every side before they were measured.
    """
    return str(_MACROS.numbers(results, scores, scale))
