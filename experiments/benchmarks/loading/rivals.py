"""What packed pixels are measured against: the ways in which super-resolution frameworks usually read patches."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import lmdb
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

SIDE, STEP = 512, 256


class WholePng(Dataset[tuple[Tensor, Tensor]]):
    """Decodes both whole pictures for every patch."""

    def __init__(self, hr: list[Path], lr: list[Path], *, side: int = SIDE) -> None:
        self._files = list(zip(hr, lr, strict=True))
        self._side = side

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        hr, lr = (np.asarray(Image.open(path).convert("RGB")) for path in self._files[index])
        side, half = self._side, self._side // 2
        top, left = (random.randrange((length - side) // 2) for length in hr.shape[:2])
        cut_hr = hr[2 * top : 2 * top + side, 2 * left : 2 * left + side]
        return _chw(cut_hr), _chw(lr[top : top + half, left : left + half])


class SubImages(Dataset[tuple[Tensor, Tensor]]):
    """Sub-images cut beforehand, as PNG in one LMDB; the worker makes them float, as is customary."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._lmdb: lmdb.Environment | None = None
        with lmdb.open(self._path, readonly=True, lock=False) as environment:
            self._length = environment.stat()["entries"] // 2

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self._lmdb is None:  # in the worker: an environment does not survive a fork
            self._lmdb = lmdb.open(self._path, readonly=True, lock=False, readahead=False)
        with self._lmdb.begin() as transaction:
            hr, lr = (_decoded(transaction.get(f"{kind}{index}".encode())) for kind in ("hr", "lr"))
        return _chw(hr).float() / 255, _chw(lr).float() / 255


def batches(dataset: Dataset[tuple[Tensor, Tensor]], *, batch_size: int, workers: int) -> Iterator[dict[str, Tensor]]:
    """Endless batches by torch's loader."""
    loader = DataLoader(
        dataset, batch_size, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    for _ in cycle([0]):
        for hr, lr in loader:
            yield {"hr": hr, "lr": lr}


def cut_sub_images(hr: list[Path], lr: list[Path], folder: Path) -> None:
    """512-px sub-images of every picture with half a sub-image of overlap, as PNG files."""
    number = 0
    folder.mkdir()
    for hr_path, lr_path in zip(hr, lr, strict=True):
        whole, small = (Image.open(path).convert("RGB") for path in (hr_path, lr_path))
        for top in range(0, whole.height - SIDE + 1, STEP):
            for left in range(0, whole.width - SIDE + 1, STEP):
                whole.crop((left, top, left + SIDE, top + SIDE)).save(folder / f"hr{number}.png", compress_level=3)
                box = tuple(value // 2 for value in (left, top, left + SIDE, top + SIDE))
                small.crop(box).save(folder / f"lr{number}.png", compress_level=3)
                number += 1


def fill_lmdb(folder: Path, path: Path) -> None:
    """All sub-images into one LMDB."""
    files = sorted(folder.iterdir())
    size = sum(file.stat().st_size for file in files)
    with lmdb.open(str(path), map_size=2 * size + 2**26) as environment, environment.begin(write=True) as transaction:
        for file in files:
            transaction.put(file.stem.encode(), file.read_bytes())


def _decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def _chw(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
