"""Patches of photographs: random ones for training, fixed ones for validation and test.

A random patch is a function of (seed, epoch, index) alone, drawn from a counter-based RNG: the same with any number of
threads, on 1 or 4 ranks, before and after a resume. Patches are uint8; the conversion to float and degradations that
are not packed happen on the device (see ``datamodule``).
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from zoomsr.data.packed.packing import Pairs
from zoomsr.data.packed.store import UInt8Array
from zoomsr.imaging.pixels import crop_to_multiple

if TYPE_CHECKING:
    from typing import Self  # Python 3.11


class PatchKey(NamedTuple):
    """Which patch of which epoch: what a sampler gives."""

    epoch: int
    number: int


class PatchSpec(NamedTuple):
    """What was drawn for a patch.

    Attributes:
        image: number of the photograph.
        top: in hr pixels; of a stream a number from which it follows once the photograph's size is known.
        left: the same.
        augmentation: index of flips and transpose, 0 to 7; see ``zoomsr.data.loader.unaugmented``.
        seed: of a stochastic degradation.
        name: of the photograph.
        number: of the patch in its epoch.
    """

    image: int
    top: int
    left: int
    augmentation: int
    seed: int
    name: str
    number: int


class Patches(abc.ABC):
    """An epoch of patches, which a loader gathers into batches.

    Args:
        length: patches in an epoch.
        patch: side of the square patch in hr pixels, a multiple of ``scale``.
        scale: super-resolution factor.
        seed: of all draws.
        source_hash: of what the patches are cut from.
        has_lr: False where lr is made on the device.

    Raises:
        ValueError: the patch is no multiple of the scale.
    """

    def __init__(
        self, length: int, *, patch: int, scale: int, seed: int, source_hash: str, has_lr: bool = False
    ) -> None:
        _require_multiple("data.patch", patch, scale)
        self.patch = patch
        self.scale = scale
        self.seed = seed
        self.source_hash = source_hash
        self.lr_patch = patch // scale if has_lr else None
        self._length = length
        self._drawn: tuple[int | None, NDArray[np.uint64]] = (None, np.empty((0, 4), np.uint64))

    def __len__(self) -> int:
        return self._length

    def sampler(self, *, rank: int, world_size: int) -> PatchSampler:
        """A rank's share of each epoch."""
        return PatchSampler(len(self), seed=self.seed, rank=rank, world_size=world_size)

    def draws(self, key: PatchKey) -> list[int]:
        """Four uint64, a function of (seed, epoch, index): a block of the RNG Philox, counted by the index.

        Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. An epoch's are drawn
        together, because an RNG for each patch would cost a tenth of its copy.
        """
        epoch, table = self._drawn  # read together: a loader's thread draws too
        if epoch != key.epoch:
            blocks = np.random.Philox(key=self.seed, counter=[0, 0, 0, key.epoch])
            table = blocks.random_raw(4 * self._length).reshape(-1, 4)
            self._drawn = key.epoch, table
        numbers: list[int] = table[key.number].tolist()
        return numbers

    def resized(self, patch: int) -> Self:
        """The same draws with another side, which is not larger.

        Raises:
            ValueError: the patch is no multiple of the scale.
        """
        _require_multiple("data.patch", patch, self.scale)
        other = copy.copy(self)
        other.patch = patch
        other.lr_patch = None if self.lr_patch is None else patch // self.scale
        return other

    @abc.abstractmethod
    def spec(self, key: PatchKey) -> PatchSpec:
        """Draw the patch; no pixel is read."""

    def prefetch(self, spec: PatchSpec) -> None:  # noqa: B027  # most have nothing to do
        """Announce that its pixels will be read soon."""

    @abc.abstractmethod
    def fill(self, spec: PatchSpec, hr: UInt8Array, lr: UInt8Array | None) -> None:
        """Write its pixels, not augmented, into hr, (3, patch, patch), and lr, (3, lr_patch, lr_patch)."""


