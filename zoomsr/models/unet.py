"""U-Net for super-resolution: four levels down, four up, and one extra up-convolution to the hr grid."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.imaging.pixels import luma
from zoomsr.imaging.resize import Upscale
from zoomsr.models.luminance import enhance


class UNet(nn.Module):
    """Ronneberger, Fischer & Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
    arXiv:1505.04597, for super-resolution. ``encoder`` is the paper's contracting path, ``decoder`` its expansive path.

    ::

        lr  -> level 0 ------------------ skip ------------------> level 0 -> extra up -> tail -> (+) -> sr
                 pool -> level 1 -------- skip --------> level 1 -> up                           |
                           pool -> ...  bottleneck  ... -> up                        bicubic(lr) +

    Differences from the paper:
        An extra up-convolution makes the output ``scale`` times as large as the input, and the output is the residual
        over bicubic instead of classes. 3x3 convolutions are zero-padded, so that skips need no cropping, and the input
        is padded by replication to a multiple of ``2**depth``. There is no dropout; 32 feature maps instead of 64.

    Args:
        scale: super-resolution factor.
        channels: 3 for RGB, 1 for luma with bicubic chroma.
        width: feature maps at level 0; each level down doubles them.
        depth: number of poolings.
        batch_norm: normalise after each 3x3 convolution.
        residual: add the bicubic upscaling of lr to the output.
        pixel_shuffle: the extra step up by a 3x3 convolution and a pixel shuffle (Shi et al., "Real-Time Single Image
            and Video Super-Resolution", CVPR 2016, arXiv:1609.05158) instead of an up-convolution.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        channels: int = 3,
        width: int = 32,
        depth: int = 4,
        batch_norm: bool = False,
        residual: bool = True,
        pixel_shuffle: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.multiple_of = cell = 2**depth  # lr pixels across one pixel of the bottleneck
        # The receptive radius in lr pixels: two convolutions per level on the way down and up, each reaching 2**level;
        # two of the bottleneck; poolings and up-convolutions, which reach at most to the end of a cell; two
        # convolutions on the large grid; the 3x3 convolution of the pixel shuffle.
        self.halo = 4 * (cell - 1) + 2 * cell + (cell - 1) + -(-2 // scale) + pixel_shuffle
        widths = [width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(
            [_double_conv(channels, width, batch_norm)]
            + [_double_conv(above, below, batch_norm) for above, below in pairwise(widths)]
        )
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1])])
        self.decoder = nn.ModuleList([_double_conv(2 * w, w, batch_norm) for w in reversed(widths[:-1])])
        self.extra_up = (
            nn.Sequential(nn.Conv2d(width, width * scale**2, 3, padding=1), nn.PixelShuffle(scale))
            if pixel_shuffle
            else nn.ConvTranspose2d(width, width, scale, stride=scale)
        )
        self.refine = _conv(width, width, batch_norm)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)
        self.upscale = Upscale(scale)
        self.residual = residual
        _initialise(self)
        if residual:
            nn.init.normal_(self.tail.weight, std=1e-3)  # near bicubic; with zeros it stays there for hundreds of steps

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3, scale H, scale W), any H and W; (N, 1, H, W) is Y where ``channels`` is 1."""
        if lr.shape[1] == self.channels:
            return self._upscaled(lr)
        return enhance(self.upscale(lr), lambda _: self._upscaled(luma(lr)), channels=self.channels)

    def _upscaled(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        right, bottom = -width % self.multiple_of, -height % self.multiple_of
        features = self.refine(self.extra_up(self._unet(F.pad(lr, (0, right, 0, bottom), mode="replicate"))))
        with torch.autocast(lr.device.type, enabled=False):  # bf16 here would cost two grey levels
            features = features.to(self.tail.weight.dtype)  # under the same name, so that the other's memory is freed
            sr: Tensor = self.tail(features)[..., : height * self.scale, : width * self.scale]
            return sr + self.upscale(lr) if self.residual else sr

    def _unet(self, features: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else F.max_pool2d(features, 2))
            skips.append(features)
        for skip, up, block in zip(reversed(skips[:-1]), self.up, self.decoder, strict=True):
            features = block(torch.cat([skip, up(features)], dim=1))
        return features


def _conv(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    # Batch norm subtracts the mean, and with it any bias before it.
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=not batch_norm)]
    if batch_norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def _double_conv(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, batch_norm), _conv(outputs, outputs, batch_norm))


def _initialise(net: nn.Module) -> None:
    """He et al., "Delving Deep into Rectifiers", ICCV 2015: else the signal vanishes without batch norm."""
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
