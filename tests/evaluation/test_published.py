"""Equality with what others published: benchmark images, original weights, and values computed elsewhere in float64.

``ZOOMSR_BENCHMARKS`` and ``ZOOMSR_PUBLISHED`` name the folders that hold them; without these the tests skip.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoomsr.imaging.resize import resize
from zoomsr.models.ircnn import IRCNNDenoiser
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.vdsr import VDSR
from zoomsr.pretrained.weights import Weights

Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def published() -> Path:
    """The folder with the authors' weights and test_vectors.npz."""
    root = os.environ.get("ZOOMSR_PUBLISHED")
    if root is None or not Path(root, "test_vectors.npz").is_file():
        pytest.skip("ZOOMSR_PUBLISHED names no folder with the authors' weights and test_vectors.npz")
    return Path(root)


@pytest.fixture(scope="module")
def vectors(published: Path) -> dict[str, Tensor]:
    """A 64x72 picture, its exact resamplings (C, H, W) and every net's output on it."""
    with np.load(published / "test_vectors.npz") as arrays:
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return {name: value.permute(2, 0, 1) if value.ndim == 3 else value for name, value in tensors.items()}


def test_resampling_equals_an_independent_one(vectors: dict[str, Tensor]) -> None:
    hr = vectors["hr_rgb_u8"]
    down = vectors["down_u8_clamp"]
    assert torch.equal(resize(hr, (32, 36)), down)
    assert torch.equal(resize(hr, (16, 18)), vectors["down4_u8_clamp"])
    assert torch.equal(resize(down, (64, 72)), vectors["up_u8_clamp"])
    x2, x3 = resize(hr.double(), (32, 36)), resize(hr[:, :63].double(), (21, 24))
    torch.testing.assert_close(x2, vectors["down_f64_clamp"], atol=1e-6, rtol=0)
    torch.testing.assert_close(x3, vectors["down3_f64_clamp"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("net", "file", "vector"),
    [
        (SRCNN(scale=1, channels=1), "srcnn_955_imagenet_x2.pt", "srcnn_955_imagenet_x2_replicate"),
        (SRCNN(scale=1, channels=1, kernels=(9, 1, 5)), "srcnn_915_91_x2.pt", "srcnn_915_91_x2_replicate"),
        (VDSR(scale=1, channels=1), "vdsr_official.pt", "vdsr_official"),
    ],
)
def test_net_with_original_weights_gives_the_same_picture(
    published: Path, vectors: dict[str, Tensor], net: nn.Module, file: str, vector: str
) -> None:
    Weights.read(published / file).load_into(net)
    with torch.no_grad():
        sr = net(vectors["net_in_y"][None, None])[0, 0]
    torch.testing.assert_close(sr, vectors[vector], atol=1e-5, rtol=0)


@pytest.mark.parametrize("number", [0, 5, 12, 24])
def test_denoiser_with_original_weights_finds_the_same_noise(
    published: Path, vectors: dict[str, Tensor], number: int
) -> None:
    denoiser = IRCNNDenoiser(channels=1, batch_norm=False)
    tensors = list(Weights.read(published / "ircnn_gray.pt").tensors.values())
    size = len(denoiser.state_dict())
    own = tensors[number * size : (number + 1) * size]
    denoiser.load_state_dict(dict(zip(denoiser.state_dict(), own, strict=True)))
    noisy = vectors["net_in_y"][None, None]
    with torch.no_grad():
        noise = (noisy - denoiser(noisy))[0, 0]
    torch.testing.assert_close(noise, vectors[f"ircnn_gray_noise_{number}"], atol=1e-5, rtol=0)


# PSNR on Y in dB and SSIM on Y of bicubic x2, by an independent float64 implementation of MATLAB's.
@pytest.mark.parametrize(
    ("name", "protocol", "psnr_y", "ssim_y"),
    [("Set5", "classic", 33.6621, 0.9299), ("Set14", "classic", 30.2335, 0.8687), ("Set5", "modern", 33.6846, 0.9306)],
)
def test_bicubic_on_published_sets(
    evaluate: Evaluate, benchmarks: Path, name: str, protocol: str, psnr_y: float, ssim_y: float
) -> None:
    mean = evaluate(f"data_dir={benchmarks / name}")["sets"][name]["bicubic"][protocol]["mean"]
    assert mean["psnr_y"] == pytest.approx(psnr_y, abs=1e-4)
    assert mean["ssim_y"] == pytest.approx(ssim_y, abs=6e-5)


# PSNR on Y in dB, protocol classic, by an independent implementation; the articles round to the same two digits.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "overrides", "expected"),
    [
        ("srcnn_955_imagenet_x2.pt", ["model=srcnn", "model.channels=1"], {"Set5": 36.6586, "Set14": 32.4516}),
        (
            "srcnn_915_91_x2.pt",
            ["model=srcnn", "model.channels=1", "model.kernels=[9,1,5]"],
            {"Set5": 36.3443, "Set14": 32.1759},
        ),
        ("vdsr_official.pt", ["model=vdsr", "model.channels=1"], {"Set5": 37.5316, "Set14": 33.0679}),
        ("ircnn_gray.pt", ["model=ircnn"], {"Set5": 37.3503}),
    ],
)
def test_original_weights_give_the_papers_numbers(
    evaluate: Evaluate, benchmarks: Path, published: Path, file: str, overrides: list[str], expected: dict[str, float]
) -> None:
    folders = ",".join(str(benchmarks / name) for name in expected)
    sets = evaluate(*overrides, f"ckpt={published / file}", f"data_dir=[{folders}]")["sets"]
    for name, value in expected.items():
        *_, by_protocol = sets[name].values()
        assert by_protocol["classic"]["mean"]["psnr_y"] == pytest.approx(value, abs=0.01)
