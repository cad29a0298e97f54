"""The offline page in a real Chromium, opened from disk without a network: the pixels of zoom, and no request."""

from __future__ import annotations

import base64
import io
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _support.browser import needs_browser
from _support.tiny import photograph
from PIL import Image

from zoomsr.engines.tiling import Region
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.export_options import ExportOptions
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.pretrained.weights import Weights
from zoomsr.webapp.offline.page import write_page
from zoomsr.webapp.offline.runtime import WebRuntime, fetched

pytestmark = needs_browser("onnxruntime", "onnxscript")

FULL = NetOptions(device="cpu", precision="32", engine="torch", exact=True)
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
_DROP = """([name, type, content, kind]) => {
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0)), files = new DataTransfer();
    files.items.add(new File([bytes], name, {type}));
    const options = {bubbles: true, cancelable: true};
    document.dispatchEvent(kind === "drop" ? new DragEvent("drop", {...options, dataTransfer: files})
        : new ClipboardEvent("paste", {...options, clipboardData: files}));
}"""
_ATTEMPTS = """async (host) => {
    const refused = [];
    document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
    for (const start of [
        () => fetch(`http://${host}/`), () => new WebSocket(`ws://${host}/`), () => new EventSource(`http://${host}/`),
        () => { new Image().src = `http://${host}/`; }, () => new Worker("data:text/javascript,1"),
        () => document.head.append(Object.assign(document.createElement("script"), {textContent: "window.ran = true"})),
    ]) { try { await start(); } catch {} }
    await new Promise((resolve) => setTimeout(resolve, 300));
    return [refused.sort(), window.ran === undefined];
}"""


@pytest.fixture(scope="module")
def runtime() -> Path:
    """npm's package: the copy that ZOOMSR_ORT_WEB names, or the one in the user's own cache, which is fetched once."""
    named = os.environ.get("ZOOMSR_ORT_WEB")
    try:
        file = Path(named) if named else fetched()
        WebRuntime.find(file)
    except ValueError as error:
        pytest.skip(f"ONNX Runtime Web is neither in ZOOMSR_ORT_WEB nor to be had: {error}")
    return file


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net of three levels that changes bicubic by many grey levels."""
    arguments: dict[str, Any] = {"widths": [6, 6, 6], "blocks": [1, 1, 1]}
    torch.manual_seed(0)
    net = ResidualUNet(**arguments)
    for parameter in net.parameters():
        parameter.data += 0.04 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("net") / "small.safetensors"
    Weights(path, net.state_dict(), {"_target_": "zoomsr.models.residual_unet.ResidualUNet", **arguments}).save(path)
    return path


@pytest.fixture(scope="module")
def html(weights: Path, runtime: Path) -> Path:
    out = weights.with_name("zoom.html")
    write_page(str(weights), out, ExportOptions(runtime=runtime), overwrite=False)
    return out


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page; in the end it has asked for itself and for what it made, and has said nothing on the console."""
    contexts, asked, said = [], [], []

    def open_page(html: Path, options: dict[str, Any] = DESKTOP) -> Any:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_offline(True)
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.goto(html.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith("blob:null/")] == asked[:1]
    assert asked[0].startswith("file://")
    assert said == []


@pytest.fixture
def page(opened: Callable[..., Any], html: Path) -> Any:
    return opened(html)


def _file(pixels: np.ndarray, name: str = "photo.png", **options: Any) -> dict[str, Any]:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG" if name.endswith("jpg") else "PNG", **options)
    return {"name": name, "mimeType": "image/png", "buffer": content.getvalue()}


def _choose(page: Any, pixels: np.ndarray) -> None:
    page.locator("#file").set_input_files(_file(pixels))
    page.locator("#enlarge:enabled").wait_for()


def _downloaded(page: Any) -> tuple[np.ndarray, str]:
    page.locator("#results").wait_for()
    with page.expect_download() as download:
        page.locator("#download").click()
    return np.asarray(Image.open(download.value.path()).convert("RGB")), download.value.suggested_filename


def _zoomed(weights: Path | str, pixels: np.ndarray, how: NetOptions = FULL) -> np.ndarray:
    return Upscaler.open(str(weights), how=how).upscale(Photograph.of(Image.fromarray(pixels))).pixels


