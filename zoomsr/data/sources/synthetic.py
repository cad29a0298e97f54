"""Training without photographs: images of dead leaves, made when they are needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from zoomsr.data.packed.packing import Pairs, Photo, open_pairs
from zoomsr.data.packed.store import UInt8Array
from zoomsr.data.patches import Patches, PatchKey, PatchSpec
from zoomsr.data.sources.dead_leaves import dead_leaves
from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.degradations import Degradation


@dataclass(frozen=True)
class DeadLeaves:
    """New training images in every epoch; the sample's photographs for validation. See ``photographs.Source``.

    Attributes:
        n_train: images in an epoch.
        smallest: radius of a leaf in pixels.
        largest: radius of a leaf in pixels.
    """

    n_train: int
    smallest: float = 1.5
    largest: float = 256.0
    name = "dead_leaves"
    attributions = ()

    @property
    def val(self) -> tuple[Photo, ...]:
        """See ``Source``."""
        return sample().val

    def describe(self) -> str:
        """See ``Source``."""
        return f"{self.n_train} new synthetic images an epoch, {len(self.val)} photographs for validation"

    def patches(
        self, *, patch: int, degradation: Degradation, pack_lr: bool, per_image: int, seed: int
    ) -> SyntheticPatches:
        """An image for each patch; lr is made on the device."""
        return SyntheticPatches(self, patch=patch, scale=degradation.scale, length=self.n_train * per_image, seed=seed)

    def validation(self, degradation: Degradation) -> Pairs:
        """See ``Source``."""
        return open_pairs(self.val, degradation=degradation)


class SyntheticPatches(Patches):
    """Every patch is an image of its own, a function of (seed, epoch, index)."""

    def __init__(self, source: DeadLeaves, *, patch: int, scale: int, length: int, seed: int) -> None:
        digest = hashlib.sha256(f"{source!r} {seed}".encode()).hexdigest()
        super().__init__(length, patch=patch, scale=scale, seed=seed, source_hash=digest)
        self._source = source

    def spec(self, key: PatchKey) -> PatchSpec:
        """``image`` is the epoch, so that the spec determines the pixels."""
        seed = self.draws(key)[3]
        return PatchSpec(key.epoch, 0, 0, 0, seed >> 2, f"dead leaves {key.epoch}-{key.number}", key.number)

    def fill(self, spec: PatchSpec, hr: UInt8Array, lr: UInt8Array | None) -> None:
        """Draw it."""
        # A stream beside those of the sampler and of draws(), whose third words are 1 and 0.
        counter = [0, 0, 2 + spec.number, spec.image]
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=counter))
        source = self._source
        np.copyto(hr, dead_leaves(self.patch, self.patch, generator, smallest=source.smallest, largest=source.largest))
