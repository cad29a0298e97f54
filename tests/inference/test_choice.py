"""Which net a photograph gets, what it is told, and how much of it is used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from _support.zooming import PIXELS, Nets, Zoom, by_net
from PIL import Image
from torch import nn

from zoomsr import upscale
from zoomsr.imaging.header import Header
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.resize import Upscale
from zoomsr.inference.choice import Compression
from zoomsr.models.back_projection import BackProjection
from zoomsr.models.photo_unet import PhotoUNet
from zoomsr.models.strength import Strength
from zoomsr.pretrained.weights import Weights

CONFIG = {"_target_": "zoomsr.models.photo_unet.PhotoUNet", "scale": 2, "widths": [6, 5], "blocks": [1, 1]}


@pytest.fixture
def photo_net(weights: Path) -> PhotoUNet:
    """``unet_photo`` in the folder of weights, tiny."""
    torch.manual_seed(9)
    net = PhotoUNet(widths=[6, 5], blocks=[1, 1]).eval().requires_grad_(requires_grad=False)
    for parameter in net.parameters():
        parameter += 0.05 * torch.randn_like(parameter)
    Weights(weights / "unet_photo.safetensors", net.state_dict(), CONFIG).save(weights / "unet_photo.safetensors")
    return net


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PIXELS).save(path, quality=60)
    return path


def _plain(net: nn.Module, path: Path) -> np.ndarray:
    """By the net called directly, without back-projection."""
    return _pixels(net, Photograph.read(path).pixels)


@torch.no_grad()
def _pixels(net: nn.Module, pixels: np.ndarray) -> np.ndarray:
    lr = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    sr = net(lr.contiguous(memory_format=torch.channels_last))[0]
    return (sr.clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8).permute(1, 2, 0).numpy()


def _close(path: Path, expected: np.ndarray) -> None:
    found = Photograph.read(path).pixels
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found == expected).mean() > 0.99


def test_a_jpeg_gets_its_net_told_its_quality(zoom: Zoom, jpeg: Path, unets: Nets, photo_net: PhotoUNet) -> None:
    said = zoom(jpeg, "-o", "a.png")
    assert "unet_photo a.png 92x70 (JPEG quality 60, 4:2:0)" in said
    _close(jpeg.with_name("a.png"), _plain(photo_net.at(60), jpeg))
    assert np.abs(_plain(photo_net.at(60), jpeg).astype(int) - _plain(unets[2], jpeg)).max() > 5


def test_a_clean_photograph_gets_the_unet(zoom: Zoom, unets: Nets, photo_net: PhotoUNet, tmp_path: Path) -> None:
    assert photo_net.scale == 2
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert "unet a-x2.png 92x70 (no trace of JPEG)" in zoom("a.png")
    _close(tmp_path / "a-x2.png", by_net(unets[2], PIXELS))


@pytest.mark.usefixtures("unets")
def test_a_png_that_was_a_jpeg_is_found_by_its_pixels(zoom: Zoom, photo_net: PhotoUNet, tmp_path: Path) -> None:
    Image.fromarray(photograph(96, 128)).save(tmp_path / "a.jpg", quality=50)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "b.png")
    said = zoom("b.png")
    assert "unet_photo b-x2.png 256x192 (once a JPEG of about quality 50)" in said
    _close(tmp_path / "b-x2.png", _plain(photo_net.at(50), tmp_path / "b.png"))


def test_what_the_user_says_overrules_the_file(zoom: Zoom, jpeg: Path, unets: Nets, photo_net: PhotoUNet) -> None:
    assert "unet_photo a.png 92x70 (taken as JPEG quality 30)" in zoom(jpeg, "-o", "a.png", "--quality-in", 30)
    _close(jpeg.with_name("a.png"), _plain(photo_net.at(30), jpeg))
    assert "unet b.png 92x70" in zoom(jpeg, "-o", "b.png", "--quality-in", 100)
    _close(jpeg.with_name("b.png"), by_net(unets[2], Photograph.read(jpeg).pixels))
    zoom(jpeg, "-o", "c.png", "-m", "unet_photo")
    _close(jpeg.with_name("c.png"), _plain(photo_net.at(60), jpeg))
    assert "unet d.png" in zoom(jpeg, "-o", "d.png", "-m", "unet")
    said = zoom(jpeg, "-m", "unet", "--quality-in", 30, code=1)
    assert "error: unet is told no JPEG quality: --quality-in goes with -m unet_photo, or without -m" in said


@pytest.mark.parametrize("scale", [3, 4])
def test_for_another_scale_the_traces_are_removed_first(
    zoom: Zoom, jpeg: Path, unets: Nets, photo_net: PhotoUNet, scale: int
) -> None:
    said = zoom(jpeg, "-o", "a.png", "--scale", scale)
    assert f"unet_photo + unet_x{scale} a.png {46 * scale}x{35 * scale}" in said
    restored = Photograph.with_pixels(_plain(photo_net.at(60), jpeg)).resized((35, 46)).pixels
    _close(jpeg.with_name("a.png"), by_net(unets[scale], restored))


@pytest.mark.usefixtures("unets")
def test_a_size_between_is_shrunk_from_the_next_scale(zoom: Zoom, jpeg: Path, photo_net: PhotoUNet) -> None:
    assert "unet_photo a.png 69x53" in zoom(jpeg, "-o", "a.png", "--width", 69)
    larger = Photograph.with_pixels(_plain(photo_net.at(60), jpeg))
    _close(jpeg.with_name("a.png"), larger.resized((53, 69)).pixels)


@pytest.mark.usefixtures("unets", "photo_net")
def test_a_photograph_that_is_shrunk_first_is_clean(zoom: Zoom, jpeg: Path) -> None:
    assert "unet a.png 46x36 (shrunk first)" in zoom(jpeg, "-o", "a.png", "--pre-shrink", 2)


@pytest.mark.usefixtures("unets")
def test_strength(zoom: Zoom, jpeg: Path, photo_net: PhotoUNet) -> None:
    zoom(jpeg, "-o", "a.png", "--strength", 0.5)
    zoom(jpeg, "-o", "b.png", "--strength", 0)
    for name, strength in (("a", 0.5), ("b", 0.0)):
        _close(jpeg.with_name(f"{name}.png"), _plain(Strength(photo_net.at(60), strength), jpeg))


@pytest.mark.usefixtures("unets", "photo_net")
def test_certificate_and_inspection_say_it(zoom: Zoom, jpeg: Path) -> None:
    zoom(jpeg, "-o", "a.png", "--certify", "--strength", 0.5)
    settings = json.loads(jpeg.with_name("a.json").read_text())["settings"]
    assert (settings["jpeg_quality_told"], settings["strength"], settings["back_projection"]) == (60, 0.5, 0)
    text = zoom(jpeg, "--inspect", "--json")
    forecast = json.loads(text[text.index("[") : text.rindex("]") + 1])[0]["forecast"]
    assert forecast["net"] == "unet_photo"


@pytest.mark.usefixtures("weights")
def test_in_python(jpeg: Path, photo_net: PhotoUNet) -> None:
    pixels = Photograph.read(jpeg).pixels
    found = upscale(pixels, "unet_photo", quality=60)
    assert np.abs(found.astype(int) - _plain(photo_net.at(60), jpeg)).max() <= 1
    again = upscale(pixels, "unet_photo", quality=60, strength=0.0)
    assert np.abs(again.astype(int) - _pixels(Upscale(2), pixels)).max() <= 1


def test_tables_of_another_form_are_of_unknown_quality() -> None:
    assert Compression.found(Header("JPEG", None, None), None) == Compression(85, "JPEG of unknown quality")


def test_no_strength_is_bicubic_also_with_back_projection(zoom: Zoom, unets: Nets, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    zoom("a.png", "-m", "unet", "--strength", 0)
    _close(tmp_path / "a-x2.png", _pixels(Upscale(2), PIXELS))
    zoom("a.png", "-m", "unet", "--strength", 0.5, "--overwrite")
    _close(tmp_path / "a-x2.png", _pixels(Strength(BackProjection(unets[2]), 0.5), PIXELS))


def _forecast_net(said: str) -> str:
    return str(json.loads(said[said.index("[") : said.rindex("]") + 1])[0]["forecast"]["net"])


@pytest.mark.usefixtures("unets", "photo_net")
def test_a_soft_jpeg_that_is_shrunk_by_itself_is_clean_and_inspection_says_so(zoom: Zoom, tmp_path: Path) -> None:
    soft = Image.fromarray(photograph(96, 96)).resize((288, 288), Image.Resampling.BICUBIC)
    soft.save(tmp_path / "soft.jpg", quality=98)
    said = zoom("soft.jpg", "-o", "a.png", "--pre-shrink", "auto")
    assert "note soft.jpg: shrunk by" in said
    assert "unet a.png" in said
    assert "(shrunk first)" in said
    assert _forecast_net(zoom("soft.jpg", "--inspect", "--json", "--pre-shrink", "auto")) == "unet"
    assert _forecast_net(zoom("soft.jpg", "--inspect", "--json")) == "unet_photo"


@pytest.mark.usefixtures("unets", "photo_net")
def test_inspection_believes_the_user(zoom: Zoom, jpeg: Path) -> None:
    assert _forecast_net(zoom(jpeg, "--inspect", "--json", "--quality-in", 100)) == "unet"
