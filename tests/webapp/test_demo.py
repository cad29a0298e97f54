"""What the page does, without the page; and its command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.resize import Upscale, downscale
from zoomsr.inference.certificate import detail_map, reshrink_error
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import measure
from zoomsr.models.back_projection import STEPS, BackProjection
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.directories import lock, locks_end
from zoomsr.runs.layout import LOCK
from zoomsr.webapp import opened as page_photograph
from zoomsr.webapp import steps as page_steps
from zoomsr.webapp.opened import SCALES, opened
from zoomsr.webapp.results import View, data_address, found, numbers, side_by_side, under_slider
from zoomsr.webapp.steps import Nets, Score, Upscaled, at_click, framed, snapped, upscaled


def _saved(path: Path, height: int, width: int) -> Path:
    Image.fromarray(photograph(height, width)).save(path)
    return path


@pytest.mark.parametrize(
    ("corner", "box"),
    [
        ((100.4, 80.0), (100, 80, 256, 256)),
        ((-50, -1), (0, 0, 256, 256)),
        ((1e6, 1e6), (744, 344, 256, 256)),
    ],
)
def test_an_area_snaps_into_the_picture(corner: tuple[float, float], box: tuple[int, ...]) -> None:
    assert snapped(*corner, size=(600, 1000), side=256) == box


def test_an_area_of_a_small_picture_is_all_of_it() -> None:
    assert snapped(30, 30, size=(20, 300), side=256) == (30, 0, 256, 20)


def test_an_area_to_be_tested_lies_on_the_grid_of_the_smaller_picture() -> None:
    assert snapped(999, 333, size=(601, 1001), side=512, grid=2) == (488, 88, 512, 512)


def test_a_click_on_the_preview_is_a_place_in_the_photograph(tmp_path: Path) -> None:
    photo = opened(_saved(tmp_path / "wide.png", 128, 4096))
    assert photo.preview.shape == (32, 1024, 3)
    assert at_click(photo, 0, 0) == (2, 2)
    assert at_click(photo, 1023, 31) == (4094, 126)


def test_the_area_is_framed_and_its_surroundings_are_darker(tmp_path: Path) -> None:
    photo = opened(_saved(tmp_path / "a.png", 400, 600))
    shown = framed(photo, CropBox(100, 50, 256, 256))
    assert np.array_equal(shown[52:304, 102:354], photo.preview[52:304, 102:354])
    assert (shown[50, 100:356] == (57, 211, 83)).all()
    assert (shown[:, :99] <= photo.preview[:, :99]).all()
    assert np.array_equal(framed(photo, CropBox(0, 0, 600, 400)).shape, (400, 600, 3))


def test_grey_deep_and_turned_photographs_can_be_aimed_at(tmp_path: Path) -> None:
    grey = (photograph(30, 40).astype(np.uint16) * 257)[..., :1]
    Photograph(grey).write(tmp_path / "grey.png")
    assert np.array_equal(opened(tmp_path / "grey.png").preview, photograph(30, 40)[..., :1].repeat(3, 2))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(photograph(30, 40)).save(tmp_path / "turned.jpg", exif=turned)
    assert opened(tmp_path / "turned.jpg").size == (40, 30)


def test_what_is_no_photograph_is_named_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "half.png").write_bytes(_saved(tmp_path / "a.png", 100, 100).read_bytes()[:9000])
    Image.new("1", (10_000, 4_001)).save(tmp_path / "large.png")
    with (tmp_path / "heavy.png").open("wb") as file:
        file.truncate(page_photograph.MAX_BYTES + 1)
    for name, words in {
        "text.png": "text.png is not an image",
        "half.png": "half.png is damaged or truncated",
        "large.png": "large.png has 41 megapixels, and 40 are the most here",
        "heavy.png": "heavy.png has more than 100 MB",
    }.items():
        with pytest.raises(ValueError, match=f"^{words}"):
            opened(tmp_path / name)


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (10_000, 5_000)).save(tmp_path / "large.png")
    monkeypatch.setattr(Photograph, "read", lambda path: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="50 megapixels"):
        opened(tmp_path / "large.png")


def test_a_photograph_that_is_gone(tmp_path: Path) -> None:
    photo = opened(_saved(tmp_path / "a.png", 40, 50))
    photo.path.unlink()
    with pytest.raises(ValueError, match=r"^a\.png is not kept any more: drop it again"):
        photo.read()


def test_what_is_found_in_a_file_stands_in_one_line_each(tmp_path: Path) -> None:
    Image.fromarray(photograph(64, 96)).save(tmp_path / "<i>a.jpg", quality=75)
    photo = opened(tmp_path / "<i>a.jpg")
    assert (photo.findings.header.jpeg_quality, photo.findings.header.chroma) == (75, "4:2:0")
    text = found(photo)
    assert "&lt;i&gt;a.jpg</b>: 96x64 pixels" in text
    assert "<li>8 bit RGB</li><li>no profile</li><li>JPEG quality 75, 4:2:0</li><li>noise" in text


def test_crops_of_a_photograph_that_is_shrunk_first_are_in_the_pixels_that_are_left(tmp_path: Path) -> None:
    photo = opened(_saved(tmp_path / "a.png", 40, 61)).shrunk_by(2.5)
    assert photo.size == (16, 24)
    pixels = photograph(40, 61)
    assert np.array_equal(photo.read().pixels, Photograph(pixels).resized((16, 24)).pixels)
    assert at_click(photo, 60, 39) == (60.5 * 24 / 61, 39.5 * 16 / 40)
    shown = framed(photo, CropBox(8, 4, 8, 8))
    assert (shown[10, 20:41] == (57, 211, 83)).all()
    assert np.array_equal(photo.shrunk_by(1).read().pixels, pixels)


def test_an_enlargement_is_held_against_the_crop(weights: Path) -> None:
    nets, area = Nets([], device="cpu"), Photograph(photograph(20, 30))
    for scale in (2, 4):
        result = upscaled(area, nets.open("srcnn", scale), scale)
        pixels = result.photograph.pixels
        assert result.error == reshrink_error(area.pixels, pixels, scale=2, passes=scale // 2)
        assert np.array_equal(result.added, detail_map(area.pixels, pixels, factor=scale))
        assert result.added.shape == (20 * scale, 30 * scale, 3)
        assert result.added.max() > 10  # the net does something
    assert result.params == sum(parameter.numel() for parameter in SRCNN(widths=[6, 5]).parameters())
    assert result.seconds > 0
    bicubic = upscaled(area, nets.open("bicubic", 2), 2)
    assert (bicubic.params, bicubic.added, bicubic.error) == (0, None, None)


def test_bicubic_is_always_on_offer_and_first(weights: Path, tmp_path: Path) -> None:
    assert Nets([], device="cpu").names == ["bicubic", "srcnn"]
    file = (weights / "srcnn.safetensors").rename(tmp_path / "mine.safetensors")
    nets = Nets([str(file)], device="cpu")
    assert nets.names == ["bicubic", "mine"]
    assert nets.open("mine", 2) is nets.open("mine", 2)
    with pytest.raises(ValueError, match="no net is called vdsr; there are: bicubic, mine"):
        nets.open("vdsr", 2)


def test_a_net_for_jpegs_is_told_the_quality_and_helped_to_other_scales() -> None:
    nets, area = Nets([], device="cpu"), Photograph(photograph(20, 30))
    told, clean = nets.open("unet_photo", 2, quality=40), nets.open("unet_photo", 2)
    assert (told.quality, clean.quality, told.restorer) == (40, 100, None)
    assert nets.open("unet_photo", 2, quality=40) is told
    helped = nets.open("unet_photo", 3, quality=40)
    assert (helped.name, helped.net.scale, helped.restorer) == ("unet_photo + unet", 3, told)
    result = upscaled(area, helped, 3)
    expected = nets.open("unet", 3).upscale(told.upscale(area).resized((20, 30))).pixels
    assert np.array_equal(result.photograph.pixels, expected)
    assert result.params == sum(upscaled(area, one, one.net.scale).params for one in (told, nets.open("unet", 3)))


def test_strength_mixes_bicubic_and_the_net() -> None:
    nets, area = Nets([], device="cpu"), Photograph(photograph(20, 30))
    none, half, full = (nets.open("unet", 2, strength=one).upscale(area).pixels.astype(int) for one in (0, 0.5, 1))
    assert np.array_equal(full, nets.open("unet", 2).upscale(area).pixels)
    assert np.abs(full - none).max() > 4
    assert np.abs(half - (none + full) / 2).max() <= 2  # each is rounded, and cut off at black and white


def test_two_files_of_one_name_are_told_apart(weights: Path, tmp_path: Path) -> None:
    copies = [tmp_path / run / "best.safetensors" for run in ("one", "two")]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes((weights / "srcnn.safetensors").read_bytes())
    nets = Nets([str(copy) for copy in copies], device="cpu")
    assert nets.names == ["bicubic", "srcnn", *map(str, copies)]
    assert nets.chosen == ["bicubic", *map(str, copies)]  # other pretrained nets than the U-Net have to be asked for


@pytest.mark.parametrize("scale", SCALES)
def test_each_pretrained_net_is_listed_once_and_run_at_the_scale(unets: Mapping[int, nn.Module], scale: int) -> None:
    nets = Nets([], device="cpu")
    assert nets.names == ["bicubic", "srcnn", "unet"]
    assert nets.chosen == ["bicubic", "unet"]
    area = photograph(20, 30)
    found = upscaled(Photograph(area), nets.open("unet", scale), scale)
    lr = torch.from_numpy(area).permute(2, 0, 1)[None] / 255
    net = BackProjection(unets[scale], steps=STEPS)
    expected = net(lr.contiguous(memory_format=torch.channels_last))[0].clamp(0, 1) * 255
    assert (found.name, found.photograph.size) == ("unet", (20 * scale, 30 * scale))
    assert np.abs(found.photograph.pixels - expected.permute(1, 2, 0).numpy()).max() < 0.51
    bicubic = upscaled(Photograph(area), nets.open("bicubic", scale), scale).photograph.pixels
    assert np.abs(bicubic - Upscale(scale)(lr)[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255).max() < 0.51
    assert page_steps.nearest(Photograph(area), scale).size == (20 * scale, 30 * scale)


def test_a_net_is_offered_at_the_scales_that_it_reaches(
    unets: Mapping[int, nn.Module], weights: Path, tmp_path: Path
) -> None:
    three = (weights / "unet_x3.safetensors").rename(tmp_path / "three.safetensors")
    nets = Nets([str(three)], device="cpu")
    assert nets.open("three", 3).net.scale == 3
    assert nets.open("srcnn", 4).passes(4) == 2
    for name, scale, own in (("three", 4, 3), ("srcnn", 3, 2), ("unet", 3, 2)):  # unet_x3 was moved away
        with pytest.raises(ValueError, match=f"{name} enlarges by {own}, and so by {own}, .*, not by {scale}"):
            nets.open(name, scale)
    five = tmp_path / "five.safetensors"
    config = {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": 5, "widths": [6, 5]}
    Weights(five, SRCNN(scale=5, widths=[6, 5]).state_dict(), config).save(five)
    with pytest.raises(ValueError, match="five enlarges by 5, and the page by 2, 3, 4"):
        Nets([str(five)], device="cpu")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("corner", [(0, 0), (24, 12), (28, 20)])
@pytest.mark.parametrize("channels", [1, 3])
def test_lr_of_an_area_is_the_area_of_lr(corner: tuple[int, int], scale: int, channels: int) -> None:
    pixels = photograph(57, 65)[..., :channels]
    box = CropBox(*(value - value % scale for value in corner), 36, 36)
    lr, hr = page_steps.with_ground_truth(Photograph(pixels), box, scale)
    even = pixels[: 57 - 57 % scale, : 65 - 65 % scale].transpose(2, 0, 1).copy()
    whole = downscale(torch.from_numpy(even), scale).permute(1, 2, 0).numpy()
    left, top, side = box.left // scale, box.top // scale, 36 // scale
    assert np.array_equal(lr.pixels, whole[top : top + side, left : left + side])
    assert np.array_equal(hr.pixels, pixels[box.top : box.top + 36, box.left : box.left + 36])


def test_the_score_is_that_of_protocol_modern() -> None:
    sr, hr = photograph(40, 40), photograph(40, 40, seed=1)
    planes = [torch.from_numpy(one.transpose(2, 0, 1).copy()) / 255 for one in (sr, hr)]
    values = measure(*planes, protocol=MODERN, border=2)
    assert page_steps.score(Photograph(sr), Photograph(hr), 2) == Score(float(values[2]), float(values[4]))
    deep = Photograph(sr.astype(np.uint16) * 257)
    assert page_steps.score(deep, Photograph(hr), 2) == page_steps.score(Photograph(sr), Photograph(hr), 2)


def test_the_error_map_is_black_without_error_and_brightest_above_its_range() -> None:
    hr = np.zeros((2, 2, 3), np.uint8)
    sr = hr.copy()
    sr[0, 0] = 255
    sr[0, 1] = 51  # the range is 0.2, which is 51/255
    sr[1, 0] = (51, 51, 51 // 2)
    shown = page_steps.error_map(Photograph(sr), Photograph(hr))
    assert [tuple(shown[place]) for place in ((0, 0), (0, 1), (1, 1))] == [(252, 253, 191), (252, 253, 191), (0, 0, 4)]
    assert 0 < shown[1, 0].sum() < shown[0, 1].sum()


def test_names_cannot_write_html() -> None:
    area = Photograph(photograph(4, 4))
    evil = View("<script>x</script>", data_address(area.picture()), 4, 4, "<b>")
    result = Upscaled("<i>", area, 0.1, 0)
    for text in (under_slider(evil, evil), side_by_side([evil]), numbers([result], [], 2)):
        assert not {"<script>", "<i>", "<b></"} & set(text.split("&"))
        assert "<script" not in text
        assert "<i>" not in text


def test_numbers_have_their_protocol() -> None:
    result = Upscaled("unet", Photograph(photograph(4, 4)), 0.126, 1_234_567)
    text = numbers([result], [Score(31.416, 0.93757)], 3)
    for cell in ("unet", "0.13", "1,234,567", "31.42", "0.9376", "Protocol modern", "3 pixels shaved"):
        assert cell in text
    assert "dB" not in numbers([result], [], 2)


def test_left_overs_of_a_killed_server_are_removed_and_those_of_a_living_one_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("zoomsr-demo-killed", "zoomsr-demo-living", "zoomsr-demo-starting", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").touch()
    (tmp_path / "zoomsr-demo-killed" / LOCK).touch()
    (tmp_path / "zoomsr-demo-link").symlink_to(tmp_path / "zoomsr-demo-killed")
    with locks_end():
        lock(tmp_path / "zoomsr-demo-living")
        # By another process, as a lock that is held here already is given again.
        code = "from zoomsr.demo import _remove_left_overs as remove; remove()"
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=True)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"zoomsr-demo-living", "zoomsr-demo-starting", "zoomsr-demo-link", "other"}


def test_a_mistake_on_the_command_line_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio", reason="the page is an extra: pip install zoomsr[demo]")
    from zoomsr.demo import app

    for arguments, words in {
        ("--model", str(tmp_path / "none.ckpt")): "there is no file",
        ("--device", "cuda:77"): "device=cuda:77 cannot be used here",
    }.items():
        result = CliRunner().invoke(app, list(arguments))
        text = result.output + "".join(capsys.readouterr())
        assert result.exit_code == 1
        assert f"error: {words}" in text
        assert "Traceback" not in text


def test_without_gradio_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from zoomsr import demo

    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(demo.app, [])
    assert result.exit_code == 1
    assert "pip install zoomsr[demo]" in result.output + "".join(capsys.readouterr())
