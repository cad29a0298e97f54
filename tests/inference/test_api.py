"""``from zoomsr import upscale``."""

from __future__ import annotations

import doctest
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from PIL import Image

from zoomsr import load_model, upscale
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.resize import resize
from zoomsr.inference import api
from zoomsr.inference.upscaler import Upscaler
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights

PIXELS = photograph(20, 30)


def test_a_pil_image_comes_back_as_one_of_its_kind() -> None:
    for mode, expected in {"RGB": "RGB", "L": "L", "RGBA": "RGBA", "P": "RGB"}.items():
        larger = upscale(Image.fromarray(PIXELS).convert(mode), "bicubic")
        assert isinstance(larger, Image.Image)
        assert (larger.mode, larger.size) == (expected, (60, 40))


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_an_array_keeps_its_type_and_channels(shape: tuple[int, ...], dtype: type) -> None:
    white = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    array = (np.random.default_rng(0).random(shape) * white).astype(dtype)
    larger = upscale(array, "bicubic")
    assert larger.dtype == dtype
    assert larger.shape == (40, 60, *shape[2:])


def test_a_tensor_gives_what_resize_gives() -> None:
    batch = torch.rand(2, 3, 9, 11)
    assert torch.allclose(upscale(batch, "bicubic"), resize(batch, (18, 22)), atol=1e-6)
    assert torch.allclose(upscale(batch[0], "bicubic", scale=4), resize(batch[0], (36, 44)), atol=1e-6)
    assert upscale((batch * 255).to(torch.uint8), "bicubic").dtype == torch.uint8


def test_a_box_of_each() -> None:
    whole = upscale(PIXELS, "bicubic")
    crop = upscale(PIXELS, "bicubic", box=(4, 6, 10, 8))
    assert crop.shape == (16, 20, 3)
    assert np.array_equal(crop[6:-6, 6:-6], whole[12:28, 8:28][6:-6, 6:-6])
    assert upscale(Image.fromarray(PIXELS), "bicubic", box=(4, 6, 10, 8)).size == (20, 16)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_tensor_is_computed_in_float32_and_rounded_at_the_end(dtype: torch.dtype) -> None:
    image = torch.rand(3, 9, 11).to(dtype)
    larger = upscale(image, "bicubic")
    assert larger.dtype == dtype
    assert torch.equal(larger, upscale(image.float(), "bicubic").to(dtype))


@pytest.mark.parametrize("dtype", [">u2", ">f4", ">f8"])
def test_the_byte_order_changes_no_value(dtype: str) -> None:
    array = PIXELS.astype(dtype) if dtype == ">u2" else (PIXELS / 255).astype(dtype)
    larger = upscale(array, "bicubic")
    assert larger.dtype == np.dtype(dtype)
    assert np.array_equal(larger, upscale(array.astype(array.dtype.newbyteorder("=")), "bicubic"))


def test_views_and_whole_floats_in_a_box_are_taken_as_they_are() -> None:
    flipped = PIXELS[::-1, ::-1]
    assert np.array_equal(upscale(flipped, "bicubic"), upscale(flipped.copy(), "bicubic"))
    assert np.array_equal(upscale(PIXELS, "bicubic", box=(4.0, 6, 10, 8)), upscale(PIXELS[6:14, 4:14], "bicubic"))


def test_a_net_that_was_trained_anew_is_opened_anew(tmp_path: Path) -> None:
    path, config = tmp_path / "net.safetensors", {"_target_": "zoomsr.models.srcnn.SRCNN", "widths": [6, 5]}
    results = []
    for number in range(2):
        torch.manual_seed(number)
        net = SRCNN(widths=[6, 5])
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.1)  # untrained it is bicubic
        Weights(path, net.state_dict(), config).save(path)
        os.utime(path, (number, number))
        results.append(upscale(PIXELS, path))
        assert np.array_equal(results[-1], Upscaler.open(str(path)).upscale(Photograph(PIXELS)).pixels)
    assert not np.array_equal(*results)


def test_mistakes_are_named() -> None:
    for box in ((0, 0, 4.5, 4), (0, 0, 4), (0, 0, float("nan"), 4)):
        with pytest.raises(ValueError, match="four whole numbers of pixels"):
            upscale(PIXELS, "bicubic", box=box)  # type: ignore[arg-type]
    for image, words in (
        (np.zeros((0, 2, 3), np.uint8), "2x0 pixels cannot be enlarged"),
        (Image.new("RGB", (0, 3)), "0x3 pixels cannot be enlarged"),
        (torch.zeros(0, 3, 2, 2), "is no picture"),
        (torch.zeros(2, 2), "is no picture"),
        (torch.zeros(2, 2, 2, dtype=torch.bool), "bool have no fixed white"),
        (np.zeros((2, 2), np.complex64), "complex64 have no fixed white"),
        (np.zeros((2, 2, 7)), "of shape"),
        (np.zeros((2, 2), np.int64), "int64 have no fixed white"),
        ("photo.png", "cannot upscale a str"),
    ):
        with pytest.raises(ValueError, match=words):
            upscale(image, "bicubic")  # type: ignore[type-var]
    with pytest.raises(ValueError, match=r"no weights of unett|no net is called unett"):
        upscale(PIXELS, "unett")


def test_the_example_in_the_docstring_is_right() -> None:
    assert doctest.testmod(api) == (0, 5)


def test_a_model_is_loaded_as_a_module(tmp_path: Path) -> None:
    path, net = tmp_path / "net.safetensors", SRCNN(widths=[6, 5])
    torch.nn.init.normal_(net.reconstruction.weight)
    Weights(path, net.state_dict(), {"_target_": "zoomsr.models.srcnn.SRCNN", "widths": [6, 5]}).save(path)
    lr = torch.rand(1, 3, 8, 9)
    for model in (path, str(path)):
        loaded = load_model(model, device="cpu")
        assert (loaded.training, loaded.scale) == (False, 2)
        assert torch.equal(loaded(lr), net(lr))
    torch.testing.assert_close(load_model("bicubic", device="cpu")(lr), resize(lr, (16, 18)), atol=1e-6, rtol=0)
    assert isinstance(load_model(device="cpu"), ResidualUNet)
    with pytest.raises(ValueError, match="no net is called unett"):
        load_model("unett")