class RandomPatches(Patches):
    """``per_image`` random patches of every packed photograph in an epoch, corners on the scale's grid.

    Args:
        pairs: the photographs, packed; with or without lr.
        patch: see ``Patches``.
        scale: see ``Patches``.
        per_image: patches of each photograph in an epoch.
        seed: see ``Patches``.

    Raises:
        ValueError: the patch is no multiple of the scale, or larger than a photograph.
    """

    def __init__(self, pairs: Pairs, *, patch: int, scale: int, per_image: int, seed: int) -> None:
        length, digest, has_lr = len(pairs.hr) * per_image, pairs.hr.source_hash, pairs.lr is not None
        super().__init__(length, patch=patch, scale=scale, seed=seed, source_hash=digest, has_lr=has_lr)
        pairs.hr.require(patch, "the training patch (data.patch)")
        self.pairs = pairs

    def spec(self, key: PatchKey) -> PatchSpec:
        """See ``Patches``."""
        hr = self.pairs.hr
        image = key.number % len(hr)
        height, width = hr.sizes[image]
        for_top, for_left, for_augmentation, seed = self.draws(key)
        top = for_top % ((height - self.patch) // self.scale + 1) * self.scale
        left = for_left % ((width - self.patch) // self.scale + 1) * self.scale
        return PatchSpec(image, top, left, for_augmentation % 8, seed >> 2, hr.names[image], key.number)

    def prefetch(self, spec: PatchSpec) -> None:
        """See ``Patches``."""
        self.pairs.hr.prefetch(spec.image, top=spec.top, height=self.patch)
        if self.pairs.lr is not None:
            self.pairs.lr.prefetch(spec.image, top=spec.top // self.scale, height=self.patch // self.scale)

    def fill(self, spec: PatchSpec, hr: UInt8Array, lr: UInt8Array | None) -> None:
        """See ``Patches``."""
        self.pairs.hr.copy_patch(hr, spec.image, top=spec.top, left=spec.left)
        if self.pairs.lr is not None and lr is not None:
            self.pairs.lr.copy_patch(lr, spec.image, top=spec.top // self.scale, left=spec.left // self.scale)


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
        self._stores = {key: store for key, store in pairs._asdict().items() if store is not None}
        for store in self._stores.values():
            store.verify()  # now, not after an epoch of training
        if patch is not None:
            _require_multiple("data.val_patch", patch, scale)
            pairs.hr.require(patch, "the validation patch (data.val_patch)")
        self._patch = patch
        self._scale = scale

    def __len__(self) -> int:
        return len(self._stores["hr"])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Hr and, where packed, lr as uint8 (3, H, W), the seed of a stochastic degradation, name and index."""
        hr = self._stores["hr"]
        item: dict[str, Any] = {"seed": index, "name": hr.names[index], "index": index}
        for key, store in self._stores.items():
            unit = self._scale if key == "hr" else 1  # a pixel of lr
            pixels = crop_to_multiple(store.read(index), unit)
            if self._patch is not None:
                side = self._patch // self._scale
                top, left = ((length // self._scale - side) // 2 * unit for length in hr.sizes[index])
                pixels = pixels[:, top : top + side * unit, left : left + side * unit].contiguous()
            item[key] = pixels
        return item


class PatchSampler(Sampler[PatchKey]):
    """A fresh order for each epoch, every rank taking its share; all ranks get the same number.

    Lightning calls ``set_epoch``, also after a resume, so an epoch's patches do not depend on what ran before.

    Attributes:
        epoch: of the next iteration.
        repeats: whether every epoch gives the patches of the first one, in its order: for ``trainer.overfit_batches``.
    """

    def __init__(self, length: int, *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self._length = length
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self.epoch = 0
        self.repeats = False
        self._first = {0: 0}

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def start_at(self, epoch: int, first: int) -> None:
        """Skip the first keys of an epoch, whose patches a resumed run has been given."""
        self._first = {epoch: first}

    def drawn(self, epoch: int) -> int:
        """The epoch of the draws of an epoch's patches: its own, or the first."""
        return 0 if self.repeats else epoch

    @property
    def first(self) -> int:
        """How many keys the epoch's iteration skips."""
        return self._first.get(self.epoch, 0)

    def __len__(self) -> int:
        return self._length // self._world_size

    def generator(self) -> np.random.Generator:
        """The epoch's RNG; a stream of its own beside those of ``Patches.draws``, whose third word is 0."""
        return np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 1, self.drawn(self.epoch)]))

    def __iter__(self) -> Iterator[PatchKey]:
        order = self.generator().permutation(self._length)
        share = order[self._rank :: self._world_size][self.first : len(self)]
        return (PatchKey(self.drawn(self.epoch), int(index)) for index in share)


def per_stage(value: int | Sequence[int]) -> tuple[int, ...]:
    """The values of a setting that may be one number, or a list with one for each stage of the training.

    Raises:
        ValueError: an empty list.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    if not values:
        raise ValueError("data.patch and data.batch_size must be a number, or a list of at least one")
    return values


def stages(patch: int | Sequence[int], batch_size: int | Sequence[int]) -> list[tuple[int, int]]:
    """Side and batch of each stage of the training; one number holds for all stages.

    Raises:
        ValueError: an empty list, an empty batch, or lists of different lengths.
    """
    sides, sizes = per_stage(patch), per_stage(batch_size)
    if min(sizes) < 1:
        raise ValueError(f"data.batch_size {min(sizes)} must be at least 1")
    count = max(len(sides), len(sizes))
    if not {len(sides), len(sizes)} <= {1, count}:
        numbers = f"data.patch={list(sides)} has {len(sides)} stages, and data.batch_size={list(sizes)} {len(sizes)}"
        raise ValueError(f"{numbers}: give lists of one length, or one number for all stages")
    return list(zip(sides * (count // len(sides)), sizes * (count // len(sizes)), strict=True))


def _require_multiple(setting: str, patch: int, scale: int) -> None:
    """Raises ValueError where a patch's side is no multiple of the scale, or none at all."""
    if patch < 1 or patch % scale:
        raise ValueError(
            f"{setting} {patch} must be a multiple of the scale {scale}: {setting}={max(1, patch // scale) * scale}"
        )
