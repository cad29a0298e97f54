"""Patches of photographs: random ones to train on, fixed ones to measure on.

A random patch is a function of (seed, epoch, index) alone, drawn from a counter-based generator: the same with any
number of threads, on 1 or 4 ranks, before and after a resume. What leaves here is uint8; float and what is left of the
degradation happen on the device (see ``datamodule``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from zoomsr.data.packed.packing import Pairs
from zoomsr.data.packed.store import Pixels
from zoomsr.imaging.pixels import crop_to_multiple


class PatchKey(NamedTuple):
    """Which patch: the sampler makes keys, patches turn them into places and pixels."""

    epoch: int
    number: int


class Place(NamedTuple):
    """What was drawn for a patch, in hr pixels.

    ``turn`` is its augmentation index, 0 to 7 (see ``zoomsr.data.loader.before_turn``), ``seed`` what a stochastic
    degradation of it draws from, ``number`` counts the epoch's patches.
    """

    image: int
    top: int
    left: int
    turn: int
    seed: int
    name: str
    number: int


class Patches(Protocol):
    """What a loader fills batches from."""

    patch: int
    """Side in hr pixels."""
    lr_patch: int | None
    """Side in lr pixels; None where lr is made on the device."""
    source_hash: str
    """Of what the patches are cut from."""

    def __len__(self) -> int:
        """Patches in an epoch."""
        ...

    def sampler(self, *, rank: int, world_size: int) -> PatchSampler:
        """A rank's share of each epoch."""
        ...

    def place(self, key: PatchKey) -> Place:
        """Draw the patch; no pixel is read."""
        ...

    def prefetch(self, place: Place) -> None:
        """Say that its pixels will be wanted soon."""
        ...

    def fill(self, place: Place, hr: Pixels, lr: Pixels | None) -> None:
        """Write its pixels, not augmented, into hr, (3, patch, patch), and lr, (3, lr_patch, lr_patch)."""
        ...


