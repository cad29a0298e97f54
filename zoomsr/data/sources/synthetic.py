"""Training without photographs: pictures of dead leaves, made while they are needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from zoomsr.data.packed.packing import Pairs, Photo, open_pairs
from zoomsr.data.packed.store import Pixels
from zoomsr.data.patches import Draws, PatchKey, PatchSampler, Place
from zoomsr.data.sources.dead_leaves import dead_leaves
from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.degradations import Degradation


@dataclass(frozen=True)
class DeadLeaves:
    """A source without end or licence; the sample's photographs are held out.

    Attributes:
        n_train: pictures in an epoch; every epoch has new ones.
        smallest: radius of a leaf in pixels.
        largest: radius of a leaf in pixels.
    """

    n_train: int
    smallest: float = 1.5
    largest: float = 256.0
    name = "dead_leaves"

    @property
    def val(self) -> tuple[Photo, ...]:
        """The photographs held out."""
        return sample().val

    def describe(self) -> str:
        """See ``zoomsr.data.sources.photographs.Source.describe``."""
        return f"{self.n_train} new synthetic pictures an epoch, {len(self.val)} photographs held out"

    def patches(
        self, *, patch: int, degradation: Degradation, pack_lr: bool, per_image: int, seed: int
    ) -> PaintedPatches:
        """A picture for each patch; lr is made on the device."""
        return PaintedPatches(self, patch=patch, scale=degradation.scale, length=self.n_train * per_image, seed=seed)

    def held_out(self, degradation: Degradation) -> Pairs:
        """The held-out photographs, packed."""
        return open_pairs(self.val, degradation=degradation)


class PaintedPatches:
    """See ``zoomsr.data.patches.Patches``: every patch is a picture of its own, a function of (seed, epoch, index).

    Raises:
        ValueError: the patch is no multiple of the scale.
    """

    lr_patch = None

    def __init__(self, source: DeadLeaves, *, patch: int, scale: int, length: int, seed: int) -> None:
        if patch % scale:
            raise ValueError(f"data.patch {patch} must be a multiple of the scale {scale}")
        self.patch = patch
        self.source_hash = hashlib.sha256(f"{source!r} {seed}".encode()).hexdigest()
        self._source = source
        self._length = length
        self._seed = seed
        self._draws = Draws(seed, length)

    def __len__(self) -> int:
        return self._length

    def sampler(self, *, rank: int, world_size: int) -> PatchSampler:
        """A rank's share of each epoch."""
        return PatchSampler(self._length, seed=self._seed, rank=rank, world_size=world_size)

    def place(self, key: PatchKey) -> Place:
        """``image`` is the epoch, so that the picture follows from the place."""
        _, _, _, seed = self._draws.of(key)
        return Place(key.epoch, 0, 0, 0, seed >> 2, f"dead leaves {key.epoch}-{key.number}", key.number)

    def prefetch(self, place: Place) -> None:
        """Nothing lies on a disk."""

    def fill(self, place: Place, hr: Pixels, lr: Pixels | None) -> None:
        """Paint it."""
        # Apart from the streams of the sampler and of Draws, whose third words are 1 and 0.
        draw = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 2 + place.number, place.image]))
        side, source = self.patch, self._source
        np.copyto(hr, dead_leaves(side, side, draw, smallest=source.smallest, largest=source.largest))
