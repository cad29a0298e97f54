"""The LightningDataModule: batches of (lr, hr) pairs, made on the device from uint8 patches."""

from __future__ import annotations

from typing import Any, TypedDict

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from zoomsr.data.pairs import FixedPatches, Patch, PatchSampler, RandomPatches
from zoomsr.data.sources import Photographs
from zoomsr.data.store import PixelStore
from zoomsr.degradations import Degradation
from zoomsr.image import to_float


class Batch(TypedDict):
    """What the module is given: lr (N, C, H, W) and hr (N, C, scale H, scale W) on [0, 1], names and numbers."""

    lr: Tensor
    hr: Tensor
    name: list[str]
    index: Tensor


class PairsDataModule(LightningDataModule):
    """Random patches to train on; held-out photographs to validate (their centre) and to test on (whole).

    In training lr is the float degradation of hr; on held-out photographs it is rounded as the 8-bit file that a user
    would have, which is the ``modern`` protocol.

    Args:
        source: the photographs.
        degradation: makes lr from hr, on the device.
        patch: side of a training patch in hr pixels.
        batch_size: patches in a batch, per rank.
        patches_per_image: patches of each photograph in an epoch.
        val_patch: side of a validation patch in hr pixels; None for whole photographs, one at a time.
        num_workers: processes that read; 0 reads in the training process.
        seed: every crop is a function of (seed, epoch, index).

    Raises:
        ValueError: a photograph is smaller than the patch, or an epoch has fewer patches than a batch.
    """

    def __init__(
        self,
        *,
        source: Photographs,
        degradation: Degradation,
        patch: int,
        batch_size: int,
        patches_per_image: int,
        val_patch: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.source = source
        self.degradation = degradation
        scale = degradation.scale
        self._train = RandomPatches(
            PixelStore(source.train), patch=patch, scale=scale, per_image=patches_per_image, seed=seed
        )
        held_out = PixelStore(source.val)
        self._val = FixedPatches(held_out, patch=val_patch, scale=scale)
        self._test = FixedPatches(held_out, patch=None, scale=scale)
        if len(self._train) < batch_size:
            raise ValueError(
                f"an epoch has {len(self._train)} patches, fewer than data.batch_size {batch_size}: "
                "raise data.patches_per_image"
            )
        self._batch_size = batch_size
        self._val_batch_size = batch_size if val_patch else 1
        self._num_workers = num_workers
        self._seed = seed

    def train_dataloader(self) -> DataLoader[Patch]:
        """Whole batches of random patches; the last, incomplete one is dropped."""
        sampler = PatchSampler(len(self._train), seed=self._seed, rank=self._rank, world_size=self._world_size)
        return self._loader(self._train, sampler, self._batch_size, drop_last=True)

    def val_dataloader(self) -> DataLoader[Patch]:
        """The centres of the held-out photographs."""
        return self._loader(self._val, self._share(self._val), self._val_batch_size)

    def test_dataloader(self) -> DataLoader[Patch]:
        """The held-out photographs, whole, one at a time."""
        return self._loader(self._test, self._share(self._test), 1)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> Batch:
        """uint8 patches on the device to float pairs: turned, degraded."""
        if self.trainer is None or not self.trainer.training:
            return self._measured(batch)
        hr = to_float(_turned(batch["hr"], batch["turn"]))
        return Batch(lr=self._degraded(hr, batch["seed"]), hr=hr, name=batch["name"], index=batch["index"])

    def held_out(self, index: int) -> Batch:
        """One whole held-out photograph as a batch of one, on the CPU."""
        return self._measured(default_collate([self._test[index]]))

    def _measured(self, batch: dict[str, Any]) -> Batch:
        lr = to_float(self._degraded(batch["hr"], batch["seed"]))
        return Batch(lr=lr, hr=to_float(batch["hr"]), name=batch["name"], index=batch["index"])

    def _degraded(self, hr: Tensor, seeds: Tensor) -> Tensor:
        """Where chance comes in, each image draws from a generator of its own, whatever batch it is in."""
        if not self.degradation.stochastic:
            return self.degradation.down(hr)
        generator = torch.Generator(hr.device)
        images = zip(hr, seeds.tolist(), strict=True)
        return torch.stack([self.degradation.down(one, generator.manual_seed(seed)) for one, seed in images])

    @property
    def names(self) -> list[str]:
        """Names of the held-out photographs, by index."""
        return [photo.name for photo in self.source.val]

    def _share(self, dataset: FixedPatches) -> range:
        return range(self._rank, len(dataset), self._world_size)

    def _loader(
        self,
        dataset: RandomPatches | FixedPatches,
        sampler: PatchSampler | range,
        batch_size: int,
        *,
        drop_last: bool = False,
    ) -> DataLoader[Patch]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self._num_workers,
            persistent_workers=self._num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1


def _turned(images: Tensor, turns: Tensor) -> Tensor:
    """Give each square image of (N, C, H, H) its turn: bit 0 mirrors, bit 1 flips, bit 2 transposes."""
    mirror, flip, transpose = ((turns >> bit & 1).bool().view(-1, 1, 1, 1) for bit in range(3))
    images = torch.where(mirror, images.flip(-1), images)
    images = torch.where(flip, images.flip(-2), images)
    return torch.where(transpose, images.transpose(-2, -1), images)