class RandomPatches:
    """``per_image`` random patches of every photograph in an epoch, corners on the scale's grid.

    Args:
        pairs: the photographs, packed; with or without lr.
        patch: side of the square patch in hr pixels, a multiple of ``scale``.
        scale: super-resolution factor.
        per_image: patches of each photograph in an epoch.
        seed: part of every draw.

    Raises:
        ValueError: the patch is no multiple of the scale, or larger than a photograph.
    """

    def __init__(self, pairs: Pairs, *, patch: int, scale: int, per_image: int, seed: int) -> None:
        if patch % scale:
            raise ValueError(f"data.patch {patch} must be a multiple of the scale {scale}")
        pairs.hr.require(patch, "the training patch (data.patch)")
        self.patch = patch
        self.lr_patch = None if pairs.lr is None else patch // scale
        self.source_hash = pairs.hr.source_hash
        self.pairs = pairs
        self.scale = scale
        self._per_image = per_image
        self._seed = seed
        self._draws = Draws(seed, len(self))

    def __len__(self) -> int:
        return len(self.pairs.hr) * self._per_image

    def sampler(self, *, rank: int, world_size: int) -> PatchSampler:
        """See ``Patches.sampler``."""
        return PatchSampler(len(self), seed=self._seed, rank=rank, world_size=world_size)

    def place(self, key: PatchKey) -> Place:
        """See ``Patches.place``."""
        image = key.number % len(self.pairs.hr)
        height, width = self.pairs.hr.sizes[image]
        for_top, for_left, for_turn, seed = self._draws.of(key)
        top = for_top % ((height - self.patch) // self.scale + 1) * self.scale
        left = for_left % ((width - self.patch) // self.scale + 1) * self.scale
        return Place(image, top, left, for_turn % 8, seed >> 2, self.pairs.hr.names[image], key.number)

    def prefetch(self, place: Place) -> None:
        """See ``Patches.prefetch``."""
        self.pairs.hr.prefetch(place.image, top=place.top, height=self.patch)
        if self.pairs.lr is not None:
            self.pairs.lr.prefetch(place.image, top=place.top // self.scale, height=self.patch // self.scale)

    def fill(self, place: Place, hr: Pixels, lr: Pixels | None) -> None:
        """See ``Patches.fill``."""
        self.pairs.hr.copy_patch(hr, place.image, top=place.top, left=place.left)
        if self.pairs.lr is not None and lr is not None:
            self.pairs.lr.copy_patch(lr, place.image, top=place.top // self.scale, left=place.left // self.scale)


class FixedPatches(Dataset[dict[str, Any]]):
    """The centre of every photograph, or all of it, cut to a multiple of the scale; with lr where it is packed.

    Args:
        pairs: the photographs, packed.
        patch: side of the square patch in hr pixels; None for whole photographs.
        scale: super-resolution factor.

    Raises:
        ValueError: the patch is no multiple of the scale, or larger than a photograph, or packed pixels were altered.
    """

    def __init__(self, pairs: Pairs, *, patch: int | None, scale: int) -> None:
        for store in pairs:
            if store is not None:
                store.verify()  # now, not after an epoch of training
        if patch is not None:
            if patch % scale:
                raise ValueError(f"data.val_patch {patch} must be a multiple of the scale {scale}")
            pairs.hr.require(patch, "the held-out patch (data.val_patch)")
        self._pairs = pairs
        self._patch = patch
        self._scale = scale

    def __len__(self) -> int:
        return len(self._pairs.hr)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Hr and, where packed, lr as uint8 (3, H, W), the seed of a stochastic degradation, name and index."""
        item: dict[str, Any] = {"seed": index, "name": self._pairs.hr.names[index], "index": index}
        for key, store, scale in (("hr", self._pairs.hr, self._scale), ("lr", self._pairs.lr, 1)):
            if store is not None:
                item[key] = crop_to_multiple(store.read(index), scale)
        if self._patch is None:
            return item
        unit = self._patch // self._scale
        top, left = ((side // self._scale - unit) // 2 for side in self._pairs.hr.sizes[index])
        for key, scale in (("hr", self._scale), ("lr", 1)):
            if key in item:
                rows = slice(top * scale, (top + unit) * scale)
                item[key] = item[key][:, rows, left * scale : (left + unit) * scale].contiguous()
        return item


class PatchSampler(Sampler[PatchKey]):
    """A fresh order for each epoch, every rank taking its share; all ranks get the same number.

    Lightning calls ``set_epoch``, also after a resume, so an epoch's patches do not depend on what ran before.
    """

    def __init__(self, length: int, *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self._length = length
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self.epoch = 0
        self._first = {0: 0}

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def start_at(self, epoch: int, first: int) -> None:
        """Leave out the first keys of an epoch, of which a resumed run has seen the patches."""
        self._first = {epoch: first}

    @property
    def first(self) -> int:
        """Keys that the epoch's iteration leaves out."""
        return self._first.get(self.epoch, 0)

    def __len__(self) -> int:
        return self._length // self._world_size

    def draw(self) -> np.random.Generator:
        """The epoch's chance; apart from the streams of ``Draws``, whose third word is 0."""
        return np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 1, self.epoch]))

    def __iter__(self) -> Iterator[PatchKey]:
        order = self.draw().permutation(self._length)
        share = order[self._rank :: self._world_size][self.first : len(self)]
        return (PatchKey(self.epoch, int(index)) for index in share)


class Draws:
    """Four uint64 for every patch, a function of (seed, epoch, index): a block of Philox, counted by the index.

    Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. An epoch's are drawn together,
    because making a generator for each patch would cost a tenth of its copy.
    """

    def __init__(self, seed: int, length: int) -> None:
        self._seed = seed
        self._length = length
        self._drawn: tuple[int | None, NDArray[np.uint64]] = (None, np.empty((0, 4), np.uint64))

    def of(self, key: PatchKey) -> list[int]:
        """The four numbers of a patch."""
        epoch, table = self._drawn  # together, for a loader's thread draws too
        if epoch != key.epoch:
            blocks = np.random.Philox(key=self._seed, counter=[0, 0, 0, key.epoch])
            table = blocks.random_raw(4 * self._length).reshape(-1, 4)
            self._drawn = key.epoch, table
        numbers: list[int] = table[key.number].tolist()
        return numbers
