"""Two, three and four times, each by the net of that scale in one pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from _support.zooming import PIXELS, Nets, Zoom, by_net
from matplotlib.figure import Figure
from PIL import Image

from zoomsr import load_model, upscale
from zoomsr.figures import Enlargement
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import luma
from zoomsr.imaging.resize import Upscale
from zoomsr.inference import batch, side_by_side
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.models.back_projection import BackProjection
from zoomsr.models.self_ensemble import SelfEnsemble

NAMES = {2: "unet", 3: "unet_x3", 4: "unet_x4"}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(path)
    return path


def _read(path: Path) -> np.ndarray:
    return Photograph.read(path).interleaved


def _difference(one: np.ndarray, other: np.ndarray) -> int:
    """The largest, of pictures of one size."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("scale", NAMES)
def test_a_pretrained_net_is_the_one_of_the_scale(
    zoom: Zoom, photo: Path, unets: Nets, tmp_path: Path, scale: int
) -> None:
    expected = by_net(unets[scale], PIXELS)
    assert _difference(expected, by_net(Upscale(scale), PIXELS)) > 10
    assert f"{NAMES[scale]} photo-x{scale}.png {46 * scale}x{35 * scale}" in zoom(photo, "--scale", scale)
    assert np.array_equal(_read(tmp_path / f"photo-x{scale}.png"), expected)
    zoom(photo, "-m", NAMES[scale], "--overwrite")  # without --scale the net's own
    assert np.array_equal(_read(tmp_path / f"photo-x{scale}.png"), expected)


def test_a_larger_scale_is_a_power_of_the_named_net(zoom: Zoom, photo: Path, unets: Nets, tmp_path: Path) -> None:
    box, crop = ("--box", "3,4,12,10"), PIXELS[4:14, 3:15]
    assert "unet photo-x8.png 96x80" in zoom(photo, "--scale", "8", *box)
    assert np.array_equal(_read(tmp_path / "photo-x8.png"), by_net(unets[2], by_net(unets[2], by_net(unets[2], crop))))
    assert "unet_x3 photo-x9.png 108x90" in zoom(photo, "-m", "unet_x3", "--scale", "9", *box)
    assert np.array_equal(_read(tmp_path / "photo-x9.png"), by_net(unets[3], by_net(unets[3], crop)))
    assert "photo.png: unet enlarges by 256 at most, not by 257" in zoom(photo, "--scale", "257", code=1)


@pytest.mark.parametrize("scale", [3, 4])
def test_bicubic_needs_one_pass(zoom: Zoom, photo: Path, tmp_path: Path, scale: int) -> None:
    zoom(photo, "-m", "bicubic", "--scale", scale)
    assert np.array_equal(_read(tmp_path / f"photo-x{scale}.png"), by_net(Upscale(scale), PIXELS))


@pytest.mark.parametrize("scale", [3, 4])
def test_tiles_grey_transparency_and_the_self_ensemble(
    zoom: Zoom, photo: Path, unets: Nets, tmp_path: Path, scale: int
) -> None:
    whole = by_net(unets[scale], PIXELS)
    zoom(photo, "--scale", scale, "--tile", "8", "-o", "tiles.png")
    assert _difference(_read(tmp_path / "tiles.png"), whole) <= 1  # sums may be of another order
    zoom(photo, "--scale", scale, "--precision", "bf16", "-o", "half.png")
    assert 0 < _difference(_read(tmp_path / "half.png"), whole) <= 8
    zoom(photo, "--scale", scale, "--self-ensemble", "-o", "eight.png")
    assert _difference(_read(tmp_path / "eight.png"), by_net(SelfEnsemble(unets[scale]), PIXELS)) <= 1
    alpha = photograph(35, 46, seed=1)[..., :1]
    Image.fromarray(np.dstack([PIXELS, alpha])).save(tmp_path / "rgba.png")
    zoom("rgba.png", "--scale", scale, "-o", "rgba large.png")
    assert np.array_equal(_read(tmp_path / "rgba large.png")[..., 3:], by_net(Upscale(scale), alpha))
    deep = PIXELS[..., :1].astype(np.uint16) * 257
    Photograph(deep).write(tmp_path / "deep.png")
    zoom("deep.png", "--scale", scale, "-o", "deep large.png")
    grey = BackProjection(unets[scale])(torch.from_numpy(PIXELS[None, None, ..., 0]).expand(1, 3, -1, -1) / 255).mean(1)
    expected = (grey[0].clamp(0, 1) * 65535).numpy()
    assert np.abs(_read(tmp_path / "deep large.png")[..., 0] - expected).max() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("scale", [3, 4])
def test_another_engine_gives_the_same_pixels(
    zoom: Zoom, photo: Path, unets: Nets, tmp_path: Path, scale: int, engine: str
) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[engine], reason="pip install zoomsr[fast]")
    zoom(photo, "--scale", scale, "--engine", engine)
    assert _difference(_read(tmp_path / f"photo-x{scale}.png"), by_net(unets[scale], PIXELS)) <= 1


