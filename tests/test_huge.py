"""Pictures that are never in memory as a whole give what those give that are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import photograph
from PIL import Image, ImageCms
from test_zoom import Zoom, weights, zoom  # noqa: F401  # fixtures

from zoomsr import zooming
from zoomsr.photograph import Photograph


@pytest.fixture(autouse=True)
def _small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zooming, "MOST_PIXELS", 1000)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_by_parts_as_in_one_piece(
    zoom: Zoom,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: type,
    channels: int,
) -> None:
    pixels = photograph(70, 90)[..., :channels].astype(dtype) * (257 if dtype == np.uint16 else 1)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if channels == 3 else None
    Photograph(pixels, icc=icc, dpi=(200.0, 200.0)).write(tmp_path / "a.tif")
    zoom("a.tif", "-m", "srcnn", "-o", "parts.tif", "--tile", "32")
    monkeypatch.setattr(zooming, "MOST_PIXELS", 10**6)
    zoom("a.tif", "-m", "srcnn", "-o", "whole.tif", "--tile", "32")
    parts, whole = (Photograph.read(tmp_path / f"{name}.tif") for name in ("parts", "whole"))
    assert parts.pixels.dtype == dtype
    assert np.array_equal(parts.pixels, whole.pixels)
    assert parts.dpi == pytest.approx((200, 200))
    assert parts.icc == whole.icc
    with tifffile.TiffFile(tmp_path / "parts.tif") as file:
        assert file.pages[0].is_tiled


def test_an_area_needs_no_more_than_the_area(zoom: Zoom, tmp_path: Path) -> None:  # noqa: F811
    pixels = photograph(70, 90)
    Photograph(pixels).write(tmp_path / "a.tif")
    zoom("a.tif", "-m", "bicubic", "--box", "10,20,30,16", "-o", "area.png")
    Photograph(pixels[20:36, 10:40]).write(tmp_path / "cut.png")
    zoom("cut.png", "-m", "bicubic")
    areas = [Photograph.read(tmp_path / name).pixels for name in ("area.png", "cut-x2.png")]
    assert np.array_equal(*areas)
    assert "a.tif: box 80,0,30,16 is not inside" in zoom("a.tif", "-m", "bicubic", "--box", "80,0,30,16", code=1)


def test_what_cannot_be_is_one_line_and_leaves_nothing(zoom: Zoom, tmp_path: Path) -> None:  # noqa: F811
    Image.fromarray(photograph(70, 90)).save(tmp_path / "a.tif")
    assert "only a TIFF can hold its double, -o FILE.tif" in zoom("a.tif", "-m", "bicubic", code=1)
    assert "--scale 4 goes with --box" in zoom("a.tif", "-m", "bicubic", "--scale", "4", "-o", "b.tif", code=1)
    Image.fromarray(photograph(300, 400)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:90_000])
    assert "error: cut.png is damaged or truncated: " in zoom("cut.png", "-m", "bicubic", "-o", "b.tif", code=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "cut.png", "weights"]


def test_a_picture_that_pillow_takes_for_a_bomb_goes_through(
    zoom: Zoom,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    Photograph(photograph(70, 90)).write(tmp_path / "a.tif")
    zoom("a.tif", "-m", "bicubic", "-o", "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].shape == (140, 180, 3)
    assert Image.MAX_IMAGE_PIXELS == 500
