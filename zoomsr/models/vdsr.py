"""VDSR: a deep net that learns the residual over bicubic."""

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

    Differences from the paper:
        A net has one scale; the authors train one for x2, x3 and x4. The authors' high learning rate with adjustable
        gradient clipping is not used (``trainer.gradient_clip_val`` clips by a fixed norm). By default it works on RGB,
        not on luma. Padding, biases and He initialisation are as in the paper.

    Args:
        scale: super-resolution factor.
        channels: 3 for RGB, 1 for luma with bicubic chroma, as in the paper.
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

    def _layers(self, upscaled: Tensor) -> Tensor:
        features = self.body(upscaled)
        with torch.autocast(upscaled.device.type, enabled=False):  # bf16 here would cost two grey levels
            features = features.to(upscaled.dtype)  # under the same name, so that the other's memory is freed
            sr: Tensor = upscaled + self.residual(features)
        return sr
