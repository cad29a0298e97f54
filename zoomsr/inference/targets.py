"""Which photographs are enlarged, and the file that each becomes."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from zoomsr.cli.console import say
from zoomsr.imaging.encode import OUTPUT_SUFFIXES
from zoomsr.imaging.files import SUFFIXES
from zoomsr.imaging.listing import pictures_below

INPUT_SUFFIXES = SUFFIXES | {".gif"}

_RESULT = re.compile(r"(.+)-(?:x\d+|compared)\.png", re.IGNORECASE | re.DOTALL)


class Task(NamedTuple):
    """A photograph, and the file that its enlargement goes into (at first under the photograph's own name)."""

    source: Path
    target: Path


def plan(patterns: Sequence[str], out: str | None, *, ending: str) -> list[Task]:
    """Which photographs, and the file for each; no two have one file, and none is another photograph's.

    A folder's go into a folder of the same shape. Where two would meet they keep their suffixes, and then their
    folders' names, in theirs. Results of an earlier run that lie among the photographs are left out, with a note.

    Args:
        patterns: files, folders, or patterns.
        out: a file for one photograph, a folder for more; None for beside the photograph, or beside the folder.
        ending: of a file's stem: ``-x2``.

    Raises:
        ValueError: no such file, a format that cannot be written, or one file as the target of many or as a source too.
    """
    _real.cache_clear()  # links may have changed
    found: dict[Path, Task] = {}
    for pattern in patterns:
        for place in _found(pattern, ending if out is None else ""):
            found.setdefault(_real(place.source.parent) / place.source.name, place)
    if out is not None and not _is_folder(out):
        if len(found) > 1:
            raise ValueError(f"-o {out} is one file, for {len(found)} photographs: give a folder")
        tasks = [Task(place.source, Path(out)) for place in found.values()]
    else:
        places = [Task(source, Path(out or "") / name) for source, name in found.values()]
        tasks = _distinct(_without_results(places), ending)
    sources = {_known_as(path) for task in tasks for path in (task.source, Path(os.path.realpath(task.source)))}
    for task in tasks:
        if _known_as(task.target) in sources:
            raise ValueError(f"{task.target} is a photograph that is to be enlarged: give another name with -o")
    return tasks


def _is_folder(out: str) -> bool:
    """Whether ``-o`` names one: ``trip``, ``trip.2024``, ``trip.old/``, or any that is there; not ``trip.jpg``."""
    suffix = Path(out).suffix.lower()
    if out.endswith(("/", os.sep)) or Path(out).is_dir():
        return True
    if suffix in OUTPUT_SUFFIXES:
        return False
    if re.fullmatch(r"\.[a-z][a-z0-9]{1,3}", suffix):
        kinds = " ".join(OUTPUT_SUFFIXES)
        raise ValueError(f"-o {out}: no {suffix} can be written, but {kinds}; a folder of that name is {out}/")
    return True


def _found(pattern: str, folder_ending: str) -> Iterator[Task]:
    """Photographs, each with its place in the output folder, or, without one, from here."""
    path = Path(pattern)
    beside = bool(folder_ending)
    if path.is_dir():
        files = pictures_below(path, INPUT_SUFFIXES, on_error=lambda error: say({"note": f"left out: {error}"}))
        root = path.resolve().with_name(f"{path.resolve().name}{folder_ending}") if beside else Path()
        found = [Task(file, root / file.relative_to(path)) for file in files]
    elif path.is_file():
        found = [Task(path, path if beside else Path(path.name))]
    else:
        # Path.glob takes no absolute patterns.
        files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
        found = [Task(file, file if beside else Path(file.name)) for file in files if file.is_file()]
    if not found:
        raise ValueError(f"there is no photograph {pattern}")
    yield from found


def _without_results(places: Sequence[Task]) -> list[Task]:
    """Those that no earlier run made: NAME-x2.png beside NAME.jpg, or where the result of NAME.jpg goes."""
    originals = {
        (folder, _folded(stem))
        for source, place in places
        for folder in {_real(source.parent), _real(place.parent)}
        for stem in _stems(source)
    }

    def is_result(path: Path) -> bool:
        name = _RESULT.fullmatch(path.name)
        return name is not None and (_real(path.parent), _folded(name[1])) in originals

    results = [place.source for place in places if is_result(place.source)]
    if results:
        say({"note": f"{len(results)} results of earlier runs are left out, the first {results[0]}"})
    return [place for place in places if not is_result(place.source)]


def _distinct(places: Sequence[Task], ending: str) -> list[Task]:
    """A file for each, with no more of the photograph's path in its name than tells it from the others."""
    stems = [_stems(source) for source, _ in places]
    detail = [0] * len(places)
    while True:
        names = [_fitting(stem[n], f"{ending}.png") for stem, n in zip(stems, detail, strict=True)]
        tasks = [Task(source, place.with_name(name)) for (source, place), name in zip(places, names, strict=True)]
        known = [_known_as(task.target) for task in tasks]
        count = Counter(known)
        meeting = [number for number, name in enumerate(known) if count[name] > 1]
        if not meeting:
            return tasks
        longer = [number for number in meeting if detail[number] + 1 < len(stems[number])]
        if not longer:
            one, other = [task for task, name in zip(tasks, known, strict=True) if name == known[meeting[0]]][:2]
            raise ValueError(f"{one.source} and {other.source} would both become {one.target}: give each an -o")
        for number in longer:
            detail[number] += 1


def _stems(source: Path) -> list[str]:
    """Ever longer names of a photograph: a, a-jpg, trip-a-jpg, 2024-trip-a-jpg."""
    folders = _real(source.parent).parts[1:]
    full = f"{source.stem}-{source.suffix[1:]}"
    return [source.stem, full, *("-".join([*folders[-n:], full]) for n in range(1, len(folders) + 1))]


def _fitting(stem: str, ending: str) -> str:
    """A file's name of the 255 bytes that it may have; its end, where numbers are, is kept."""
    while len(os.fsencode(stem + ending)) > 255:
        stem = stem[1:]
    return stem + ending


def _known_as(path: Path) -> str:
    """The same for all paths of one file, however its name is written."""
    return _folded(str(_real(path.parent) / path.name))


@lru_cache(maxsize=1024)
def _real(folder: Path) -> Path:
    """Without links; asked for each photograph, and slow."""
    return folder.resolve()


def _folded(name: str) -> str:
    """For file systems that do not tell A from a, or the two forms of ü."""
    return unicodedata.normalize("NFC", name).casefold()
