"""The recipe of ``zoomsr.zoom``: upscale photographs one after the other; a failure does not stop the others."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoomsr.cli.console import pixel_bar, printable, say
from zoomsr.cli.errors import DEBUG_VARIABLE
from zoomsr.imaging import files
from zoomsr.imaging.decode import MAX_PIXELS
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.inference.targets import Task, plan
from zoomsr.inference.upscaler import Upscaler
from zoomsr.runs.files import short


@dataclass(frozen=True)
class Options:
    """Options of the command line, see ``zoomsr.zoom``; ``open`` opens a net for a scale as they say."""

    models: Sequence[str]
    open: Callable[[str, int | None], Upscaler]
    box: CropBox | None
    scale: int | None
    out: str | None
    quality: int
    overwrite: bool

    def require_free(self, target: Path) -> None:
        """Raise ValueError where the target exists and must not be replaced."""
        if target.exists() and not self.overwrite:
            raise ValueError(f"{target} is there already: --overwrite replaces it")


def parse_box(text: str) -> CropBox:
    """``X,Y,W,H`` in pixels.

    Raises:
        ValueError: not four whole numbers.
    """
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError:
        raise ValueError(f"--box {text} is not X,Y,W,H, four whole numbers of pixels") from None
    return CropBox(left, top, width, height)


def run(patterns: Sequence[str], options: Options) -> None:
    """Upscale all of them. A photograph that fails is one line and exit code 1; the others are done.

    Raises:
        ValueError: no such file, several nets, or two results that would be one file; nothing is done then.
    """
    if len(options.models) > 1:
        raise ValueError(f"--model {' --model '.join(options.models)}: several nets go with --compare")
    upscaler = options.open(options.models[0], options.scale)
    factor = upscaler.net.scale ** upscaler.passes(options.scale)
    tasks = plan(patterns, options.out, ending=f"-x{factor}")
    failures: list[str] = []
    with pixel_bar() as progress:
        bar = progress.add_task("", total=0)

        def begin(pixels: int) -> Callable[[int], None]:
            progress.update(bar, total=(progress.tasks[0].total or 0) + pixels)
            return lambda done: progress.advance(bar, done)

        for number, task in enumerate(tasks, start=1):
            label = printable(task.source.name)
            progress.update(bar, description=label if len(tasks) == 1 else f"{number} of {len(tasks)}  {label}")
            try:
                _upscale(task, upscaler, options, begin)
            except Exception as error:  # decoders and encoders raise errors of any type
                if os.environ.get(DEBUG_VARIABLE) == "1":
                    traceback.print_exception(error)
                failures.append(error_line(error, task))
    if len(tasks) > 1:
        say({"done": f"{len(tasks) - len(failures)} of {len(tasks)} photographs"})
    for line in failures:
        print(f"error: {line}", file=sys.stderr)
    if failures:
        sys.exit(1)


def error_line(error: Exception, task: Task) -> str:
    """An error in one line that names the photograph."""
    text = str(error) or type(error).__name__
    if not isinstance(error, (ValueError, OSError)):
        text = f"{type(error).__name__}: {error} ({DEBUG_VARIABLE}=1 shows where)"
    is_named = str(task.source) in text or str(task.target) in text
    return " ".join((text if is_named else f"{task.source}: {text}").split())


def _upscale(task: Task, upscaler: Upscaler, options: Options, begin: Callable[[int], Callable[[int], None]]) -> None:
    options.require_free(task.target)
    height, width = files.size(task.source)
    if height * width > MAX_PIXELS and options.box is None:
        from zoomsr.inference.out_of_core import upscale_file

        if (n_passes := upscaler.passes(options.scale)) > 1:
            size = f"{task.source} has more than {MAX_PIXELS:,} pixels"
            raise ValueError(f"{size}: --scale {options.scale}, {n_passes} passes of {upscaler.name}, goes with --box")
        advance = begin(height * width * upscaler.net.scale**2)
        height, width, notes = upscale_file(task.source, task.target, upscaler, advance=advance)
    else:
        photograph = _read(task.source, options.box, is_huge=height * width > MAX_PIXELS)
        notes, (height, width) = photograph.notes, photograph.size
        passes = range(1, upscaler.passes(options.scale) + 1)
        advance = begin(sum(height * width * upscaler.net.scale ** (2 * number) for number in passes))
        # Under one name, so that the smaller one is freed before the larger one is written.
        photograph = upscaler.upscale(photograph, scale=options.scale, advance=advance)
        task.target.parent.mkdir(parents=True, exist_ok=True)
        notes += photograph.write(task.target, quality=options.quality, overwrite=options.overwrite)
        height, width = photograph.size
    for note in notes:
        say({"note": f"{task.source}: {note}"})
    say({upscaler.name: f"{short(task.target)}  {width}x{height}"})
    for line in () if upscaler.engine is None else upscaler.engine.said():
        say({"engine": line})


def _read(source: Path, box: CropBox | None, *, is_huge: bool) -> Photograph:
    """The photograph, or a crop of it; of a huge one no more than the crop is decoded."""
    if is_huge and box is not None:
        from zoomsr.inference.out_of_core import read_region

        return read_region(source, box)
    photograph = Photograph.read(source)
    return photograph if box is None else photograph.cropped(box)
