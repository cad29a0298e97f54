"""Crops of validation images that a run keeps as files: lr, the outputs, and the ground truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoomsr.runs import layout
from zoomsr.runs.files import atomic_write, write_json

Image = NDArray[np.float32]
"""(H, W, 3) on [0, 1]."""

_MAX_SIDE = 512
_PAIR = {"lr": layout.CROP_LR, "hr": layout.CROP_HR, "bicubic": layout.CROP_BICUBIC}
_OPTIONAL = {"photograph": layout.CROP_PHOTOGRAPH, "tested": layout.CROP_TESTED}


@dataclass(frozen=True)
class Crop:
    """A crop of a photograph; every image is kept with 8 bits.

    Attributes:
        name: of the photograph.
        box: left, top, width, height of the crop, in pixels of ``photograph``.
        photograph: the whole image, or None where it is not kept; on disk at most 512 pixels, and the box with it.
        lr: input of the net.
        hr: the ground truth.
        bicubic: lr upscaled by bicubic.
        epochs: epoch, counted from 1, to the net's output after it.
        tested: output of the tested weights, once the run is finished.
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
        photograph, box = _shrunk(self.photograph, self.box)
        images = {file: getattr(self, name) for name, file in (_PAIR | _OPTIONAL).items()}
        for file, image in (images | {layout.CROP_PHOTOGRAPH: photograph}).items():
            if image is not None:
                _write(folder / file, image)
        for epoch, image in self.epochs.items():
            keep_epoch(folder, epoch, image)
        write_json(folder / layout.CROP_JSON, {"name": self.name, "box": list(box)})

    @staticmethod
    def read(folder: Path) -> Crop:
        """Read a crop.

        Raises:
            ValueError: a file of it is missing or damaged.
        """
        try:
            about = json.loads((folder / layout.CROP_JSON).read_text(encoding="utf-8"))
            left, top, width, height = map(int, about["box"])
            files = _PAIR | {name: file for name, file in _OPTIONAL.items() if (folder / file).is_file()}
            images = {name: _read(folder / file) for name, file in files.items()}
            return Crop(
                name=str(about["name"]),
                box=(left, top, width, height),
                photograph=images.get("photograph"),
                lr=images["lr"],
                hr=images["hr"],
                bicubic=images["bicubic"],
                epochs={int(path.stem[6:]): _read(path) for path in sorted(folder.glob(layout.CROP_EPOCHS))},
                tested=images.get("tested"),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder} is a damaged crop of a photograph: {error}") from error


def read_crops(folder: Path, kind: str = "") -> list[Crop]:
    """The crops in those sub-folders whose names begin with ``kind``, by name; none where there is no folder."""
    return [Crop.read(path.parent) for path in sorted(folder.glob(f"{kind}*/{layout.CROP_JSON}"))]


def keep_epoch(folder: Path, epoch: int, image: Image) -> None:
    """Add the net's output after an epoch."""
    _write(folder / layout.CROP_EPOCH.format(epoch=epoch), image)


def keep_tested(folder: Path, image: Image) -> None:
    """Add the output of the tested weights."""
    _write(folder / layout.CROP_TESTED, image)


def is_milestone(epoch: int) -> bool:
    """1, 2, 3, 5, 10, 20, 30, 50, 100 ...: few enough to show a training of any length in one figure."""
    return str(epoch).rstrip("0") in ("1", "2", "3", "5")


def _shrunk(photograph: Image | None, box: tuple[int, int, int, int]) -> tuple[Image | None, tuple[int, int, int, int]]:
    if photograph is None or (factor := _MAX_SIDE / max(photograph.shape[:2])) >= 1:
        return photograph, box
    height, width = photograph.shape[:2]
    smaller = PIL.Image.fromarray(_bytes(photograph)).resize(
        (round(width * factor), round(height * factor)), PIL.Image.Resampling.LANCZOS
    )
    left, top, box_width, box_height = (round(value * factor) for value in box)
    return _floats(smaller), (left, top, box_width, box_height)


def _write(path: Path, image: Image) -> None:
    with atomic_write(path) as file:
        PIL.Image.fromarray(_bytes(image)).save(file, format="png")


def _read(path: Path) -> Image:
    with PIL.Image.open(path) as picture:
        return _floats(picture.convert("RGB"))


def _bytes(image: Image) -> NDArray[np.uint8]:
    return np.asarray(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)  # positive: cut off is rounded down


def _floats(picture: PIL.Image.Image) -> Image:
    return np.asarray(picture, dtype=np.float32) / np.float32(255)
