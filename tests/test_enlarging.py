"""``from zoomsr import enlarge``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import photograph
from PIL import Image

from zoomsr import enlarge
from zoomsr.resize import resize

PIXELS = photograph(20, 30)


def test_a_pil_image_comes_back_as_one_of_its_kind() -> None:
    for mode, expected in {"RGB": "RGB", "L": "L", "RGBA": "RGBA", "P": "RGB"}.items():
        larger = enlarge(Image.fromarray(PIXELS).convert(mode), "bicubic")
        assert isinstance(larger, Image.Image)
        assert (larger.mode, larger.size) == (expected, (60, 40))


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_an_array_keeps_its_type_and_channels(shape: tuple[int, ...], dtype: type) -> None:
    white = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    array = (np.random.default_rng(0).random(shape) * white).astype(dtype)
    larger = enlarge(array, "bicubic")
    assert larger.dtype == dtype
    assert larger.shape == (40, 60, *shape[2:])


def test_a_tensor_gives_what_resize_gives() -> None:
    batch = torch.rand(2, 3, 9, 11)
    assert torch.allclose(enlarge(batch, "bicubic"), resize(batch, (18, 22)), atol=1e-6)
    assert torch.allclose(
        enlarge(batch[0], "bicubic", scale=4), resize(resize(batch[0], (18, 22)), (36, 44)), atol=1e-6
    )
    assert enlarge((batch * 255).to(torch.uint8), "bicubic").dtype == torch.uint8


def test_a_box_of_each() -> None:
    whole = enlarge(PIXELS, "bicubic")
    area = enlarge(PIXELS, "bicubic", box=(4, 6, 10, 8))
    assert area.shape == (16, 20, 3)
    assert np.array_equal(area[6:-6, 6:-6], whole[12:28, 8:28][6:-6, 6:-6])
    assert enlarge(Image.fromarray(PIXELS), "bicubic", box=(4, 6, 10, 8)).size == (20, 16)


def test_mistakes_are_named() -> None:
    for image, words in (
        (np.zeros((2, 2, 7)), "of shape"),
        (np.zeros((2, 2), np.int64), "int64 have no fixed white"),
        ("photo.png", "cannot enlarge a str"),
    ):
        with pytest.raises(ValueError, match=words):
            enlarge(image, "bicubic")  # type: ignore[type-var]
    with pytest.raises(ValueError, match=r"no weights of unett|no net is called unett"):
        enlarge(PIXELS, "unett")
