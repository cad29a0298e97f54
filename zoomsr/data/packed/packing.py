"""From files to packed stores: once, atomically, on all cores, in constant memory."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rich.filesize import decimal
from torch import Tensor

from zoomsr.data.packed.inventory import HR_INDEX
from zoomsr.data.packed.store import PixelStore, StoredImage, index_of, layout
from zoomsr.hardware.processor import n_cores
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Degradation
from zoomsr.imaging.pixels import crop_to_multiple
from zoomsr.imaging.resize import resize
from zoomsr.runs.directories import locked
from zoomsr.runs.files import (
    atomic_write,
    cache_folder,
    drop_partials,
    full_disk_explained,
    require_space,
    sha256_of,
    write_json,
    write_text,
)

_PROGRESS_S = 10.0  # seconds between two lines of progress

_logger = logging.getLogger(__name__)


class Photo(NamedTuple):
    """A photograph: the name that tables and figures show, and its file.

    ``shrink`` is below 1 for a smaller copy of it, by bicubic; the name, and so the content hash, differs too.
    """

    name: str
    path: Path
    shrink: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, from the file's header."""
        height, width = files.size(self.path)
        return max(1, round(height * self.shrink)), max(1, round(width * self.shrink))

    def read(self) -> Tensor:
        """The pixels, uint8 (3, H, W)."""
        pixels = files.read(self.path)
        return pixels if self.shrink == 1 else resize(pixels, self.size)


class Pairs(NamedTuple):
    """The packed images, and their lr by a fixed degradation, or None where lr is made on the device."""

    hr: PixelStore
    lr: PixelStore | None


def open_pairs(photos: Sequence[Photo], *, folder: Path | None = None, degradation: Degradation | None = None) -> Pairs:
    """The packed pixels of photographs; what is not packed yet is packed first.

    Args:
        photos: the photographs. Their files are not read where ``folder`` holds their pixels already.
        folder: of the stores; None for a place in the cache that follows from the files' content.
        degradation: whose lr to pack too; None for hr alone.

    Raises:
        ValueError: an image is damaged, a store is, or the disk is full or cannot be written.
    """
    folder = _in_cache(photos) if folder is None else folder
    hr = _ensure(folder / HR_INDEX, lambda: pack_photos(photos, folder / HR_INDEX))
    if degradation is None or (index := lr_index(folder, degradation)) is None:
        return Pairs(hr, None)
    lr = _ensure(index, lambda: pack_lr(hr, degradation, index))
    lr.require_shrunk(hr, degradation.scale)
    return Pairs(hr, lr)


def lr_index(folder: Path, degradation: Degradation) -> Path | None:
    """Where a degradation's lr lies; None where it cannot be packed: stochastic, or without a stable repr."""
    key = repr(degradation)
    if degradation.stochastic or " at 0x" in key:
        return None
    return folder / f"lr_{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"


def pack_photos(photos: Sequence[Photo], index: Path, *, degradation: Degradation | None = None) -> None:
    """Pack files as they are: hr, or the published lr of a degradation.

    Raises:
        ValueError: see ``open_pairs``.
    """
    images = layout([(photo.name, photo.size) for photo in photos])
    _write(
        index,
        images,
        lambda number: photos[number].read(),
        source_hash=content_hash(photos),
        degradation=degradation,
        threads=n_cores(),
    )


