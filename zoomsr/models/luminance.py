"""How the classic nets enlarge a colour picture: the net works on luma, chroma stays bicubic."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from zoomsr.imaging.pixels import LUMA_RANGE, luma


def enhance(enlarged: Tensor, net: Callable[[Tensor], Tensor], *, channels: int) -> Tensor:
    """Run ``net`` on an enlarged picture: on all its channels, or on Y of an RGB picture.

    Changing Y and leaving Cb and Cr as they are adds the same amount, dY / (219/255), to R, G and B, so the way to
    YCbCr and back shrinks to one addition and loses nothing.

    Args:
        enlarged: (N, 3, H, W) RGB or (N, 1, H, W) Y, on [0, 1].
        net: maps (N, channels, H, W) to the same shape.
        channels: 1 for a net on luma, 3 for a net on RGB.

    Raises:
        ValueError: the picture has neither as many channels as the net nor three.
    """
    if enlarged.shape[1] == channels:
        return net(enlarged)
    if channels != 1 or enlarged.shape[1] != 3:
        raise ValueError(f"a net on {channels} channel(s) was given a picture of {enlarged.shape[1]}")
    y = luma(enlarged)
    return enlarged + (net(y) - y) / LUMA_RANGE
