"""SRCNN, the first convolutional net for super-resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.imaging.resize import UP_TAPS, Upscale
from zoomsr.models.luminance import enhance


class SRCNN(nn.Module):
    """Dong, Loy, He & Tang, "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 2016, arXiv:1501.00092.

    ::

        lr -> bicubic -> patch extraction -> ReLU -> non-linear mapping -> ReLU -> reconstruction -> sr
                         9x9, 64                     5x5, 32                       5x5

    Differences from the paper:
        Every layer's input is padded by replication in training too, so that sr is as large as hr; the authors' test
        code pads so, and they train without padding. (Zero padding costs 8 dB at the border.) The net starts as the
        identity on bicubic, not from Gaussian noise, and needs hours less. By default it works on RGB, not on luma.

    Args:
        scale: super-resolution factor.
        channels: 3 for RGB, 1 for luma with bicubic chroma, as in the paper.
        widths: feature maps of the first two layers.
        kernels: sizes of the three (odd) kernels: (9, 5, 5), or (9, 1, 5) for the small net of the ECCV 2014 paper.
    """

    multiple_of = 1

    def __init__(
        self,
        *,
        scale: int = 2,
        channels: int = 3,
        widths: Sequence[int] = (64, 32),
        kernels: Sequence[int] = (9, 5, 5),
    ) -> None:
        super().__init__()
        if len(widths) != 2 or len(kernels) != 3 or any(size % 2 == 0 for size in kernels):
            raise ValueError(f"SRCNN takes 2 widths and 3 odd kernels, not {list(widths)} and {list(kernels)}")
        if min(widths) < channels:
            raise ValueError(f"SRCNN starts as the identity, so widths {list(widths)} must be at least {channels}")
        self.scale = scale
        self.channels = channels
        self.halo = -(-sum(size // 2 for size in kernels) // scale) + UP_TAPS
        self.upscale = Upscale(scale)
        self.patch_extraction = _conv(channels, widths[0], kernels[0])
        self.non_linear_mapping = _conv(widths[0], widths[1], kernels[1])
        self.reconstruction = _conv(widths[1], channels, kernels[2])
        # The first maps of each layer copy the image, which ReLU does not change; the others start at random.
        with torch.no_grad():
            for layer in (self.patch_extraction, self.non_linear_mapping, self.reconstruction):
                nn.init.dirac_(layer.weight[:channels])
                if layer.bias is not None:
                    layer.bias[:channels] = 0

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3, scale H, scale W); (N, 1, H, W) is taken as Y where ``channels`` is 1."""
        return enhance(self.upscale(lr), self._layers, channels=self.channels)

    def _layers(self, upscaled: Tensor) -> Tensor:
        features = self.patch_extraction(upscaled).relu()
        features = self.non_linear_mapping(features).relu()
        with torch.autocast(upscaled.device.type, enabled=False):  # bf16 here would cost two grey levels
            features = features.to(upscaled.dtype)  # under the same name, so that the other's memory is freed
            restored: Tensor = self.reconstruction(features)
        return restored


class ReplicatedConv2d(nn.Conv2d):
    """Pads by replication; written out when compiled, because torch 2.13 cannot compile the gradient of its own."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        if not torch.compiler.is_compiling():
            return super().forward(image)  # a fifth faster
        pad = self.kernel_size[0] // 2
        for dim in (-2, -1):
            first, last = image.narrow(dim, 0, 1), image.narrow(dim, image.shape[dim] - 1, 1)
            image = torch.cat([first] * pad + [image] + [last] * pad, dim)
        return F.conv2d(image, self.weight, self.bias)


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return ReplicatedConv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="replicate")
