"""From the areas that a run keeps to the rows of its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from zoomsr.areas import GALLERY, Area, Image, read_areas
from zoomsr.figures import Enlargement, Panel
from zoomsr.image import luma
from zoomsr.metrics import SSIM_WINDOW, psnr, ssim

GAIN, ERROR = "gain", "error"
"""How the folders of a gallery begin."""


def panel(image: Image, hr: Image) -> Panel:
    """A picture with its PSNR and SSIM on Y, not rounded, no pixel shaved off: of a small area every pixel counts."""
    sr_y, hr_y = _luma(image), _luma(hr)
    large_enough = min(hr.shape[:2]) >= SSIM_WINDOW
    return Panel(image, float(psnr(sr_y, hr_y)), float(ssim(sr_y, hr_y)) if large_enough else None)


def comparison_row(area: Area, tested: Mapping[str, Image]) -> Enlargement:
    """The area on its photograph, the truth, the input, bicubic and each net.

    Args:
        area: that all nets were given.
        tested: net to what it made of the area.
    """
    return _row(area, {"bicubic": area.bicubic, **tested}, marked=True)


def epochs_row(area: Area) -> Enlargement:
    """Bicubic, and what came out after each epoch that was kept."""
    return _row(area, {"bicubic": area.bicubic, **{f"epoch {number}": sr for number, sr in area.epochs.items()}})


def gallery_rows(run: Path, *, net_name: str) -> tuple[list[Enlargement], list[Enlargement]]:
    """Where the net gains most over bicubic, and where it errs most; empty lists for a run without a gallery."""
    gains, errors = (
        [
            _row(area, {"bicubic": area.bicubic, net_name: area.tested})
            for area in read_areas(run / GALLERY, kind)
            if area.tested is not None
        ]
        for kind in (GAIN, ERROR)
    )
    return gains, errors


def _row(area: Area, methods: Mapping[str, Image], *, marked: bool = False) -> Enlargement:
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
