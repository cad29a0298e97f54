"""Benchmark folders: images with or without their published low-resolution files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoomsr.imaging import files
from zoomsr.imaging.files import SUFFIXES
from zoomsr.imaging.listing import is_picture
from zoomsr.imaging.pixels import crop_to_multiple

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BenchmarkImage:
    """A decoded image of a benchmark.

    Attributes:
        name: file name without suffix.
        hr: uint8 (3, H, W), sides cut to multiples of the scale.
        lr: uint8 (3, H / scale, W / scale) as published, or None.
        grey: the file has one channel; hr and lr hold it three times.
    """

    name: str
    hr: Tensor
    lr: Tensor | None
    grey: bool


@dataclass(frozen=True)
class Benchmark:
    """A folder of images.

    Attributes:
        name: of the folder.
        scale: sides are cut to multiples of it.
        files: hr file and lr file, or None where lr is to be made.
    """

    name: str
    scale: int
    files: tuple[tuple[Path, Path | None], ...]

    @staticmethod
    def find(folder: Path, *, scale: int, published_lr: bool = True) -> Benchmark:
        """Look into a folder: HR/ with or without LRx2/ (for scale 2), or images directly.

        Args:
            folder: where to look.
            scale: of the lr files.
            published_lr: False ignores lr files.

        Raises:
            ValueError: no such folder, no images, or LR files that do not match those of HR.
        """
        layout = f"expected {folder}/HR/*.png with or without {folder}/LRx{scale}/*.png, or images in {folder} itself"
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}: {layout}")
        hr = _by_stem(folder / "HR") or _by_stem(folder)
        if not hr:
            raise ValueError(f"{folder} holds no images: {layout}")
        lr_folder = folder / f"LRx{scale}"
        if not published_lr or not lr_folder.is_dir():
            return Benchmark(folder.name, scale, tuple((path, None) for path in hr.values()))
        lr = {stem.removesuffix(f"x{scale}"): path for stem, path in _by_stem(lr_folder).items()}
        if lr.keys() != hr.keys():
            counts = f"{len(hr)} HR and {len(lr)} LR files, {min(lr.keys() ^ hr.keys())} is in one only"
            raise ValueError(f"{lr_folder} does not match HR: {counts}; {layout}")
        return Benchmark(folder.name, scale, tuple((path, lr[stem]) for stem, path in hr.items()))

    @property
    def has_lr(self) -> bool:
        """Whether lr comes from files."""
        return self.files[0][1] is not None

    def read(self, number: int) -> BenchmarkImage:
        """Decode one image.

        Raises:
            ValueError: a damaged file, or an LR file of the wrong size.
        """
        hr_path, lr_path = self.files[number]
        hr = crop_to_multiple(files.read(hr_path), self.scale)
        lr = None if lr_path is None else files.read(lr_path)
        if lr is not None and [side * self.scale for side in lr.shape[1:]] != list(hr.shape[1:]):
            sizes = f"{lr.shape[2]}x{lr.shape[1]}", f"{hr.shape[2]}x{hr.shape[1]}"
            raise ValueError(f"{lr_path} is {sizes[0]}, which is not 1/{self.scale} of {hr_path} at {sizes[1]}")
        return BenchmarkImage(hr_path.stem, hr, lr, files.is_grey(hr_path))

    def digest_of(self, number: int) -> str:
        """sha256 over what an image's scores follow from: the bytes of its files, and the number, which seeds noise."""
        hr, lr = (b"" if path is None else path.read_bytes() for path in self.files[number])
        parts = (f"{number} {self.scale} {len(hr)} {self.files[number][1] is not None}\n".encode(), hr, lr)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def digest(self) -> str:
        """sha256 over the names and bytes of all files."""
        total = hashlib.sha256()
        for path in (path for pair in self.files for path in pair if path is not None):
            total.update(f"{path.name}\n".encode() + path.read_bytes())
        return total.hexdigest()


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_picture(path, SUFFIXES) and found.setdefault(path.stem, path) != path:
            raise ValueError(f"{found[path.stem]} and {path.name} have one name: rename or remove one")
    return found
