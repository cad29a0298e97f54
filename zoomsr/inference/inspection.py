"""``zoomsr.zoom --inspect``: what is in a photograph and what will be done with it. Nothing is written."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import ImageCms
from rich.markup import escape
from rich.table import Table

from zoomsr.cli.console import CONSOLE, decimal, printable
from zoomsr.imaging import files
from zoomsr.imaging.blocking import JpegTrace, jpeg_trace
from zoomsr.imaging.decode import MAX_PIXELS
from zoomsr.imaging.encode import encoder
from zoomsr.imaging.header import Header
from zoomsr.imaging.noise import noise_sigma
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.real_resolution import enlarged_by
from zoomsr.imaging.sampling import luma_samples
from zoomsr.inference.batch import Options, error_line
from zoomsr.inference.choice import Compression
from zoomsr.inference.out_of_core import read_region
from zoomsr.inference.route import OpenNet, Route
from zoomsr.inference.targets import Task, plan
from zoomsr.inference.tiling import Region
from zoomsr.inference.upscaler import layer_bytes
from zoomsr.runs.files import short

_TRIAL = 128  # side of the crop that is enlarged to measure time and size
_HUGE = 2048  # side of the part that is judged of a picture which is too large to decode as a whole


@dataclass(frozen=True)
class Forecast:
    """What enlarging will make and cost.

    Attributes:
        net: its name.
        factor: of each side.
        target: the file.
        width: of the result in pixels.
        height: the same.
        seconds: by the net's time for a crop of 128x128; decoding and encoding are not counted.
        memory_bytes: of pixels and layers, beside Python's and torch's own some 300 MB.
        disk_bytes: of the file, by that crop's size in the same format.
    """

    net: str
    factor: float
    target: str
    width: int
    height: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class Inspection:
    """What is in a photograph, and what will be done with it.

    Attributes:
        file: as it was named.
        width: in pixels, upright.
        height: the same.
        bits: of a channel, 8 or 16.
        channels: ``grey``, ``RGB``, ``grey and alpha``, ``RGB and alpha``.
        profile: the colour profile's own name, ``unnamed``, or None.
        header: what the file says.
        trace: of an earlier JPEG in the pixels of any other format; None where there is none.
        noise: sd of white noise in luma, of 255 grey levels; None where the picture is too small.
        soft: factor by which it can be shrunk first without loss; 1 for a sharp one, None where nothing says.
        forecast: of the enlargement.
        notes: what of the file is not kept.
    """

    file: str
    width: int
    height: int
    bits: int
    channels: str
    profile: str | None
    header: Header
    trace: JpegTrace | None
    noise: float | None
    soft: float | None
    forecast: Forecast
    notes: tuple[str, ...]


def inspect(patterns: Sequence[str], options: Options, *, as_json: bool) -> None:
    """Print what was found in each photograph. One that fails is a line on stderr and exit code 1.

    Raises:
        ValueError: no such file, several nets, or two results that would be one file.
    """
    options.require_one_net("--inspect takes one")
    found: list[Inspection] = []
    failures: list[str] = []
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():  # notes
        upscaler = options.first_net()
        upscaler.upscale(Photograph.with_pixels(np.zeros((_TRIAL, _TRIAL, 3), np.uint8)))  # the first run is slow
        ending = f"-x{upscaler.net.scale}" if options.size is None else options.size.ending
        for task in plan(patterns, options.out, ending=ending, suffix=options.suffix):
            try:
                found.append(_inspected(task, options))
            except Exception as error:  # decoders raise errors of any type
                failures.append(error_line(error, task))
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    elif found:
        CONSOLE.print(_table(found))
    for line in failures:
        print(f"error: {line}", file=sys.stderr)
    if failures:
        sys.exit(1)


def _inspected(task: Task, options: Options) -> Inspection:
    height, width = files.size(task.source)
    if height * width > MAX_PIXELS:
        photograph = read_region(task.source, _middle(height, width))
    else:
        photograph = Photograph.read(task.source)
    header, samples = Header.read(task.source), luma_samples(photograph.pixels)
    noise, soft = noise_sigma(samples), enlarged_by(samples)
    trace = None if header.is_jpeg else jpeg_trace(samples)
    open_net = options.opener(Compression.found(header, trace))
    channels = "grey" if photograph.pixels.shape[2] == 1 else "RGB"
    return Inspection(
        file=str(task.source),
        width=width,
        height=height,
        bits=8 * photograph.pixels.dtype.itemsize,
        channels=channels if photograph.alpha is None else f"{channels} and alpha",
        profile=None if photograph.icc is None else _profile_name(photograph.icc),
        header=header,
        trace=trace,
        noise=None if math.isnan(noise) else round(noise, 2),
        soft=None if math.isnan(soft) else soft,
        forecast=_forecast(task, photograph, (height, width), open_net, options),
        notes=photograph.notes,
    )


def _middle(height: int, width: int) -> CropBox:
    """Of a picture that is too large to decode as a whole; on the grid of a JPEG's blocks."""
    left, top = (max(length - _HUGE, 0) // 2 // 8 * 8 for length in (width, height))
    return CropBox(left, top, min(width, _HUGE), min(height, _HUGE))


def _forecast(
    task: Task, photograph: Photograph, size: tuple[int, int], open_net: OpenNet, options: Options
) -> Forecast:
    """Of a photograph of ``size`` = (height, width), by enlarging the middle of its pixels."""
    if photograph.size == size:  # all of it, and not the middle of a huge one
        photograph = options.pre_shrink.of(photograph if options.box is None else photograph.cropped(options.box))
        size = photograph.size
    elif options.box is not None:
        options.box.require_inside(*size)
        size = options.box.height, options.box.width
    route, crop = Route.to(options.size, size, open_net), photograph.cropped(photograph.middle(_TRIAL))
    rows, columns = (
        max(1, side * after // before) for side, after, before in zip(crop.size, route.size, size, strict=True)
    )
    trial = replace(route, source=crop.size, size=(rows, columns))
    start = time.perf_counter()
    larger = trial.follow(crop, lambda pixels: None)
    seconds = time.perf_counter() - start
    encoded = io.BytesIO()
    encoder(task.target, larger.interleaved, larger, quality=options.quality).save(encoded)
    runs = _runs(route)
    held = size[0] * size[1] * (1 + route.scale**2) + (0 if trial.is_one_pass else route.size[0] * route.size[1])
    layers = 0 if route.upscaler is None else layer_bytes(max(runs), scale=route.upscaler.net.scale)
    return Forecast(
        net=route.name,
        factor=round(max(route.size[0] / size[0], route.size[1] / size[1]), 3),
        target=short(task.target),
        width=route.size[1],
        height=route.size[0],
        seconds=seconds * sum(runs) / sum(_runs(trial)),
        memory_bytes=crop.interleaved.nbytes // (crop.size[0] * crop.size[1]) * held + layers,
        disk_bytes=len(encoded.getbuffer()) * route.size[0] * route.size[1] // (rows * columns),
    )


def _runs(route: Route) -> list[int]:
    """Pixels with their halo of each run of the net, over all tiles and passes; without a net, all at once."""
    height, width = route.source
    if route.upscaler is None:
        return [height * width]
    net, runs = route.upscaler.net, []
    halo = net.halo if route.upscaler.halo is None else route.upscaler.halo
    tile, margin = (-(-length // net.multiple_of) * net.multiple_of for length in (route.upscaler.tile, halo))
    while height < route.source[0] * route.scale:
        for region in Region(0, 0, height, width).cut(tile=tile, margin=margin, grid=net.multiple_of):
            outer = region.grown(margin, height, width)
            runs.append((outer.bottom - outer.top) * (outer.right - outer.left))
        height, width = height * net.scale, width * net.scale
    return runs


def _table(found: Sequence[Inspection]) -> Table:
    """A row for each photograph."""
    table = Table("photograph", "found in it", "will be made, with about", show_lines=len(found) > 1)
    for one in found:
        cells = (_picture_lines(one), _finding_lines(one), _forecast_lines(one.forecast))
        table.add_row(*(escape(printable("\n".join(lines))) for lines in cells))
    return table


def _picture_lines(one: Inspection) -> list[str]:
    kind = one.header.format or Path(one.file).suffix[1:].upper()
    return [one.file, f"{one.width}x{one.height}, {one.bits} bit {one.channels}", f"{kind}, {_profile(one)}"]


def _profile(one: Inspection) -> str:
    return "no profile" if one.profile is None else f"profile {one.profile}"


def _finding_lines(one: Inspection) -> list[str]:
    lines = [
        Compression.found(one.header, one.trace).evidence,
        "noise: too small to say" if one.noise is None else f"noise {one.noise:.1f} of 255",
    ]
    if one.soft is None:
        lines.append("resolution: too small or too flat to say")
    elif one.soft == 1:
        lines.append("sharp")
    else:
        lines.append(f"soft: shrinking by {one.soft:g} first loses nothing")
    return [*lines, *one.notes]


def _forecast_lines(forecast: Forecast) -> list[str]:
    return [
        f"{forecast.target}",
        f"{forecast.width}x{forecast.height} by {forecast.net}, x{forecast.factor:g}",
        f"{forecast.seconds:.1f} s, {decimal(forecast.memory_bytes)} of memory, {decimal(forecast.disk_bytes)} on disk",
    ]


def _profile_name(icc: bytes) -> str:
    with contextlib.suppress(Exception):  # LittleCMS raises errors of several types on damaged profiles
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip() or "unnamed"
    return "unnamed"
