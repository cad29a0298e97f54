"""The recommended U-Net with pooled self-modulation on its way down."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.models.residual_unet import ResidualBlock, ResidualUNet


class ModulatedUNet(ResidualUNet):
    """``ResidualUNet`` whose last block of each level on the way down is SMFANet's feature modulation block.

    Zheng, Sun, Dong & Pan, "SMFANet: A Lightweight Self-Modulation Feature Aggregation Network for Efficient Image
    Super-Resolution", ECCV 2024; the U-Net is Ronneberger et al., MICCAI 2015, arXiv:1505.04597.

    Differences from the paper:
        Four blocks among residual blocks instead of a chain of eight. Features are pooled over the cells of the U-Net's
        own grid (``multiple_of`` lr pixels) instead of over 8x8 pixels of any grid, and the variance is each cell's
        instead of the whole image's: the halo stays finite, so that tiles give the pixels of the whole image. The
        lowest level, where a pixel is a cell, keeps its residual block. Each block starts as the identity.
    """

    def _encoder_level(self, level: int, width: int, n: int) -> nn.Sequential:
        cell = self.multiple_of >> level  # pixels of this level across a cell
        if n == 0 or cell == 1:
            return super()._encoder_level(level, width, n)
        return nn.Sequential(*(ResidualBlock(width) for _ in range(n - 1)), ModulationBlock(width, cell))


class ModulationBlock(nn.Module):
    """SMFANet's block: a self-modulation feature aggregation (SMFA), then a partial convolution network (PCFN).

    Args:
        width: feature maps.
        cell: side of a pooled area, in pixels.
    """

    def __init__(self, width: int, cell: int) -> None:
        super().__init__()
        self.halo = (2 * cell - 1) + 1  # from a cell's one end to the other end of the next; the PCFN's 3x3 convolution
        self.smfa = _SMFA(width, cell)
        self.pcfn = _PCFN(width)

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) to the same; H and W are multiples of ``cell``."""
        features = features + self.smfa(F.normalize(features))
        mixed: Tensor = self.pcfn(F.normalize(features))
        return features + mixed


class _SMFA(nn.Module):
    """Local detail plus features scaled by what their cell and its neighbours hold."""

    def __init__(self, width: int, cell: int) -> None:
        super().__init__()
        self.cell = cell
        self.split = nn.Conv2d(width, 2 * width, 1)
        self.pooled = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.modulation = nn.Conv2d(width, width, 1)
        self.alpha = nn.Parameter(torch.ones(1, width, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.local = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, padding=1, groups=width),
            nn.Conv2d(2 * width, 2 * width, 1),
            nn.GELU(),
            nn.Conv2d(2 * width, width, 1),
        )
        self.merge = _zero(nn.Conv2d(width, width, 1))

    def forward(self, features: Tensor) -> Tensor:
        local, wide = self.split(features).chunk(2, dim=1)
        mean = F.avg_pool2d(wide, self.cell)
        variance = F.avg_pool2d(wide.square(), self.cell) - mean.square()
        peak = self.pooled(F.max_pool2d(wide, self.cell))
        weight = F.gelu(self.modulation(self.alpha * peak + self.beta * variance))
        merged: Tensor = self.merge(wide * F.interpolate(weight, scale_factor=self.cell) + self.local(local))
        return merged


class _PCFN(nn.Module):
    """1x1 convolutions to and from twice the width, with a 3x3 convolution of a quarter of it in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.partial = width // 2
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.conv = nn.Conv2d(self.partial, self.partial, 3, padding=1)
        self.merge = _zero(nn.Conv2d(2 * width, width, 1))

    def forward(self, features: Tensor) -> Tensor:
        first, rest = F.gelu(self.expand(features)).tensor_split([self.partial], dim=1)
        merged: Tensor = self.merge(torch.cat([F.gelu(self.conv(first)), rest], dim=1))
        return merged


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
