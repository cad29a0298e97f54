"""``zoomsr.zoom --inspect``."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _support.commands import said_by
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import Image, ImageCms

from zoomsr.imaging.photo import Photograph
from zoomsr.inference import forecast, inspection
from zoomsr.inference.route import Route


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A JPEG, a PNG that was one, a soft one of 16 bit, and one with noise."""
    folder = tmp_path / "trip"
    folder.mkdir()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photograph(64, 96)).save(folder / "a.jpg", quality=60, icc_profile=profile)
    Image.open(folder / "a.jpg").convert("RGB").crop((3, 2, 96, 64)).save(folder / "b.png")
    soft = np.asarray(Image.fromarray(photograph(64, 64)[..., 0]).resize((128, 128), Image.Resampling.BICUBIC))
    Photograph(soft[..., None].astype(np.uint16) * 257).write(folder / "c.tif")
    noise = np.random.default_rng(0).normal(0, 8, (40, 40, 1)).repeat(3, 2)
    Image.fromarray((128 + noise).round().astype(np.uint8)).save(folder / "d.webp", lossless=True)
    return folder


def _found(zoom: Zoom, *arguments: object, code: int = 0) -> dict[str, Any]:
    text = zoom(*arguments, "--inspect", "--json", "-m", "bicubic", code=code)
    found = json.loads(text[text.index("[") : text.rindex("]") + 1])
    return {Path(one["file"]).name: one for one in found}


@pytest.mark.usefixtures("pictures")
def test_what_is_in_each_photograph(zoom: Zoom) -> None:
    found = _found(zoom, "trip")
    assert list(found) == ["a.jpg", "b.png", "c.tif", "d.webp"]
    jpeg, png, soft, noisy = found.values()
    assert jpeg["header"] == {"format": "JPEG", "jpeg_quality": 60, "chroma": "4:2:0"}
    assert (jpeg["width"], jpeg["height"], jpeg["bits"], jpeg["channels"]) == (96, 64, 8, "RGB")
    assert jpeg["profile"] == "sRGB built-in"
    assert png["header"] == {"format": "PNG", "jpeg_quality": None, "chroma": None}
    assert png["trace"] == {"row": 6, "column": 5, "quality": pytest.approx(60, abs=2)}
    assert (soft["bits"], soft["channels"], soft["trace"]) == (16, "grey", None)
    assert soft["soft"] == pytest.approx(2, abs=0.3)
    assert noisy["noise"] == pytest.approx(8, rel=0.2)
    assert noisy["soft"] is None  # too small


