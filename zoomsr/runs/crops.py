"""Areas of held-out photographs that a run keeps as files: what went in, what came out, and the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoomsr.runs.files import atomic_write, write_json
from zoomsr.runs.layout import (
    CROP_BICUBIC,
    CROP_EPOCH,
    CROP_EPOCHS,
    CROP_HR,
    CROP_JSON,
    CROP_LR,
    CROP_PHOTOGRAPH,
    CROP_TESTED,
)

Image = NDArray[np.float32]
"""(H, W, 3) on [0, 1]."""

_SHRUNK = 512
_IMAGES = (CROP_LR, CROP_HR, CROP_BICUBIC)


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
            _write(folder / CROP_PHOTOGRAPH, photograph)
        for name, image in zip(_IMAGES, (self.lr, self.hr, self.bicubic), strict=True):
            _write(folder / name, image)
        for epoch, image in self.epochs.items():
            keep_epoch(folder, epoch, image)
        if self.tested is not None:
            keep_tested(folder, self.tested)
        write_json(folder / CROP_JSON, {"name": self.name, "box": list(box)})

    @staticmethod
    def read(folder: Path) -> Crop:
        """Read an area.

        Raises:
            ValueError: a file of it is missing or damaged.
        """
        try:
            about = json.loads((folder / CROP_JSON).read_text(encoding="utf-8"))
            left, top, width, height = map(int, about["box"])
            lr, hr, bicubic = (_read(folder / name) for name in _IMAGES)
            photograph, tested = (
                _read(folder / name) if (folder / name).is_file() else None for name in (CROP_PHOTOGRAPH, CROP_TESTED)
            )
            return Crop(
                name=str(about["name"]),
                box=(left, top, width, height),
                photograph=photograph,
                lr=lr,
                hr=hr,
                bicubic=bicubic,
                epochs={int(path.stem[6:]): _read(path) for path in sorted(folder.glob(CROP_EPOCHS))},
                tested=tested,
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder} is a damaged area of a photograph: {error}") from error


def read_crops(folder: Path, kind: str = "") -> list[Crop]:
    """The areas in those sub-folders whose names begin with ``kind``, by name; none where there is no folder."""
    return [Crop.read(path.parent) for path in sorted(folder.glob(f"{kind}*/{CROP_JSON}"))]


def keep_epoch(folder: Path, epoch: int, image: Image) -> None:
    """Add what the net makes of the area after an epoch."""
    _write(folder / CROP_EPOCH.format(epoch=epoch), image)


def keep_tested(folder: Path, image: Image) -> None:
    """Add what the tested weights make of the area."""
    _write(folder / CROP_TESTED, image)


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
    with atomic_write(path) as file:
        PIL.Image.fromarray(_bytes(image)).save(file, format="png")


def _read(path: Path) -> Image:
    with PIL.Image.open(path) as picture:
        return _floats(picture.convert("RGB"))


def _bytes(image: Image) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels


def _floats(picture: PIL.Image.Image) -> Image:
    return np.asarray(picture, dtype=np.float32) / np.float32(255)
