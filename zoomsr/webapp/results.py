"""The results on the page, as HTML: before and after under a slider, all nets side by side, and the numbers.

Gradio's own ImageSlider is moved by the mouse alone, and its Gallery scales pictures; here a range input, which every
keyboard and screen reader knows, moves the edge, and a pixel stays a pixel.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from zoomsr.figures import ERROR_RANGE
from zoomsr.webapp.steps import RAMP_CSS, Score, Upscaled


@dataclass(frozen=True)
class Panel:
    """A picture on the page.

    Attributes:
        name: of the net, or ``truth``.
        source: the picture as a ``data:`` address, so that no file of it is kept.
        width: pixels.
        height: pixels.
        caption: numbers below the name.
        error: the error map, as ``source``; or None.
    """

    name: str
    source: str
    width: int
    height: int
    caption: str = ""
    error: str | None = None


def data_address(picture: Image.Image) -> str:
    """The picture as PNG in a ``data:`` address; its colour profile goes with it."""
    file = io.BytesIO()
    picture.save(file, "PNG", icc_profile=picture.info.get("icc_profile"))
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def under_slider(before: Panel, after: Panel) -> str:
    """Two pictures of one size, of which a slider shows the left part of one and the right part of the other."""
    left, right = escape(before.name), escape(after.name)
    return (
        f'<div class="compare" style="width:{after.width}px">'
        f'<div class="stack"><img src="{after.source}" alt="{right}"><img src="{before.source}" alt="{left}" '
        f'class="before"><span class="edge"></span></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="how much of {left} is shown beside {right}">'
        f'<p class="sides"><span>{left}</span><span>{right}</span></p></div>'
    )


def side_by_side(panels: Sequence[Panel]) -> str:
    """All pictures in a row that scrolls, one pixel of them on one of the page; error maps below, with a colour bar."""
    figures = "".join(_figure(panel) for panel in panels)
    bar = _COLOUR_BAR if any(panel.error is not None for panel in panels) else ""
    return f'<div class="panels" tabindex="0" role="group" aria-label="all nets side by side">{figures}</div>{bar}'


def numbers(results: Sequence[Upscaled], scores: Sequence[Score]) -> str:
    """A row for each net; with scores where the truth is known.

    Args:
        results: of the nets.
        scores: of each of them, or none.
    """
    header = ["net", "time (s)", "parameters", *(["PSNR on Y (dB)", "SSIM on Y"] if scores else [])]
    rows = [[escape(one.name), f"{one.seconds:.2f}", f"{one.params:,}"] for one in results]
    for row, value in zip(rows, scores, strict=False):
        row += [f"{value.psnr_y:.2f}", f"{value.ssim_y:.4f}"]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    note = "<p>Protocol modern: 8-bit pictures, 2 pixels shaved off every side.</p>" if scores else ""
    return f'<div class="numbers"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}'


_COLOUR_BAR = (
    f'<p class="bar"><span>0</span><span class="ramp" style="background:{RAMP_CSS}"></span><span>{ERROR_RANGE}</span>'
    "<span>absolute error, mean of R, G and B, on [0, 1]</span></p>"
)


def _figure(panel: Panel) -> str:
    size = f'width="{panel.width}" height="{panel.height}"'
    error = "" if panel.error is None else f'<img src="{panel.error}" {size} alt="error of {escape(panel.name)}">'
    return (
        f'<figure style="width:{panel.width}px"><figcaption><b>{escape(panel.name)}</b> {escape(panel.caption)}'
        f'</figcaption><img src="{panel.source}" {size} alt="{escape(panel.name)}">{error}</figure>'
    )
