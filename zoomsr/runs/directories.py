"""Run directories: made by one process, used by one process at a time, replaced only on request."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from zoomsr.runs.files import short
from zoomsr.runs.layout import LOCK, LOCKED_BY, MULTIRUN, NOTES, REPLACED, RESULTS, SETTINGS, SIGNS, STUDY_DB, TRIALS

_logger = logging.getLogger(__name__)

_held: dict[Path, FileLock] = {}


class _Claim(NamedTuple):
    path: Path
    before: frozenset[str] | None  # what was in it; None where it was made by this process


_claim: _Claim | None = None


def make(folder: Path) -> Path:
    """A new directory of this name, or with ``_2``, ``_3``, ... where it is taken; locked."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path, number = folder, 1
    while True:
        try:
            path.mkdir()
            break
        except FileExistsError:
            number += 1
            path = folder.with_name(f"{folder.name}_{number}")
    _take(path, before=None)
    return path


def claim(folder: Path, *, resumes: bool, searches: bool, overwrite: bool, advice: str) -> None:
    """Lock the directory that the user names; it may hold other files.

    Args:
        folder: need not be there.
        resumes: whether a run that it holds is resumed.
        searches: whether a search that it holds is resumed.
        overwrite: whether a run that it holds is replaced; see ``drop_replaced``.
        advice: for the message where it holds a run.

    Raises:
        ValueError: it holds a run that is neither resumed nor replaced, or another process works in it.
    """
    global _claim
    _claim = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        before = None
    except FileExistsError:
        before = frozenset(path.name for path in folder.iterdir())
    lock(folder)
    if (folder / MULTIRUN).exists():
        raise ValueError(f"{short(folder)} is a sweep: choose another hydra.run.dir")
    found = [name for name in SIGNS if (folder / name).exists() and not (searches and name == STUDY_DB)]
    if found and overwrite:
        _set_aside(folder)
        before = frozenset(path.name for path in folder.iterdir())
    elif found and not resumes:
        raise ValueError(f"{short(folder)} is a run: {advice}")
    if not found or overwrite:
        _take(folder, before=before)


def discard_unused() -> None:
    """Remove what a command that failed at once has left: its notes, and the directory where it has made that.

    A run that was to be replaced is restored.
    """
    if _claim is None or not _claim.path.is_dir():
        return
    try:
        lock(_claim.path)
    except ValueError:
        return  # another process has resumed the run
    new = [path for path in _claim.path.iterdir() if _claim.before is None or path.name not in _claim.before]
    if all(path.suffix == ".log" or any(path.match(note) for note in NOTES) for path in new):
        for path in new:
            if path.name != LOCK:
                _remove(path)
        _move(list((_claim.path / REPLACED).glob("*")), _claim.path)
        if _claim.before is None:
            with suppress(OSError):  # another process is starting there, or Windows keeps the open file of the lock
                _remove(_claim.path / LOCK)
                _claim.path.rmdir()


def drop_replaced() -> None:
    """Remove the run that this command has replaced; it was kept until there was something in its place."""
    if _claim is not None:
        _remove(_claim.path / REPLACED)


def lock(folder: Path, *, patience: float = 0) -> None:
    """Keep other processes out of a directory until ``unlock`` or the end of this one, which may hold the lock already.

    The system releases the lock with the process, however that ends. On NFS it holds for all machines. A file system
    without locks gives a warning, and no protection.

    Args:
        folder: of a run or a sweep.
        patience: seconds to wait for the process that holds it.

    Raises:
        ValueError: another process holds it; which one, and on which host.
    """
    key = folder.resolve()
    if key in _held:
        return
    file = FileLock(key / LOCK, thread_local=False)  # a launcher's thread may release it
    try:
        file.acquire(timeout=patience, poll_interval=0.2)
    except Timeout:
        holder = key / LOCKED_BY
        who = holder.read_text(encoding="utf-8", errors="replace").strip() if holder.is_file() else "another process"
        raise ValueError(f"{short(folder)} is in use by {who}: wait for it, or stop it") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
            raise
        _logger.warning("%s: %s; nothing keeps a second process out of it", folder, error.strerror)
    (key / LOCKED_BY).write_text(f"{socket.gethostname()} pid {os.getpid()}\n", encoding="utf-8")
    _held[key] = file


def unlock(folder: Path) -> None:
    """Release the lock, where this process holds it."""
    file = _held.pop(folder.resolve(), None)
    if file is not None:
        file.release()


@contextmanager
def locks_end() -> Iterator[None]:
    """Release at the end the locks that were taken within."""
    before = set(_held)
    try:
        yield
    finally:
        for folder in set(_held) - before:
            unlock(folder)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which this one may have locked so already; logs that it waits for one."""
    file = FileLock(folder.resolve() / LOCK, is_singleton=True)
    try:
        file.acquire(timeout=0)
    except Timeout:
        _logger.info("waiting for another process, which is at work in %s", folder)
        file.acquire()
    try:
        yield
    finally:
        file.release()


def _take(path: Path, *, before: frozenset[str] | None) -> None:
    global _claim
    lock(path)
    _claim = _Claim(path, before)


def _set_aside(folder: Path) -> None:
    """Move the files of a run or a search, by name; other files stay."""
    aside = folder / REPLACED
    _remove(aside)
    aside.mkdir()
    trials = [path for path in folder.glob(TRIALS) if (path / SETTINGS).is_file()]
    known = {*SIGNS, *NOTES, *RESULTS} - {LOCK, LOCKED_BY}
    for path in [*(path for name in known for path in folder.glob(name)), *trials]:
        place = aside / path.relative_to(folder)
        place.parent.mkdir(exist_ok=True)
        path.rename(place)


def _move(paths: Sequence[Path], folder: Path) -> None:
    """Into a folder, where a folder of the same name may be: that gets the content."""
    for path in paths:
        place = folder / path.name
        if place.is_dir():
            _move(list(path.iterdir()), place)
        else:
            path.rename(place)


def _remove(path: Path) -> None:
    """A file, a folder, or a link without its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
