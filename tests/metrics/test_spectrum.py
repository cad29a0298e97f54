import math

import numpy as np
import pytest
import torch
from _support.tiny import photograph

from zoomsr.metrics.spectrum import ERROR_FLOOR, band_errors

HR = torch.from_numpy(photograph(48, 63)).permute(2, 0, 1)[:1].double()


def _wave(cycles_per_pixel: float, side: int = 64) -> torch.Tensor:
    return torch.cos(2 * math.pi * cycles_per_pixel * torch.arange(side, dtype=torch.float64)).expand(1, side, side)


@pytest.mark.parametrize(("frequency", "band"), [(0.03, 0), (0.19, 1), (0.31, 2), (0.45, 3)])
def test_an_error_of_one_frequency_falls_into_its_band(frequency: float, band: int) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 64, 64)))
    errors = band_errors(noise + 0.1 * _wave(frequency), noise)
    assert errors.argmax() == band
    others = torch.cat([errors[:band], errors[band + 1 :]])
    assert errors[band] - others.max() > 20


def test_bands_equal_a_full_fourier_transform() -> None:
    sr = HR + torch.from_numpy(np.random.default_rng(1).normal(0, 5, HR.shape))
    height, width = HR.shape[-2:]

    def periodic_hann(n: int) -> np.ndarray:
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)

    window = np.outer(periodic_hann(height), periodic_hann(width))
    power = [np.abs(np.fft.fft2(x[0].numpy() * window)) ** 2 for x in (sr - HR, HR - HR.mean((-2, -1), keepdim=True))]
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij"))
    ring = np.minimum((radius * 8).astype(int), 3)
    expected = [10 * np.log10(power[0][ring == band].sum() / power[1][ring == band].sum()) for band in range(4)]
    np.testing.assert_allclose(band_errors(sr, HR).numpy(), expected, rtol=1e-5)


def test_ten_times_the_error_is_twenty_decibels_more() -> None:
    error = torch.from_numpy(np.random.default_rng(2).normal(size=HR.shape))
    torch.testing.assert_close(band_errors(HR + 10 * error, HR), band_errors(HR + error, HR) + 20)


def test_an_empty_picture_is_zero_decibels_and_no_error_the_floor() -> None:
    centred = HR - HR.mean()
    torch.testing.assert_close(band_errors(torch.zeros_like(HR), centred), torch.zeros(4, dtype=torch.float64))
    assert band_errors(HR, HR).tolist() == [ERROR_FLOOR] * 4


def test_what_is_no_number_stays_none() -> None:
    hr = torch.rand(1, 32, 32)
    assert band_errors(hr * torch.nan, hr).isnan().all()
