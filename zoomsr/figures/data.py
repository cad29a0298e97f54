"""What the figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""(H, W, 3) on [0, 1]."""

History = Sequence[Mapping[str, float]]
"""Rows of metrics.csv: epoch, train/mae, val/mae, train/psnr_y, val/psnr_y, ..., seconds."""

ERROR_RANGE = 0.2
"""Upper end of every error map, on [0, 1]: the same in all figures, so that they compare."""


@dataclass(frozen=True)
class Panel:
    """What one method made of an area.

    Attributes:
        image: (scale h, scale w, 3).
        psnr_y: of the area, in dB, or None where no truth is known.
        ssim_y: likewise.
    """

    image: Image
    psnr_y: float | None = None
    ssim_y: float | None = None


@dataclass(frozen=True)
class Enlargement:
    """One area of a photograph and what became of it.

    Attributes:
        name: of the photograph.
        lr: the input, (h, w, 3).
        methods: bicubic first, then the nets; or one net after each of its epochs.
        hr: the truth, (scale h, scale w, 3), or None.
        photograph: the whole picture, perhaps shrunk, to mark the area on, or None.
        box: left, top, width, height of the area in ``photograph``, in its pixels.

    Raises:
        ValueError: no methods, or pictures of the area that are not the same whole number of times as large as lr.
    """

    name: str
    lr: Image
    methods: Mapping[str, Panel]
    hr: Image | None = None
    photograph: Image | None = None
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError(f"nothing has enlarged {self.name}: it needs at least one method")
        for label, image in self.enlarged().items():
            (height, width), (lr_height, lr_width) = image.shape[:2], self.lr.shape[:2]
            if (height, width) != (self.scale * lr_height, self.scale * lr_width):
                wanted = f"{self.scale * lr_width}x{self.scale * lr_height}"
                raise ValueError(f"{label} of {self.name} is {width}x{height}: it must be {wanted}")

    @property
    def scale(self) -> int:
        """By which the first method has enlarged lr."""
        first, *_ = self.methods.values()
        return max(1, int(first.image.shape[0]) // int(self.lr.shape[0]))

    def enlarged(self) -> dict[str, Image]:
        """All pictures of the area that are as large as the truth."""
        images = {label: panel.image for label, panel in self.methods.items()}
        return images if self.hr is None else {**images, "the truth": self.hr}

    def input(self) -> Image:
        """The input at the truth's size, each pixel a square."""
        return self.lr.repeat(self.scale, 0).repeat(self.scale, 1)


@dataclass(frozen=True)
class Cost:
    """What a net reaches and what it takes.

    Attributes:
        psnr_y: in dB.
        latency_ms: for a 128x128 input.
        params: number of parameters; 0 for bicubic.
    """

    psnr_y: float
    latency_ms: float
    params: int


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
