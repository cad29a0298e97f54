"""Batches of augmented uint8 patches: copied by threads into reused buffers, or gathered on the accelerator.

Threads instead of worker processes: a worker shares a batch through new pages of memory, whose page faults cost five
times the copy; a thread copies into pages that exist, and numpy releases the interpreter lock while it copies.
Augmentation costs no pass of its own: patches are written through a flipped view of their place in a batch, or
gathered by flipped indices.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from zoomsr.data.packed.store import PixelStore, UInt8Array
from zoomsr.data.patches import Patches, PatchKey, PatchSampler, PatchSpec, RandomPatches
from zoomsr.hardware.devices import copies_ahead

PatchBatch = dict[str, Any]
"""hr and (unless the device makes it) lr as uint8 (N, 3, H, W), augmented; seed and index (N,); name, a list."""

_Item = TypeVar("_Item")

_TASK_BYTES = 2**19


class PatchLoader:
    """Whole batches of an epoch; the last, incomplete one is dropped. A subclass defines ``batches``.

    ``state_dict`` and ``load_state_dict`` let the trainer resume within an epoch, at the next batch.

    Attributes:
        sampler: which patches, in which order; Lightning sets its epoch.
        batch_size: patches in a batch.
        waited: seconds that the consumer has waited for batches in all.
    """

    def __init__(self, sampler: PatchSampler, *, batch_size: int) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.waited = 0.0
        self._given = 0

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size

    def batches(self) -> Iterator[PatchBatch]:
        """The batches of the sampler's epoch."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[PatchBatch]:
        self._given = self.sampler.first // self.batch_size
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
        """The epoch, and how many of its patches this rank has been given."""
        return {"epoch": self.sampler.epoch, "patches": self._given * self.batch_size}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Resume after them; another epoch starts from its beginning."""
        self.sampler.start_at(state_dict["epoch"], state_dict["patches"])


class ThreadLoader(PatchLoader):
    """Batches that threads gather ahead of their use.

    Args:
        patches: what to fill batches from.
        sampler: which patches, in which order.
        batch_size: patches in a batch.
        threads: that gather, at least 1. Patches do not depend on their number.
        pinned: page-locked batches, for asynchronous copies to a CUDA device.
    """

    def __init__(
        self, patches: Patches, sampler: PatchSampler, *, batch_size: int, threads: int = 1, pinned: bool = False
    ) -> None:
        if threads < 1:
            raise ValueError(f"data.threads {threads} must be at least 1")
        super().__init__(sampler, batch_size=batch_size)
        self._patches = patches
        self._threads = threads
        self._pinned = pinned
        self._buffers = _PinnedBuffers() if pinned else RecycledBuffers()

    def batches(self) -> Iterator[PatchBatch]:
        """See ``PatchLoader``."""
        specs = _batches_of_specs(self._patches, self.sampler, self.batch_size)
        # To hand a batch over costs as much as to copy 200 kB, so small ones are gathered several at a time.
        per_task = max(1, min(16, _TASK_BYTES // (3 * self.batch_size * self._patches.patch**2)))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="patches") as pool:

            def submitted() -> Iterator[Future[list[PatchBatch]]]:
                while task := list(islice(specs, per_task)):
                    for spec in chain.from_iterable(task):
                        self._patches.prefetch(spec)
                    yield pool.submit(self._gather, task)

            for gathered in _ahead(submitted(), self._threads + 1):
                yield from gathered.result()

    def _gather(self, task: list[list[PatchSpec]]) -> list[PatchBatch]:
        gathered = []
        sides = {"hr": self._patches.patch, "lr": self._patches.lr_patch}
        patch = {key: np.empty((3, side, side), np.uint8) for key, side in sides.items() if side is not None}
        for specs in task:
            batch = _without_pixels(specs, pinned=self._pinned)
            pixels: dict[str, UInt8Array] = {}
            for key, one in patch.items():
                batch[key], pixels[key] = self._buffers.take((len(specs), *one.shape))
            for number, spec in enumerate(specs):
                # Rows first: each row of a photograph lies on a page of its own, so reading columns would be slow.
                self._patches.fill(spec, patch["hr"], patch.get("lr"))
                for key, one in patch.items():
                    np.copyto(unaugmented(pixels[key][number], spec.augmentation), one)
            gathered.append(batch)
        return gathered


class ResidentLoader(PatchLoader):
    """The same batches, cut on the device from all pixels, which lie there.

    Args:
        patches: of packed photographs.
        sampler: which patches, in which order.
        batch_size: patches in a batch.
        device: where the pixels go.
    """

    def __init__(self, patches: RandomPatches, sampler: PatchSampler, *, batch_size: int, device: torch.device) -> None:
        super().__init__(sampler, batch_size=batch_size)
        self._patches = patches
        self._device = device
        self._stores = {"hr": (patches.pairs.hr, 1)}
        if patches.pairs.lr is not None:
            self._stores["lr"] = patches.pairs.lr, patches.scale
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
        pinned = copies_ahead(self._device)
        for specs in _batches_of_specs(self._patches, self.sampler, self.batch_size):
            indices = {
                key: _indices(store, specs, side=self._patches.patch // shrink, shrink=shrink)
                for key, (store, shrink) in self._stores.items()
            }
            if pinned:
                indices = {key: one.pin_memory() for key, one in indices.items()}
            yield _without_pixels(specs, pinned=pinned), indices


class RecycledBuffers:
    """Memory that is used again once no tensor refers to it."""

    def __init__(self) -> None:
        self._arrays: list[UInt8Array] = []
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...]) -> tuple[Tensor, UInt8Array]:
        """A buffer, as a tensor and as an array on the same memory."""
        with self._lock:
            for number, count in enumerate(_reference_counts(self._arrays)):
                if count == _UNUSED and self._arrays[number].shape == shape:
                    array = self._arrays[number]
                    break
            else:
                array = np.empty(shape, np.uint8)
                self._arrays.append(array)
            return torch.from_numpy(array), array


def _reference_counts(arrays: list[UInt8Array]) -> list[int]:
    """Every tensor on an array's memory holds a reference to it."""
    return [sys.getrefcount(array) for array in arrays]


_UNUSED = _reference_counts([np.empty(0, np.uint8)])[0]


class _PinnedBuffers:
    """Page-locked memory; torch keeps it for the next batch, and waits for copies that still read it."""

    def take(self, shape: tuple[int, ...]) -> tuple[Tensor, UInt8Array]:
        """See ``RecycledBuffers.take``."""
        tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return tensor, tensor.numpy()


def _ahead(items: Iterator[_Item], count: int) -> Iterator[_Item]:
    """The items, of which a thread makes the next ``count`` while one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        made = deque(thread.submit(next, items, None) for _ in range(count))
        while (item := made.popleft().result()) is not None:
            made.append(thread.submit(next, items, None))
            yield item


def _batches_of_specs(patches: Patches, keys: Iterable[PatchKey], batch_size: int) -> Iterator[list[PatchSpec]]:
    keys = iter(keys)
    while len(batch := [patches.spec(key) for key in islice(keys, batch_size)]) == batch_size:
        yield batch


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
