"""Packed pixels: every image of a set in one memory-mapped uint8 file, found by a small JSON index.

``NAME.u8`` holds the images one after the other, each as 3 x H x W bytes; ``NAME.json`` says where. Without zoomsr:

    index = json.load(open("hr.json"))
    image = index["images"][0]
    pixels = numpy.memmap("hr.u8", "uint8", "r", image["offset"], (3, image["height"], image["width"]))
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

UInt8Array = NDArray[np.uint8]

FORMAT = "zoomsr pixels"
VERSION = 1

_CHUNK = 2**20  # bytes that are checked at once


class StoredImage(NamedTuple):
    """Where an image is: ``offset`` is its first byte, ``crc32`` the check sum of its pixels."""

    name: str
    height: int
    width: int
    offset: int
    crc32: int = 0

    @property
    def n_bytes(self) -> int:
        """Of its pixels."""
        return 3 * self.height * self.width


class PixelStore:
    """A packed set, opened without reading a pixel; an image is held against its check sum when it is first read.

    Attributes:
        names: of the images.
        sizes: their (height, width).
        source_hash: of what was packed, see ``zoomsr.data.packed.packing.content_hash``.
        degradation: what made these images from hr, or None for hr itself.
        scale: by which they are smaller than hr.

    Args:
        index: the path of ``NAME.json``; ``NAME.u8`` lies beside it.

    Raises:
        ValueError: no such store, of another version, altered, or cut short; with the command that mends it.
    """

    def __init__(self, index: Path) -> None:
        content = _checked(index)
        self.path = index
        self.images = _images(index, content)
        self.names = [image.name for image in self.images]
        self.sizes = [(image.height, image.width) for image in self.images]
        self.source_hash: str = content["source_hash"]
        self.degradation: str | None = content["degradation"]
        self.scale: int = content["scale"]
        data = index.with_suffix(".u8")
        expected = sum(image.n_bytes for image in self.images)
        if not data.is_file() or data.stat().st_size != expected:
            found = f"{data.stat().st_size:,}" if data.is_file() else "no"
            raise ValueError(f"{data} holds {found} bytes of pixels, expected {expected:,}: {_mend(index)}")
        self._data = data
        self._map = np.memmap(data, np.uint8, "r")
        self._views = [self._view(image) for image in self.images]
        self._file = data.open("rb", buffering=0)
        self._is_verified = bytearray(len(self.images))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def n_bytes(self) -> int:
        """Of all pixels."""
        return len(self._map)

    def require(self, side: int, purpose: str) -> None:
        """Raises ValueError, naming image and size, where an image has a side shorter than ``side`` pixels."""
        for name, (height, width) in zip(self.names, self.sizes, strict=True):
            if min(height, width) < side:
                raise ValueError(f"{name} is {width}x{height}, smaller than {purpose} of {side}x{side}")

    def require_shrunk(self, hr: PixelStore, scale: int) -> None:
        """Raises ValueError, with the command that mends it, where these are not the lr of all of ``hr``."""
        if self.names != hr.names or self.sizes != [(height // scale, width // scale) for height, width in hr.sizes]:
            raise ValueError(f"{self.path} does not hold the lr of {hr.path.name}: {_mend(self.path)}")

    def read(self, number: int) -> Tensor:
        """A copy of a whole image, uint8 (3, H, W)."""
        stored = self.images[number]
        self._verify(number)
        # By a read, because every page of a map that is touched counts as this process's memory.
        pixels = np.fromfile(self._data, np.uint8, stored.n_bytes, offset=stored.offset)
        return torch.from_numpy(pixels.reshape(3, stored.height, stored.width))

    def is_intact(self, number: int) -> bool:
        """Whether the pixels of an image are those that were packed."""
        stored, crc32 = self.images[number], 0
        left = stored.n_bytes
        with self._data.open("rb", buffering=0) as file:
            file.seek(stored.offset)
            while left and (part := file.read(min(left, _CHUNK))):
                crc32, left = zlib.crc32(part, crc32), left - len(part)
        return left == 0 and crc32 == stored.crc32

    def verify(self) -> None:
        """Read all images once.

        Raises:
            ValueError: pixels of one are not those that were packed; with the command that mends it.
        """
        for number in range(len(self)):
            self._verify(number)

    def copy_patch(self, out: UInt8Array, number: int, *, top: int, left: int) -> None:
        """Copy the patch at (top, left) of image ``number`` into ``out``, (3, h, w): rows, and nothing else."""
        self._verify(number)
        np.copyto(out, self._views[number][:, top : top + out.shape[1], left : left + out.shape[2]])

    def prefetch(self, number: int, *, top: int, height: int) -> None:
        """Have the system read these rows ahead, where they are not in memory: a third of the time of page faults.

        Asking for rows that are there costs a fifth of their copy, so one row of the band is probed first.
        """
        image = self.images[number]
        band = image.offset + top * image.width
        if not _WILLNEED or _in_memory(self._file.fileno(), band):
            return
        for channel in range(3):
            start = band + channel * image.height * image.width
            os.posix_fadvise(self._file.fileno(), start, height * image.width, os.POSIX_FADV_WILLNEED)

    def on(self, device: torch.device) -> Tensor:
        """The bytes of all images on a device, uint8 (n_bytes,); ``images`` says where each lies."""
        self.verify()
        pixels = torch.empty(self.n_bytes, dtype=torch.uint8, device=device)
        step = 2**26  # host memory that a copy to the device may take
        for start in range(0, self.n_bytes, step):
            pixels[start : start + step] = torch.from_numpy(np.fromfile(self._data, np.uint8, step, offset=start))
        return pixels

    def _verify(self, number: int) -> None:
        """Once for each image and process: threads that meet here do it twice, which harms nothing."""
        if not self._is_verified[number]:
            if not self.is_intact(number):
                raise ValueError(f"{self._data}: {self.names[number]} is not what was packed: {_mend(self.path)}")
            self._is_verified[number] = True

    def _view(self, image: StoredImage) -> UInt8Array:
        pixels = self._map[image.offset : image.offset + image.n_bytes]
        return np.asarray(pixels).reshape(3, image.height, image.width)

    def __getstate__(self) -> Path:
        """Another process opens the files again; pixels never travel."""
        return self.path

    def __setstate__(self, path: Path) -> None:
        """See ``__getstate__``."""
        PixelStore.__init__(self, path)


def layout(sizes: Sequence[tuple[str, tuple[int, int]]]) -> list[StoredImage]:
    """Names and (height, width) to images that lie one after the other."""

    def placed() -> Iterator[StoredImage]:
        offset = 0
        for name, (height, width) in sizes:
            image = StoredImage(name, height, width, offset)
            yield image
            offset += image.n_bytes

    return list(placed())


def index_of(images: Sequence[StoredImage], *, source_hash: str, degradation: str | None, scale: int) -> dict[str, Any]:
    """The content of ``NAME.json``."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "source_hash": source_hash,
        "degradation": degradation,
        "scale": scale,
        "images": [image._asdict() for image in images],
    }
    return {**content, "sha256": _digest(content)}


