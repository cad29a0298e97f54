"""The report's page in a real Chromium: it asks nobody for anything, sorts, and shows every picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _support.browser import needs_browser
from _support.results import finished, gained, keep_pictures, run

from zoomsr.report.comparability import read_comparable
from zoomsr.report.recipe import compare

pytestmark = needs_browser()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nets, one with two seeds, one failed; names that would break a careless page."""
    root = tmp_path_factory.mktemp("report")
    for seed in (1, 2):
        keep_pictures(finished(root / f"u{seed}", gained(3 + seed), net="unet", seed=seed))
    name = "x=</script><img src=http://example.org/a.png>"
    keep_pictures(finished(root / "v", gained(1), net="vdsr", overrides=[name], more={"x": name}))
    finished(root / "w", gained(2), net="srcnn")
    run(root / "f", net="ircnn", epochs=2, status={"state": "failed", "error": "out of memory"})
    compare(read_comparable([root], mixed=False), root / "out" / "report", command="python -m zoomsr.compare")
    return root / "out" / "report" / "index.html"


@pytest.fixture
def page(browser: Any, index: Path) -> Iterator[Any]:
    """The page, opened; in the end it has asked for itself alone, and has said nothing on the console."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(index.as_uri())
    yield tab
    tab.close()
    assert [url for url in asked if not url.startswith("data:")] == [index.as_uri()]
    assert said == []


def _nets(page: Any) -> list[str]:
    found: list[str] = page.locator("table.scores tbody th").all_inner_texts()
    return [text.split()[0] for text in found]


def test_every_picture_loads_and_has_words(page: Any) -> None:
    found = page.evaluate(
        "[...document.querySelectorAll('main img')].map((i) => [i.complete && i.naturalWidth > 0, i.alt.length > 10])"
    )
    assert len(found) == 12  # 8 figures, and 4 pictures under a slider
    assert all(loaded and described for loaded, described in found)


def test_a_name_from_a_file_is_text(page: Any) -> None:
    assert page.locator("img[src^=http]").count() == 0
    assert "</script><img" in page.locator("table.scores").inner_text()


def test_the_table_sorts_by_mouse(page: Any) -> None:
    assert _nets(page) == ["bicubic", "unet", "srcnn", "vdsr"]
    heading = page.get_by_role("columnheader", name="PSNR Y (dB)")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert _nets(page) == ["unet", "srcnn", "vdsr", "bicubic"]
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert _nets(page) == ["bicubic", "vdsr", "srcnn", "unet"]


def test_the_table_sorts_by_keyboard_and_what_is_unknown_comes_last(page: Any) -> None:
    page.get_by_role("button", name="gain (dB)").focus()
    page.keyboard.press("Enter")
    assert _nets(page) == ["unet", "srcnn", "vdsr", "bicubic"]
    page.keyboard.press("Space")
    assert _nets(page) == ["vdsr", "srcnn", "unet", "bicubic"]
    page.get_by_role("button", name="net").first.focus()
    page.keyboard.press("Enter")
    assert _nets(page) == ["bicubic", "srcnn", "unet", "vdsr"]
    assert page.locator("table.scores th[aria-sort]").count() == 1


def test_a_figure_that_is_clicked_fills_the_window_until_it_is_clicked_again(page: Any) -> None:
    figure, dialog = page.locator("a.enlarge img").first, page.locator("dialog")
    small = figure.bounding_box()["width"]
    figure.click()
    assert dialog.locator("img").get_attribute("alt") == figure.get_attribute("alt")
    assert dialog.locator("img").bounding_box()["width"] > max(1200, small)
    dialog.locator("img").click(position={"x": 5, "y": 5})
    assert not dialog.is_visible()
    figure.click()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_an_edge_between_two_pictures_is_dragged_and_moved_by_keys(page: Any) -> None:
    slider = page.locator(".slider")
    stack, edge = slider.locator(".stack"), slider.get_by_role("slider")
    assert _sides(slider) == ["a.png, bicubic", "a.png, unet"]
    stack.scroll_into_view_if_needed()
    box = stack.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 9)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 9)
    page.mouse.up()
    assert edge.input_value() == "75"
    assert stack.locator(".left").evaluate("(one) => getComputedStyle(one).clipPath") == "inset(0px 25% 0px 0px)"
    edge.press("ArrowRight")
    assert edge.input_value() == "76"
    slider.get_by_label("left of the edge").select_option("ground truth")
    assert _sides(slider) == ["a.png, ground truth", "a.png, unet"]


def _sides(slider: Any) -> list[str]:
    return [slider.locator(f".stack .{side}").get_attribute("alt") for side in ("left", "right")]


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_but_tables_and_figures_is_wider_than_the_screen(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_it_is_dark_where_the_system_is(page: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(colour) == "rgb(253, 253, 252)"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) == "rgb(22, 24, 27)"
