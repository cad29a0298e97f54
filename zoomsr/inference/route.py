"""How a picture gets the size that is wanted: by a net of the next larger scale, then by the exact bicubic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from zoomsr.imaging.photo import Photograph
from zoomsr.inference.sizes import OutputSize

if TYPE_CHECKING:
    from zoomsr.inference.upscaler import Upscaler

OpenNet = Callable[[int | None], "Upscaler"]
"""Opens the net for a scale, or as it is named."""


@dataclass(frozen=True)
class Route:
    """How one picture gets its size.

    Attributes:
        upscaler: the net; None where the exact bicubic alone is right.
        scale: that the net reaches in all its passes, at least the one that is wanted.
        source: (height, width) before.
        size: (height, width) after.
        dpi: after; None for what it was.
    """

    upscaler: Upscaler | None
    scale: int
    source: tuple[int, int]
    size: tuple[int, int]
    dpi: float | None = None

    @staticmethod
    def to(wanted: OutputSize | None, source: tuple[int, int], open_net: OpenNet) -> Route:
        """The route of a picture.

        A factor up to 4 takes the net of the next whole scale, where there is one; else the smallest power of the net's
        own that is not below it. A picture that is to become smaller is shrunk; bicubic needs no detour.

        Args:
            wanted: None for the net's own scale.
            source: (height, width).
            open_net: called where a net is needed.

        Raises:
            ValueError: a factor that the net does not reach.
        """
        if wanted is None:
            upscaler = open_net(None)
            own = upscaler.net.scale
            return Route(upscaler, own, source, (own * source[0], own * source[1]))
        size = wanted.of(*source)
        factor = max(Fraction(after, before) for after, before in zip(size, source, strict=True))
        if factor <= 1:
            return Route(None, 1, source, size, wanted.dpi)
        from zoomsr.models.bicubic import Bicubic  # torch, as the net

        upscaler = open_net(math.ceil(factor))
        scale = upscaler.power_above(factor)
        is_detour = isinstance(upscaler.net, Bicubic) and size != (scale * source[0], scale * source[1])
        return Route(None if is_detour else upscaler, scale, source, size, wanted.dpi)

    @property
    def name(self) -> str:
        """Of what makes the pixels."""
        nets = [] if self.upscaler is None else [self.upscaler.restorer, self.upscaler]
        return " + ".join(one.name for one in nets if one is not None) or "bicubic"

    @property
    def computed(self) -> int:
        """Pixels that are computed, in all passes of the net."""
        height, width = self.source
        if self.upscaler is None:
            return self.size[0] * self.size[1]
        own: int = self.upscaler.net.scale
        restorer = self.upscaler.restorer
        restored = 0 if restorer is None else height * width * restorer.net.scale**2
        passes = range(1, self.upscaler.passes(self.scale) + 1)
        total: int = restored + sum(height * width * own ** (2 * n) for n in passes)
        return total

    @property
    def held(self) -> int:
        """Pixels in memory at once: the source, the net's last result, and what that was made of or is resized to."""
        source, result = math.prod(self.source), math.prod(self.size)
        if self.upscaler is None:
            return source + result
        larger = source * self.scale**2
        made_of = 0 if self.is_one_pass else larger // self.upscaler.net.scale**2
        return source + larger + max(made_of, 0 if result == larger else result)

    @property
    def is_one_pass(self) -> bool:
        """Whether one pass of one net gives the result."""
        exact = (self.scale * self.source[0], self.scale * self.source[1])
        if self.upscaler is None or self.upscaler.restorer is not None:
            return False
        return self.upscaler.net.scale == self.scale and self.size == exact

    def follow(self, photograph: Photograph, advance: Callable[[int], None]) -> Photograph:
        """The photograph, of ``source``, in its new size.

        Args:
            photograph: with metadata, which stay.
            advance: called with the number of pixels that are computed.
        """
        if self.upscaler is not None:
            photograph = self.upscaler.upscale(photograph, scale=self.scale, advance=advance)
        photograph = photograph.resized(self.size)
        return photograph if self.dpi is None else replace(photograph, dpi=(self.dpi, self.dpi))
