"""The recommended U-Net for photographs that were JPEGs, told their quality."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.models.residual_unet import ResidualUNet

_HIDDEN = 32


class PhotoUNet(ResidualUNet):
    """``ResidualUNet``, whose feature maps are scaled and shifted by the JPEG quality of the input.

    ::

        quality -> linear -> ReLU -> linear -> a gain and a shift for each map that enters a level on the way down

    For one quality they are part of the convolution before them: ``at`` makes a plain U-Net, which costs nothing more.
    At the start they change nothing, so that the weights of a plain U-Net make the same net.

    Differences from the paper:
        It is FiLM (Perez et al., AAAI 2018, arXiv:1709.07871) by one number. Of nets for JPEG, FBCNN (Jiang, Zhang &
        Timofte, ICCV 2021, arXiv:2109.14573) modulates its decoder by a quality that it estimates from the pixels; here
        the file says it.

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
        widths: Sequence[int] = (48, 64, 96, 128, 128),
        blocks: Sequence[int] = (4, 1, 1, 1, 1),
    ) -> None:
        super().__init__(scale=scale, widths=widths, blocks=blocks)
        self._widths, self._blocks = tuple(widths), tuple(blocks)
        last = nn.Linear(_HIDDEN, 2 * sum(widths))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.modulation = nn.Sequential(nn.Linear(1, _HIDDEN), nn.ReLU(), last)

    def forward(self, lr: Tensor, quality: Tensor | None = None) -> Tensor:
        """Enlarge pictures of known JPEG quality.

        Args:
            lr: (N, 3, H, W), any H and W.
            quality: (N,) from 1 to 100, which is never compressed; None for 100.

        Returns:
            (N, 3, scale H, scale W).
        """
        quality = lr.new_full((len(lr),), NEVER_COMPRESSED) if quality is None else quality
        maps = [(gain[..., None, None], shift[..., None, None]) for gain, shift in self._gains_and_shifts(quality)]
        return self._upscaled(lr, lambda level, features: _modulated(features, *maps[level]))

    def at(self, quality: float) -> ResidualUNet:
        """The plain U-Net that this one is for pictures of one quality, 1 to 100, in eval mode.

        Raises:
            ValueError: no such quality.
        """
        if not 1 <= quality <= NEVER_COMPRESSED:
            raise ValueError(f"JPEG quality {quality:g} must lie between 1 and {NEVER_COMPRESSED}")
        net = ResidualUNet(scale=self.scale, widths=self._widths, blocks=self._blocks)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("modulation.")}
        net.load_state_dict(copy.deepcopy(own))
        with torch.no_grad():
            told = self.head.weight.new_full((1,), quality)
            for conv, (gain, shift) in zip((net.head, *net.down), self._gains_and_shifts(told), strict=True):
                layer = cast(nn.Conv2d, conv)
                layer.weight.mul_(gain[0, :, None, None, None])
                cast(Tensor, layer.bias).mul_(gain[0]).add_(shift[0])
        return net.eval()

    def _gains_and_shifts(self, quality: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Of each level, (N, width) both."""
        with torch.autocast(quality.device.type, enabled=False):
            share = quality.to(self.head.weight.dtype)[:, None] / NEVER_COMPRESSED
            made = self.modulation(share).split(2 * [*self._widths], dim=1)
        levels = len(self._widths)
        return [(1 + gain, shift) for gain, shift in zip(made[:levels], made[levels:], strict=True)]


def _modulated(features: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    return features * gain.to(features.dtype) + shift.to(features.dtype)
