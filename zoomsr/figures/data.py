"""What the figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
"""(H, W, 3) on [0, 1]."""

History = Sequence[Mapping[str, float]]
"""Rows of metrics.csv: epoch, train/mae, val/mae, train/psnr_y, val/psnr_y, ..., seconds."""

ERROR_RANGE = 0.2
"""Upper end of every error map, on [0, 1]: the same in all figures, so that they compare."""


@dataclass(frozen=True)
class Panel:
    """A crop as one method upscales it.

    Attributes:
        image: (scale h, scale w, 3).
        psnr_y: of the crop, in dB, or None where there is no ground truth.
        ssim_y: likewise.
    """

    image: FloatImage
    psnr_y: float | None = None
    ssim_y: float | None = None


@dataclass(frozen=True)
class Enlargement:
    """A crop of a photograph, and the same crop upscaled by several methods.

    Attributes:
        name: of the photograph.
        lr: the input, (h, w, 3).
        methods: bicubic first, then the nets; or one net after each of its epochs.
        hr: the ground truth, (scale h, scale w, 3), or None.
        photograph: the whole picture, perhaps downscaled, to mark the crop on, or None.
        box: left, top, width, height of the crop in ``photograph``, in its pixels.

    Raises:
        ValueError: no methods, or pictures of the crop that are not the same whole number of times as large as lr.
    """

    name: str
    lr: FloatImage
    methods: Mapping[str, Panel]
    hr: FloatImage | None = None
    photograph: FloatImage | None = None
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError(f"nothing has upscaled {self.name}: it needs at least one method")
        for label, image in self.upscaled().items():
            (height, width), (lr_height, lr_width) = image.shape[:2], self.lr.shape[:2]
            if (height, width) != (self.scale * lr_height, self.scale * lr_width):
                wanted = f"{self.scale * lr_width}x{self.scale * lr_height}"
                raise ValueError(f"{label} of {self.name} is {width}x{height}: it must be {wanted}")

    @property
    def scale(self) -> int:
        """By which the first method has upscaled lr."""
        first, *_ = self.methods.values()
        return max(1, int(first.image.shape[0]) // int(self.lr.shape[0]))

    def upscaled(self) -> dict[str, FloatImage]:
        """All pictures of the crop that are as large as the ground truth, itself among them."""
        images = {label: panel.image for label, panel in self.methods.items()}
        return images if self.hr is None else {**images, "the ground truth": self.hr}

    def input(self) -> FloatImage:
        """The input at the ground truth's size, each pixel a square."""
        return self.lr.repeat(self.scale, 0).repeat(self.scale, 1)


@dataclass(frozen=True)
class Cost:
    """Quality and cost of a net.

    Attributes:
        psnr_y: in dB.
        latency_ms: for a 128x128 input.
        params: number of parameters; 0 for bicubic.
    """

    psnr_y: float
    latency_ms: float
    params: int


@dataclass(frozen=True)
class PublishedNet:
    """A net beside published ones.

    Attributes:
        psnr_y: in dB.
        gmacs: G multiply-adds for an output of 1280x720.
        trained_on: the photographs, in words.
        ours: whether it is one of this project's.
    """

    psnr_y: float
    gmacs: float
    trained_on: str
    ours: bool = False


@dataclass(frozen=True)
class Stage:
    """One stage of a net and the shape of its output.

    Attributes:
        name: of the module.
        channels: feature maps.
        height: in pixels.
        width: in pixels.
        skip_from: index of the earlier stage whose output it takes beside that of the stage before it, or None.
    """

    name: str
    channels: int
    height: int
    width: int
    skip_from: int | None = None
