"""What the enlargement of a photograph will make and cost, by doing a small part of it."""

from __future__ import annotations

import io
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from zoomsr.engines.tiling import Region
from zoomsr.imaging.decode import MAX_PIXELS
from zoomsr.imaging.encode import encoder, require_holds
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.choice import Compression
from zoomsr.inference.options import Options
from zoomsr.inference.out_of_core import raw_bytes, streaming
from zoomsr.inference.route import Route
from zoomsr.inference.targets import Task
from zoomsr.inference.upscaler import layer_bytes
from zoomsr.runs.files import short

_TRIAL = 128  # side of the crop that is enlarged to measure time and size

BASIS = (
    f"Time and disk: measured on the middle {_TRIAL}x{_TRIAL} pixels, in proportion; decoding, encoding and the start"
    " of another engine are not counted. Memory: an upper bound for pixels and layers, beside Python's and torch's own"
    " 300 MB."
)
"""How the costs are estimated."""


@dataclass(frozen=True)
class Forecast:
    """What enlarging will make and cost, see ``BASIS``.

    Attributes:
        net: its name.
        factor: of each side.
        target: the file.
        width: of the result in pixels.
        height: the same.
        refused: why it will not be made; None where it will.
        seconds: of the net.
        memory_bytes: at most.
        disk_bytes: of the file; 0 where it is not made.
        temporary_bytes: on the disk beside it until it is done.
        basis: ``BASIS``, for programs that read it as JSON.
    """

    net: str
    factor: float
    target: str
    width: int
    height: int
    refused: str | None
    seconds: float
    memory_bytes: int
    disk_bytes: int
    temporary_bytes: int
    basis: str = BASIS

    @staticmethod
    def of(
        task: Task, photograph: Photograph, size: tuple[int, int], compression: Compression, options: Options
    ) -> Forecast:
        """Of a photograph of ``size`` = (height, width), by enlarging the middle of its pixels.

        Args:
            task: its file and the result's.
            photograph: its pixels, or a part of them where it is too large to be decoded as a whole.
            size: of the file's picture.
            compression: as it was found.
            options: of the command line.

        Raises:
            ValueError: the crop is not inside, or the net does not reach the size.
        """
        is_streamed, is_shrunk = options.box is None and size[0] * size[1] > MAX_PIXELS, False
        if photograph.size == size:  # all of it, and not the middle of a huge one
            whole = photograph if options.box is None else photograph.cropped(options.box)
            photograph = options.pre_shrink.of(whole)
            size, is_shrunk = photograph.size, photograph.size != whole.size
        elif options.box is not None:
            options.box.require_inside(*size)
            size = options.box.height, options.box.width
        open_net = options.opener(options.compression(lambda: compression, is_shrunk=is_shrunk))
        route, crop = Route.to(options.size, size, open_net), photograph.cropped(photograph.middle(_TRIAL))
        rows, columns = (
            max(1, side * after // before) for side, after, before in zip(crop.size, route.size, size, strict=True)
        )
        trial = replace(route, source=crop.size, size=(rows, columns))
        seconds, larger = min((_timed(trial, crop) for _ in range(2)), key=lambda run: run[0])  # the first run is slow
        runs, pixels = _runs(route), route.size[0] * route.size[1]
        layers = 0 if route.upscaler is None else layer_bytes(max(runs), scale=route.upscaler.net.scale)
        refused = _refusal(task, route, options, photograph, is_streamed=is_streamed)
        encoded = 0 if refused is not None else _encoded_bytes(larger, task.target, quality=options.quality)
        pixel_bytes = crop.interleaved.nbytes // (crop.size[0] * crop.size[1])
        return Forecast(
            net=route.name,
            factor=round(max(route.size[0] / size[0], route.size[1] / size[1]), 3),
            target=short(task.target),
            width=route.size[1],
            height=route.size[0],
            refused=refused,
            seconds=seconds * sum(runs) / sum(_runs(trial)),
            memory_bytes=layers + (0 if is_streamed else pixel_bytes * route.held),
            disk_bytes=encoded * pixels // (rows * columns),
            temporary_bytes=raw_bytes(task.source, pixels) if is_streamed else 0,
        )


def _timed(trial: Route, crop: Photograph) -> tuple[float, Photograph]:
    start = time.perf_counter()
    larger = trial.follow(crop, lambda pixels: None)
    return time.perf_counter() - start, larger


def _encoded_bytes(photograph: Photograph, target: Path, *, quality: int) -> int:
    with tempfile.TemporaryFile() as file:  # libvips writes into nothing that is only in memory
        encoder(target, photograph.interleaved, photograph, quality=quality).save(file)
        return file.seek(0, io.SEEK_END)


def _refusal(task: Task, route: Route, options: Options, photograph: Photograph, *, is_streamed: bool) -> str | None:
    """Why the file will not be made."""
    if options.skip_existing and task.target.exists():
        return f"{task.target} is there already: it is skipped"
    try:
        options.require_free(task.target)
        require_holds(task.target, route.size, is_transparent=photograph.is_transparent)
        if is_streamed:
            streaming(task.source, task.target, route, options.pre_shrink)
    except ValueError as error:
        return str(error)
    return None


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
