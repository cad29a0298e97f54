"""The recommended U-Net: three levels, with most of its work on the lr grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.imaging.pixels import luma
from zoomsr.imaging.resize import Upscale
from zoomsr.models.luminance import enhance


class ResidualUNet(nn.Module):
    """A U-Net (Ronneberger et al., MICCAI 2015, arXiv:1505.04597) of residual blocks, with a pixel shuffle at its end.

    ::

        lr -> head -> blocks ----------------- skip ---------------> (+) -> blocks -> tail -> pixel shuffle -> (+) -> sr
                        down -> blocks ------- skip ------> (+) -> blocks -> up                                 |
                                  down -> ... lowest level ... -> up                              bicubic(lr) --+

    Differences from the paper:
        Those of ``zoomsr.models.unet.UNet``, and more, each for more dB per multiply-add. Double convolutions are
        residual blocks without batch norm (Lim et al., "Enhanced Deep Residual Networks for Single Image
        Super-Resolution", CVPRW 2017, arXiv:1707.02921). Skips are added, not concatenated. A 2x2 convolution of stride
        2 replaces the pooling. The extra step up is the pixel shuffle of Shi et al. (CVPR 2016, arXiv:1609.05158) to
        the output's channels, so that no convolution runs on the hr grid. Widths are free. The steps down are two: two
        more gained 0.03 dB at most, and the net saw 121 pixels far instead of 45, farther than other programs' tiles
        overlap. Every block starts as the identity (its second convolution is zero; Zhang et al., "Fixup
        Initialization", ICLR 2019, arXiv:1901.09321), so that high learning rates are stable from the first step.

    Args:
        scale: super-resolution factor.
        channels: 3 for RGB, 1 for luma with bicubic chroma.
        widths: feature maps of each level, the finest first; their number is one more than that of the steps down.
        blocks: residual blocks of each level, as many on the way up as on the way down; the lowest has them once.

    Raises:
        ValueError: not as many ``blocks`` as ``widths``, or fewer than two levels.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        channels: int = 3,
        widths: Sequence[int] = (48, 64, 96),
        blocks: Sequence[int] = (4, 1, 2),
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks) or len(widths) < 2:
            raise ValueError(
                f"a U-Net has a width and blocks for each of 2 levels or more: {list(widths)}, {list(blocks)}"
            )
        self.scale = scale
        self.channels = channels
        self.multiple_of = 2 ** (len(widths) - 1)
        self.head = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            self._encoder_level(level, width, n) for level, (width, n) in enumerate(zip(widths, blocks, strict=True))
        )
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairwise(widths))
        self.decoder = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(n)))
            for width, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.tail = nn.Conv2d(widths[0], channels * scale**2, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)  # near bicubic; with zeros it stays there for hundreds of steps
        self.upscale = Upscale(scale)
        # The receptive radius in lr pixels: a block reaches halo pixels of its level, which are 2**level across; steps
        # down and up reach at most to the end of the lowest level's pixel, multiple_of across; head and tail reach one.
        self.halo = self.multiple_of - 1 + 2
        for path in (self.encoder, self.decoder):
            for level, blocks_of_level in enumerate(path):
                for block in blocks_of_level.children():
                    self.halo += int(block.halo) << level  # type: ignore[arg-type]  # typed as Tensor | Module

    def _encoder_level(self, level: int, width: int, n: int) -> nn.Sequential:
        """The ``n`` blocks of a level on the way down: a subclass puts others in."""
        return nn.Sequential(*(ResidualBlock(width) for _ in range(n)))

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3, scale H, scale W), any H and W; (N, 1, H, W) is Y where ``channels`` is 1."""
        if lr.shape[1] == self.channels:
            return self._upscaled(lr)
        return enhance(self.upscale(lr), lambda _: self._upscaled(luma(lr)), channels=self.channels)

    def _upscaled(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        right, bottom = -width % self.multiple_of, -height % self.multiple_of
        features = self._unet(self._head(F.pad(lr, (0, right, 0, bottom), mode="replicate")))
        with torch.autocast(lr.device.type, enabled=False):  # bf16 here would cost two grey levels
            features = features.to(self.tail.weight.dtype)  # under the same name, so that the other's memory is freed
            residual = F.pixel_shuffle(self.tail(features), self.scale)
            sr: Tensor = residual[..., : height * self.scale, : width * self.scale] + self.upscale(lr)
        return sr

    def _head(self, lr: Tensor) -> Tensor:
        """The head, in float32, because the image in bf16 would cost a grey level; its output in autocast's type."""
        kind = lr.device.type
        with torch.autocast(kind, enabled=False):
            features: Tensor = self.head(lr.to(self.head.weight.dtype))
        return features.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else features

    def _unet(self, features: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, down in zip(self.encoder, self.down, strict=False):  # the lowest has none
            features = level(features)
            skips.append(features)
            features = down(features)
        features = self.encoder[-1](features)
        for skip, up, level in zip(reversed(skips), reversed(self.up), reversed(self.decoder), strict=True):
            features = level(skip + up(features))
        return features


class ResidualBlock(nn.Module):
    """Features plus the output of two 3x3 convolutions, which is zero at the start."""

    halo = 2
    """Receptive radius in pixels of its level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        for parameter in (self.first.bias, self.second.weight, self.second.bias):
            if parameter is not None:
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) to the same."""
        changed: Tensor = self.second(self.first(features).relu())
        return features + changed
