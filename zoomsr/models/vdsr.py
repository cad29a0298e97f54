"""VDSR, the net that made super-resolution deep by learning the residual over bicubic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoomsr.imaging.resize import UP_TAPS, Upscale
from zoomsr.models.luminance import enhance


class VDSR(nn.Module):
    """Kim, Lee & Lee, "Accurate Image Super-Resolution Using Very Deep Convolutional Networks", CVPR 2016,
    arXiv:1511.04587.

    ::

        lr -> bicubic -+-> [conv 3x3 -> ReLU] x (depth - 1) -> conv 3x3 -> (+) -> sr
                       +------------------------------------------------->

    Zero padding and biases as published. He initialisation as in the article.

    Args:
        scale: enlargement factor.
        channels: 3 for RGB, 1 for luma with bicubic chroma, as published.
        width: feature maps.
        depth: number of convolutions, at least 2.
    """

    multiple_of = 1

    def __init__(self, *, scale: int = 2, channels: int = 3, width: int = 64, depth: int = 20) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"VDSR has at least 2 layers, not {depth}")
        self.scale = scale
        self.channels = channels
        self.halo = -(-depth // scale) + UP_TAPS
        self.upscale = Upscale(scale)
        body: list[nn.Module] = []
        for inputs in [channels] + [width] * (depth - 2):
            body += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*body)
        self.residual = nn.Conv2d(width, channels, 3, padding=1)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            else:
                nn.init.zeros_(parameter)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3, scale H, scale W); (N, 1, H, W) is taken as Y where ``channels`` is 1."""
        return enhance(self.upscale(lr), self._layers, channels=self.channels)

    def _layers(self, enlarged: Tensor) -> Tensor:
        features = self.body(enlarged)
        with torch.autocast(enlarged.device.type, enabled=False):  # bf16 here would cost two grey levels
            features = features.to(enlarged.dtype)  # under the same name, so that the other is let go
            sr: Tensor = enlarged + self.residual(features)
        return sr