def _checked(index: Path) -> dict[str, Any]:
    if not index.is_file():
        raise ValueError(f"there is no packed set {index}: python -m zoomsr.prepare --help says how to make one")
    try:
        content = dict(json.loads(index.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{index} is damaged ({error}): {_mend(index)}") from None
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        found = f"{content.get('format')} {content.get('version')}"
        raise ValueError(f"{index} is of format {found}, expected {FORMAT} {VERSION}: {_mend(index)}")
    if content.pop("sha256", None) != _digest(content):
        raise ValueError(f"{index} was altered: {_mend(index)}")
    return content


def _images(index: Path, content: dict[str, Any]) -> list[StoredImage]:
    """Where each image is; they lie one after the other, which leaves nothing outside the file."""
    try:
        images = [StoredImage(**image) for image in content["images"]]
        numbers = [number for _, *rest in images for number in rest] + [content["scale"]]
        good = all(type(number) is int for number in numbers) and all(type(image.name) is str for image in images)
        good = good and all(min(image.height, image.width) >= 1 for image in images) and content["scale"] >= 1
        good = good and type(content["source_hash"]) is str and isinstance(content["degradation"], (str, NoneType))
        placed = layout([(image.name, (image.height, image.width)) for image in images])
        good = good and [image.offset for image in images] == [image.offset for image in placed]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{index} is damaged ({error}): {_mend(index)}") from None
    if not good or not images:
        raise ValueError(f"{index} is damaged, it says where no image can be: {_mend(index)}")
    return images


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _mend(index: Path) -> str:
    return f"python -m zoomsr.prepare clear {index.parent} removes it, and the next run packs it again"


_WILLNEED = hasattr(os, "posix_fadvise")
_NOWAIT = getattr(os, "RWF_NOWAIT", None)


def _in_memory(file: int, offset: int) -> bool:
    """Whether the byte could be read without waiting for the disk; False where the system cannot tell."""
    if _NOWAIT is not None:
        with contextlib.suppress(OSError):  # EAGAIN: not in memory; EOPNOTSUPP: this file system does not say
            return os.preadv(file, [bytearray(1)], offset, _NOWAIT) == 1
    return False
