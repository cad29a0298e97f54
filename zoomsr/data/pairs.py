"""Patches of photographs: random ones to train on, fixed ones to measure on.

A random patch is a function of (seed, epoch, index) alone, drawn from a counter-based generator: the same with 0 or 8
workers, on 1 or 4 ranks, before and after a resume. What leaves here is uint8; float, flips and degradation happen on
the device (see ``datamodule``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypedDict

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from zoomsr.data.store import PixelStore
from zoomsr.image import crop_to_multiple


class Patch(TypedDict):
    """One item: hr is uint8 (3, H, W), ``turn`` the dihedral turn (0 to 7) that the device gives it, ``seed`` what a
    stochastic degradation of it draws from.
    """

    hr: Tensor
    turn: int
    seed: int
    name: str
    index: int


class PatchKey(NamedTuple):
    """Which patch: the sampler makes keys, the data set turns them into pixels."""

    epoch: int
    number: int


class RandomPatches(Dataset[Patch]):
    """``per_image`` random patches of every photograph in an epoch, corners on the scale's grid.

    Args:
        store: the photographs.
        patch: side of the square patch in hr pixels, a multiple of ``scale``.
        scale: super-resolution factor.
        per_image: patches of each photograph in an epoch.
        seed: part of every draw.
    """

    def __init__(self, store: PixelStore, *, patch: int, scale: int, per_image: int, seed: int) -> None:
        if patch % scale:
            raise ValueError(f"data.patch {patch} must be a multiple of the scale {scale}")
        store.require(patch, "the training patch (data.patch)")
        self._store = store
        self._patch = patch
        self._scale = scale
        self._per_image = per_image
        self._seed = seed

    def __len__(self) -> int:
        return len(self._store) * self._per_image

    def __getitem__(self, key: PatchKey) -> Patch:
        number = key.number % len(self._store)
        draw = _generator(self._seed, key.epoch, key.number)
        top, left = (
            int(draw.integers((side - self._patch) // self._scale + 1)) * self._scale
            for side in self._store.sizes[number]
        )
        hr = self._store.crop(number, top=top, left=left, height=self._patch, width=self._patch)
        turn, seed = int(draw.integers(8)), int(draw.integers(2**62))
        return Patch(hr=hr, turn=turn, seed=seed, name=self._store.names[number], index=key.number)


class FixedPatches(Dataset[Patch]):
    """The centre of every photograph, or all of it, cut to a multiple of the scale.

    Args:
        store: the photographs.
        patch: side of the square patch in hr pixels; None for whole photographs.
        scale: super-resolution factor.
    """

    def __init__(self, store: PixelStore, *, patch: int | None, scale: int) -> None:
        if patch is not None:
            store.require(patch, "the held-out patch (data.val_patch)")
        self._store = store
        self._patch = patch
        self._scale = scale

    def __len__(self) -> int:
        return len(self._store)

    def __getitem__(self, index: int) -> Patch:
        hr = self._store.read(index)
        if self._patch is not None:
            top, left = ((side - self._patch) // 2 for side in hr.shape[-2:])
            hr = hr[:, top : top + self._patch, left : left + self._patch]
        hr = crop_to_multiple(hr, self._scale)
        return Patch(hr=hr, turn=0, seed=index, name=self._store.names[index], index=index)


class PatchSampler(Sampler[PatchKey]):
    """A fresh order for each epoch, every rank taking its share; all ranks get the same number.

    Lightning calls ``set_epoch``, also after a resume, so an epoch's patches do not depend on what ran before.
    """

    def __init__(self, length: int, *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self._length = length
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length // self._world_size

    def __iter__(self) -> Iterator[PatchKey]:
        order = _generator(self._seed, self._epoch, self._length).permutation(self._length)
        share = order[self._rank :: self._world_size][: len(self)]
        return (PatchKey(self._epoch, int(index)) for index in share)


def _generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Philox counts in its low words, so streams with different high words never meet."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, index, epoch]))
