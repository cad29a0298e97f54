"""What an enlargement is worth as evidence: its error when it is shrunk again, and where it has more than bicubic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoomsr.engines.tiling import TILE, Region, TileSource
from zoomsr.imaging import files
from zoomsr.imaging.decode import MAX_PIXELS
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.pixels import PixelArray, luma, white_of
from zoomsr.imaging.resize import downscale, resize
from zoomsr.inference.out_of_core import TIFF_SUFFIXES, PictureFile, read_region
from zoomsr.inference.upscaler import Upscaler
from zoomsr.runs.files import sha256_of, write_json
from zoomsr.runs.run import versions

MAP_RANGE = 16.0
"""Grey levels that are white in a map of added detail, and all above."""

_MARGIN = 4  # lr pixels around a part, for bicubic up and down, however often


def certificate_of(target: Path) -> Path:
    """``NAME-x2.json`` for ``NAME-x2.png``."""
    return target.with_suffix(".json")


def require_readable(size: tuple[int, int], factor: int, target: Path) -> None:
    """Raise ValueError where the enlargement of a picture of (height, width) will be too large to be read again."""
    if size[0] * size[1] * factor**2 > MAX_PIXELS and target.suffix.lower() not in TIFF_SUFFIXES:
        raise ValueError(f"{target} will be too large to be certified, unless it is a TIFF: -o FILE.tif")


def certify(
    source: Path, target: Path, upscaler: Upscaler, *, box: CropBox | None, scale: int | None, quality: int
) -> tuple[float, float]:
    """Measure a written enlargement against its input, and write the certificate beside it, atomically.

    Args:
        source: the input's file.
        target: the enlargement's file; its pixels are decoded again, so that the losses of JPEG count.
        upscaler: that made it.
        box: the crop that was enlarged.
        scale: that was asked for.
        quality: of JPEG and WebP.

    Returns:
        The largest and the mean re-shrink error in grey levels (1/255).

    Raises:
        ValueError: one of the files cannot be read any more.
        OSError: the certificate cannot be written.
    """
    passes = upscaler.passes(scale)
    largest, mean = reshrink_error(_pixels(source, box), _pixels(target, None), scale=upscaler.net.scale, passes=passes)
    weights = upscaler.weights
    content = {
        "error": {
            "largest": largest,
            "mean": mean,
            "unit": "grey levels, 1/255 of white",
            "meaning": f"the output file's pixels, shrunk {passes} times to 1/{upscaler.net.scale} by bicubic (MATLAB's"
            " imresize), against the input's; colours with transparency as they are over black",
        },
        "input": {"file": source.name, "sha256": sha256_of(source), "box": None if box is None else list(box)},
        "output": {"file": target.name, "sha256": sha256_of(target)},
        "net": {"name": upscaler.name, "weights_sha256": None if weights is None else sha256_of(weights)},
        "settings": {
            **upscaler.settings,
            "engine": "torch" if upscaler.engine is None else upscaler.engine.engine,
            "tile": upscaler.tile,
            "passes": passes,
            "quality": quality,
        },
        "versions": versions(),
    }
    write_json(certificate_of(target), content)
    return largest, mean


def reshrink_error(source: TileSource, output: TileSource, *, scale: int, passes: int) -> tuple[float, float]:
    """Shrink ``output`` by bicubic, ``passes`` times to 1/scale, and compare it with ``source``; in bounded memory.

    Returns:
        The largest and the mean absolute difference, in grey levels (1/255).

    Raises:
        ValueError: the sizes do not fit.
    """
    _require_fit(source, output, scale**passes)
    largest, total, count = 0.0, 0.0, 0
    for region, lr, larger in _parts(source, output, scale**passes):
        for _ in range(passes):
            larger = downscale(larger, scale)
        difference = (_inner(larger, region, source) - _inner(lr, region, source)).abs().double() * 255
        largest, total = max(largest, float(difference.max())), total + float(difference.sum())
        count += difference.numel()
    return largest, total / count


def write_map(source: Path, target: Path, path: Path, *, box: CropBox | None, factor: int, overwrite: bool) -> None:
    """Write where detail was added, see ``detail_map``, as an 8-bit PNG, atomically.

    Raises:
        ValueError: one of the files cannot be read, or ``path`` is there already.
    """
    pixels = detail_map(_pixels(source, box), _pixels(target, None), factor=factor)
    path.parent.mkdir(parents=True, exist_ok=True)
    Photograph(pixels).write(path, overwrite=overwrite)


def detail_map(source: TileSource, output: TileSource, *, factor: int) -> PixelArray:
    """Where an enlargement has more than bicubic; in bounded memory.

    The root mean square, over a square of 2 factor + 1 pixels, of the luma of the output minus that of bicubic.

    Returns:
        (H, W, 3) uint8 of the output's size: black is none, white ``MAP_RANGE`` grey levels or more, linear between, in
        the colours of ``zoomsr.figures.ramp``.

    Raises:
        ValueError: the sizes do not fit.
    """
    from zoomsr.figures.ramp import ramped  # matplotlib is heavy

    _require_fit(source, output, factor)
    pixels = np.empty((*output.shape[:2], 3), np.uint8)
    for region, small, larger in _parts(source, output, factor):
        added = luma(larger - resize(small, tuple(larger.shape[-2:])))  # type: ignore[arg-type]  # two sides
        added = added - luma(torch.zeros_like(larger))  # the offset of Y
        energy = F.avg_pool2d(added.square()[None], 2 * factor + 1, 1, factor, count_include_pad=False)[0]
        level = _inner(energy.sqrt(), region, source, factor)[0] * 255 / MAP_RANGE
        pixels[region.slices(factor)] = ramped(level.numpy())
    return pixels


def _pixels(path: Path, box: CropBox | None) -> TileSource:
    """Of a file, or a crop of it; a huge one stays in its file."""
    height, width = files.size(path)
    if height * width > MAX_PIXELS:
        return PictureFile(path) if box is None else read_region(path, box).interleaved
    photograph = Photograph.read(path)
    return (photograph if box is None else photograph.cropped(box)).interleaved


def _require_fit(source: TileSource, output: TileSource, factor: int) -> None:
    height, width = source.shape[:2]
    if tuple(output.shape[:2]) != (factor * height, factor * width):
        raise ValueError(f"{output.shape[1]}x{output.shape[0]} is not {factor} times {width}x{height}")


def _parts(source: TileSource, output: TileSource, factor: int) -> Iterator[tuple[Region, Tensor, Tensor]]:
    """Parts, each with the input's and the output's pixels with a margin around it."""
    height, width = source.shape[:2]
    for region in Region(0, 0, height, width).cut(tile=TILE, margin=_MARGIN, grid=1):
        outer = region.grown(_MARGIN, height, width)
        yield region, _seen(source[outer.slices()]), _seen(output[outer.slices(factor)])


def _inner(image: Tensor, region: Region, source: TileSource, factor: int = 1) -> Tensor:
    """Without the margin."""
    outer = region.grown(_MARGIN, source.shape[0], source.shape[1])
    return image[(..., *region.slices(factor, top=outer.top, left=outer.left))]


def _seen(pixels: np.ndarray[Any, Any]) -> Tensor:
    """(C, H, W) on [0, 1], C without alpha: colours over black."""
    white = white_of(pixels.dtype)
    image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / white
    return image[:-1] * image[-1:] if len(image) in (2, 4) else image
