"""The page in a real Chromium, and what its server refuses."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from _support.browser import needs_browser
from _support.page_server import function_number
from _support.tiny import photograph
from PIL import Image

from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.runs.files import sha256_of
from zoomsr.webapp import steps as page_steps
from zoomsr.webapp.steps import Nets

pytestmark = needs_browser("gradio")


@pytest.fixture
def page(browser: Any, page_address: str) -> Iterator[Any]:
    """The page, opened; in the end it has asked this machine alone, and has met no error."""
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)  # the server may share its core
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(page_address)
    tab.get_by_role("button", name="Enlarge").wait_for()
    yield tab
    tab.close()
    assert asked
    assert [url for url in asked if not url.startswith((f"{page_address}/", "data:", "blob:"))] == []
    assert errors == []


def _upload(page: Any, path: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(path)


def _enlarge(page: Any) -> None:
    page.get_by_role("button", name="Enlarge").click()
    page.locator(".compare").wait_for()


def _corner(page: Any) -> list[int]:
    """Its corner, as the page shows it."""
    return [int(page.get_by_label(f"number input for {name}").input_value()) for name in ("left", "top")]


def _saved(path: Path, height: int, width: int) -> Path:
    Image.fromarray(photograph(height, width)).save(path)
    return path


def test_from_an_example_to_a_download(page: Any, page_weights: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page.get_by_role("button", name="Thumbnail 3 of 3").click()
    picture = page.locator("#crop img")
    picture.wait_for()
    expect(page.get_by_text("coffee.png: 600x400 pixels")).to_be_visible()
    assert _corner(page) == [172, 72]
    size = picture.bounding_box()
    picture.click(position={"x": size["width"] * 450 / 600, "y": size["height"] * 150 / 400})
    expect(page.get_by_label("number input for left")).not_to_have_value("172")
    left, top = _corner(page)
    assert abs(left - (450 - 128)) <= 2
    assert abs(top - (150 - 128)) <= 2

    _enlarge(page)
    assert page.locator(".numbers tbody tr").count() == 3
    figures = page.locator(".panels figure")
    shown = [figures.nth(i).locator("b").inner_text() for i in range(figures.count())]
    assert shown == ["nearest", "bicubic", "unet", "mine"]  # of the box, what zoom takes by default
    shown = figures.first.locator("img").bounding_box()
    assert (shown["width"], shown["height"]) == (512, 512)  # 1:1

    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("mine|KB")).nth(2).click()
    download.value.save_as(tmp_path / "got.png")
    assert download.value.suggested_filename == "mine-coffee-x2.png"
    (example,) = (photo.path for photo in sample().val if photo.name == "coffee")
    area = Photograph.read(example).cropped(CropBox(left, top, 256, 256))
    expected = page_steps.upscaled(area, Nets([str(page_weights)], device="cpu").open("mine", 2), 2)
    got = Photograph.read(tmp_path / "got.png").pixels.astype(int)
    assert np.abs(got - expected.photograph.pixels).max() <= 1  # sums may be of another order on other threads


def test_what_was_found_in_the_file_and_what_will_be_done(page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    Image.fromarray(photograph(300, 400)).save(tmp_path / "a.jpg", quality=75)
    _upload(page, tmp_path / "a.jpg")
    found = page.get_by_role("list", name="found in the file").get_by_role("listitem")
    expect(found).to_contain_text(["8 bit RGB", "no profile", "JPEG quality 75, 4:2:0", "noise", "sharp"])
    expect(page.get_by_text("256x256 pixels become 512x512")).to_be_visible()
    expect(page.get_by_text("unet_photo was chosen for this photograph: JPEG quality 75, 4:2:0")).to_be_visible()
    assert page.get_by_label("unet_photo").is_checked()
    assert not page.get_by_label("unet", exact=True).is_checked()
    expect(page.get_by_label("shrink by")).to_have_count(0)
    page.get_by_label("x4").check()
    expect(page.get_by_text("256x256 pixels become 1024x1024")).to_be_visible()
    page.get_by_role("button", name="Thumbnail 1 of 3").click()
    expect(page.get_by_text("unet was chosen for this photograph: no trace of JPEG")).to_be_visible()
    assert page.get_by_label("unet", exact=True).is_checked()
    assert not page.get_by_label("unet_photo").is_checked()


def test_strength_is_between_bicubic_and_the_net(page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    path = _saved(tmp_path / "a.png", 100, 90)
    _upload(page, path)
    expect(page.get_by_text("a.png: 90x100 pixels")).to_be_visible()
    page.get_by_label("number input for strength").fill("0.25")
    page.get_by_label("number input for strength").press("Enter")
    _enlarge(page)
    shown = page.get_by_alt_text("unet", exact=True).first.get_attribute("src").removeprefix("data:image/png;base64,")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown)))).astype(int)
    nets = Nets([], device="cpu")
    quarter, full = (nets.open("unet", 2, strength=one).upscale(Photograph.read(path)).pixels for one in (0.25, 1))
    assert np.abs(pixels - quarter).max() <= 1
    assert np.abs(pixels - full).max() > 4


def test_a_soft_photograph_is_shrunk_first_on_demand(page: Any, page_weights: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    soft = Image.fromarray(photograph(280, 300)).resize((600, 560), Image.Resampling.BICUBIC)
    soft.save(tmp_path / "soft.png")
    _upload(page, tmp_path / "soft.png")
    expect(page.get_by_text("soft: shrinking by 2 first loses nothing")).to_be_visible()
    assert _corner(page) == [172, 152]
    page.get_by_label("shrink by 2 first").check()
    expect(page.get_by_text("512x512 pixels, shrunk to 256x256, become 512x512")).to_be_visible()
    assert _corner(page) == [22, 12]  # the same middle, in pixels of half the photograph
    expect(page.get_by_label("test against ground truth")).to_be_disabled()
    _enlarge(page)
    links = page.locator("#files").get_by_role("link")
    assert links.count() == 3  # no certificate: what was enlarged is in no file
    with page.expect_download() as download:
        links.nth(2).click()
    download.value.save_as(tmp_path / "got.png")
    lr = Photograph.read(tmp_path / "soft.png").resized((280, 300)).cropped(CropBox(22, 12, 256, 256))
    expected = page_steps.upscaled(lr, Nets([str(page_weights)], device="cpu").open("mine", 2), 2)
    got = Photograph.read(tmp_path / "got.png").pixels.astype(int)
    assert np.abs(got - expected.photograph.pixels).max() <= 1


def test_where_detail_was_added_and_the_certificate(page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    path = _saved(tmp_path / "a.png", 100, 90)
    _upload(page, path)
    expect(page.get_by_text("a.png: 90x100 pixels")).to_be_visible()
    page.get_by_label("unet", exact=True).uncheck()
    _enlarge(page)
    added = page.get_by_alt_text("where mine added detail")
    expect(added).to_be_hidden()
    page.get_by_label("show where detail was added").check()
    expect(added).to_be_visible()
    expect(page.get_by_text("0 to 16 grey levels of detail over bicubic")).to_be_visible()
    assert added.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [180, 200]

    links = page.locator("#files").get_by_role("link")
    assert links.count() == 3
    kept = []
    for number in (1, 2):
        with page.expect_download() as download:
            links.nth(number).click()
        kept.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(kept[-1])
    assert [file.name for file in kept] == ["mine-a-x2.png", "mine-a-x2.json"]
    certificate = json.loads(kept[1].read_text())
    assert certificate["input"] == {"file": "a.png", "sha256": sha256_of(path), "box": [0, 0, 90, 100]}
    assert certificate["output"] == {"file": "mine-a-x2.png", "sha256": sha256_of(kept[0])}
    error = certificate["error"]
    words = f"Shrunk again: {error['mean']:.2f} grey levels from the crop on average, {error['largest']:.1f} at most."
    expect(page.get_by_text(words)).to_be_visible()
    page.locator(".stack").hover()
    page.mouse.wheel(0, -100)
    zoomed = re.compile(rf"^matrix\({math.exp(0.2):.4f}")
    for picture in page.locator(".stack img").all():  # both sides and the map
        expect(picture).to_have_css("transform", zoomed)


def test_a_picture_in_the_clipboard_is_pasted_anywhere(browser: Any, page_address: str) -> None:
    from playwright.sync_api import expect

    tab = browser.new_page()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=page_address)
    tab.goto(page_address)
    tab.get_by_role("button", name="Thumbnail 3 of 3").click()
    expect(tab.get_by_text("coffee.png: 600x400 pixels")).to_be_visible()
    tab.evaluate("""async () => {
        const canvas = Object.assign(document.createElement("canvas"), {width: 70, height: 50});
        canvas.getContext("2d").fillRect(9, 9, 20, 20);
        const picture = await new Promise((done) => canvas.toBlob(done));
        await navigator.clipboard.write([new ClipboardItem({"image/png": picture})]);
    }""")
    tab.get_by_label("number input for left").focus()
    tab.keyboard.press("Control+V")
    expect(tab.get_by_text("image.png: 70x50 pixels")).to_be_visible()
    tab.close()


def test_work_is_shown_and_cancelled_and_the_next_is_scrolled_to(page: Any) -> None:
    from playwright.sync_api import expect

    page.get_by_role("button", name="Thumbnail 3 of 3").click()
    expect(page.get_by_text("coffee.png: 600x400 pixels")).to_be_visible()
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_hidden()
    page.get_by_label("ircnn").check()  # a minute on one core; nobody else is served meanwhile
    page.get_by_role("button", name="Enlarge").click()
    expect(page.get_by_role("progressbar", name="ircnn")).to_be_in_viewport(timeout=20_000)
    expect(cancel).to_be_in_viewport()
    cancel.click()
    expect(cancel).to_be_hidden()
    expect(page.locator(".compare")).to_have_count(0)

    page.get_by_label("ircnn").uncheck()
    page.get_by_role("button", name="Enlarge").click()
    expect(page.locator(".compare img").first).to_be_in_viewport(timeout=20_000)
    page.wait_for_function("Math.abs(document.getElementById('results').getBoundingClientRect().y) < 50")  # smoothly
    expect(cancel).to_be_hidden()


def test_a_message_vanishes_with_the_next_action(page: Any) -> None:
    from playwright.sync_api import expect

    message = page.get_by_text("choose a photograph first")
    page.get_by_role("button", name="Enlarge").click()
    expect(message).to_be_visible()
    page.locator(".thumbnail-item").first.click()
    expect(message).to_be_hidden(timeout=3000)  # by itself after 20 s


def test_before_and_after_by_keyboard_alone(page: Any) -> None:
    from playwright.sync_api import expect

    page.locator(".thumbnail-item").first.focus()
    page.keyboard.press("Enter")
    page.locator("#crop img").wait_for()
    before = _corner(page)
    page.get_by_label("range slider for left").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("number input for left")).to_have_value(str(before[0] + 1))
    assert _corner(page) == [before[0] + 1, before[1]]
    page.get_by_role("button", name="Enlarge").focus()
    page.keyboard.press("Enter")
    slider = page.locator(".compare input[type=range]")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    edge, stack = (page.locator(f".compare .{name}").bounding_box() for name in ("edge", "stack"))
    assert edge["x"] + 1 - stack["x"] == pytest.approx(0.7 * stack["width"], abs=1)
    clip = page.locator(".compare .before").evaluate("image => getComputedStyle(image).clipPath")
    assert clip == "inset(0px 30% 0px 0px)"


def test_against_the_truth(page: Any, page_weights: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    path = _saved(tmp_path / "large.png", 601, 801)
    _upload(page, path)
    expect(page.get_by_text("large.png: 801x601 pixels")).to_be_visible()
    page.get_by_label("test against ground truth").check()
    expect(page.get_by_label("number input for top")).to_have_value("88")  # the lowest for 512 of 601, on the grid
    left, top = _corner(page)
    _enlarge(page)
    lr, hr = page_steps.with_ground_truth(Photograph.read(path), CropBox(left, top, 512, 512), 2)
    nets = Nets([str(page_weights)], device="cpu")
    rows = page.locator(".numbers tbody tr")
    for row, name in zip(rows.all(), nets.chosen, strict=True):
        score = page_steps.score(page_steps.upscaled(lr, nets.open(name, 2), 2).photograph, hr, 2)
        cells = row.locator("td").all_inner_texts()
        assert float(cells[2]) == pytest.approx(score.psnr_y, abs=0.011)
        assert float(cells[3]) == pytest.approx(score.ssim_y, abs=0.00011)
    assert page.get_by_alt_text("error of mine").count() == 1
    assert page.get_by_text("absolute error, mean of R, G and B").is_visible()


def test_a_photograph_without_room_for_a_truth(page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    _upload(page, _saved(tmp_path / "small.png", 100, 90))
    expect(page.get_by_text("small.png: 90x100 pixels")).to_be_visible()
    assert page.get_by_label("test against ground truth").is_disabled()
    _enlarge(page)
    assert page.locator(".panels figure").first.inner_text().split() == ["nearest", "180x200"]


def test_what_cannot_be_enlarged_is_one_clear_line(page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (10_000, 5_000)).save(tmp_path / "wide.png")
    with (tmp_path / "heavy.png").open("wb") as file:
        file.truncate(200 * 2**20)
    page.get_by_role("button", name="Enlarge").click()
    expect(page.get_by_text("choose a photograph first")).to_be_visible()
    for name, words in {
        "text.png": "text.png is not an image that can be read",
        "wide.png": "wide.png has 50 megapixels, and 40 are the most here",
        "heavy.png": "exceed the maximum allowed size of 100",
    }.items():
        _upload(page, tmp_path / name)
        expect(page.get_by_text(words).first).to_be_visible(timeout=20_000)
        page.reload()
        page.get_by_role("button", name="Enlarge").wait_for()
    _upload(page, _saved(tmp_path / "good.png", 300, 300))
    expect(page.get_by_text("good.png: 300x300 pixels")).to_be_visible()


def test_on_a_phone(browser: Any, page_address: str) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    tab.goto(page_address)
    tab.locator(".thumbnail-item").first.tap()
    tab.locator("#crop img").tap()
    _enlarge(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.locator(".compare").bounding_box()["width"] < 390
    assert tab.locator(".panels img").first.bounding_box()["width"] == 512  # in a row that scrolls
    tab.close()


def test_of_20_requests_at_once_some_are_turned_away_and_the_page_lives(
    page_address: str, page: Any, tmp_path: Path
) -> None:
    Image.new("RGB", (6_300, 6_300)).save(tmp_path / "long.png", compress_level=1)
    with (tmp_path / "long.png").open("rb") as file:
        (sent,) = httpx.post(f"{page_address}/gradio_api/upload", files={"files": file}, timeout=60).json()
    opening = function_number(page_address, "open")

    def ask(number: int) -> int:
        data = {"path": sent, "orig_name": "long.png", "meta": {"_type": "gradio.FileData"}}
        body = {"data": [data], "fn_index": opening, "session_hash": f"visitor{number}"}
        return httpx.post(f"{page_address}/gradio_api/queue/join", json=body, timeout=60).status_code

    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(ask, range(20)))
    assert set(codes) == {200, 503}
    assert codes.count(200) <= 12  # 8 wait, a few were done meanwhile
    for _ in range(60):  # until the queue has room
        page.locator(".thumbnail-item").first.click()
        page.wait_for_timeout(1000)
        if page.locator("#crop img").count():
            break
    assert page.locator("#crop img").is_visible()


def test_a_result_that_is_forgotten_after_an_hour_is_no_error(tmp_path: Path) -> None:
    from zoomsr.webapp.events import Page

    assert Page(Nets([], device="cpu"), tmp_path).compare(None, "unet") == ""
