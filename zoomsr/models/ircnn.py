"""IRCNN: denoisers trained once, and super-resolution by plugging them into half-quadratic splitting.

Zhang, Zuo, Gu & Zhang, "Learning Deep CNN Denoiser Prior for Image Restoration", CVPR 2017, arXiv:1704.03264: the
paper that this project starts from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from zoomsr.imaging.degradations import Degradation
from zoomsr.imaging.pixels import luma
from zoomsr.imaging.resize import UP_TAPS
from zoomsr.models.luminance import enhance

N_DENOISERS = 25
"""The paper's bank: noise levels 2, 4, ..., 50 of 255."""


class IRCNNDenoiser(nn.Module):
    """One denoiser of the bank, for one noise level.

    ::

        noisy -+-> dilated conv 1 -> ReLU -> [dilated conv 2 3 4 3 2 -> batch norm -> ReLU] -> dilated conv 1 -> noise
               +----------------------------------------------------------------------------> (-) -> clean

    Zero padding equal to the dilation. It is trained like any net, with ``degradation=gaussian_noise``.

    Differences from the paper:
        It starts near the identity. Its last convolution runs in float32 under autocast.

    Args:
        channels: 3 for a colour denoiser; 1 for a grey one, which denoises each channel of an image alone.
        width: feature maps.
        dilations: one per convolution.
        batch_norm: as trained; ``folded`` merges it into the convolutions.
    """

    scale = 1
    multiple_of = 1

    def __init__(
        self,
        *,
        channels: int = 3,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 3, 4, 3, 2, 1),
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        if len(dilations) < 2:
            raise ValueError(f"an IRCNN denoiser has at least 2 convolutions, not dilations {list(dilations)}")
        self.channels = channels
        self.halo = sum(dilations)
        first, *middle, last = dilations
        body: list[nn.Module] = [_conv(channels, width, first), nn.ReLU(inplace=True)]
        for dilation in middle:
            body.append(_conv(width, width, dilation, bias=not batch_norm))
            body += [nn.BatchNorm2d(width)] if batch_norm else []
            body.append(nn.ReLU(inplace=True))
        self.body = nn.Sequential(*body)
        self.noise = _conv(width, channels, last)
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # torch's default lets the signal vanish
        nn.init.normal_(self.noise.weight, std=1e-3)  # starts near the identity
        nn.init.zeros_(cast(Tensor, self.noise.bias))

    def forward(self, noisy: Tensor) -> Tensor:
        """(N, C, H, W) to the denoised image of the same shape."""
        planes = noisy.reshape(-1, self.channels, *noisy.shape[-2:]) if self.channels == 1 else noisy
        features = self.body(planes)
        with torch.autocast(noisy.device.type, enabled=False):  # bf16 here would cost two grey levels
            clean: Tensor = planes - self.noise(features.to(planes.dtype))
        return clean.reshape(noisy.shape)

    def folded(self) -> IRCNNDenoiser:
        """The same function in evaluation mode, with each batch norm inside the convolution before it."""
        convs = [layer for layer in (*self.body, self.noise) if isinstance(layer, nn.Conv2d)]
        plain = IRCNNDenoiser(
            channels=self.channels,
            width=convs[0].out_channels,
            dilations=[int(conv.dilation[0]) for conv in convs],
            batch_norm=False,
        )
        fused: list[nn.Conv2d] = []
        for layer in (*self.body, self.noise):
            if isinstance(layer, nn.Conv2d):
                fused.append(layer)
            elif isinstance(layer, nn.BatchNorm2d):
                fused[-1] = torch.nn.utils.fuse_conv_bn_eval(fused[-1].eval(), layer.eval())
        targets = [layer for layer in (*plain.body, plain.noise) if isinstance(layer, nn.Conv2d)]
        for source, target in zip(fused, targets, strict=True):
            target.load_state_dict(source.state_dict())
        return plain.eval()


