"""The recipe of ``zoomsr.zoom``: which photographs, where to, one after the other, whatever becomes of each."""

from __future__ import annotations

import glob
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zoomsr import image
from zoomsr.encoding import OUTPUT_SUFFIXES
from zoomsr.image import MOST_PIXELS
from zoomsr.photograph import Box, Photograph
from zoomsr.screen import pixel_bar, say, short
from zoomsr.zoomer import Zoomer

INPUT_SUFFIXES = image.SUFFIXES | {".gif"}


@dataclass(frozen=True)
class Options:
    """What the command line says; see ``zoomsr.zoom``."""

    box: Box | None
    scale: int | None
    out: Path | None
    quality: int
    overwrite: bool
    models: tuple[str, ...]
    device: str
    precision: str
    tile: int | None
    exact: bool
    self_ensemble: bool

    def open(self, model: str) -> Zoomer:
        """The net, run as the options say."""
        return Zoomer.open(
            model,
            device=self.device,
            precision=self.precision,
            tile=self.tile,
            exact=self.exact,
            self_ensemble=self.self_ensemble,
        )


class Task(NamedTuple):
    """A photograph, and the file that its enlargement goes into."""

    source: Path
    target: Path


def parse_box(text: str) -> Box:
    """``X,Y,W,H`` in pixels.

    Raises:
        ValueError: not four whole numbers.
    """
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError:
        raise ValueError(f"--box {text} is not X,Y,W,H, four whole numbers of pixels") from None
    return Box(left, top, width, height)


def run(patterns: Sequence[str], options: Options) -> None:
    """Enlarge all of them; those that cannot be are listed at the end, and the exit code is then 1.

    Raises:
        ValueError: no such file, several nets, or the one photograph that was asked for cannot be enlarged.
    """
    if len(options.models) > 1:
        raise ValueError(f"--model {' --model '.join(options.models)}: several nets go with --compare")
    zoomer = options.open(options.models[0])
    factor = zoomer.net.scale ** zoomer.passes(options.scale)
    tasks = plan(patterns, options.out, ending=f"-x{factor}")
    failures: dict[Path, str] = {}
    with pixel_bar() as progress:
        bar = progress.add_task("", total=0)

        def begin(label: str, pixels: int) -> Callable[[int], None]:
            progress.update(bar, description=label, total=(progress.tasks[0].total or 0) + pixels)
            return lambda done: progress.advance(bar, done)

        for number, task in enumerate(tasks, start=1):
            label = task.source.name if len(tasks) == 1 else f"{number} of {len(tasks)}  {task.source.name}"
            try:
                _enlarge(task, zoomer, options, lambda pixels, label=label: begin(label, pixels))  # type: ignore[misc]
            except (ValueError, OSError) as error:
                if len(tasks) == 1:
                    raise
                failures[task.source] = str(error)
    if len(tasks) > 1:
        say({"done": f"{len(tasks) - len(failures)} of {len(tasks)} photographs"})
    for message in failures.values():
        print(f"error: {message}", file=sys.stderr)
    if failures:
        sys.exit(1)


def _enlarge(task: Task, zoomer: Zoomer, options: Options, begin: Callable[[int], Callable[[int], None]]) -> None:
    if task.target.exists() and not options.overwrite:
        raise ValueError(f"{task.target} is there already: --overwrite replaces it")
    height, width = image.size(task.source)
    if height * width > MOST_PIXELS and options.box is None:
        from zoomsr.huge import enlarge_file

        if zoomer.passes(options.scale) > 1:
            raise ValueError(f"{task.source} has more than {MOST_PIXELS:,} pixels: --scale 4 goes with --box")
        area = height * width * zoomer.net.scale**2
        enlarge_file(task.source, task.target, zoomer, overwrite=options.overwrite, advance=begin(area))
        return
    photograph = _area(task.source, options.box, is_huge=height * width > MOST_PIXELS)
    for note in photograph.notes:
        say({"note": f"{task.source}: {note}"})
    height, width = photograph.size
    passes = range(1, zoomer.passes(options.scale) + 1)
    advance = begin(sum(height * width * zoomer.net.scale ** (2 * number) for number in passes))
    # Under one name, so that the smaller one is let go before the larger one is written.
    photograph = zoomer.enlarge(photograph, scale=options.scale, advance=advance)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    for note in photograph.write(task.target, quality=options.quality, overwrite=options.overwrite):
        say({"note": f"{task.source}: {note}"})
    height, width = photograph.size
    say({zoomer.name: f"{short(task.target)}  {width}x{height}"})


def _area(source: Path, box: Box | None, *, is_huge: bool) -> Photograph:
    """The photograph, or an area of it; of a huge one no more than the area is decoded."""
    try:
        if is_huge and box is not None:
            from zoomsr.huge import read_area

            return read_area(source, box)
        photograph = Photograph.read(source)
        return photograph if box is None else photograph.cropped(box)
    except ValueError as error:
        raise ValueError(str(error) if str(source) in str(error) else f"{source}: {error}") from None


def plan(patterns: Sequence[str], out: Path | None, *, ending: str) -> list[Task]:
    """Which photographs, and the file for each.

    A folder's go into a folder of the same shape; two of the same name keep their suffixes in theirs.

    Args:
        patterns: files, folders, or patterns.
        out: a file for one photograph, a folder for more; None for beside the photograph, or beside the folder.
        ending: of a file's stem: ``-x2``.

    Raises:
        ValueError: no such file, or a file as the target of many.
    """
    found = [(path, name) for pattern in patterns for path, name in _found(pattern, ending if out is None else "")]
    is_folder = out is not None and (out.is_dir() or out.suffix.lower() not in OUTPUT_SUFFIXES)
    if out is not None and not is_folder:
        if len(found) > 1:
            raise ValueError(f"-o {out} is one file, for {len(found)} photographs: give a folder")
        return [Task(found[0][0], out)]
    folder = Path() if out is None else out
    names = Counter((name.parent, name.stem) for _, name in found)
    tasks = []
    for path, name in found:
        kept = f"-{name.suffix[1:]}" if names[name.parent, name.stem] > 1 else ""
        tasks.append(Task(path, folder / name.with_name(f"{name.stem}{kept}{ending}.png")))
    return list(dict.fromkeys(tasks))


def _found(pattern: str, folder_ending: str) -> Iterator[tuple[Path, Path]]:
    """Photographs, each with the name that its result has in the output folder, or, without one, from here."""
    path = Path(pattern)
    beside = bool(folder_ending)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in INPUT_SUFFIXES and file.is_file())
        root = path.resolve().with_name(f"{path.resolve().name}{folder_ending}") if beside else Path()
        found = [(file, root / file.relative_to(path)) for file in files]
    elif path.is_file():
        found = [(path, path if beside else Path(path.name))]
    else:
        # Path.glob takes no absolute patterns.
        files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
        found = [(file, file if beside else Path(file.name)) for file in files if file.is_file()]
    if not found:
        raise ValueError(f"there is no photograph {pattern}")
    yield from found
