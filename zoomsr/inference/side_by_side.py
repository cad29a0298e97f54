"""The recipe of ``zoomsr.zoom --compare``: one picture with an area of a photograph, enlarged by every net."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from zoomsr.cli.console import say
from zoomsr.figures import Enlargement, FloatImage, Panel, comparison
from zoomsr.imaging.encode import Pixels, atomic_file
from zoomsr.imaging.photo import Box, Photograph
from zoomsr.imaging.pixels import luma, shave
from zoomsr.inference.batch import Options
from zoomsr.inference.targets import plan
from zoomsr.metrics.quality import psnr
from zoomsr.runs.files import short

_SIDE = 256


def draw(patterns: Sequence[str], options: Options, *, truth: Path | None) -> None:
    """Draw nearest, bicubic and each net side by side, with an inset, and the dB of each where the truth is known.

    Without a box the middle of the photograph is taken, 256x256.

    Raises:
        ValueError: more than one photograph, a truth of another size, a file that is there already.
    """
    tasks = plan(patterns, options.out, ending="-compared")
    if len(tasks) > 1:
        raise ValueError(f"--compare takes one photograph, not {len(tasks)}")
    ((source, target),) = tasks
    if target.exists() and not options.overwrite:
        raise ValueError(f"{target} is there already: --overwrite replaces it")
    photograph = Photograph.read(source)
    box = options.box or _middle(photograph)
    area = photograph.cropped(box)
    upscalers = [options.open(model) for model in dict.fromkeys(["bicubic", *options.models])]
    if len({upscaler.name for upscaler in upscalers}) < len(upscalers):
        raise ValueError(f"two nets are called the same: {', '.join(upscaler.name for upscaler in upscalers)}")
    scale = upscalers[-1].net.scale ** upscalers[-1].passes(options.scale)
    hr = None if truth is None else _truth(truth, photograph, box, scale)
    enlarged = {upscaler.name: upscaler.upscale(area, scale=scale).pixels for upscaler in upscalers}
    row = Enlargement(
        name=source.name,
        lr=_floats(area.pixels),
        methods={
            name: Panel(_floats(pixels), None if hr is None else _psnr_y(pixels, hr, border=scale))
            for name, pixels in enlarged.items()
        },
        hr=None if hr is None else _floats(hr),
        photograph=_floats(photograph.pixels),
        box=box,
    )
    figure = comparison([row])
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(target) as file:
        figure.savefig(file, dpi=220, format=target.suffix[1:])
    say({"compared": short(target)})


def _middle(photograph: Photograph) -> Box:
    height, width = photograph.size
    box_height, box_width = min(_SIDE, height), min(_SIDE, width)
    return Box((width - box_width) // 2, (height - box_height) // 2, box_width, box_height)


def _truth(path: Path, photograph: Photograph, box: Box, scale: int) -> Pixels:
    """The area's truth, cut from that of the whole photograph or given as it is."""
    truth = Photograph.read(path)
    if truth.size == tuple(scale * side for side in photograph.size):
        return truth.cropped(Box(*(scale * value for value in box))).pixels
    if truth.size == (scale * box.height, scale * box.width):
        return truth.pixels
    height, width = truth.size
    wanted = f"{scale} times the photograph, or {scale * box.width}x{scale * box.height}"
    raise ValueError(f"{path} is {width}x{height}: the truth must be {wanted}")


def _psnr_y(sr: Pixels, hr: Pixels, *, border: int) -> float:
    """On Y, ``border`` pixels shaved off: protocol ``modern``, of the 8-bit picture."""
    y = [shave(luma(torch.from_numpy(_floats(pixels)).permute(2, 0, 1)), border) * 255 for pixels in (sr, hr)]
    return float(psnr(*y))


def _floats(pixels: Pixels) -> FloatImage:
    """(H, W, 3) on [0, 1]."""
    floats = (pixels / np.iinfo(pixels.dtype).max).astype(np.float32)
    return np.repeat(floats, 3, axis=2) if floats.shape[2] == 1 else floats
