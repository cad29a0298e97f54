"""The recommended U-Net for photographs that were JPEGs, told their quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.models.residual_unet import ResidualUNet

_HIDDEN = 32
_SHARE = 4  # a convolution of 48 feature maps changes by a rank of 12


class PhotoUNet(ResidualUNet):
    """``ResidualUNet``, whose convolutions change with the JPEG quality of the input.

    ::

        quality -> log -> linear -> ReLU -> linear -> a gain for each component of the changes
        features -> convolution ------------------------------------------ (+) -> features
                 -> 1x1 to a quarter of the maps -> gains -> convolution -- |

    Told that a picture was never compressed, all gains are 0: it is the plain U-Net then, to the bit, and only the
    changes are trained. So a training begins with the weights of a trained ``ResidualUNet``, and keeps what they can do
    on clean pictures. For one quality the changes are part of the weights: ``at`` makes a plain U-Net, which costs
    nothing more.

    Differences from the paper:
        Changes of low rank beside frozen weights are LoRA (Hu et al., ICLR 2022, arXiv:2106.09685), here with a gain
        for each rank. Of nets for JPEG, FBCNN (Jiang, Zhang & Timofte, ICCV 2021, arXiv:2109.14573) modulates feature
        maps by a quality that it estimates from the pixels; here the file says it.

    Args:
        scale: super-resolution factor.
        widths: see ``ResidualUNet``.
        blocks: see ``ResidualUNet``.

    Raises:
        ValueError: see ``ResidualUNet``.
    """

    takes_quality = True

    def __init__(
        self,
        *,
        scale: int = 2,
        widths: Sequence[int] = (48, 64, 96),
        blocks: Sequence[int] = (4, 1, 2),
    ) -> None:
        super().__init__(scale=scale, widths=widths, blocks=blocks)
        self._widths, self._blocks = tuple(widths), tuple(blocks)
        self.requires_grad_(requires_grad=False)
        for name, module in [*self.named_modules()]:
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                self.set_submodule(name, _ChangingConv(module))
        self._convs = {name: module for name, module in self.named_modules() if isinstance(module, _ChangingConv)}
        last = nn.Linear(_HIDDEN, sum(conv.n_gains for conv in self._convs.values()))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.gains = nn.Sequential(nn.Linear(1, _HIDDEN), nn.ReLU(), last)

    def forward(self, lr: Tensor, quality: Tensor | None = None) -> Tensor:
        """Enlarge pictures of known JPEG quality.

        Args:
            lr: (N, 3, H, W), any H and W.
            quality: (N,) from 1 to 100, which is never compressed; None for 100.

        Returns:
            (N, 3, scale H, scale W).
        """
        if quality is None:
            return super().forward(lr)
        convs = self._convs.values()
        for conv, gains in zip(convs, self._gains_at(quality), strict=True):
            conv.gains = gains
        try:
            return super().forward(lr)
        finally:  # the net can be copied only without what belongs to one batch
            for conv in convs:
                conv.gains = None

    def at(self, quality: float) -> ResidualUNet:
        """The plain U-Net that this one is for pictures of one quality, 1 to 100, in eval mode.

        Raises:
            ValueError: no such quality.
        """
        if not 1 <= quality <= NEVER_COMPRESSED:
            raise ValueError(f"JPEG quality {quality:g} must lie between 1 and {NEVER_COMPRESSED}")
        net = ResidualUNet(scale=self.scale, widths=self._widths, blocks=self._blocks).to(self.head.weight)
        convs, own = self._convs, net.state_dict()
        with torch.no_grad():
            for (name, conv), gains in zip(
                convs.items(), self._gains_at(self.head.weight.new_tensor([quality])), strict=True
            ):
                weight, bias = conv.at(gains[0])
                own[f"{name}.weight"].copy_(weight)
                own[f"{name}.bias"].copy_(bias)
        return net.eval()

    def _gains_at(self, quality: Tensor) -> tuple[Tensor, ...]:
        """Of each convolution, (N, n_gains): all 0 at ``NEVER_COMPRESSED``."""
        with torch.autocast(quality.device.type, enabled=False):
            # A quantisation step of a JPEG doubles from quality 95 to 90, and again at 80: even steps in the logarithm.
            lost = NEVER_COMPRESSED - quality.to(self.head.weight.dtype)[:, None]
            amount = lost.log1p() / math.log1p(NEVER_COMPRESSED)
            gains: Tensor = amount * (1 + self.gains(amount))
        return torch.split(gains, [conv.n_gains for conv in self._convs.values()], dim=1)


class _ChangingConv(nn.Module):
    """A convolution of frozen weights, and a change of low rank, whose every component has a gain.

    Args:
        conv: with a bias; its weights are taken over.

    Attributes:
        n_gains: the rank, and one for the bias.
        gains: (N, n_gains), those of a batch while it is computed; None for no change.
    """

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, cast(nn.Parameter, conv.bias)
        n_in, n_out = conv.in_channels, conv.out_channels
        rank = min(n_in, n_out, max(1, max(n_in, n_out) // _SHARE))
        self._is_transposed = isinstance(conv, nn.ConvTranspose2d)
        convolve = F.conv_transpose2d if self._is_transposed else F.conv2d
        padding = cast(tuple[int, ...], conv.padding)  # no net here names it
        self._convolve = partial(convolve, stride=conv.stride, padding=padding)
        size = (rank, n_out) if self._is_transposed else (n_out, rank)
        self.into = nn.Parameter(torch.empty(rank, n_in, 1, 1))
        self.out = nn.Parameter(torch.zeros(*size, *conv.kernel_size))
        self.shift = nn.Parameter(torch.zeros(n_out))
        nn.init.orthogonal_(self.into)
        self.n_gains = rank + 1
        self.gains: Tensor | None = None

    def forward(self, features: Tensor) -> Tensor:
        """(N, in, H, W) to what the convolution makes of it."""
        made: Tensor = self._convolve(features, self.weight, self.bias)
        if self.gains is None:
            return made
        gains = self.gains.to(made.dtype)[..., None, None]
        changed: Tensor = self._convolve(F.conv2d(features, self.into) * gains[:, :-1], self.out)
        return made + changed + self.shift[:, None, None].to(made.dtype) * gains[:, -1:]

    def at(self, gains: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias with the changes in them, for the gains of one quality, (n_gains,)."""
        sides = "rohw,ri,r->iohw" if self._is_transposed else "orhw,ri,r->oihw"
        change = torch.einsum(sides, self.out, self.into[..., 0, 0], gains[:-1])
        return self.weight + change, self.bias + self.shift * gains[-1]
