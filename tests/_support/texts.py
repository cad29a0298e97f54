"""Whether the words of a figure can be read: what is really drawn, where, and how large."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def drawn_texts(figure: Figure) -> dict[Text, Bbox]:
    """Every text that is drawn (an axis draws its labels inside its limits only), with its box in pixels."""
    found: list[Text] = []
    draw = Text.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", lambda text, renderer: (found.append(text), draw(text, renderer)))
        figure.draw_without_rendering()
    return {text: Text.get_window_extent(text) for text in found if text.get_text().strip() and text.get_visible()}


def assert_readable(figure: Figure) -> None:
    """No text is cut off, lies on another or is below 7 points; the page is white, and no wider than 10.5 inches."""
    boxes = drawn_texts(figure)
    assert boxes
    for text, box in boxes.items():
        assert text.get_fontsize() >= 7, text
        page = figure.bbox
        inside = page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        assert inside, f"{text} at {box} is cut off by the page {page}"
    for (one, first), (other, second) in combinations(boxes.items(), 2):
        assert not first.overlaps(second), f"{one} lies on {other}"
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert figure.get_figwidth() <= 10.5
