"""The recommended U-Net with a partial large kernel on its finest level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoomsr.models.residual_unet import ResidualBlock, ResidualUNet


class LargeKernelUNet(ResidualUNet):
    """``ResidualUNet`` whose last block of the finest level, on the way down, is PLKSR's block with a large kernel.

    Lee, Yun & Ro, "Partial Large Kernel CNNs for Efficient Super-Resolution", 2024, arXiv:2404.11848; the U-Net is
    Ronneberger et al., MICCAI 2015, arXiv:1505.04597.

    Differences from the paper:
        One block of them among residual blocks instead of a chain of 12 to 28; the lower levels see far without one.
        Its kernel is the 13x13 of PLKSR-tiny, not the 17x17 of PLKSR, whose gradient in bfloat16 was many times slower
        in oneDNN for small batches. Its channel mixer is one 3x3 convolution with ReLU instead of two to and from twice
        the width with GELU in between. It starts as the identity. It takes the multiply-adds of two residual
        blocks, so ``blocks`` are fewer.
    """

    def _encoder_level(self, level: int, width: int, n: int) -> nn.Sequential:
        if level > 0 or n == 0:
            return super()._encoder_level(level, width, n)
        return nn.Sequential(*(ResidualBlock(width) for _ in range(n - 1)), LargeKernelBlock(width))


class LargeKernelBlock(nn.Module):
    """PLKSR's block: local mixing, a large kernel on the first channels, element-wise attention, a 1x1 convolution.

    Args:
        width: feature maps.
        kernel: side of the large kernel, odd.
        partial: number of the channels that it convolves, at most.
    """

    def __init__(self, width: int, *, kernel: int = 13, partial: int = 16) -> None:
        super().__init__()
        self.halo = 1 + kernel // 2 + 1
        self.partial = min(partial, width)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.large = nn.Conv2d(self.partial, self.partial, kernel, padding=kernel // 2)
        self.attention = nn.Conv2d(width, width, 3, padding=1)
        self.refine = nn.Conv2d(width, width, 1)
        nn.init.kaiming_normal_(self.mix.weight, nonlinearity="relu")
        nn.init.trunc_normal_(self.large.weight, std=0.02)  # these two as in the authors' code
        nn.init.trunc_normal_(self.attention.weight, std=0.02)
        for parameter in self.refine.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) to the same."""
        first, rest = self.mix(features).relu().tensor_split([self.partial], dim=1)
        far = torch.cat([self.large(first), rest], dim=1)
        changed: Tensor = self.refine(far * self.attention(far).sigmoid())
        return features + changed
