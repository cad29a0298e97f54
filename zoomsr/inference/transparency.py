"""Pictures with an alpha channel through a net that knows none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.engines.tiling import run
from zoomsr.imaging.resize import Upscale
from zoomsr.models import Net

_WINDOW, _STEPS = 5, 4  # each step fills as far as half the window
_UNSEEN = 0.5 / 255  # alpha that 8 bits round to nothing


class Transparent(nn.Module):
    """Upscale colours and the alpha channel behind them; a net like any other, of one more channel.

    The colour of a transparent pixel is arbitrary, mostly black, and must not bleed into what is seen:

        colour = up(alpha lr) / up(alpha) + net(filled) - up(filled),

    premultiplied bicubic, plus what the net adds to bicubic on ``filled``, where transparent pixels have the colours of
    the opaque ones near them. Running the net on alpha lr instead would sharpen the edge of the shape into the colours,
    but alpha, upscaled by bicubic, has no such edge. Where nothing is seen the colour is net(filled).

    Args:
        net: of colours.
    """

    reach = _STEPS * (_WINDOW // 2)
    """How many lr pixels further than the net this looks."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.scale = net.scale
        self.multiple_of = net.multiple_of
        self.halo = net.halo + self.reach
        self.channels = net.channels + 1
        self.upscale = Upscale(net.scale)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C + 1, H, W) to (N, C + 1, scale H, scale W), alpha last; a grey picture has C = 1."""
        colour, alpha = lr[:, :-1], lr[:, -1:]
        filled = _filled(colour, alpha)
        sr, larger_alpha = run(self.net, filled), self.upscale(alpha)
        premultiplied = self.upscale(colour * alpha) / larger_alpha.clamp_min(_UNSEEN)
        seen = sr + (premultiplied - self.upscale(filled))
        return torch.cat([torch.where(larger_alpha > _UNSEEN, seen, sr), larger_alpha], 1)


def _filled(colour: Tensor, alpha: Tensor) -> Tensor:
    """Each pixel over the mean of its neighbours, repeated; pixels far from all that is seen keep their colour."""
    weight = alpha
    for _ in range(_STEPS):
        means = F.avg_pool2d(torch.cat([colour * weight, weight], 1), _WINDOW, stride=1, padding=_WINDOW // 2)
        near, is_near = means[:, :-1] / means[:, -1:].clamp_min(1e-9), means[:, -1:] > 1e-9
        colour = torch.where(is_near, weight * colour + (1 - weight) * near, colour)
        weight = is_near.to(alpha.dtype)
    return colour
