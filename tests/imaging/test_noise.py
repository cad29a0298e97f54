"""Noise level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from _support.tiny import photograph

from zoomsr.imaging.noise import noise_sigma
from zoomsr.imaging.sampling import luma_samples


def _scene() -> np.ndarray:
    """Shading, two sharp edges and a patch of fine texture, (64, 64) on [0, 255], without noise."""
    y, x = np.mgrid[:64, :64]
    shading = 110 + 30 * np.sin(x / 12 + y / 16) + 40 * (x + 0.6 * y > 50)
    return shading + 25 * ((x * 7 + y * 5) % 11 > 5) * (x > 40) * (y > 40)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0, 10.0, 20.0])
def test_sigma_of_added_noise_within_a_fifth(sigma: float) -> None:
    noisy = _scene() + np.random.default_rng(0).normal(0, sigma, (64, 64))
    pixels = noisy.clip(0, 255).round().astype(np.uint8)[..., None]
    assert noise_sigma(luma_samples(pixels)) == pytest.approx(sigma, rel=0.2)


def test_a_noiseless_scene_has_little() -> None:
    assert noise_sigma(luma_samples(_scene().round().astype(np.uint8)[..., None])) < 0.5
    assert noise_sigma(luma_samples(np.full((64, 64, 3), 90, np.uint8))) == pytest.approx(0, abs=0.1)


def test_sixteen_bits_are_told_in_levels_of_255() -> None:
    noisy = _scene() + np.random.default_rng(0).normal(0, 4, (64, 64))
    deep = (noisy * 257).round().astype(np.uint16)[..., None]
    assert noise_sigma(luma_samples(deep)) == pytest.approx(4, rel=0.1)


def test_colour_noise_is_measured_in_luma() -> None:
    rng = np.random.default_rng(0)
    noisy = (_scene()[..., None] + rng.normal(0, 10, (64, 64, 3))).clip(0, 255).round().astype(np.uint8)
    assert noise_sigma(luma_samples(noisy)) == pytest.approx(10 * math.hypot(0.299, 0.587, 0.114), rel=0.2)


def test_two_pixels_say_nothing() -> None:
    assert math.isnan(noise_sigma(luma_samples(photograph(2, 40))))