def _levels(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


def _area(page: Any) -> list[int]:
    return [int(page.locator(f"#{name}").input_value()) for name in ("left", "top", "width", "height")]


def test_a_photograph_gets_the_pixels_of_zoom(page: Any, html: Path, weights: Path) -> None:
    assert html.stat().st_size < 30e6
    pixels = photograph(45, 61)
    _choose(page, pixels)
    assert page.locator("#status").inner_text() == "photo.png: 61x45 pixels."
    assert page.locator("#plan").inner_text().startswith("61x45 to 122x90 pixels, about ")
    page.locator("#enlarge").click()
    sr, name = _downloaded(page)
    assert name == "photo-x2.png"
    assert _levels(sr, _zoomed(weights, pixels)) <= 1
    assert _levels(sr, _zoomed("bicubic", pixels)) > 10
    before = page.locator("#compare .before img").evaluate(
        """async (one) => {
            await one.decode();
            const canvas = new OffscreenCanvas(one.naturalWidth, one.naturalHeight), context = canvas.getContext("2d");
            context.drawImage(one, 0, 0);
            return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    assert _levels(np.array(before).reshape(90, 122, 4)[..., :3], _zoomed("bicubic", pixels)) <= 1
    assert page.locator("#compare .sides b").all_inner_texts() == ["bicubic", "small"]


def test_an_area_in_tiles_gets_the_pixels_of_zoom(page: Any, weights: Path) -> None:
    pixels = photograph(130, 120, seed=1)  # larger than a tile of 8 with two halos of 40
    _choose(page, pixels)
    for name, value in (("left", 3), ("top", 5), ("width", 110), ("height", 121)):
        page.locator(f"#{name}").fill(str(value))
    page.locator("#all").focus()
    assert _area(page) == [3, 5, 110, 121]
    page.evaluate("Object.assign(cut, {tile: 8})")
    tiles = page.evaluate("cutTiles({top: 0, left: 0, bottom: 121, right: 110}, cut).length")
    page.locator("#enlarge").click()
    sr, name = _downloaded(page)
    assert (tiles > 1, name) == (True, "photo-110x121-x2.png")
    assert _levels(sr, _zoomed(weights, pixels[5:126, 3:113])) <= 1


def test_it_cuts_tiles_as_zoom(page: Any) -> None:
    cases = ((49, 58, 8, 4, 4), (1000, 700, 128, 24, 8), (17, 900, 64, 0, 1), (8, 8, 8, 8, 8))
    for height, width, tile, margin, grid in cases:
        found = page.evaluate(
            "([bottom, right, tile, margin, grid]) => cutTiles({top: 0, left: 0, bottom, right}, {tile, margin, grid})",
            [height, width, tile, margin, grid],
        )
        expected = Region(0, 0, height, width).cut(tile=tile, margin=margin, grid=grid)
        assert [Region(**one) for one in found] == list(expected)


def test_tiles_become_smaller_where_memory_does_not_suffice(
    opened: Callable[..., Any], html: Path, weights: Path
) -> None:
    poor = """
        const rich = run;
        run = (name, planes, height, width) => {
            if (height * width > 40 * 40 && height !== PROBE) throw new Error("std::bad_alloc");
            return rich(name, planes, height, width);
        };"""
    after = '</script>\n<script type="text/plain" id="wasm">'  # the worker's end
    head, _, tail = html.read_text(encoding="utf-8").partition(after)
    other = html.with_name("poor.html")
    other.write_text(head + poor + after + tail, encoding="utf-8")
    page, pixels = opened(other), photograph(56, 60)
    _choose(page, pixels)
    page.evaluate("Object.assign(cut, {tile: 32, margin: 8})")
    page.locator("#enlarge").click()
    page.locator("#results").wait_for()
    assert page.locator("#status").inner_text() == "photo.png: 60x56 pixels."


def test_the_policy_refuses_every_connection(browser: Any, html: Path) -> None:
    page = browser.new_page()
    page.goto(html.as_uri())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        refused, is_quiet = page.evaluate(_ATTEMPTS, f"127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            server.accept()
    page.close()
    assert refused == [*["connect-src"] * 3, "img-src", "script-src-elem", "worker-src"]
    assert is_quiet


def test_by_keyboard_alone(page: Any, weights: Path) -> None:
    pixels = photograph(60, 64)
    _choose(page, pixels)
    page.locator("#file").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "picture"
    for key in ("-", "ArrowRight", "ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert _area(page) == [8, 10, 51, 48]  # four fifths of it, then 2 px right, and 2, 1 and 1 down
    for _ in range(6):  # four numbers, all of it, enlarge
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#results").wait_for()
    assert page.evaluate("document.activeElement.id") == "download"
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    sr = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert _levels(sr, _zoomed(weights, pixels[10:58, 8:59])) <= 1


def test_an_area_is_drawn_and_moved(page: Any) -> None:
    _choose(page, photograph(200, 300))
    box = page.locator("#source").bounding_box()

    def drag(start: tuple[int, int], end: tuple[int, int]) -> list[int]:
        page.mouse.move(box["x"] + start[0], box["y"] + start[1])
        page.mouse.down()
        page.mouse.move(box["x"] + end[0], box["y"] + end[1])
        page.mouse.up()
        return _area(page)

    assert (box["width"], box["height"]) == (300, 200)
    assert _area(page) == [0, 0, 300, 200]
    assert drag((200, 150), (100, 40)) == [100, 40, 100, 110]
    assert drag((150, 80), (170, 60)) == [120, 20, 100, 110]
    assert drag((150, 80), (999, 60)) == [200, 0, 100, 110]  # not out of the photograph
    assert drag((20, 20), (21, 21)) == [200, 0, 100, 110]  # a click draws nothing
    page.locator("#all").click()
    assert _area(page) == [0, 0, 300, 200]


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_is_as_wide_as_the_screen(opened: Callable[..., Any], html: Path, options: dict[str, Any]) -> None:
    page = opened(html, options)
    _choose(page, photograph(300, 900))
    page.locator("#all").click()
    page.locator("#enlarge").click()
    page.locator("#results").wait_for()
    page.locator("summary").click()
    width = options["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("#drop", "#picture", "#enlarge", "#compare", "#download"):
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= width, name


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photograph_is_dropped_or_pasted(page: Any, kind: str) -> None:
    content = base64.b64encode(_file(photograph(20, 30))["buffer"]).decode()
    page.evaluate(_DROP, ["a.png", "image/png", content, kind])
    page.locator("#photo").wait_for()
    assert page.locator("#status").inner_text() == "a.png: 30x20 pixels."


def test_a_jpeg_is_turned_upright(page: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    page.locator("#file").set_input_files(_file(photograph(20, 30), "photo.jpg", exif=exif))
    page.locator("#photo").wait_for()
    assert _area(page) == [0, 0, 20, 30]


def test_transparent_parts_are_put_on_white(page: Any) -> None:
    pixels = np.dstack([photograph(24, 32), np.full((24, 32), 255, np.uint8)])
    pixels[:, :16, 3] = 0
    _choose(page, pixels)
    assert page.locator("#status").inner_text() == "photo.png: 32x24 pixels. Its transparent parts are put on white."
    found = page.evaluate("[...source.getContext('2d').getImageData(0, 0, 32, 24).data]")
    seen = np.array(found).reshape(24, 32, 4)
    assert (seen[:, :16] == 255).all()
    assert np.array_equal(seen[:, 16:, :3], pixels[:, 16:, :3])


def test_what_is_no_photograph_is_said(page: Any) -> None:
    page.locator("#file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"nothing"})
    page.locator("#status.error").wait_for()
    assert page.locator("#status").inner_text() == (
        "a.png: this browser reads no picture from it. Try PNG, JPEG or WebP."
    )
    assert not page.locator("#photo").is_visible()


def test_cancel_ends_the_work_and_the_next_one_succeeds(page: Any, weights: Path) -> None:
    pixels = photograph(40, 48)
    _choose(page, pixels)
    page.evaluate("worker.postMessage = () => {}")  # work that never ends
    page.locator("#enlarge").click()
    assert page.locator("#bar").is_visible()
    assert page.locator("#all").is_disabled()
    assert page.locator("#remaining").inner_text().endswith("left")
    page.keyboard.press("Enter")  # it has the focus
    assert page.locator("#status").inner_text() == "Cancelled."
    page.locator("#enlarge:enabled").click()
    sr, _ = _downloaded(page)
    assert _levels(sr, _zoomed(weights, pixels)) <= 1


def test_more_than_a_browser_holds_is_not_begun(page: Any) -> None:
    _choose(page, photograph(20, 30))
    page.evaluate("photo = {...photo, width: 9000, height: 30}; choose(whole())")
    assert page.locator("#plan").inner_text() == (
        "9000x30 to 18000x60 pixels are more than a browser holds: choose a smaller area"
    )
    assert page.locator("#enlarge").is_disabled()


def test_the_pretrained_net_gets_the_pixels_of_zoom(opened: Callable[..., Any], tmp_path: Path, runtime: Path) -> None:
    write_page("unet", tmp_path / "unet.html", ExportOptions(runtime=runtime), overwrite=False)
    page, pixels = opened(tmp_path / "unet.html"), photograph(64, 60)
    _choose(page, pixels)
    page.locator("#enlarge").click()
    sr, _ = _downloaded(page)
    assert _levels(sr, _zoomed("unet", pixels, NetOptions())) <= 1
