"""``zoomsr.zoom --inspect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _support.commands import said_by
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import Image, ImageCms

from zoomsr.imaging.photo import Photograph


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
    forecast = _found(zoom, "trip/c.tif", "--scale", "3", "-o", "large/")["c.tif"]["forecast"]
    assert (forecast["net"], forecast["factor"], forecast["target"]) == ("bicubic", 3, "large/c-x3.png")
    assert (forecast["width"], forecast["height"]) == (384, 384)
    assert forecast["memory_bytes"] == 2 * 128 * 128 * 10 + 3000 * 128 * 128
    assert 0 < forecast["seconds"] < 60
    assert sorted(tmp_path.rglob("*")) == before
    zoom("trip/c.tif", "--scale", "3", "-o", "large/", "-m", "bicubic")
    assert (tmp_path / "large" / "c-x3.png").stat().st_size == pytest.approx(forecast["disk_bytes"], rel=0.05)


@pytest.mark.usefixtures("pictures")
def test_cost_of_a_crop(zoom: Zoom) -> None:
    found = _found(zoom, "trip/a.jpg", "--box", "10,10,20,30")["a.jpg"]
    assert (found["width"], found["height"]) == (96, 64)
    assert (found["forecast"]["width"], found["forecast"]["height"]) == (40, 60)


def test_a_damaged_file_is_one_line(zoom: Zoom, pictures: Path) -> None:
    data = (pictures / "a.jpg").read_bytes()
    (pictures / "cut.jpg").write_bytes(data[: len(data) // 2])
    (pictures / "text.png").write_text("no picture")
    text = zoom("trip", "--inspect", "-m", "bicubic", code=1)
    assert text.count("error:") == 2
    assert "error: trip/cut.jpg is damaged or truncated" in text
    assert "error: trip/text.png" in text
    assert "quality 60, 4:2:0" in text
    assert len(_found(zoom, "trip", code=1)) == 4


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
