"""Files that are written atomically: JSON, CSV, text."""

from __future__ import annotations

import csv
import errno
import glob
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from rich.filesize import decimal

_MAKE_ROOM = "free some space, then run the same command again"


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv, empty where there is no file.

    Raises:
        ValueError: a cell that is no number.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def write_rows(path: Path, rows: list[dict[str, float]]) -> None:
    """Write rows with the columns of all of them, atomically."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    # Epochs and steps are whole numbers, also when they come back from a file.
    writer.writerows({**row, **{key: int(row[key]) for key in ("epoch", "step") if key in row}} for row in rows)
    write_text(path, text.getvalue())


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write JSON, atomically."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with atomic_write(path) as file:
        file.write(text.encode())


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A new file with a temporary name of its own, open for writing and reading, which takes ``path`` at the end.

    Several processes may write one path at once: the last to end wins. Nothing is left where writing fails.

    Raises:
        OSError: it cannot be written, as on a full disk; the file that was there is unchanged.
    """
    partial = path.with_name(f"{_partial_prefix(path)}{secrets.token_hex(4)}.part")
    try:
        with partial.open("x+b") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{path} cannot be written: {reason}; what was there before is unchanged") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def drop_partials(path: Path) -> None:
    """Remove what killed writers of a file have left; for large files that only one process writes."""
    for partial in path.parent.glob(f"{glob.escape(_partial_prefix(path))}????????.part"):
        partial.unlink(missing_ok=True)


def _partial_prefix(path: Path) -> str:
    return f".{os.fsencode(path.name)[-200:].decode(errors='ignore')}."  # a name has 255 bytes at most


@contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn the error of a disk or a quota that is used up into a ValueError about ``path``, with what to do."""
    try:
        yield
    except OSError as error:
        number = error.errno or getattr(error.__cause__, "errno", None)  # atomic_write's own error has none
        if number not in (errno.ENOSPC, errno.EDQUOT):  # clusters set quotas
            raise
        raise ValueError(f"the disk is full, {path} is not complete: {_MAKE_ROOM}") from error


def require_space(folder: Path, needed: int, *, what: str) -> None:
    """Raises ValueError where the disk of a folder lacks ``needed`` bytes for ``what``."""
    if (free := shutil.disk_usage(folder).free) < needed:
        raise ValueError(f"{folder} has {decimal(free)} free, {what} needs {decimal(needed)}: {_MAKE_ROOM}")


def require_new(folder: Path) -> None:
    """Raise ValueError where a folder has something in it."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: give a new folder")


def sha256_of(path: Path) -> str:
    """Of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def cache_folder() -> Path:
    """``ZOOMSR_CACHE``, or ``zoomsr`` in the user's cache directory.

    Raises:
        ValueError: neither is known.
    """
    if named := os.environ.get("ZOOMSR_CACHE"):
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoomsr"
    except RuntimeError:
        raise ValueError("this user has no home directory: ZOOMSR_CACHE=FOLDER names a place for the cache") from None


def short(path: Path) -> str:
    """The path relative to where the user stands, when it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
