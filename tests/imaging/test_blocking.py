"""Traces of a JPEG in pixels that are none now."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import skimage
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging.blocking import JpegTrace, jpeg_trace
from zoomsr.imaging.sampling import luma_samples


def _trace(pixels: np.ndarray) -> JpegTrace | None:
    return jpeg_trace(luma_samples(pixels if pixels.ndim == 3 else pixels[..., None]))


def _after_jpeg(pixels: np.ndarray, *, quality: int, subsampling: int = 2) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("quality", [20, 30, 50, 75, 85, 92, 95])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_grid_and_quality_of_a_former_jpeg(quality: int, subsampling: int) -> None:
    pixels = _after_jpeg(photograph(64, 64), quality=quality, subsampling=subsampling)
    found = _trace(pixels)
    assert found is not None
    assert (found.row, found.column) == (0, 0)
    assert found.quality is not None
    assert abs(found.quality - quality) <= 2


def test_grid_of_a_cropped_one_and_of_a_grey_one() -> None:
    pixels = _after_jpeg(photograph(72, 72), quality=80)
    assert _trace(pixels[3:, 5:]) == JpegTrace(5, 3, 80)
    grey = _after_jpeg(photograph(72, 72)[..., 0], quality=60, subsampling=0)
    assert _trace(grey[1:]) == JpegTrace(7, 0, 60)


def test_a_table_that_is_not_of_libjpeg_has_a_grid_without_quality() -> None:
    file = io.BytesIO()
    steps = (np.random.default_rng(0).permutation(64) // 2 + 9).tolist()
    Image.fromarray(photograph(64, 64)).save(file, "JPEG", qtables=[steps, steps])
    assert _trace(np.asarray(Image.open(file))) == JpegTrace(0, 0, None)


def test_quality_100_leaves_no_trace() -> None:
    assert _trace(_after_jpeg(photograph(64, 64), quality=100)) is None


@pytest.mark.parametrize("name", ["astronaut", "coffee", "motorcycle_left"])
def test_photographs_that_were_no_jpeg_are_not_accused(name: str) -> None:
    pixels = np.asarray(Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png").convert("RGB"))
    assert _trace(pixels[:256, :256]) is None


def test_made_pictures_are_not_accused() -> None:
    y, x = np.mgrid[:96, :96]
    rng = np.random.default_rng(0)
    made = {
        "noise": rng.integers(0, 256, (96, 96)),
        "fine noise": 128 + rng.normal(0, 2, (96, 96)).round(),
        "gradient": x * 2,
        "step every 8": x // 8 * 20,
        "diagonal": (x + y) / 16,
        "oblique": x * 0.37 + y * 0.21,
        "rings": np.hypot(x - 48, y - 48),
        "flat": np.full((96, 96), 9),
        "photograph": photograph(96, 96)[..., 1],
        "enlarged twice": Image.fromarray(photograph(48, 48)[..., 0]).resize((96, 96), Image.Resampling.BICUBIC),
    }
    for name, pixels in made.items():
        assert _trace(np.asarray(pixels).astype(np.uint8)) is None, name


def test_pixels_too_small_for_a_block_have_no_trace() -> None:
    assert _trace(photograph(1, 1)) is None
    assert _trace(photograph(14, 200)) is None
