"""Batches of augmented uint8 patches: copied by threads into reused buffers, or gathered on the accelerator.

Threads instead of worker processes: a worker shares a batch through new pages of memory, whose page faults cost five
times the copy; a thread copies into pages that exist, and numpy releases the interpreter lock while it copies.
Augmentation costs no pass of its own: patches are written through a flipped view of their place in a batch, or
gathered by flipped indices.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from zoomsr.data.buffers import PinnedBuffers, RecycledBuffers
from zoomsr.data.packed.packing import Pairs
from zoomsr.data.packed.store import PixelStore, UInt8Array
from zoomsr.data.patches import Patches, PatchSampler, PatchSpec
from zoomsr.hardware.devices import copies_ahead

PatchBatch = dict[str, Any]
"""hr and (unless the device makes it) lr as uint8 (N, 3, H, W), augmented; seed and index (N,); name, a list."""

_Item = TypeVar("_Item")

_TASK_BYTES = 2**19


class PatchStage(NamedTuple):
    """What is trained on in a part of the training: patches of one side, and how many are in a batch."""

    patches: Patches
    batch_size: int


class PatchLoader:
    """Whole batches of an epoch; the last, incomplete one is dropped. A subclass defines ``batches``.

    An epoch belongs to one stage, which is chosen when it begins. Every epoch has as many batches as the largest batch
    allows, so that a schedule knows the number of steps; with smaller batches it gives a random part of its patches.
    ``state_dict`` and ``load_state_dict`` let the trainer resume within an epoch, at the next batch.

    Args:
        stages: with equal shares of the training.
        sampler: which patches, in which order.
        progress: the share of the training that is done, on [0, 1], the same on all ranks.

    Attributes:
        sampler: Lightning sets its epoch.
        waited: seconds that the consumer has waited for batches in all.
    """

    def __init__(
        self, stages: Sequence[PatchStage], sampler: PatchSampler, *, progress: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.sampler = sampler
        self.waited = 0.0
        self._stages = stages
        self._number = 0
        self._resumed: dict[int, int] = {}  # epoch to its stage
        self._progress = progress
        self._given = 0

    def __len__(self) -> int:
        return len(self.sampler) // max(stage.batch_size for stage in self._stages)

    @property
    def stage(self) -> PatchStage:
        """Of the epoch that began last."""
        return self._stages[self._number]

    def batches(self) -> Iterator[PatchBatch]:
        """The batches of the sampler's epoch."""
        raise NotImplementedError

    def specs(self) -> Iterator[list[PatchSpec]]:
        """What was drawn for each of the epoch's batches that are still to be given."""
        patches, size = self.stage
        keys = iter(self.sampler)
        for _ in range(self._given, len(self)):
            if len(batch := [patches.spec(key) for key in islice(keys, size)]) < size:
                return
            yield batch

    def __iter__(self) -> Iterator[PatchBatch]:
        if (resumed := self._resumed.get(self.sampler.epoch)) is not None:
            self._number = min(resumed, len(self._stages) - 1)
        else:
            done, count = self._progress(), len(self._stages)
            # Not int(done * count): the product of a rounded quotient may fall short of the whole number.
            self._number = sum(done >= number / count for number in range(1, count))
        self._given = self.sampler.first // self.stage.batch_size
        batches = self.batches()
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, its stage, and how many of its patches this rank has been given."""
        given = self._given * self.stage.batch_size
        return {"epoch": self.sampler.epoch, "stage": self._number, "patches": given}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Resume after them; another epoch starts from its beginning."""
        self.sampler.start_at(state_dict["epoch"], state_dict["patches"])
        self._resumed = {state_dict["epoch"]: state_dict.get("stage", 0)}  # older versions had one


