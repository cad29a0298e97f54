"""The two protocols of the field for PSNR: which images are rounded before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricProtocol:
    """Which images are rounded to 8 bit before they are measured.

    Attributes:
        name: printed with every number.
        lr_8bit: the net is given the 8-bit lr of a file; otherwise the float bicubic, never rounded.
        luma_8bit: Y of sr and of hr is rounded to whole grey levels before it is measured; otherwise it stays float.
            RGB is always measured in whole grey levels.
    """

    name: str
    lr_8bit: bool
    luma_8bit: bool


MODERN = MetricProtocol("modern", lr_8bit=True, luma_8bit=False)
"""The tables of EDSR and BasicSR; these round sr to 8-bit RGB before Y is taken, which is worth 0.006 dB on Set5."""

CLASSIC = MetricProtocol("classic", lr_8bit=False, luma_8bit=True)
"""The tables of SRCNN and VDSR. IRCNN's have an 8-bit lr, and Y not rounded: its number is ``modern``'s."""

PROTOCOLS = (MODERN, CLASSIC)
