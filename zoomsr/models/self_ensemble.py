"""The geometric self-ensemble: the mean over eight flips and rotations of the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfEnsemble(nn.Module):
    """Upscale eight flips and rotations of the input (dihedral group), invert them, take the mean; a net as any other.

    Timofte, Rothe & Van Gool, "Seven ways to improve example-based single image super resolution", CVPR 2016,
    arXiv:1511.02228; "x8" or "+" in tables.

    A net that pools pads its input at the bottom and the right to fill its grid. In a rotated input those would be
    other sides, and pooling cells would not lie as those of a tile: the input is padded once, before it is rotated.

    Args:
        net: a net with the contract of ``zoomsr.models.Net``.
    """

    scale: int
    channels: int
    multiple_of: int
    halo: int

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        for name in ("scale", "channels", "multiple_of", "halo"):
            setattr(self, name, getattr(net, name))
        self.lr_8bit = getattr(net, "lr_8bit", False)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W)."""
        height, width = lr.shape[-2:]
        padded = F.pad(lr, (0, -width % self.multiple_of, 0, -height % self.multiple_of), mode="replicate")
        total = torch.zeros((), device=lr.device)
        for quarter in range(4):
            rotated = padded.rot90(quarter, (-2, -1))
            total = total + self.net(rotated).rot90(-quarter, (-2, -1))
            total = total + self.net(rotated.flip(-1)).flip(-1).rot90(-quarter, (-2, -1))
        return total[..., : height * self.scale, : width * self.scale] / 8
