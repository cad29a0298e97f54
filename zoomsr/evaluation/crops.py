"""From photographs to crops, and from crops to the rows of figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from zoomsr.figures import Enlargement, Panel
from zoomsr.imaging.pixels import luma
from zoomsr.metrics.quality import SSIM_WINDOW, psnr, ssim
from zoomsr.models.bicubic import Bicubic
from zoomsr.runs.crops import Crop, Image, read_crops
from zoomsr.runs.layout import GALLERY

GAIN, ERROR = "gain", "error"
"""How the names of the best and worst crops begin."""


def pixels(image: Tensor) -> Image:
    """(1, 3, H, W) or (3, H, W) on any device to (H, W, 3) on the CPU, clipped to [0, 1]."""
    array: Image = image.reshape(image.shape[-3:]).permute(1, 2, 0).float().clamp(0, 1).cpu().numpy()
    return array


def hardest_crop(name: str, *, lr: Tensor, hr: Tensor, side: int) -> Crop:
    """The square of a photograph in which the error of bicubic on Y is largest.

    Args:
        name: of the photograph.
        lr: (1, 3, H, W) on [0, 1].
        hr: (1, 3, scale H, scale W).
        side: of the square in hr pixels; less where the photograph is smaller.
    """
    scale = hr.shape[-1] // lr.shape[-1]
    side = min(side, *hr.shape[-2:]) // scale * scale
    pooled = F.avg_pool2d((luma(Bicubic(scale)(lr)) - luma(hr)).square(), side, stride=scale)
    row, column = divmod(int(pooled.argmax()), pooled.shape[-1])
    return crop_at(name, (column * scale, row * scale, side, side), lr=lr, hr=hr)


def crop_at(name: str, box: tuple[int, int, int, int], *, lr: Tensor, hr: Tensor) -> Crop:
    """A crop of a photograph.

    Args:
        name: of the photograph, or of the crop.
        box: left, top, width and height in hr pixels, multiples of the scale.
        lr: (1, 3, H, W) on [0, 1].
        hr: (1, 3, scale H, scale W).
    """
    scale = hr.shape[-1] // lr.shape[-1]
    left, top, width, height = box
    column, row = left // scale, top // scale
    cut = lr[..., row : row + height // scale, column : column + width // scale]
    return Crop(
        name=name,
        box=box,
        photograph=pixels(hr),
        lr=pixels(cut),
        hr=pixels(hr[..., top : top + height, left : left + width]),
        bicubic=pixels(Bicubic(scale)(cut)),
    )


@torch.no_grad()
def upscaled(net: Callable[[Tensor], Tensor], crop: Crop, *, device: torch.device) -> Image:
    """The net's output for a crop; the net is on ``device`` and in evaluation mode."""
    lr = torch.from_numpy(crop.lr).permute(2, 0, 1)[None]
    return pixels(net(lr.to(device)))


def panel(image: Image, hr: Image) -> Panel:
    """An image with its PSNR and SSIM on Y, not rounded and not shaved: in a small crop every pixel counts."""
    sr_y, hr_y = (luma(torch.from_numpy(one).permute(2, 0, 1).clamp(0, 1)) * 255 for one in (image, hr))
    large_enough = min(hr.shape[:2]) >= SSIM_WINDOW
    return Panel(image, float(psnr(sr_y, hr_y)), float(ssim(sr_y, hr_y)) if large_enough else None)


def comparison_row(crop: Crop, tested: Mapping[str, Image]) -> Enlargement:
    """The crop marked on its photograph, hr, lr, bicubic and each net.

    Args:
        crop: that all nets were given.
        tested: net to its output.
    """
    return _row(crop, {"bicubic": crop.bicubic, **tested}, marked=True)


def epochs_row(crop: Crop) -> Enlargement:
    """Bicubic, and the output after each epoch that was kept."""
    return _row(crop, {"bicubic": crop.bicubic, **{f"epoch {number}": sr for number, sr in crop.epochs.items()}})


def crop_rows(run: Path, *, net_name: str) -> tuple[list[Enlargement], list[Enlargement]]:
    """A run's crops with the largest gain over bicubic, and with the largest error; empty lists where it kept none."""
    gains, errors = (
        [
            _row(crop, {"bicubic": crop.bicubic, net_name: crop.tested})
            for crop in read_crops(run / GALLERY, kind)
            if crop.tested is not None
        ]
        for kind in (GAIN, ERROR)
    )
    return gains, errors


def _row(crop: Crop, methods: Mapping[str, Image], *, marked: bool = False) -> Enlargement:
    return Enlargement(
        name=crop.name,
        lr=crop.lr,
        methods={name: panel(image, crop.hr) for name, image in methods.items()},
        hr=crop.hr,
        photograph=crop.photograph if marked else None,
        box=crop.box if marked else None,
    )
