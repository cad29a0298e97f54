"""JPEG quality from the tables in a file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging.jpeg_quality import chroma_in, luma_table, quality_in, quality_of


def _jpeg(picture: Image.Image, **options: object) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return Image.open(file)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_quality_of_libjpeg_is_exact(subsampling: int) -> None:
    picture = Image.fromarray(photograph(16, 16))
    for quality in range(20, 101):
        assert quality_in(_jpeg(picture, quality=quality, subsampling=subsampling)) == quality


def test_quality_of_a_grey_or_progressive_file() -> None:
    grey = Image.fromarray(photograph(16, 16)[..., 0])
    assert [quality_in(_jpeg(grey, quality=quality)) for quality in (20, 61, 95, 100)] == [20, 61, 95, 100]
    assert quality_in(_jpeg(grey, quality=77, progressive=True, optimize=True)) == 77


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95])
def test_other_tables_get_the_nearest_quality(quality: int) -> None:
    noise = np.random.default_rng(quality).uniform(0.8, 1.25, 64)
    table = (luma_table(quality) * noise).round().clip(1, 255).astype(int)
    assert abs(quality_of(table.tolist()) - quality) <= 2
    flat = [round(float(np.exp(np.log(luma_table(quality)).mean())))] * 64  # the same mean step in every place
    picture = _jpeg(Image.fromarray(photograph(16, 16)), qtables=[flat, flat])
    assert abs(quality_in(picture) - quality) <= 3  # type: ignore[operator]


def test_steps_of_one_are_quality_100_and_a_broken_table_is_refused() -> None:
    assert quality_of([1] * 64) == 100
    with pytest.raises(ValueError, match="64 numbers from 1 on"):
        quality_of([16] * 63)
    with pytest.raises(ValueError, match="64 numbers from 1 on"):
        quality_of([0] * 64)


def test_other_formats_have_no_quality() -> None:
    file = io.BytesIO()
    Image.fromarray(photograph(16, 16)).save(file, "WEBP", quality=50)
    assert quality_in(Image.open(file)) is None
    assert chroma_in(Image.open(file)) is None


def test_chroma_subsampling() -> None:
    picture = Image.fromarray(photograph(16, 16))
    assert [chroma_in(_jpeg(picture, subsampling=code)) for code in (0, 1, 2)] == ["4:4:4", "4:2:2", "4:2:0"]
    assert chroma_in(_jpeg(picture.convert("L"))) is None