class ThreadLoader(PatchLoader):
    """Batches that threads gather ahead of their use.

    Args:
        stages: see ``PatchLoader``.
        sampler: see ``PatchLoader``.
        progress: see ``PatchLoader``.
        threads: that gather, at least 1. Patches do not depend on their number.
        pinned: page-locked batches, for asynchronous copies to a CUDA device.
    """

    def __init__(
        self,
        stages: Sequence[PatchStage],
        sampler: PatchSampler,
        *,
        progress: Callable[[], float] = lambda: 0.0,
        threads: int = 1,
        pinned: bool = False,
    ) -> None:
        if threads < 1:
            raise ValueError(f"data.threads {threads} must be at least 1")
        super().__init__(stages, sampler, progress=progress)
        self._threads = threads
        self._pinned = pinned
        self._buffers = PinnedBuffers() if pinned else RecycledBuffers()

    def batches(self) -> Iterator[PatchBatch]:
        """See ``PatchLoader``."""
        specs, (patches, size) = self.specs(), self.stage
        # To hand a batch over costs as much as to copy 200 kB, so small ones are gathered several at a time.
        per_task = max(1, min(16, _TASK_BYTES // (3 * size * patches.patch**2)))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="patches") as pool:

            def submitted() -> Iterator[Future[list[PatchBatch]]]:
                while task := list(islice(specs, per_task)):
                    for spec in chain.from_iterable(task):
                        patches.prefetch(spec)
                    yield pool.submit(self._gather, patches, task)

            for gathered in _ahead(submitted(), self._threads + 1):
                yield from gathered.result()

    def _gather(self, patches: Patches, task: list[list[PatchSpec]]) -> list[PatchBatch]:
        gathered = []
        sides = {"hr": patches.patch, "lr": patches.lr_patch}
        patch = {key: np.empty((3, side, side), np.uint8) for key, side in sides.items() if side is not None}
        for specs in task:
            batch = _without_pixels(specs, pinned=self._pinned)
            pixels: dict[str, UInt8Array] = {}
            for key, one in patch.items():
                batch[key], pixels[key] = self._buffers.take((len(specs), *one.shape))
            for number, spec in enumerate(specs):
                # Rows first: each row of a photograph lies on a page of its own, so reading columns would be slow.
                patches.fill(spec, patch["hr"], patch.get("lr"))
                for key, one in patch.items():
                    np.copyto(unaugmented(pixels[key][number], spec.augmentation), one)
            gathered.append(batch)
        return gathered


class ResidentLoader(PatchLoader):
    """The same batches, cut on the device from all pixels, which lie there.

    Args:
        stages: see ``PatchLoader``.
        sampler: see ``PatchLoader``.
        progress: see ``PatchLoader``.
        pairs: the packed photographs from which the patches are cut.
        device: where the pixels go.
    """

    def __init__(
        self,
        stages: Sequence[PatchStage],
        sampler: PatchSampler,
        *,
        progress: Callable[[], float] = lambda: 0.0,
        pairs: Pairs,
        device: torch.device,
    ) -> None:
        super().__init__(stages, sampler, progress=progress)
        self._device = device
        self._stores = {"hr": (pairs.hr, 1)}
        if pairs.lr is not None:
            self._stores["lr"] = pairs.lr, stages[0].patches.scale
        self._pixels = {key: store.on(device) for key, (store, _) in self._stores.items()}

    def batches(self) -> Iterator[PatchBatch]:
        """See ``PatchLoader``."""
        for batch, indices in _ahead(self._planned(), 2):
            for key, pixels in self._pixels.items():
                on_device = indices[key].to(self._device, non_blocking=copies_ahead(self._device))
                # One gather for the whole batch.
                batch[key] = pixels[on_device[:, :3, :, None] + on_device[:, 3:, None]]
            yield batch

    def _planned(self) -> Iterator[tuple[PatchBatch, dict[str, Tensor]]]:
        """Batches without pixels, and where in the stores these are: see ``_indices``."""
        pinned, patch = copies_ahead(self._device), self.stage.patches.patch
        for specs in self.specs():
            indices = {
                key: _indices(store, specs, side=patch // shrink, shrink=shrink)
                for key, (store, shrink) in self._stores.items()
            }
            if pinned:
                indices = {key: one.pin_memory() for key, one in indices.items()}
            yield _without_pixels(specs, pinned=pinned), indices


def _ahead(items: Iterator[_Item], count: int) -> Iterator[_Item]:
    """The items, of which a thread makes the next ``count`` while one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        made = deque(thread.submit(next, items, None) for _ in range(count))
        while (item := made.popleft().result()) is not None:
            made.append(thread.submit(next, items, None))
            yield item


def _without_pixels(specs: list[PatchSpec], *, pinned: bool) -> PatchBatch:
    return {
        "seed": torch.tensor([spec.seed for spec in specs]),  # stays on the host
        "index": torch.tensor([spec.number for spec in specs], pin_memory=pinned),
        "name": [spec.name for spec in specs],
    }


def unaugmented(patch: UInt8Array, augmentation: int) -> UInt8Array:
    """A view of an augmented square patch (..., H, H) as the original: an original written to it ends up augmented.

    Bit 0 of the index mirrors, bit 1 flips upside down, and bit 2 transposes after that.
    """
    upright = patch.swapaxes(-2, -1) if augmentation & 4 else patch
    return upright[..., :: -1 if augmentation & 2 else 1, :: -1 if augmentation & 1 else 1]


def _indices(store: PixelStore, specs: list[PatchSpec], *, side: int, shrink: int) -> Tensor:
    """Where augmented patches lie in a store's file, int64 (N, 4, side): each channel's rows, and column offsets.

    The pixel of row i and column j of channel c of patch n is byte ``[n, c, i] + [n, 3, j]``.
    """
    images = [store.images[spec.image] for spec in specs]
    width, plane = np.array([(image.width, image.height * image.width) for image in images]).T
    offset, top, left, augmentation = np.array(
        [
            (image.offset, spec.top // shrink, spec.left // shrink, spec.augmentation)
            for image, spec in zip(images, specs, strict=True)
        ]
    ).T
    mirrors, flips, transposes = (augmentation & bit > 0 for bit in (1, 2, 4))
    corner = offset + (top + flips * (side - 1)) * width + left + mirrors * (side - 1)
    right, down = np.where(mirrors, -1, 1), np.where(flips, -width, width)
    steps = np.where(transposes, [right, down], [down, right])[..., None] * np.arange(side)
    rows = (corner + np.arange(3)[:, None] * plane)[..., None] + steps[0]
    return torch.from_numpy(np.ascontiguousarray(np.concatenate([rows, steps[1:]]).swapaxes(0, 1)))