def pack_lr(hr: PixelStore, degradation: Degradation, index: Path) -> None:
    """Pack the 8-bit lr that a fixed degradation makes of packed hr images.

    Raises:
        ValueError: see ``open_pairs``.
    """
    scale = degradation.scale
    images = layout([(name, (h // scale, w // scale)) for name, (h, w) in zip(hr.names, hr.sizes, strict=True)])
    _write(
        index,
        images,
        lambda number: degradation.down(crop_to_multiple(hr.read(number), scale)),
        source_hash=hr.source_hash,
        degradation=degradation,
        threads=1,  # torch itself uses all cores, and a float image is large
    )


def content_hash(photos: Sequence[Photo]) -> str:
    """sha256 over the names of the files and the sha256 of each: the base of ``data.hash`` of a run."""
    total = hashlib.sha256()
    with ThreadPoolExecutor(n_cores()) as pool:
        for photo, digest in zip(photos, pool.map(sha256_of, [photo.path for photo in photos]), strict=True):
            total.update(f"{photo.name}\n{digest}\n".encode())
    return total.hexdigest()


def _in_cache(photos: Sequence[Photo]) -> Path:
    """Keyed by content: files are hashed when they are new; after that their sizes and times identify them."""
    cache = cache_folder()
    stats = [(photo, photo.path.stat()) for photo in photos]
    looks = [(photo.name, str(photo.path.resolve()), stat.st_size, stat.st_mtime_ns) for photo, stat in stats]
    seen = cache / "seen" / hashlib.sha256(repr(looks).encode()).hexdigest()
    if seen.is_file() and re.fullmatch(r"[0-9a-f]{16}", key := seen.read_text(encoding="utf-8", errors="replace")):
        return cache / "packed" / key
    key = content_hash(photos)[:16]
    # A read-only cache serves what is packed in it; the photographs are then hashed each time.
    is_packed = (cache / "packed" / key / HR_INDEX).is_file()
    with suppress(OSError) if is_packed else _explained(cache):
        seen.parent.mkdir(parents=True, exist_ok=True)
        write_text(seen, key)
    return cache / "packed" / key


def _ensure(index: Path, build: Callable[[], None]) -> PixelStore:
    if not index.is_file():
        with _explained(index.parent):
            index.parent.mkdir(parents=True, exist_ok=True)
            with locked(index.parent):
                if not index.is_file():
                    build()
    return PixelStore(index)


def _write(
    index: Path,
    images: list[StoredImage],
    load: Callable[[int], Tensor],
    *,
    source_hash: str,
    degradation: Degradation | None,
    threads: int,
) -> None:
    """The index is written last: a store without one does not exist."""
    total = sum(stored.n_bytes for stored in images)
    data = index.with_suffix(".u8")
    with _explained(index.parent):
        index.parent.mkdir(parents=True, exist_ok=True)
        what = "photographs" if degradation is None else f"lr by {degradation!r}"
        _logger.info("packing %d %s, %s, into %s", len(images), what, decimal(total), index.parent)
        drop_partials(data)  # of a process that was killed
        require_space(index.parent, total, what="packing")
        with atomic_write(data) as file:
            images = _write_pixels(file.fileno(), images, load, threads=threads)
            os.fsync(file.fileno())
        made_by, scale = (None, 1) if degradation is None else (repr(degradation), degradation.scale)
        write_json(index, index_of(images, source_hash=source_hash, degradation=made_by, scale=scale))


def _write_pixels(
    file: int, images: list[StoredImage], load: Callable[[int], Tensor], *, threads: int
) -> list[StoredImage]:
    """The images with their check sums. Decoders release the interpreter lock; each thread holds one image."""

    def write_one(number: int) -> StoredImage:
        stored, pixels = images[number], load(number)
        if tuple(pixels.shape) != (3, stored.height, stored.width):
            raise ValueError(f"{stored.name} has not the size in its header: it changed, or is damaged")
        rest, offset = memoryview(pixels.contiguous().numpy().reshape(-1).data), stored.offset
        checked = stored._replace(crc32=zlib.crc32(rest))
        while rest:
            n_written = _write_at(file, rest, offset)
            rest, offset = rest[n_written:], offset + n_written
        return checked

    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(write_one, number) for number in range(len(images))]
        next_line = time.monotonic() + _PROGRESS_S
        try:
            for number, done in enumerate(as_completed(jobs)):
                done.result()
                if number % 8 == 0:
                    os.fsync(file)  # while the threads decode: all of it at the end would cost a tenth of the time
                if time.monotonic() >= next_line:
                    _logger.info("packing %d of %d done", number + 1, len(images))
                    next_line = time.monotonic() + _PROGRESS_S
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [job.result() for job in jobs]


_SEEKING = threading.Lock()


def _write_at(file: int, data: memoryview, offset: int) -> int:
    """``os.pwrite``, which threads may call at once; one after the other where there is none, as on Windows."""
    if hasattr(os, "pwrite"):
        return os.pwrite(file, data, offset)
    with _SEEKING:
        os.lseek(file, offset, os.SEEK_SET)
        return os.write(file, data)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Errors of the disk in words that say what to do."""
    try:
        with full_disk_explained(folder):
            yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # behind atomic_write's own
        if cause.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            advice = "ZOOMSR_CACHE=FOLDER names another place for packed pixels"
            raise ValueError(f"{cause.filename or folder} cannot be written: {advice}") from error
        raise
