"""The recipe of ``zoomsr.zoom --compare``: one figure with a crop of a photograph, upscaled by every net."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zoomsr.cli.console import say
from zoomsr.figures import Enlargement, FloatImage, Panel, comparison
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.pixels import PixelArray, luma, shave, white_of
from zoomsr.inference.choice import Compression, open_for
from zoomsr.inference.options import Options
from zoomsr.inference.targets import Task
from zoomsr.metrics.quality import psnr
from zoomsr.runs.files import short

_SIDE = 256


def draw(task: Task, options: Options, *, ground_truth: Path | None) -> None:
    """Draw nearest, bicubic and each net side by side, with an inset, and their PSNR where the ground truth is given.

    Without a box the middle of the photograph is taken, 256x256; without a scale the largest of the nets' own.

    Raises:
        ValueError: a net that does not reach the scale, or a ground truth of another size.
    """
    scale, (source, target) = options.whole_scale, task
    photograph = Photograph.read(source)
    compression = options.compression(partial(Compression.of, source, photograph), is_shrunk=False)
    box = options.box or photograph.middle(_SIDE)
    crop = photograph.cropped(box)
    models: list[str | None] = [*dict.fromkeys(options.models)] or [None]
    nets = [open_for(compression, options.open, model=one, scale=scale) for one in models if one != "bicubic"]
    scale = max([net.net.scale for net in nets], default=2) if scale is None else scale
    upscalers = [options.open("bicubic", scale, NEVER_COMPRESSED), *nets]
    if len({upscaler.name for upscaler in upscalers}) < len(upscalers):
        raise ValueError(f"two nets are called the same: {', '.join(upscaler.name for upscaler in upscalers)}")
    for upscaler in upscalers:
        upscaler.passes(scale)  # an error, before any of them works
    hr = None if ground_truth is None else _floats(_ground_truth(ground_truth, photograph, box, scale))
    upscaled = {upscaler.name: _floats(upscaler.upscale(crop, scale=scale).pixels) for upscaler in upscalers}
    row = Enlargement(
        name=source.name,
        lr=_floats(crop.pixels),
        methods={
            name: Panel(sr, None if hr is None else _psnr_y(sr, hr, border=scale)) for name, sr in upscaled.items()
        },
        hr=hr,
        photograph=_floats(photograph.pixels),
        box=box,
    )
    drawn = io.BytesIO()  # matplotlib does not write all formats of a photograph
    comparison([row]).savefig(drawn, dpi=220, format="png")
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(drawn) as picture:
        Photograph.of(picture.convert("RGB")).write(target, quality=options.quality, overwrite=options.overwrite)
    say({"compared": short(target)})


def _ground_truth(path: Path, photograph: Photograph, box: CropBox, scale: int) -> PixelArray:
    """The crop's ground truth, cut from that of the whole photograph or given as it is."""
    hr = Photograph.read(path)
    if hr.size == tuple(scale * side for side in photograph.size):
        return hr.cropped(CropBox(*(scale * value for value in box))).pixels
    if hr.size == (scale * box.height, scale * box.width):
        return hr.pixels
    height, width = hr.size
    wanted = f"{scale} times the photograph, or {scale * box.width}x{scale * box.height}"
    raise ValueError(f"{path} is {width}x{height}: the ground truth must be {wanted}")


def _psnr_y(sr: FloatImage, hr: FloatImage, *, border: int) -> float:
    """On Y, ``border`` pixels shaved off: protocol ``modern``, of the 8-bit picture."""
    y = [shave(luma(torch.from_numpy(image).permute(2, 0, 1)), border) * 255 for image in (sr, hr)]
    return float(psnr(*y))


def _floats(pixels: PixelArray) -> FloatImage:
    """(H, W, 3) on [0, 1]."""
    floats = (pixels / white_of(pixels.dtype)).astype(np.float32)
    return np.repeat(floats, 3, axis=2) if floats.shape[2] == 1 else floats
