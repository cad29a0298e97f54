"""Resuming the enlargement of a picture that does not fit into memory: its finished tiles are kept on the disk.

Beside ``NAME.tif`` lies a folder ``NAME.tif.unfinished`` while it is made: the output's raw pixels, and a record of the
tiles that are among them. A tile enters the record once its pixels are on the disk, so that the record is also true
after a power failure.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoomsr.cli.console import say
from zoomsr.engines.tiling import Region
from zoomsr.imaging.pixels import PixelArray
from zoomsr.runs.directories import lock, unlock
from zoomsr.runs.files import atomic_write, drop_partials, short

_PIXELS, _RECORD = "pixels", "record.json"
_SYNC_INTERVAL_S = 10.0  # so much work is lost at most; the disk is waited for no more often


@dataclass(frozen=True)
class Layout:
    """How the output's pixels lie in a file, row by row.

    Attributes:
        height: of the output in pixels.
        width: the same.
        pixel_bytes: of all channels.
        scale: output pixels for each lr pixel, in each direction.
    """

    height: int
    width: int
    pixel_bytes: int
    scale: int

    def offset(self, row: int, column: int) -> int:
        """Of a pixel, in bytes."""
        return (row * self.width + column) * self.pixel_bytes

    def end(self, region: Region) -> int:
        """Of a region of lr pixels, in bytes."""
        return self.offset(region.bottom * self.scale - 1, region.right * self.scale)

    def share(self, regions: set[Region]) -> float:
        """Of the picture's pixels that regions hold, 0 to 1."""
        area = sum((one.bottom - one.top) * (one.right - one.left) for one in regions)
        return area * self.scale**2 / (self.height * self.width)


def folder_of(target: Path) -> Path:
    """``NAME.tif.unfinished`` for ``NAME.tif``; no file of it has the suffix of a picture."""
    suffix = ".unfinished"
    name = os.fsencode(target.name)[: 255 - len(suffix)].decode(errors="ignore")  # a name has 255 bytes at most
    return target.with_name(f"{name}{suffix}")


def bytes_kept(target: Path) -> int:
    """Of the pixels that an interrupted enlargement has left on the disk."""
    pixels = folder_of(target) / _PIXELS
    return pixels.stat().st_size if pixels.is_file() else 0


class Unfinished:
    """The pixels of an enlargement in a file, as a ``TileSink``. Nothing is kept in memory.

    As a context it says how it begins, and how much is kept where the block ends with an error.

    Args:
        target: the file that will be written; its ``folder_of`` is there.
        made_by: everything that the pixels depend on but the cut into tiles, as plain data.
        tile: side in lr pixels, for an enlargement that is not resumed.
        layout: of the output.

    Attributes:
        path: their file.
        layout: of the output.
        tile: side in lr pixels with which the enlargement was begun: another one would round some pixels otherwise.
        done: the tiles that the file has.
    """

    def __init__(self, target: Path, made_by: Mapping[str, Any], *, tile: int, layout: Layout) -> None:
        self._target, self._folder = target, folder_of(target)
        self.path, self.layout, self.tile = self._folder / _PIXELS, layout, tile
        self.done: set[Region] = set()
        self._changed: list[str] = []
        self._record, self._made_by = self._folder / _RECORD, json.loads(json.dumps(made_by))
        self._read()
        if not self.done:
            self._record.unlink(missing_ok=True)
        # Unbuffered: on a full disk a buffer would fail once more when it is closed.
        self._file = self.path.open("r+b" if self.done else "w+b", buffering=0)
        self._synced = time.monotonic()

    def __enter__(self) -> Unfinished:
        if self.done:
            say({"note": f"{short(self._target)} is resumed: {self.share:.0%} were done before"})
        elif self._changed:
            what = f"{short(self._folder)} has another {', '.join(self._changed)}"
            say({"note": f"{short(self._target)} is begun anew: {what}"})
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        with suppress(OSError):  # then the last record counts
            self._keep()
        if self._record.is_file():
            where = f"{self.share:.0%} are in {short(self._folder)}, and the same command resumes there"
            say({"note": f"{short(self._target)} is not finished: {where}"})

    def __setitem__(self, rows_columns: tuple[slice, slice], pixels: PixelArray) -> None:
        rows, columns = rows_columns
        for number, row in zip(range(rows.start, rows.stop), pixels, strict=True):
            self._file.seek(self.layout.offset(number, columns.start))
            data = np.ascontiguousarray(row).data.cast("B")
            while data:
                data = data[self._file.write(data) :]
        edges = (rows.start, columns.start, rows.stop, columns.stop)
        self.done.add(Region(*(edge // self.layout.scale for edge in edges)))
        if time.monotonic() - self._synced >= _SYNC_INTERVAL_S:
            self.sync()

    @property
    def share(self) -> float:
        """Of the output that is done, 0 to 1."""
        return self.layout.share(self.done)

    def sync(self) -> None:
        """Bring the pixels to the disk, then the record of them. Raises OSError where it cannot be written."""
        os.fsync(self._file.fileno())
        record = {"made_by": self._made_by, "tile": self.tile, "done": sorted(self.done)}
        with atomic_write(self._record) as file:
            file.write(json.dumps(record).encode())
            file.flush()
            os.fsync(file.fileno())
        self._synced = time.monotonic()

    def finish(self) -> None:
        """``sync``, then close the file: on Windows nobody else can open it before."""
        with self._file:
            self.sync()

    def _keep(self) -> None:
        """``finish``, without the rows of a tile that was not done: on a full disk the record takes their place."""
        if self.done and not self._file.closed:
            self._file.truncate(max(map(self.layout.end, self.done)))
            self.finish()

    def _read(self) -> None:
        """Take over what an earlier run has left, where it was made by the same."""
        if not self._record.is_file():
            return
        try:
            record = json.loads(self._record.read_bytes())
            before, tile = dict(record["made_by"]), int(record["tile"])
            done, size = {Region(*edges) for edges in record["done"]}, self.path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            self._changed = ["damaged record"]
            return
        self._changed = [name for name in self._made_by if before.get(name) != self._made_by[name]]
        if not self._changed and any(self.layout.end(region) > size for region in done):
            self._changed = ["truncated file of pixels"]
        if not self._changed:
            self.tile, self.done = tile, done


@contextmanager
def resumable(target: Path, made_by: Mapping[str, Any], *, tile: int, layout: Layout) -> Iterator[Unfinished]:
    """The pixels of an enlargement, resumed where an earlier run was interrupted and was made by the same.

    Where the block ends without an error the folder is removed; otherwise what is done is kept, and a line says so.

    Args:
        target: the file that will be written.
        made_by: see ``Unfinished``.
        tile: see ``Unfinished``.
        layout: of the output.

    Raises:
        ValueError: another process makes the same file.
        OSError: it cannot be written.
    """
    folder, is_over = folder_of(target), False
    with _named(target):
        folder.mkdir(parents=True, exist_ok=True)
        lock(folder)
        try:
            drop_partials(target)  # of a run that was killed
            with Unfinished(target, made_by, tile=tile, layout=layout) as pixels:
                yield pixels
            is_over = True
        finally:
            unlock(folder)  # before it is removed: Windows keeps an open file
            if is_over or not (folder / _RECORD).is_file():
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Turn an error of the system into one line that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # is such a line
            raise
        raise OSError(f"{target} cannot be written: {error.strerror or error}") from error
