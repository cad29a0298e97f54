"""From photographs to areas, and from areas to the rows of figures."""

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
"""How the folders of a gallery begin."""


def pixels(picture: Tensor) -> Image:
    """(1, 3, H, W) or (3, H, W) on any device to (H, W, 3) on the CPU, clipped to [0, 1]."""
    image: Image = picture.reshape(picture.shape[-3:]).permute(1, 2, 0).float().clamp(0, 1).cpu().numpy()
    return image


def hardest_crop(name: str, *, lr: Tensor, hr: Tensor, side: int) -> Crop:
    """The square of a photograph in which bicubic errs most on Y.

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
    """An area of a photograph.

    Args:
        name: of the photograph, or of the area.
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
def magnified(net: Callable[[Tensor], Tensor], area: Crop, *, device: torch.device) -> Image:
    """What a net makes of an area; the net is on ``device`` and in evaluation mode."""
    lr = torch.from_numpy(area.lr).permute(2, 0, 1)[None]
    return pixels(net(lr.to(device)))


def panel(image: Image, hr: Image) -> Panel:
    """A picture with its PSNR and SSIM on Y, not rounded, no pixel shaved off: of a small area every pixel counts."""
    sr_y, hr_y = _luma(image), _luma(hr)
    large_enough = min(hr.shape[:2]) >= SSIM_WINDOW
    return Panel(image, float(psnr(sr_y, hr_y)), float(ssim(sr_y, hr_y)) if large_enough else None)


def comparison_row(area: Crop, tested: Mapping[str, Image]) -> Enlargement:
    """The area on its photograph, the truth, the input, bicubic and each net.

    Args:
        area: that all nets were given.
        tested: net to what it made of the area.
    """
    return _row(area, {"bicubic": area.bicubic, **tested}, marked=True)


def epochs_row(area: Crop) -> Enlargement:
    """Bicubic, and what came out after each epoch that was kept."""
    return _row(area, {"bicubic": area.bicubic, **{f"epoch {number}": sr for number, sr in area.epochs.items()}})


def crop_rows(run: Path, *, net_name: str) -> tuple[list[Enlargement], list[Enlargement]]:
    """Where the net gains most over bicubic, and where it errs most; empty lists for a run without a gallery."""
    gains, errors = (
        [
            _row(area, {"bicubic": area.bicubic, net_name: area.tested})
            for area in read_crops(run / GALLERY, kind)
            if area.tested is not None
        ]
        for kind in (GAIN, ERROR)
    )
    return gains, errors


def _row(area: Crop, methods: Mapping[str, Image], *, marked: bool = False) -> Enlargement:
    return Enlargement(
        name=area.name,
        lr=area.lr,
        methods={name: panel(image, area.hr) for name, image in methods.items()},
        hr=area.hr,
        photograph=area.photograph if marked else None,
        box=area.box if marked else None,
    )


def _luma(image: Image) -> Tensor:
    """(1, H, W) in grey levels."""
    return luma(torch.from_numpy(image).permute(2, 0, 1).clamp(0, 1)) * 255
