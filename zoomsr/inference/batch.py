"""The recipe of ``zoomsr.zoom``: upscale photographs one after the other; a failure does not stop the others."""

from __future__ import annotations

import math
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from zoomsr.cli.console import decimal, say
from zoomsr.cli.errors import DEBUG_VARIABLE
from zoomsr.cli.progress import PixelProgress, pixel_progress
from zoomsr.imaging import files
from zoomsr.imaging.decode import MAX_PIXELS
from zoomsr.imaging.encode import require_holds
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.inference.choice import Compression
from zoomsr.inference.disk import about_bytes, require_room
from zoomsr.inference.options import Options
from zoomsr.inference.pre_shrink import shrunk
from zoomsr.inference.route import Route
from zoomsr.inference.targets import Task
from zoomsr.runs.files import short

MAX_EXIT_CODE = 100
"""Of a batch in which so many photographs or more fail; shells use the codes from 126 on for other ends."""


class _Forecast(NamedTuple):
    """What a photograph will cost: pixels that the net computes in all passes, and about the bytes of the result."""

    pixels: int
    n_bytes: int


@dataclass
class _Outcome:
    """How a batch went."""

    total: int
    skipped: int
    done: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """``5 of 40 photographs, 33 skipped, 1 failed, 1 not finished``."""
        rest = {"skipped": self.skipped, "failed": len(self.failures)}
        rest["not finished"] = self.total - self.done - sum(rest.values())
        parts = (f"{count:,} {name}" for name, count in rest.items() if count)
        return ", ".join([f"{self.done:,} of {self.total:,} photographs", *parts])


def run(patterns: Sequence[str], options: Options) -> None:
    """Upscale all of them. A photograph that fails is one line, and the others are done.

    The exit code is the number of failures, ``MAX_EXIT_CODE`` at most; after Ctrl-C it is 130.

    Raises:
        ValueError: no such file, several nets, two results that would be one file, or a disk that is too small; nothing
            is done then.
        KeyboardInterrupt: passed on, when the summary has been printed.
    """
    options.require_one_net("several nets go with --compare")
    tasks = options.plan(patterns)
    options.proof.require_one_map(tasks, overwrite=options.overwrite)
    waiting = [task for task in tasks if not (options.skip_existing and task.target.exists())]
    if any(options.overwrite or not task.target.exists() for task in waiting):
        for line in options.first_net().about:  # or an error, before any photograph is read
            say({"net": line})
    outcome = _Outcome(total=len(tasks), skipped=len(tasks) - len(waiting))
    forecasts = [_forecast(task, options) for task in waiting]
    results = [(task.target, forecast.n_bytes) for task, forecast in zip(waiting, forecasts, strict=True)]
    require_room(results, is_told=len(waiting) > 1)
    try:
        with pixel_progress(sum(forecast.pixels for forecast in forecasts)) as progress:
            end = 0
            for number, (task, forecast) in enumerate(zip(waiting, forecasts, strict=True), start=1):
                count = f"{number} of {len(waiting)}  " if len(waiting) > 1 else ""
                progress.describe(f"{count}{task.source.name}")
                end += forecast.pixels
                with _failure_counted(task, outcome):
                    if number > 1:  # the disk may have become full
                        require_room([(task.target, forecast.n_bytes)], is_told=False)
                    _upscale(task, options, progress)
                    outcome.done += 1
                progress.reach(end)
    finally:
        if len(tasks) > 1 or outcome.skipped:
            say({"done": outcome.summary})
        for line in outcome.failures:
            print(f"error: {line}", file=sys.stderr)
    if outcome.failures:
        sys.exit(min(len(outcome.failures), MAX_EXIT_CODE))


@contextmanager
def _failure_counted(task: Task, outcome: _Outcome) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # decoders and encoders raise errors of any type
        if os.environ.get(DEBUG_VARIABLE) == "1":
            traceback.print_exception(error)
        outcome.failures.append(error_line(error, task))


def _forecast(task: Task, options: Options) -> _Forecast:
    """From the header of the file; nothing of one that cannot be read or must not be replaced, which fails later."""
    try:
        options.require_free(task.target)
        height, width = files.size(task.source) if options.box is None else (options.box.height, options.box.width)
        factor = options.pre_shrink.factor or 1  # what auto will find is not known yet
        compression = options.compression(partial(Compression.of, task.source), is_shrunk=factor != 1)
        route = Route.to(options.size, shrunk((height, width), factor), options.opener(compression))
        pixels, raw = route.size[0] * route.size[1], 0
        if height * width > MAX_PIXELS and options.box is None:
            from zoomsr.inference.out_of_core import raw_bytes
            from zoomsr.inference.unfinished import bytes_kept

            raw = max(0, raw_bytes(task.source, pixels) - bytes_kept(task.target))
    except Exception:  # as above
        return _Forecast(0, 0)
    return _Forecast(route.computed, about_bytes(task.target, pixels) + raw)


