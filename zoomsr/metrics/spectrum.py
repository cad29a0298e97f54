"""Error by spatial frequency.

Bands are rings of spatial frequency from 0 to 1/2 cycles per pixel, the last one with the corners beyond. At x2 the
upper half of the bands lies above the Nyquist frequency of lr.
"""

from __future__ import annotations

import torch
from torch import Tensor

N_BANDS = 4
ERROR_FLOOR = -100.0
"""dB. The logarithm of an error of 0 is clipped here."""


def band_errors(sr: Tensor, hr: Tensor, *, n_bands: int = N_BANDS) -> Tensor:
    """Error energy in each band, as a share of hr's energy there: ``10 log10(sum |F(sr - hr)|^2 / sum |F(hr)|^2)``.

    F is the 2-D Fourier transform under a Hann window, so that the borders do not leak into every band; the mean of hr
    is taken away first. 0 dB is the error of an empty image.

    Args:
        sr: (..., C, H, W), any range.
        hr: the same.
        n_bands: rings of equal width.

    Returns:
        (..., n_bands) float64, in dB, lowest frequencies first; between ``ERROR_FLOOR`` and ``-ERROR_FLOOR``.
    """
    y = torch.fft.fftfreq(hr.shape[-2], device=hr.device)[:, None]
    x = torch.fft.rfftfreq(hr.shape[-1], device=hr.device)[None]
    radius = torch.sqrt(y**2 + x**2)
    ring = (radius * 2 * n_bands).long().clamp(max=n_bands - 1).flatten()  # of each coefficient of rfft2
    error = _energy(sr - hr, ring, n_bands)
    signal = _energy(hr - hr.mean((-2, -1), keepdim=True), ring, n_bands)
    decibels = 10 * torch.log10(error / signal).clamp(ERROR_FLOOR / 10, -ERROR_FLOOR / 10)
    return torch.where(error == 0, ERROR_FLOOR, decibels)  # 0 / 0 too; NaN stays NaN


def _energy(image: Tensor, ring: Tensor, n_bands: int) -> Tensor:
    height, width = image.shape[-2:]
    window = torch.hann_window(height, dtype=image.dtype, device=image.device)[:, None]
    window = window * torch.hann_window(width, dtype=image.dtype, device=image.device)
    power = torch.fft.rfft2(image * window).abs().square().double()
    # rfft2 leaves out the negative half of the columns, which holds the same energy.
    column = torch.arange(power.shape[-1], device=image.device)
    twice = torch.where((column == 0) | (2 * column == width), 1.0, 2.0)
    total = (power * twice).sum(-3).flatten(-2)
    bands = torch.zeros(*total.shape[:-1], n_bands, dtype=power.dtype, device=image.device)
    return bands.index_add_(-1, ring, total)
