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
from collections.abc import Sequence
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
_TO_DEVICE = 2**26  # bytes that are copied to a device at once
_NOWAIT = getattr(os, "RWF_NOWAIT", None)  # the flag of a read that fails where it would wait for the disk


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
    """A packed set, opened without reading a pixel; the check sum of an image is tested when it is first read.

    Attributes:
        names: of the images.
        sizes: their (height, width).
        source_hash: of what was packed, see ``zoomsr.data.packed.packing.content_hash``.
        degradation: what made these images from hr, or None for hr itself.
        scale: by which they are smaller than hr.

    Args:
        index: the path of ``NAME.json``; ``NAME.u8`` lies beside it.

    Raises:
        ValueError: no such store, of another version, altered, or cut short; with the command that removes it.
    """

    def __init__(self, index: Path) -> None:
        content = _read_index(index)
        self.path = index
        self.images = _images(index, content)
        self.names = [image.name for image in self.images]
        self.sizes = [(image.height, image.width) for image in self.images]
        self.source_hash: str = content["source_hash"]
        self.degradation: str | None = content["degradation"]
        self.scale: int = content["scale"]
        self.n_bytes = sum(image.n_bytes for image in self.images)
        data = index.with_suffix(".u8")
        if not data.is_file() or data.stat().st_size != self.n_bytes:
            found = f"{data.stat().st_size:,}" if data.is_file() else "no"
            raise ValueError(f"{data} holds {found} bytes of pixels, expected {self.n_bytes:,}: {_advice(index)}")
        self._data = data
        whole = np.asarray(np.memmap(data, np.uint8, "r"))
        self._views = [
            whole[image.offset : image.offset + image.n_bytes].reshape(3, image.height, image.width)
            for image in self.images
        ]
        self._file = data.open("rb", buffering=0)
        self._is_verified = bytearray(len(self.images))

    def __len__(self) -> int:
        return len(self.images)

    def require(self, side: int, purpose: str) -> None:
        """Raises ValueError, naming image and size, where an image has a side shorter than ``side`` pixels."""
        for name, (height, width) in zip(self.names, self.sizes, strict=True):
            if min(height, width) < side:
                raise ValueError(f"{name} is {width}x{height}, smaller than {purpose} of {side}x{side}")

    def require_shrunk(self, hr: PixelStore, scale: int) -> None:
        """Raises ValueError, with the command that removes them, where these are not the lr of all of ``hr``."""
        if self.names != hr.names or self.sizes != [(height // scale, width // scale) for height, width in hr.sizes]:
            raise ValueError(f"{self.path} does not hold the lr of {hr.path.name}: {_advice(self.path)}")

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
            ValueError: pixels of one are not those that were packed; with the command that removes them.
        """
        for number in range(len(self)):
            self._verify(number)

    def copy_patch(self, out: UInt8Array, number: int, *, top: int, left: int) -> None:
        """Copy the patch at (top, left) of image ``number`` into ``out``, (3, h, w): its rows, and no more."""
        self._verify(number)
        np.copyto(out, self._views[number][:, top : top + out.shape[1], left : left + out.shape[2]])

    def prefetch(self, number: int, *, top: int, height: int) -> None:
        """Have the system read these rows ahead, where they are not in memory: a third of the time of page faults.

        To announce rows that are in memory costs a fifth of their copy, so one row of the band is probed first.
        """
        if not hasattr(os, "posix_fadvise"):
            return
        image, file = self.images[number], self._file.fileno()
        band = image.offset + top * image.width
        if _NOWAIT is not None:
            with contextlib.suppress(OSError):  # EAGAIN: not in memory; EOPNOTSUPP: this file system does not say
                if os.preadv(file, [bytearray(1)], band, _NOWAIT) == 1:
                    return
        for channel in range(3):
            start = band + channel * image.height * image.width
            os.posix_fadvise(file, start, height * image.width, os.POSIX_FADV_WILLNEED)

    def on(self, device: torch.device) -> Tensor:
        """The bytes of all images on a device, uint8 (n_bytes,); ``images`` says where each lies."""
        self.verify()
        pixels = torch.empty(self.n_bytes, dtype=torch.uint8, device=device)
        for start in range(0, self.n_bytes, _TO_DEVICE):
            part = np.fromfile(self._data, np.uint8, _TO_DEVICE, offset=start)
            pixels[start : start + _TO_DEVICE] = torch.from_numpy(part)
        return pixels

    def _verify(self, number: int) -> None:
        """Once for each image and process; threads may do it twice at the same time, with the same result."""
        if not self._is_verified[number]:
            if not self.is_intact(number):
                raise ValueError(f"{self._data}: {self.names[number]} is not what was packed: {_advice(self.path)}")
            self._is_verified[number] = True

    def __getstate__(self) -> Path:
        """Another process opens the files again; pixels are not pickled."""
        return self.path

    def __setstate__(self, path: Path) -> None:
        """See ``__getstate__``."""
        PixelStore.__init__(self, path)


def layout(sizes: Sequence[tuple[str, tuple[int, int]]]) -> list[StoredImage]:
    """Names and (height, width) to images that lie one after the other."""
    images: list[StoredImage] = []
    offset = 0
    for name, (height, width) in sizes:
        images.append(StoredImage(name, height, width, offset))
        offset += images[-1].n_bytes
    return images


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


def _read_index(index: Path) -> dict[str, Any]:
    if not index.is_file():
        raise ValueError(f"there is no packed set {index}: python -m zoomsr.prepare --help says how to make one")
    try:
        content = dict(json.loads(index.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{index} is damaged ({error}): {_advice(index)}") from None
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        found = f"{content.get('format')} {content.get('version')}"
        raise ValueError(f"{index} is of format {found}, expected {FORMAT} {VERSION}: {_advice(index)}")
    if content.pop("sha256", None) != _digest(content):
        raise ValueError(f"{index} was altered: {_advice(index)}")
    return content


def _images(index: Path, content: dict[str, Any]) -> list[StoredImage]:
    """Where each image is: one after the other, so that none lies outside the file. Anyone can compute the sha256."""
    scale, degradation, source_hash = (content.get(name) for name in ("scale", "degradation", "source_hash"))
    try:
        listed = list(content["images"])
        images = layout([(str(one["name"]), (int(one["height"]), int(one["width"]))) for one in listed])
        images = [one._replace(crc32=int(of["crc32"])) for one, of in zip(images, listed, strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{index} is damaged ({error!r}): {_advice(index)}") from None
    # As text, in which 1, 1.0 and true differ.
    is_sound = json.dumps([one._asdict() for one in images]) == json.dumps(listed)
    is_sound = is_sound and all(min(one.height, one.width) >= 1 for one in images) and len(images) > 0
    is_sound = is_sound and type(scale) is int and scale >= 1 and isinstance(degradation, (str, NoneType))
    if not is_sound or type(source_hash) is not str:
        raise ValueError(f"{index} is damaged, it does not describe images one after the other: {_advice(index)}")
    return images


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _advice(index: Path) -> str:
    return f"python -m zoomsr.prepare clear {index.parent} removes it, and the next run packs it again"
