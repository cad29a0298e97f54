"""Back-projection: an enlargement that is the input again when it is shrunk by bicubic."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.imaging.resize import UP_TAPS, Upscale, downscale, resize

STEPS = 2
"""A second step is for what the first leaves at the picture's border and where pixels are clipped."""

_RADIUS = 3  # of the filter, in lr pixels: with it a step leaves an eighth of any pattern's error at most

REACH = 2 * UP_TAPS + _RADIUS
"""How many lr pixels further than the net a step looks: down, filter, up."""


class BackProjection(nn.Module):
    """A net whose output, shrunk by bicubic, is its input; a net as any other.

    Irani & Peleg, "Improving Resolution by Image Registration", CVGIP 1991, a few times:

        sr <- clip(sr) + up(filter(lr - down(clip(sr)))).

    Differences from the paper:
        The filter is the inverse of down(up(.)), a separable convolution cut off after three pixels: without it a
        step takes away only a quarter of the finest detail's error. Since up is the transpose of down but for a factor,
        a step moves sr to the nearest picture that shrinks to lr. No such picture becomes further away by it, so
        neither does the ground truth. Before each step sr is clipped to [0, 1], as it will be in a file, because what
        is cut off must be made up for elsewhere. The output is not clipped.

    Args:
        net: a net with the contract of ``zoomsr.models.Net``.
        steps: of back-projection.

    Raises:
        ValueError: fewer than one step.
    """

    scale: int
    channels: int
    multiple_of: int
    halo: int
    filter: Tensor

    def __init__(self, net: nn.Module, *, steps: int = STEPS) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"back_projection {steps}: it takes one step or more, and 0 leaves it out")
        self.net, self.steps = net, steps
        for name in ("scale", "channels", "multiple_of"):
            setattr(self, name, getattr(net, name))
        self.halo = int(net.halo) + steps * REACH  # type: ignore[arg-type]  # nn.Module types every attribute as Tensor
        self.lr_8bit = getattr(net, "lr_8bit", False)
        self.upscale = Upscale(self.scale)
        self.register_buffer("filter", _inverse(self.scale), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W); the steps are in float32, also under autocast."""
        sr: Tensor = self.net(lr)
        with torch.autocast(lr.device.type, enabled=False):
            lr, sr = lr.to(self.filter.dtype), sr.to(self.filter.dtype)
            for _ in range(self.steps):
                sr = sr.clamp(0, 1)
                sr = sr + self.upscale(self._filtered(lr - downscale(sr, self.scale)))
        return sr

    def _filtered(self, lr: Tensor) -> Tensor:
        planes = F.pad(lr.reshape(-1, 1, *lr.shape[-2:]), [_RADIUS] * 4, mode="replicate")
        return F.conv2d(planes, self.filter).reshape(lr.shape)


def _inverse(scale: int) -> Tensor:
    """The inverse of down(up(.)) away from borders, (1, 1, 7, 7); constant pictures stay as they are."""
    side = 12 * _RADIUS  # the inverse falls to a third from pixel to pixel
    basis = torch.eye(side, dtype=torch.float64)[None]
    there_and_back = resize(resize(basis, (side, scale * side)), (side, side))[0]
    row = torch.linalg.inv(there_and_back)[side // 2, side // 2 - _RADIUS : side // 2 + _RADIUS + 1]
    row = row / row.sum()
    return torch.outer(row, row).float()[None, None]
