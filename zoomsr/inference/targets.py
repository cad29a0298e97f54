"""Which photographs are upscaled, and the output file of each."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from zoomsr.cli.console import say
from zoomsr.imaging.decode import EXTRA_SUFFIXES
from zoomsr.imaging.encode import OUTPUT_SUFFIXES, require_writable
from zoomsr.imaging.files import SUFFIXES
from zoomsr.imaging.listing import pictures_below
from zoomsr.inference.sizes import ENDING

INPUT_SUFFIXES = SUFFIXES | {".gif", ".avif", *EXTRA_SUFFIXES}

_SUFFIX = "|".join(suffix[1:] for suffix in OUTPUT_SUFFIXES)
_RESULT = re.compile(rf"(.+?)(?:{ENDING}|-compared)\.(?:{_SUFFIX})", re.IGNORECASE | re.DOTALL)


class Task(NamedTuple):
    """A photograph and its output file, which has the photograph's own name until ``_distinct`` gives it another."""

    source: Path
    target: Path


def parse_format(text: str) -> str:
    """``jpg`` to ``.jpg``.

    Raises:
        ValueError: a format that cannot be written.
    """
    if (suffix := f".{text.lower().removeprefix('.')}") not in OUTPUT_SUFFIXES:
        raise ValueError(f"--format {text} is none of {', '.join(one[1:] for one in OUTPUT_SUFFIXES)}")
    return suffix


def plan(
    patterns: Sequence[str], out: str | None, *, ending: Callable[[], str], suffix: str | None = None
) -> list[Task]:
    """Which photographs, and the output file of each; no two have one file, and none is another photograph's.

    A folder's go into a folder of the same shape. Where two names would be equal they get their suffixes, and then
    their folders' names, in theirs. Results of an earlier run among the photographs are left out, with a note.

    Args:
        patterns: files, folders, or patterns.
        out: a file for one photograph, a folder for more; None for beside the photograph, or beside the folder.
        ending: gives that of a file's stem: ``-x2``, see ``OutputSize``; called once all photographs are found, because
            it may have to open a net.
        suffix: of files whose names ``out`` does not say; None for ``.png``.

    Raises:
        ValueError: no such file, a format that cannot be written, or one file as the target of many or as a source too.
    """
    if "" in (*patterns, out):  # Path("") would be the current folder
        raise ValueError("an empty name is no photograph and no place for one: is a variable of the shell unset?")
    _real.cache_clear()  # links may have changed
    listed = [(Path(pattern), _photographs(pattern)) for pattern in patterns]
    end = ending()
    found: dict[Path, Task] = {}
    for root, photographs in listed:
        for source in photographs:
            place = _place(source, root, end if out is None else "")
            found.setdefault(_real(source.parent) / source.name, Task(source, place))
    if out is not None and not _is_folder(out):
        if len(found) > 1:
            raise ValueError(f"-o {out} is one file, for {len(found)} photographs: give a folder")
        if suffix not in (None, Path(out).suffix.lower()):
            raise ValueError(f"-o {out} and --format {suffix[1:]} contradict each other: give one of them")
        tasks = [Task(task.source, Path(out)) for task in found.values()]
    else:
        tasks = [Task(source, Path(out or "") / name) for source, name in found.values()]
        tasks = _distinct(_without_results(tasks), f"{end}{suffix or '.png'}")
    sources = {_key(path) for task in tasks for path in (task.source, Path(os.path.realpath(task.source)))}
    for task in tasks:
        require_writable(task.target)
        if _key(task.target) in sources:
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


def _photographs(pattern: str) -> list[Path]:
    """Those of a file, a folder or a pattern."""
    path = Path(pattern)
    if path.is_dir():
        found = pictures_below(path, INPUT_SUFFIXES, on_error=lambda error: say({"note": f"left out: {error}"}))
    else:
        # Path.glob takes no absolute patterns.
        names = [pattern] if path.is_file() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        found = [Path(name) for name in names if Path(name).is_file()]
    if not found:
        raise ValueError(f"there is no photograph {'in ' if path.is_dir() else ''}{pattern}")
    return found


def _place(source: Path, root: Path, folder_ending: str) -> Path:
    """The place relative to the output folder; without one (an ending), beside the photograph, or beside the folder."""
    if not root.is_dir():
        return source if folder_ending else Path(source.name)
    place, whole = source.relative_to(root), _real(root)
    return whole.with_name(f"{whole.name}{folder_ending}") / place if folder_ending else place


def _without_results(tasks: Sequence[Task]) -> list[Task]:
    """Without results of an earlier run: NAME-x2.png beside NAME.jpg, or in the output folder of NAME.jpg."""
    originals = {
        (folder, _folded(stem))
        for source, target in tasks
        for folder in {_real(source.parent), _real(target.parent)}
        for stem in _stems(source)
    }

    def is_result(path: Path) -> bool:
        name = _RESULT.fullmatch(path.name)
        return name is not None and (_real(path.parent), _folded(name[1])) in originals

    results = [task.source for task in tasks if is_result(task.source)]
    if results:
        say({"note": f"{len(results)} results of earlier runs are left out, the first {results[0]}"})
    return [task for task in tasks if not is_result(task.source)]


def _distinct(tasks: Sequence[Task], ending: str) -> list[Task]:
    """A different file for each, with no more of the photograph's path in its name than that needs.

    An ending has the suffix: ``-x2.png``.
    """
    stems = [_stems(task.source) for task in tasks]
    detail = [0] * len(tasks)
    while True:
        names = [_fitting(stem[n], ending) for stem, n in zip(stems, detail, strict=True)]
        named = [Task(source, target.with_name(name)) for (source, target), name in zip(tasks, names, strict=True)]
        keys = [_key(task.target) for task in named]
        count = Counter(keys)
        equal = [number for number, key in enumerate(keys) if count[key] > 1]
        if not equal:
            return named
        longer = [number for number in equal if detail[number] + 1 < len(stems[number])]
        if not longer:
            one, other = [task for task, key in zip(named, keys, strict=True) if key == keys[equal[0]]][:2]
            raise ValueError(f"{one.source} and {other.source} would both become {one.target}: give each an -o")
        for number in longer:
            detail[number] += 1


def _stems(source: Path) -> list[str]:
    """Ever longer names of a photograph: a, a-jpg, trip-a-jpg, 2024-trip-a-jpg."""
    folders = _real(source.parent).parts[1:]
    full = f"{source.stem}-{source.suffix[1:]}"
    return [source.stem, full, *("-".join([*folders[-n:], full]) for n in range(1, len(folders) + 1))]


def _fitting(stem: str, ending: str) -> str:
    """A file name of at most 255 bytes, the limit of file systems; the end of the stem, where numbers are, is kept."""
    while len(os.fsencode(stem + ending)) > 255:
        stem = stem[1:]
    return stem + ending


def _key(path: Path) -> str:
    """The same for all paths of one file, however its name is written."""
    return _folded(str(_real(path.parent) / path.name))


@lru_cache(maxsize=1024)
def _real(folder: Path) -> Path:
    """Without links; cached, because it is slow and asked for each photograph."""
    return folder.resolve()


def _folded(name: str) -> str:
    """For file systems that do not tell A from a, or the two forms of ü."""
    return unicodedata.normalize("NFC", name).casefold()
