"""Where the spectrum of a photograph ends."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging.real_resolution import enlarged_by
from zoomsr.imaging.sampling import luma_samples

RESAMPLING = Image.Resampling


def _factor(picture: Image.Image) -> float:
    return enlarged_by(luma_samples(np.asarray(picture.convert("RGB"))))


def _enlarged(factor: float, kernel: Image.Resampling) -> Image.Image:
    side = round(128 / factor)
    return Image.fromarray(photograph(side, side)).resize((128, 128), kernel)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sharp_picture_has_factor_1(seed: int) -> None:
    assert _factor(Image.fromarray(photograph(128, 128, seed=seed))) == 1


@pytest.mark.parametrize("factor", [2, 3])
def test_a_bicubic_enlargement_has_its_factor(factor: float) -> None:
    assert _factor(_enlarged(factor, RESAMPLING.BICUBIC)) == pytest.approx(factor, abs=0.15 * factor)


@pytest.mark.parametrize("kernel", [RESAMPLING.BILINEAR, RESAMPLING.LANCZOS])
def test_other_kernels_have_one_near_it(kernel: Image.Resampling) -> None:
    assert 1.5 <= _factor(_enlarged(2, kernel)) <= 2.8


def test_one_sharp_part_is_enough() -> None:
    soft = np.asarray(_enlarged(2, RESAMPLING.BICUBIC).resize((256, 256), RESAMPLING.BICUBIC))
    half_sharp = soft.copy()
    half_sharp[:128] = photograph(128, 256)
    assert _factor(Image.fromarray(soft)) >= 3
    assert _factor(Image.fromarray(half_sharp)) == 1


def test_small_and_flat_pictures_say_nothing() -> None:
    assert math.isnan(_factor(Image.fromarray(photograph(60, 200))))
    assert math.isnan(_factor(Image.new("RGB", (200, 200), (90, 90, 90))))


@pytest.mark.parametrize("name", ["img_001", "img_003", "img_005"])
def test_published_photographs(benchmarks: Path, name: str) -> None:
    with Image.open(next(Path(benchmarks, "Set5", "HR").glob(f"{name}.*"))) as opened:
        picture = opened.convert("RGB")
    assert _factor(picture) == 1
    half = picture.crop((0, 0, 128, 128))
    assert _factor(half.resize((256, 256), RESAMPLING.BICUBIC)) == pytest.approx(2, abs=0.3)
