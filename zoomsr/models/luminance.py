"""Colour images through nets on luma: the net restores Y, chroma stays bicubic."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from zoomsr.imaging.pixels import LUMA_RANGE, luma


def enhance(upscaled: Tensor, net: Callable[[Tensor], Tensor], *, channels: int) -> Tensor:
    """Run ``net`` on an upscaled image: on all its channels, or on Y of an RGB image.

    A change dY with constant Cb and Cr adds dY / (219/255) to each of R, G and B, so that no conversion to YCbCr and
    back is needed.

    Args:
        upscaled: (N, 3, H, W) RGB or (N, 1, H, W) Y, on [0, 1].
        net: maps (N, channels, H, W) to the same shape.
        channels: 1 for a net on luma, 3 for a net on RGB.

    Raises:
        ValueError: the image has neither as many channels as the net nor three.
    """
    if upscaled.shape[1] == channels:
        return net(upscaled)
    if channels != 1 or upscaled.shape[1] != 3:
        raise ValueError(f"a net on {channels} channel(s) was given an image of {upscaled.shape[1]}")
    y = luma(upscaled)
    return upscaled + (net(y) - y) / LUMA_RANGE