def error_line(error: Exception, task: Task) -> str:
    """An error in one line that names the photograph."""
    text = str(error) or type(error).__name__
    if not isinstance(error, (ValueError, OSError)):
        text = f"{type(error).__name__}: {error} ({DEBUG_VARIABLE}=1 shows where)"
    is_named = str(task.source) in text or str(task.target) in text
    return " ".join((text if is_named else f"{task.source}: {text}").split())


def _upscale(task: Task, options: Options, progress: PixelProgress) -> None:
    options.require_free(task.target)
    height, width = files.size(task.source)
    if height * width > MAX_PIXELS and options.box is None:
        from zoomsr.inference.out_of_core import streaming, upscale_file

        compression = options.compression(partial(Compression.of, task.source), is_shrunk=False)
        route = Route.to(options.size, (height, width), options.opener(compression))
        upscaler = streaming(task.source, task.target, route, options.pre_shrink)
        options.proof.require(task, route, pre_shrink=options.pre_shrink, overwrite=options.overwrite)
        height, width, notes = upscale_file(
            task.source, task.target, upscaler, advance=progress.advance, skip=progress.skip
        )
    else:
        found = _read(task.source, options.box, is_huge=height * width > MAX_PIXELS)
        photograph = options.pre_shrink.of(found)
        is_shrunk = photograph.size != found.size
        compression = options.compression(partial(Compression.of, task.source, found), is_shrunk=is_shrunk)
        del found  # the smaller one takes its place
        notes, (height, width) = photograph.notes, photograph.size
        route = Route.to(options.size, photograph.size, options.opener(compression))
        require_holds(task.target, route.size, is_transparent=photograph.is_transparent)
        _require_memory(photograph, route)
        options.proof.require(task, route, pre_shrink=options.pre_shrink, overwrite=options.overwrite)
        # Under one name, so that the smaller one is freed before the larger one is written.
        photograph = route.follow(photograph, progress.advance)
        task.target.parent.mkdir(parents=True, exist_ok=True)
        notes += photograph.write(task.target, quality=options.quality, overwrite=options.overwrite)
        if photograph.size[0] < height or photograph.size[1] < width:
            notes += (f"{width}x{height} is more than was asked for: shrunk by bicubic, without a net",)
        height, width = photograph.size
    for note in notes:
        say({"note": f"{task.source}: {note}"})
    why = "" if options.models or route.upscaler is None else f"  ({compression.evidence})"
    say({route.name: f"{short(task.target)}  {width}x{height}{why}"})
    engine = None if route.upscaler is None else route.upscaler.engine
    for line in () if engine is None else engine.said():
        say({"engine": line})
    options.proof.write(task, route, box=options.box, quality=options.quality, overwrite=options.overwrite)


def _require_memory(photograph: Photograph, route: Route) -> None:
    """Raise ValueError where not even half of the pixels fits into the free memory; where not all do, say so.

    The system would kill the program, without a word, unless it has swap for the rest.
    """
    import torch  # which the net needs; reading and planning do not

    from zoomsr.hardware.devices import free_memory

    free, pixels = free_memory(torch.device("cpu")), math.prod(photograph.size)
    n_bytes = photograph.pixels.nbytes + (0 if photograph.alpha is None else photograph.alpha.nbytes)
    needed = n_bytes * (route.held - pixels) // pixels  # those of the photograph are there already
    if free is None or needed <= free:
        return
    text = f"about {decimal(needed)} of memory needed for {route.size[1]}x{route.size[0]}, {decimal(free)} free"
    if needed > 2 * free:
        raise ValueError(f"{text}: a smaller --scale, or a part by --box, needs less")
    say({"note": f"{text}: it may become slow, or be ended by the system"})


def _read(source: Path, box: CropBox | None, *, is_huge: bool) -> Photograph:
    """The photograph, or a crop of it; of a huge one no more than the crop is decoded."""
    if is_huge and box is not None:
        from zoomsr.inference.out_of_core import read_region

        return read_region(source, box)
    photograph = Photograph.read(source)
    return photograph if box is None else photograph.cropped(box)
