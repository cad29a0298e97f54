"""Bicubic upscaling as a net: the first row of every table."""

from __future__ import annotations

from torch import Tensor, nn

from zoomsr.imaging.resize import UP_TAPS, Upscale


class Bicubic(nn.Module):
    """MATLAB's ``imresize`` to ``scale`` times the size. It has no parameters."""

    multiple_of = 1
    channels = 1  # the same for each channel, so also for luma
    halo = UP_TAPS

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale
        self.upscale = Upscale(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W)."""
        sr: Tensor = self.upscale(lr)
        return sr
