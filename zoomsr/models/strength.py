"""A mixture of bicubic and a net."""

from __future__ import annotations

from torch import Tensor, nn

from zoomsr.imaging.resize import Upscale
from zoomsr.models import Around


class Strength(Around):
    """``strength`` times what a net adds to bicubic: 0 is bicubic, 1 the net; a net as any other.

    Args:
        net: a net with the contract of ``zoomsr.models.Net``.
        strength: on [0, 1].

    Raises:
        ValueError: outside it.
    """

    def __init__(self, net: nn.Module, strength: float) -> None:
        super().__init__(net)
        if not 0 <= strength <= 1:
            raise ValueError(f"strength {strength:g} must lie between 0, which is bicubic, and 1, which is the net")
        self.strength = strength
        self.upscale = Upscale(self.scale)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W)."""
        sr: Tensor = self.net(lr)
        mixed: Tensor = self.upscale(lr).lerp(sr.to(lr.dtype), self.strength)
        return mixed
