"""Areas of held-out photographs that a run keeps as files: what went in, what came out, and the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoomsr.runs.files import write_json

Image = NDArray[np.float32]
"""(H, W, 3) on [0, 1]."""

PICTURES, GALLERY = "pictures", "gallery"
"""Folders of a run with an area in each of their sub-folders."""

_SHRUNK = 512
_PHOTOGRAPH, _TESTED = "photograph.png", "tested.png"
_PAIR = ("input.png", "truth.png", "bicubic.png")


@dataclass(frozen=True)
class Crop:
    """An area of a photograph; every picture is kept with 8 bits.

    Attributes:
        name: of the photograph.
        box: left, top, width, height of the area, in pixels of ``photograph``.
        photograph: the whole picture, or None where it is not kept; on disk shrunk to 512 pixels, the box with it.
        lr: what the net is given.
        hr: the truth.
        bicubic: lr enlarged by bicubic.
        epochs: epoch, counted from 1, to what the net made of lr after it.
        tested: what the tested weights make of it, once the run is finished.
    """

    name: str
    box: tuple[int, int, int, int]
    photograph: Image | None
    lr: Image
    hr: Image
    bicubic: Image
    epochs: Mapping[int, Image] = field(default_factory=dict)
    tested: Image | None = None

    def save(self, folder: Path) -> None:
        """Write it; ``keep_epoch`` and ``keep_tested`` add to it later."""
        folder.mkdir(parents=True, exist_ok=True)
        box = self.box
        if self.photograph is not None:
            photograph, box = _shrunk(self.photograph, self.box)
            _write(folder / _PHOTOGRAPH, photograph)
        for name, image in zip(_PAIR, (self.lr, self.hr, self.bicubic), strict=True):
            _write(folder / name, image)
        for epoch, image in self.epochs.items():
            keep_epoch(folder, epoch, image)
        if self.tested is not None:
            keep_tested(folder, self.tested)
        write_json(folder / "area.json", {"name": self.name, "box": list(box)})

    @staticmethod
    def read(folder: Path) -> Crop:
        """Read an area.

        Raises:
            ValueError: a file of it is missing or damaged.
        """
        try:
            about = json.loads((folder / "area.json").read_text(encoding="utf-8"))
            left, top, width, height = map(int, about["box"])
            lr, hr, bicubic = (_read(folder / name) for name in _PAIR)
            photograph, tested = (
                _read(folder / name) if (folder / name).is_file() else None for name in (_PHOTOGRAPH, _TESTED)
            )
            return Crop(
                name=str(about["name"]),
                box=(left, top, width, height),
                photograph=photograph,
                lr=lr,
                hr=hr,
                bicubic=bicubic,
                epochs={int(path.stem[6:]): _read(path) for path in sorted(folder.glob("epoch_*.png"))},
                tested=tested,
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder} is a damaged area of a photograph: {error}") from error


def read_crops(folder: Path, kind: str = "") -> list[Crop]:
    """The areas in those sub-folders whose names begin with ``kind``, by name; none where there is no folder."""
    return [Crop.read(path.parent) for path in sorted(folder.glob(f"{kind}*/area.json"))]


def keep_epoch(folder: Path, epoch: int, image: Image) -> None:
    """Add what the net makes of the area after an epoch."""
    _write(folder / f"epoch_{epoch:05d}.png", image)


def keep_tested(folder: Path, image: Image) -> None:
    """Add what the tested weights make of the area."""
    _write(folder / _TESTED, image)


def is_milestone(epoch: int) -> bool:
    """1, 2, 3, 5, 10, 20, 30, 50, 100 ...: a strip with these shows a training, however long."""
    return str(epoch).rstrip("0") in ("1", "2", "3", "5")


def _shrunk(photograph: Image, box: tuple[int, int, int, int]) -> tuple[Image, tuple[int, int, int, int]]:
    height, width = photograph.shape[:2]
    factor = min(1.0, _SHRUNK / max(height, width))
    if factor == 1:
        return photograph, box
    size = round(width * factor), round(height * factor)
    smaller = PIL.Image.fromarray(_bytes(photograph)).resize(size, PIL.Image.Resampling.LANCZOS)
    left, top, box_width, box_height = (round(value * factor) for value in box)
    return _floats(smaller), (left, top, box_width, box_height)


def _write(path: Path, image: Image) -> None:
    partial = path.with_name(f".{path.name}")
    PIL.Image.fromarray(_bytes(image)).save(partial, format="png")
    partial.replace(path)


def _read(path: Path) -> Image:
    with PIL.Image.open(path) as picture:
        return _floats(picture.convert("RGB"))


def _bytes(image: Image) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels


def _floats(picture: PIL.Image.Image) -> Image:
    return np.asarray(picture, dtype=np.float32) / np.float32(255)