@pytest.mark.usefixtures("pictures")
def test_what_will_be_done_and_what_it_costs(zoom: Zoom, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    found = _found(zoom, "trip/c.tif", "--scale", "3", "-o", "large/")["c.tif"]["forecast"]
    assert (found["net"], found["factor"], found["target"]) == ("bicubic", 3, "large/c-x3.png")
    assert (found["width"], found["height"]) == (384, 384)
    assert found["memory_bytes"] == 2 * 128 * 128 * 10 + 3000 * 128 * 128
    assert 0 < found["seconds"] < 60
    assert sorted(tmp_path.rglob("*")) == before
    zoom("trip/c.tif", "--scale", "3", "-o", "large/", "-m", "bicubic")
    assert (tmp_path / "large" / "c-x3.png").stat().st_size == pytest.approx(found["disk_bytes"], rel=0.05)


@pytest.mark.usefixtures("pictures")
def test_cost_of_a_crop(zoom: Zoom) -> None:
    found = _found(zoom, "trip/a.jpg", "--box", "10,10,20,30")["a.jpg"]
    assert (found["width"], found["height"]) == (96, 64)
    assert (found["forecast"]["width"], found["forecast"]["height"]) == (40, 60)


def test_the_time_is_that_of_a_part_in_proportion(zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(photograph(256, 384)).save(tmp_path / "a.png")
    runs: list[tuple[int, int]] = []

    def timed(trial: Route, crop: Photograph) -> tuple[float, Photograph]:
        runs.append(crop.size)
        return (5.0, 2.0)[len(runs) - 1], trial.follow(crop, lambda pixels: None)

    monkeypatch.setattr(forecast, "_timed", timed)
    found = _found(zoom, "a.png", "--tile", "512")["a.png"]["forecast"]
    assert runs == [(128, 128), (128, 128)]
    assert found["seconds"] == pytest.approx(2 * 6)  # the faster run; six times as many pixels
    assert "measured on the middle 128x128 pixels" in found["basis"]
    runs.clear()
    tiled = _found(zoom, "a.png", "--tile", "128")["a.png"]["forecast"]
    parts = [(128 + 2) * (128 + 2)] * 4 + [(128 + 2) * (128 + 4)] * 2  # with halos of two pixels inside
    assert tiled["seconds"] == pytest.approx(2 * sum(parts) / 128**2)


def test_what_will_not_be_made_is_said(zoom: Zoom, pictures: Path) -> None:
    (pictures.parent / "trip-x2").mkdir()
    (pictures.parent / "trip-x2" / "a-x2.png").write_text("of before")
    refused = {name: one["forecast"]["refused"] for name, one in _found(zoom, "trip").items()}
    advice = "trip-x2/a-x2.png is there already: --overwrite replaces it, --skip-existing leaves it"
    assert refused.pop("a.jpg").endswith(advice)
    assert set(refused.values()) == {None}
    assert _found(zoom, "trip", "--overwrite")["a.jpg"]["forecast"]["refused"] is None
    skipped = _found(zoom, "trip", "--skip-existing")["a.jpg"]["forecast"]["refused"]
    assert skipped.endswith("a-x2.png is there already: it is skipped")
    text = zoom("trip", "--inspect", "-m", "bicubic", "--skip-existing")
    assert "for 3 photographs" in text
    assert "not made: " in text


def test_the_disk_is_compared_with_what_is_needed(zoom: Zoom, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 1000, 1000))
    assert "error: the results do not fit on the disk, about " in zoom("trip", "--inspect", "-m", "bicubic", code=1)


def test_a_huge_picture_needs_disk_instead_of_memory(
    zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (forecast, inspection):
        monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    Photograph(photograph(70, 90).astype(np.uint16) * 257).write(tmp_path / "a.tif")
    huge = _found(zoom, "a.tif", "-o", "b.tif")["a.tif"]["forecast"]
    assert huge["temporary_bytes"] == 140 * 180 * 3 * 2
    assert huge["memory_bytes"] == 3000 * 70 * 90  # of one tile's layers
    assert huge["refused"] is None
    assert "only a TIFF can hold the result" in _found(zoom, "a.tif")["a.tif"]["forecast"]["refused"]
    crop = _found(zoom, "a.tif", "--box", "8,8,20,20")["a.tif"]["forecast"]
    assert (crop["temporary_bytes"], crop["refused"]) == (0, None)


def test_a_damaged_file_is_one_line(zoom: Zoom, pictures: Path) -> None:
    data = (pictures / "a.jpg").read_bytes()
    (pictures / "cut.jpg").write_bytes(data[: len(data) // 2])
    (pictures / "text.png").write_text("no picture")
    text = zoom("trip", "--inspect", "-m", "bicubic", code=2)
    assert text.count("error:") == 2
    assert "error: trip/cut.jpg is damaged or truncated" in text
    assert "error: trip/text.png" in text
    assert "quality 60, 4:2:0" in text
    assert len(_found(zoom, "trip", code=2)) == 4


def test_the_table(pictures: Path, zoom: Zoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoomsr.cli.console.CONSOLE.width", 250)
    text = zoom("trip/*.jpg", "trip/c.tif", "--inspect", "-m", "bicubic")
    assert "JPEG quality 60, 4:2:0" in text
    assert "192x128 by bicubic, x2" in text
    assert "soft: shrinking by 2" in text
    assert "256x256 by bicubic, x2" in text
    assert "96x64, 8 bit RGB" in text
    assert "128x128, 16 bit grey" in text


def test_json_goes_with_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    from zoomsr.zoom import app

    assert "error: --json goes with --inspect" in said_by(app, ["a.png", "--json"], capsys, code=1)