@pytest.mark.parametrize("scale", [3, 4])
def test_a_picture_in_parts_as_in_one_piece(
    zoom: Zoom, unets: Nets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int
) -> None:
    pytest.importorskip("pyvips")
    Photograph(PIXELS).write(tmp_path / "a.tif")
    monkeypatch.setattr(batch, "MAX_PIXELS", 1000)
    zoom("a.tif", "--scale", scale, "-o", "parts.tif", "--tile", "16")
    zoom("a.tif", "--scale", scale, "-o", "bicubic.tif", "-m", "bicubic", "--tile", "16")
    assert _difference(_read(tmp_path / "parts.tif"), by_net(unets[scale], PIXELS)) <= 1
    assert np.array_equal(_read(tmp_path / "bicubic.tif"), by_net(Upscale(scale), PIXELS))
    refused = zoom("a.tif", "--scale", "8", "-o", "b.tif", code=1)
    assert "pixels: 368x280, which is not one pass of unet, goes with --box" in refused
    refused = zoom("a.tif", "--scale", "1.5", "-o", "b.tif", code=1)
    assert "pixels: 69x53, which is not one pass of unet, goes with --box" in refused
    assert not (tmp_path / "b.tif").exists()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Enlargement]:
    """What was put into comparison figures."""
    rows: list[Enlargement] = []

    def noted(given: list[Enlargement]) -> Figure:
        rows.extend(given)
        return Figure()

    monkeypatch.setattr(side_by_side, "comparison", noted)
    return rows


@pytest.mark.slow
def test_a_figure_of_three_times_is_drawn(zoom: Zoom, photo: Path, unets: Nets, tmp_path: Path) -> None:
    zoom(photo, "--compare", "--scale", "3")
    with Image.open(tmp_path / "photo-compared.png") as picture:
        assert min(picture.size) > 500


@pytest.mark.parametrize("arguments", [("--scale", "3"), ("-m", "unet_x3"), ("-m", "bicubic", "-m", "unet_x3")])
def test_compared_at_three_times_with_bicubic_beside_it(
    zoom: Zoom, unets: Nets, drawn: list[Enlargement], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    Image.fromarray(photograph(60, 72)).save(tmp_path / "hr.png")
    Image.fromarray(photograph(60, 72)[1::3, 1::3]).save(tmp_path / "lr.png")
    zoom("lr.png", "--compare", *arguments, "--truth", "hr.png")
    (row,) = drawn
    lr = photograph(60, 72)[1::3, 1::3]
    assert list(row.methods) == ["bicubic", "unet_x3"]
    for net, panel in zip((Upscale(3), unets[3]), row.methods.values(), strict=True):
        assert _difference((panel.image * 255).round(), by_net(net, lr)) <= 1
        shown = (panel.image, photograph(60, 72) / np.float32(255))
        y, hr = (luma(torch.from_numpy(one).permute(2, 0, 1)) for one in shown)
        error = float((y - hr)[..., 3:-3, 3:-3].square().mean())
        assert panel.psnr_y == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_compared_at_the_largest_scale_of_the_nets_and_never_at_one_that_a_net_lacks(
    zoom: Zoom, photo: Path, unets: Nets, drawn: list[Enlargement]
) -> None:
    crop = ("--box", "0,0,12,10", "--compare")
    zoom(photo, *crop, "-m", "unet_x4", "-m", "unet")  # which goes twice
    expected = by_net(unets[4], PIXELS[:10, :12]), by_net(unets[2], by_net(unets[2], PIXELS[:10, :12]))
    assert list(drawn[0].methods) == ["bicubic", "unet_x4", "unet"]
    for panel, pixels in zip(list(drawn[0].methods.values())[1:], expected, strict=True):
        assert _difference((panel.image * 255).round(), pixels) <= 2
    for arguments, words in {
        ("--scale", "3", "-m", "unet", "-m", "srcnn"): "srcnn enlarges by 2, and so by 2, 4, ..., not by 3",
        ("--scale", "3", "-m", "unet", "-m", "unet_x3"): "two nets are called the same: bicubic, unet_x3, unet_x3",
        ("--scale", "0"): "--scale 0 is no size: give a number above 0",
        ("--scale", "2.5"): "--compare takes a whole --scale of at least 2, and no other size",
        ("--width", "300"): "--compare takes a whole --scale of at least 2, and no other size",
    }.items():
        assert f"error: {words}" in zoom(photo, *crop, *arguments, "-o", "x.png", code=1)
    assert len(drawn) == 1


@pytest.mark.parametrize("scale", NAMES)
def test_in_python_too(unets: Nets, scale: int) -> None:
    assert np.array_equal(upscale(PIXELS, scale=scale), by_net(unets[scale], PIXELS))
    lr = torch.rand(2, 3, 9, 11)
    for net in (load_model(scale=scale, device="cpu"), load_model(NAMES[scale], device="cpu")):
        assert net.scale == scale
        assert torch.equal(net(lr), unets[scale](lr))
    assert torch.equal(load_model("bicubic", scale=scale, device="cpu")(lr), Upscale(scale)(lr))
    assert Upscaler.open("unet", scale, NetOptions(device="cpu")).name == NAMES[scale]


def test_what_a_net_does_not_reach_is_named_in_python_too(unets: Nets) -> None:
    with pytest.raises(ValueError, match="unet enlarges by 2, not by 8"):
        load_model(scale=8)
    with pytest.raises(ValueError, match=r"bicubic enlarges by 2, not by -1"):
        load_model("bicubic", scale=-1)
    with pytest.raises(ValueError, match=r"srcnn enlarges by 2, and so by 2, 4, \.\.\., not by 3"):
        upscale(PIXELS, "srcnn", scale=3)
    assert upscale(PIXELS[:4, :5], scale=8).shape == (32, 40, 3)
