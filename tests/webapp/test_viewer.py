"""The script of the before/after view in a real Chromium, without the page around it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _support.browser import needs_browser
from _support.tiny import photograph
from PIL import Image

from zoomsr import webapp
from zoomsr.webapp.results import View, data_address, under_slider

pytestmark = needs_browser()

WIDTH, HEIGHT = 1024, 768
VIEW = (864, 648)  # at most 72 % of the window's 900 pixels high
FIT = VIEW[0] / WIDTH

_FILES = Path(webapp.__file__).parent
_START = """code => {
    window.changed = [];
    new Function("element", "watch", code)(document.getElementById("element"), (name, then) => changed.push(then));
}"""
_CHANGE = """html => {
    document.getElementById("element").innerHTML = html;
    changed.forEach((then) => then());
}"""


def _html(before: int, after: int, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The view of two pictures of 8x8 pixels, drawn as large as others are."""
    sources = [data_address(Image.fromarray(photograph(8, 8, seed=seed))) for seed in (before, after)]
    return under_slider(*(View(f"net {number}", source, width, height) for number, source in enumerate(sources)))


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """The view in the corner of a page that is longer than its window."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, has_touch=True)
    style = (_FILES / "compare.css").read_text(encoding="utf-8")
    body = f"<style>{style} body {{ margin: 0; height: 4000px }} .compare {{ margin: 0 }}</style>"
    tab.set_content(f'{body}<div id="element">{_html(0, 1)}</div>')
    tab.evaluate(_START, (_FILES / "viewer.js").read_text(encoding="utf-8"))
    yield tab
    tab.close()


def _places(page: Any) -> list[tuple[float, float, float]]:
    """(zoom, x, y) of each picture."""
    css = page.locator(".stack img").evaluate_all("all => all.map(one => getComputedStyle(one).transform)")
    numbers = [[float(number) for number in re.findall(r"-?[\d.]+", one)] for one in css]
    assert all(one[1:3] == [0, 0] and one[0] == one[3] for one in numbers)
    return [(one[0], one[4], one[5]) for one in numbers]


def _place(page: Any) -> tuple[float, float, float]:
    """Of both pictures."""
    before, after = _places(page)
    assert before == after
    return before


def _wheel(page: Any, turned: float, *, at: tuple[int, int] = (300, 200)) -> None:
    page.mouse.move(*at)
    page.mouse.wheel(0, turned)
    page.wait_for_timeout(50)


def test_all_of_the_picture_is_seen_first(page: Any) -> None:
    box = page.locator(".stack").bounding_box()
    assert (box["width"], box["height"]) == VIEW
    assert _place(page) == (FIT, 0, 0)
    assert page.locator("[data-zoom=toggle]").inner_text() == "84%"


def test_the_wheel_zooms_about_the_pointer_up_to_8_to_1(page: Any) -> None:
    _wheel(page, -100)
    zoom, x, y = _place(page)
    assert zoom == pytest.approx(FIT * math.exp(0.2), rel=1e-4)
    assert (x, y) == (round(300 - 300 * math.exp(0.2)), round(200 - 200 * math.exp(0.2)))
    rendering = "() => getComputedStyle(document.querySelector('.before img')).imageRendering"
    assert page.evaluate(rendering) == "pixelated"  # 1.03:1
    for _ in range(8):
        _wheel(page, -250)
    zoom, x, y = _place(page)
    assert zoom == 8
    assert ((300 - x) / zoom, (200 - y) / zoom) == pytest.approx((300 / FIT, 200 / FIT), abs=0.5)
    for _ in range(8):
        _wheel(page, 250)
    assert _place(page) == (FIT, 0, 0)
    assert page.evaluate(rendering) == "auto"
    assert page.evaluate("scrollY") == 0


def test_the_page_scrolls_where_there_is_nothing_to_zoom(page: Any) -> None:
    _wheel(page, 100)
    page.wait_for_function("scrollY > 0")
    assert _place(page)[0] == FIT


def test_a_double_click_toggles_all_and_1_to_1(page: Any) -> None:
    page.mouse.dblclick(300, 200)
    assert _place(page) == (1, round(300 - 300 / FIT), round(200 - 200 / FIT))
    assert page.locator("[data-zoom=toggle]").inner_text() == "100%"
    page.mouse.dblclick(10, 500)
    assert _place(page) == (FIT, 0, 0)


def test_where_all_is_seen_at_1_to_1_it_toggles_2_to_1(page: Any) -> None:
    page.evaluate(_CHANGE, _html(2, 3, 500, 400))
    assert _place(page) == (1, 0, 0)
    page.mouse.dblclick(100, 50)
    assert _place(page) == (2, -100, -50)


def test_dragging_moves_as_far_as_the_picture_goes(page: Any) -> None:
    page.mouse.dblclick(432, 324)
    _, x, y = _place(page)
    page.mouse.move(400, 300)
    page.mouse.down()
    page.mouse.move(380, 310)
    assert _place(page) == (1, x - 20, y + 10)
    page.mouse.move(-2000, 3000)
    page.mouse.up()
    assert _place(page) == (1, VIEW[0] - WIDTH, 0)
    page.mouse.move(100, 100)
    assert _place(page) == (1, VIEW[0] - WIDTH, 0)


def test_keys_and_buttons_take_powers_of_two_about_the_middle(page: Any) -> None:
    page.locator(".stack").focus()
    shown = []
    for key in "+", "+", "=", "+", "+", "-", "-":
        page.keyboard.press(key)
        shown.append(_place(page)[0])
    assert shown == [1, 2, 4, 8, 8, 4, 2]
    assert _place(page)[1:] == (round(VIEW[0] / 2 - WIDTH), round(VIEW[1] / 2 - HEIGHT))
    page.keyboard.press("ArrowRight")
    assert _place(page)[1] == round(VIEW[0] / 2 - WIDTH) - 40
    page.get_by_role("button", name="smaller").click()
    page.get_by_role("button", name="smaller").click()
    assert _place(page) == (FIT, 0, 0)
    page.get_by_role("button", name="larger").click()
    assert _place(page)[0] == 1


def test_two_fingers_pinch(page: Any) -> None:
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[int, int]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (300, 200), (400, 200))
    fingers("touchMove", (300, 200), (500, 200))
    fingers("touchEnd")
    zoom, x, y = _place(page)
    assert zoom == pytest.approx(2 * FIT, rel=1e-4)
    assert (x, y) == (-300, -200)  # what is under the finger that rests stays there


def test_another_net_is_seen_at_the_same_place_and_another_result_as_a_whole(page: Any) -> None:
    page.mouse.dblclick(300, 200)
    page.locator(".compare input").fill("30")
    seen = _place(page)
    page.evaluate(_CHANGE, _html(0, 2))
    assert _place(page) == seen
    assert page.locator("[data-zoom=toggle]").inner_text() == "100%"
    clips = [page.locator(name).evaluate("one => getComputedStyle(one).clipPath") for name in (".before", ".after")]
    assert clips == ["inset(0px 70% 0px 0px)", "inset(0px 0px 0px 30%)"]
    page.evaluate(_CHANGE, _html(3, 2))
    assert _place(page) == (FIT, 0, 0)
