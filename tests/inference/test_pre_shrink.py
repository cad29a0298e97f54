"""``zoomsr.zoom --pre-shrink``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from _support.commands import said_by
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import Image

from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.resize import resize


@pytest.fixture
def soft(tmp_path: Path) -> np.ndarray:
    """``soft.png``, a picture of 60x64 enlarged to 120x128; its pixels before."""
    Image.fromarray(photograph(60, 64)).resize((128, 120), Image.Resampling.BICUBIC).save(tmp_path / "soft.png")
    return photograph(60, 64)


def _pixels(path: Path) -> np.ndarray:
    return Photograph.read(path).pixels


def test_auto_undoes_an_enlargement(zoom: Zoom, soft: np.ndarray, tmp_path: Path) -> None:
    said = zoom("soft.png", "-m", "bicubic", "--scale", "1", "--pre-shrink", "auto", "-o", "small.png")
    assert "shrunk by 2 first, to 64x60" in said
    assert np.abs(_pixels(tmp_path / "small.png").astype(int) - soft).mean() < 3


@pytest.mark.usefixtures("soft")
def test_a_factor_is_taken_as_it_is(zoom: Zoom, tmp_path: Path) -> None:
    assert "bicubic large.png 160x150" in zoom("soft.png", "-m", "bicubic", "--pre-shrink", "1.6", "-o", "large.png")
    zoom("soft.png", "-m", "bicubic", "--scale", "1", "--pre-shrink", "1.6", "-o", "small.png")
    floats = torch.from_numpy(_pixels(tmp_path / "soft.png")).permute(2, 0, 1).float()
    expected = resize(floats, (75, 80)).clamp(0, 255).add(0.5).floor().permute(1, 2, 0).numpy()
    assert np.abs(_pixels(tmp_path / "small.png") - expected).max() <= 1


@pytest.mark.usefixtures("soft")
def test_the_disk_needs_room_for_the_shrunk_one_alone(zoom: Zoom) -> None:
    zoom("soft.png", "-m", "bicubic", "--width", "1", "-o", "other.png")
    said = zoom("soft.png", "other.png", "-m", "bicubic", "--pre-shrink", "4", "-o", "large/")
    needed = round((2 * 32 * 2 * 30 + 2 * 2) * 1.8)
    assert f"disk about {needed / 1000:.1f} kB needed" in said


@pytest.mark.usefixtures("soft")
def test_a_crop_is_shrunk_and_inspect_counts_from_there(zoom: Zoom) -> None:
    arguments = ("soft.png", "-m", "bicubic", "--box", "0,0,40,30", "--pre-shrink", "2")
    assert "40x30 by bicubic, x2" in zoom(*arguments, "--inspect")
    assert "40x30" in zoom(*arguments, "-o", "crop.png")


def test_a_sharp_one_stays_as_it_is(zoom: Zoom, tmp_path: Path) -> None:
    Image.fromarray(photograph(128, 128)).save(tmp_path / "sharp.png")
    assert "256x256" in zoom("sharp.png", "-m", "bicubic", "--pre-shrink", "auto", "-o", "auto.png")
    zoom("sharp.png", "-m", "bicubic", "-o", "plain.png")
    assert np.array_equal(_pixels(tmp_path / "auto.png"), _pixels(tmp_path / "plain.png"))


@pytest.mark.parametrize("text", ["0.5", "half", "nan", "inf", "-2"])
def test_what_is_no_factor_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from zoomsr.zoom import app

    said = said_by(app, ["a.png", f"--pre-shrink={text}"], capsys, code=1)
    assert f"error: --pre-shrink {text} is neither auto nor a number from 1 on" in " ".join(said.split())