class IRCNN(nn.Module):
    """Super-resolution without training for it: half-quadratic splitting around a bank of denoisers.

    Starting from ``degradation.up(lr)``, each iteration takes ``back_projections`` steps towards the data,

        z <- z + step * up(lr - down(z)),

    and then the denoiser for a noise level that falls logarithmically from 12 scale to ``last_noise`` scale (of 255).
    Values are not clipped in between. Without weights the denoisers are the identity, which leaves iterative
    back-projection (Irani & Peleg, CVGIP 1991).

    Differences from the paper:
        The data term may be any degradation with an ``up``, and the noise level may fall below ``scale``
        (``last_noise``), for denoisers that smooth too much.

    Args:
        scale: super-resolution factor, 2 or 3 in the paper.
        degradation: the data term; its scale is ``scale``.
        channels: 1 for grey denoisers on luma with bicubic chroma, 3 for colour denoisers.
        width: feature maps of the denoisers.
        n_denoisers: size of the bank; number n (from 1) is for noise level 2 n.
        iterations: of half-quadratic splitting.
        back_projections: data steps in each.
        step: their length.
        last_noise: of the last iteration, over the scale: 1 in the paper.

    Raises:
        ValueError: the degradation has another scale.
    """

    multiple_of = 1
    lr_8bit = True
    """The paper's numbers are for an 8-bit lr in every protocol; tables say so."""

    def __init__(
        self,
        *,
        scale: int,
        degradation: Degradation,
        channels: int = 1,
        width: int = 64,
        n_denoisers: int = N_DENOISERS,
        iterations: int = 30,
        back_projections: int = 5,
        step: float = 1.75,
        last_noise: float = 1.0,
    ) -> None:
        super().__init__()
        if degradation.scale != scale:
            raise ValueError(f"the degradation's scale {degradation.scale} is not the net's {scale}")
        self.scale = scale
        self.channels = channels
        self.degradation = degradation
        self.back_projections = back_projections
        self.step = step
        way = [i / max(1, iterations - 1) for i in range(iterations)]
        self.sigmas = [scale * 12 ** (1 - t) * last_noise**t for t in way]  # of 255
        bank = [IRCNNDenoiser(channels=channels, width=width, batch_norm=False) for _ in range(n_denoisers)]
        for denoiser in bank:
            nn.init.zeros_(denoiser.noise.weight)
            denoiser.noise.bias = nn.Parameter(torch.zeros(channels))
        self.denoisers = nn.ModuleList(bank).requires_grad_(False)
        # A data step reaches 4 lr pixels with the bicubic pair, and half of a blur's kernel more, most at x2.
        reach = 4 + math.ceil(max(7, getattr(degradation, "kernel_size", 0)) // 2 / 2)
        self.halo = UP_TAPS + iterations * (reach * back_projections + math.ceil(bank[0].halo / scale))

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3, scale H, scale W); (N, 1, H, W) is taken as Y where ``channels`` is 1."""
        data = lr if lr.shape[1] == self.channels else luma(lr)
        return enhance(self.degradation.up(lr), partial(self._restore, lr=data), channels=self.channels)

    def plug_in(self, denoisers: Sequence[IRCNNDenoiser]) -> None:
        """Take over trained denoisers, in the order of their noise levels, batch norm folded.

        Raises:
            ValueError: not one for each noise level.
        """
        if len(denoisers) != len(self.denoisers):
            raise ValueError(f"{len(denoisers)} denoisers for a bank of {len(self.denoisers)}")
        for own, trained in zip(self.denoisers, denoisers, strict=True):
            own.load_state_dict(trained.folded().state_dict())

    def _restore(self, z: Tensor, *, lr: Tensor) -> Tensor:
        for sigma in self.sigmas:
            for _ in range(self.back_projections):
                z = z + self.step * self.degradation.up(lr - self.degradation.down(z))
            number = min(len(self.denoisers), max(math.ceil(sigma / 2), 1))
            z = self.denoisers[number - 1](z)
        return z


def _conv(inputs: int, outputs: int, dilation: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=bias)
