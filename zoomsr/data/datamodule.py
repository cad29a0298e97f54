"""The LightningDataModule: batches of (lr, hr) pairs, made on the device from uint8 patches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from zoomsr.data.loader import PatchLoader, PatchStage, ResidentLoader, ThreadLoader
from zoomsr.data.patches import FixedPatches, PatchKey, PatchSpec, RandomPatches, stages
from zoomsr.data.sources.photographs import Source
from zoomsr.hardware.devices import copies_ahead, full_float32
from zoomsr.imaging.degradations import Degradation, jpeg_quality
from zoomsr.imaging.pixels import luma, to_float
from zoomsr.metrics.quality import SSIM_WINDOW

if TYPE_CHECKING:
    from typing import NotRequired  # Python 3.11

Residence = Literal["auto", "device", "host"]

_SENT = ("hr", "lr", "index")
"""Parts of a batch that go to the device."""

RESIDENT_SHARE = 3
"""``auto`` keeps the pixels on an accelerator when they take at most this part (1/3) of its free memory."""


class Batch(TypedDict):
    """What the module is given.

    lr (N, C, H, W) and hr (N, C, scale H, scale W) on [0, 1]; the JPEG quality of each lr, (N,) from 1 to 100 on the
    CPU; names and numbers.
    """

    lr: Tensor
    hr: Tensor
    quality: NotRequired[Tensor]
    name: list[str]
    index: Tensor


class PairsDataModule(LightningDataModule):
    """Random patches for training; validation images for validation (their centre) and test (whole).

    A fixed degradation is packed beside the photographs, so that lr is cut from the 8-bit image that a user would have.
    Otherwise lr is made on the device, from each patch. For validation images lr is always 8-bit, which is the
    ``modern`` protocol.

    Args:
        source: the photographs.
        degradation: makes lr from hr.
        patch: side of a training patch in hr pixels; a list: of each stage, with equal shares of the training.
        batch_size: patches in a batch, per rank; a list: of each stage.
        patches_per_image: patches of each photograph in an epoch.
        val_patch: side of a validation patch in hr pixels; None for whole photographs, one at a time.
        threads: that gather batches.
        pack_lr: False makes the training lr on the device, in float, from each patch.
        resident: ``device`` keeps all pixels on the accelerator and cuts there; ``auto`` does when they fit well. On a
            CPU the packed pixels are in its memory already, whatever is asked for.
        y_only: training patches are Y, (N, 1, H, W), as nets with ``channels`` 1 were published; noise is added to Y.
        seed: every crop is a function of (seed, epoch, index).

    Attributes:
        progress: the share of the training that is done, on [0, 1], by which stages are chosen.
        validated: numbers of the validation images that are loaded; None for all.
        val_sizes: (height, width) of the validation images in hr pixels.

    Raises:
        ValueError: patches do not fit the photographs or the scale, an epoch is shorter than a batch, or ``patch`` and
            ``batch_size`` have different numbers of stages.
    """

    def __init__(
        self,
        *,
        source: Source,
        degradation: Degradation,
        patch: int | Sequence[int],
        batch_size: int | Sequence[int],
        patches_per_image: int,
        val_patch: int | None = None,
        threads: int = 1,
        pack_lr: bool = True,
        resident: Residence = "auto",
        y_only: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if resident not in ("auto", "device", "host"):
            raise ValueError(f"data.resident={resident} must be auto, device or host")
        self.source = source
        self.degradation = degradation
        scale = degradation.scale
        sides, sizes = zip(*stages(patch, batch_size), strict=True)
        self._train = source.patches(
            patch=max(sides), degradation=degradation, pack_lr=pack_lr, per_image=patches_per_image, seed=seed
        )
        self._stages = [PatchStage(self._train.resized(side), size) for side, size in zip(sides, sizes, strict=True)]
        self._loader: PatchLoader | None = None
        self.progress: Callable[[], float] = lambda: 0.0
        self.validated: Sequence[int] | None = None
        self._require_batch(len(self._train))
        validation = source.validation(degradation)
        validation.hr.require(SSIM_WINDOW + 3 * scale, "what can be measured, a validation image")
        self.digest = hashlib.sha256((self._train.source_hash + validation.hr.source_hash).encode()).hexdigest()
        self.val_sizes = validation.hr.sizes
        self._val = FixedPatches(validation, patch=val_patch, scale=scale)
        self._test = FixedPatches(validation, patch=None, scale=scale)
        self._val_batch_size = min(sizes) if val_patch else 1
        self._threads = threads
        self._resident = resident
        self._y_only = y_only

    def train_dataloader(self) -> PatchLoader:
        """Whole batches of random patches; the last, incomplete one is dropped.

        With ``trainer.overfit_batches`` every epoch has the same; Lightning itself would only turn shuffling off.
        """
        patches, stages, device = self._train, self._stages, self._device
        rank, world_size = self._rank_of
        sampler = patches.sampler(rank=rank, world_size=world_size)
        self._require_batch(len(sampler))
        if self.trainer is not None:
            sampler.repeats = self.trainer.overfit_batches > 0  # type: ignore[attr-defined]  # set at run time
        if isinstance(patches, RandomPatches) and self._is_resident(patches, device):
            self._loader = ResidentLoader(stages, sampler, progress=self.progress, pairs=patches.pairs, device=device)
        else:
            self._loader = ThreadLoader(
                stages, sampler, progress=self.progress, threads=self._threads, pinned=copies_ahead(device)
            )
        return self._loader

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The centres of the validation images."""
        return self._evaluation_loader(self._val, self._val_batch_size)

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The validation images, whole, one at a time."""
        return self._evaluation_loader(self._test, 1)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Pixels go to the device as uint8, asynchronously from pinned memory; names and seeds stay on the host."""
        sent = {key: batch[key].to(device, non_blocking=copies_ahead(device)) for key in _SENT if key in batch}
        return {**batch, **sent}

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> Batch:
        """uint8 patches on the device to float pairs; lr is made where it was not packed."""
        if self.trainer is None or not self.trainer.training:
            return self._evaluated(batch)
        hr, *lr = (to_float(batch[key]) for key in ("hr", "lr") if key in batch)
        if self._y_only:
            hr, *lr = (luma(image) for image in (hr, *lr))
        return self._batch(batch, lr[0] if lr else self._degraded(hr, batch["seed"]), hr)

    def spec(self, epoch: int, number: int) -> PatchSpec:
        """Where a training patch of the stage at hand lies: ``number`` is its index in that epoch, counted from 0."""
        if (loader := self._loader) is None:
            return self._stages[0].patches.spec(PatchKey(epoch, number))
        return loader.stage.patches.spec(PatchKey(loader.sampler.drawn(epoch), number))

    def validation_image(self, index: int) -> Batch:
        """One whole validation image as a batch of one, on the CPU."""
        return self._evaluated(default_collate([self._test[index]]))

    @property
    def names(self) -> list[str]:
        """Names of the validation images, by index."""
        return [photo.name for photo in self.source.val]

    def _require_batch(self, n_patches: int) -> None:
        if n_patches < (most := max(stage.batch_size for stage in self._stages)):
            few = f"an epoch has {n_patches} patches per rank, fewer than data.batch_size {most}"
            raise ValueError(f"{few}: raise data.patches_per_image")

    def _evaluated(self, batch: dict[str, Any]) -> Batch:
        lr = batch["lr"] if "lr" in batch else self._degraded(batch["hr"], batch["seed"])
        return self._batch(batch, to_float(lr), to_float(batch["hr"]))

    def _batch(self, batch: dict[str, Any], lr: Tensor, hr: Tensor) -> Batch:
        quality = self._qualities(batch["seed"])
        return Batch(lr=lr, hr=hr, quality=quality, name=batch["name"], index=batch["index"])

    @full_float32()
    def _degraded(self, hr: Tensor, seeds: Tensor) -> Tensor:
        """Each image of a stochastic degradation has an RNG of its own, so that its batch does not matter.

        It is the CPU's, so that every device draws the same.
        """
        if not self.degradation.stochastic:
            return self.degradation.down(hr)
        generator = torch.Generator()
        images = zip(hr, seeds.tolist(), strict=True)
        return torch.stack([self.degradation.down(one, generator.manual_seed(seed)) for one, seed in images])

    def _qualities(self, seeds: Tensor) -> Tensor:
        """Of each lr, (N,), as ``_degraded`` draws it."""
        if not self.degradation.stochastic:
            return torch.full((len(seeds),), jpeg_quality(self.degradation))
        generator = torch.Generator()
        return torch.tensor([jpeg_quality(self.degradation, generator.manual_seed(seed)) for seed in seeds.tolist()])

    def _evaluation_loader(self, dataset: FixedPatches, batch_size: int) -> DataLoader[dict[str, Any]]:
        # A rank without an image of its own measures the first one again, which counts once.
        rank, world_size = self._rank_of
        numbers = range(len(dataset)) if self.validated is None else self.validated
        share = numbers[rank::world_size] or numbers[:1]
        return DataLoader(dataset, batch_size=batch_size, sampler=share, pin_memory=copies_ahead(self._device))

    def _is_resident(self, patches: RandomPatches, device: torch.device) -> bool:
        if self._resident != "auto" or device.type != "cuda":
            return self._resident == "device" and device.type != "cpu"
        needed = sum(store.n_bytes for store in patches.pairs if store is not None)
        free, _total = torch.cuda.mem_get_info(device)
        return needed * RESIDENT_SHARE <= free

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")

    @property
    def _rank_of(self) -> tuple[int, int]:
        """This process's rank, and of how many."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
