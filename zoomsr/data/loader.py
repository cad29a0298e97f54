"""Batches of augmented uint8 patches: copied by threads into reused buffers, or cut on the accelerator itself.

Why threads: a worker process shares a batch through fresh pages of memory, whose faults cost five times the copy; a
thread copies into pages that are there already, and numpy lets go of the interpreter while it copies.

Patches leave here augmented: written through a flipped view of their place in a batch, or gathered by flipped indices.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from zoomsr.data.packed.store import Pixels, PixelStore
from zoomsr.data.patches import Patches, PatchKey, PatchSampler, Place, RandomPatches
from zoomsr.hardware.devices import copies_ahead

PatchBatch = dict[str, Any]
"""hr and lr (without, where the device makes it) as uint8 (N, 3, H, W), augmented; seed and index (N,); names."""

_Item = TypeVar("_Item")

_TASK_BYTES = 2**19


class ThreadLoader:
    """Whole batches, gathered ahead of their use by threads; the last, incomplete one is dropped.

    Args:
        patches: what to fill batches from.
        sampler: which patches, in which order.
        batch_size: patches in a batch.
        threads: that gather, at least 1. Patches do not depend on their number.
        pinned: page-locked batches, for a copy to a CUDA device that does not wait.
    """

    def __init__(
        self, patches: Patches, sampler: PatchSampler, *, batch_size: int, threads: int = 1, pinned: bool = False
    ) -> None:
        if threads < 1:
            raise ValueError(f"data.threads {threads} must be at least 1")
        self.sampler = sampler  # Lightning sets its epoch
        self._patches = patches
        self.batch_size = batch_size
        self._threads = threads
        self._pinned = pinned
        self._buffers = _PinnedBuffers() if pinned else _RecycledBuffers()

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size

    def __iter__(self) -> Iterator[PatchBatch]:
        batches = _batches(self._patches, self.sampler, self.batch_size)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="patches") as pool:

            def submitted() -> Iterator[Future[list[PatchBatch]]]:
                while task := list(islice(batches, self._batches_per_task)):
                    for place in chain.from_iterable(task):
                        self._patches.prefetch(place)
                    yield pool.submit(self._gather_all, task)

            for gathered in _ahead(submitted(), self._threads + 1):
                yield from gathered.result()

    @property
    def _batches_per_task(self) -> int:
        """To hand a batch over costs as much as to copy 200 kB, so small ones are gathered several at a time."""
        n_bytes = 3 * self.batch_size * self._patches.patch**2
        return max(1, min(16, _TASK_BYTES // n_bytes))

    def _gather_all(self, task: list[list[Place]]) -> list[PatchBatch]:
        return [self._gather(places) for places in task]

    def _gather(self, places: list[Place]) -> PatchBatch:
        batch = _drawn(places, pinned=self._pinned)
        patch: dict[str, Pixels] = {}
        pixels: dict[str, Pixels] = {}
        for key, side in (("hr", self._patches.patch), ("lr", self._patches.lr_patch)):
            if side is not None:
                patch[key] = np.empty((3, side, side), np.uint8)
                batch[key], pixels[key] = self._buffers.take((len(places), 3, side, side))
        for number, place in enumerate(places):
            # Rows first: those of a photograph lie on a page each, so that columns of it are slow to read.
            self._patches.fill(place, patch["hr"], patch.get("lr"))
            for key in patch:
                np.copyto(before_turn(pixels[key][number], place.turn), patch[key])
        return batch


class ResidentLoader:
    """The same batches, cut from pixels that lie on the device as a whole: there is nothing to wait for.

    Args:
        patches: of packed photographs.
        sampler: which patches, in which order.
        batch_size: patches in a batch.
        device: where the pixels go.
    """

    def __init__(self, patches: RandomPatches, sampler: PatchSampler, *, batch_size: int, device: torch.device) -> None:
        self.sampler = sampler
        self._patches = patches
        self.batch_size = batch_size
        self._device = device
        self._stores = {"hr": (patches.pairs.hr, 1)}
        if patches.pairs.lr is not None:
            self._stores["lr"] = patches.pairs.lr, patches.scale
        self._pixels = {key: store.on(device) for key, (store, _) in self._stores.items()}

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size

    def __iter__(self) -> Iterator[PatchBatch]:
        for batch, walks in _ahead(self._planned(), 2):
            for key, pixels in self._pixels.items():
                on_device = walks[key].to(self._device, non_blocking=copies_ahead(self._device))
                # One gather for the whole batch.
                batch[key] = pixels[on_device[:, :3, :, None] + on_device[:, 3:, None]]
            yield batch

    def _planned(self) -> Iterator[tuple[PatchBatch, dict[str, Tensor]]]:
        """All but the pixels, and where these are: see ``_walks``."""
        for places in _batches(self._patches, self.sampler, self.batch_size):
            walks = {
                key: _walks(store, places, side=self._patches.patch // shrink, shrink=shrink)
                for key, (store, shrink) in self._stores.items()
            }
            if copies_ahead(self._device):
                walks = {key: walk.pin_memory() for key, walk in walks.items()}
            yield _drawn(places, pinned=copies_ahead(self._device)), walks


class Loader(Protocol):
    """What an epoch's batches come from."""

    sampler: PatchSampler
    batch_size: int

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def __iter__(self) -> Iterator[PatchBatch]:
        """One epoch."""
        ...


class Timed:
    """A loader that counts the seconds for which its batches were waited for, in ``waited``, and knows where it is.

    ``state_dict`` and ``load_state_dict`` are how the trainer goes on within an epoch, with the next batch.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self.sampler = loader.sampler
        self.waited = 0.0
        self._batches = 0

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[PatchBatch]:
        self._batches = self.sampler.first // self._loader.batch_size
        batches = iter(self._loader)
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            self._batches += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its patches this rank has been given."""
        return {"epoch": self.sampler.epoch, "patches": self._batches * self._loader.batch_size}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on after them; another epoch starts from its beginning."""
        self.sampler.start_at(state_dict["epoch"], state_dict["patches"])


class _RecycledBuffers:
    """Memory that is used again once nobody looks at it."""

    def __init__(self) -> None:
        self._arrays: list[Pixels] = []
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...]) -> tuple[Tensor, Pixels]:
        """A buffer, as a tensor and as an array on the same memory."""
        with self._lock:
            for number, count in enumerate(_references(self._arrays)):
                if count == _UNUSED and self._arrays[number].shape == shape:
                    array = self._arrays[number]
                    return torch.from_numpy(array), array
            array = np.empty(shape, np.uint8)
            self._arrays.append(array)
            return torch.from_numpy(array), array


def _references(arrays: list[Pixels]) -> list[int]:
    """How many hold each array; every tensor on its memory does."""
    return [sys.getrefcount(array) for array in arrays]


_UNUSED = _references([np.empty(0, np.uint8)])[0]


class _PinnedBuffers:
    """Page-locked memory; torch keeps it for the next batch, and waits for copies that still read it."""

    def take(self, shape: tuple[int, ...]) -> tuple[Tensor, Pixels]:
        """See ``_RecycledBuffers.take``."""
        tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return tensor, tensor.numpy()


def _ahead(items: Iterator[_Item], count: int) -> Iterator[_Item]:
    """The items, the next ``count`` of which a thread makes while the one at hand is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        made = deque(thread.submit(next, items, None) for _ in range(count))
        while (item := made.popleft().result()) is not None:
            made.append(thread.submit(next, items, None))
            yield item


def _batches(patches: Patches, keys: Iterable[PatchKey], batch_size: int) -> Iterator[list[Place]]:
    keys = iter(keys)
    while len(batch := [patches.place(key) for key in islice(keys, batch_size)]) == batch_size:
        yield batch


def _drawn(places: list[Place], *, pinned: bool) -> PatchBatch:
    return {
        "seed": torch.tensor([place.seed for place in places]),  # stays on the host
        "index": torch.tensor([place.number for place in places], pin_memory=pinned),
        "name": [place.name for place in places],
    }


def before_turn(turned: Pixels, turn: int) -> Pixels:
    """A view of a square patch (..., H, H) as it was before its augmentation: what is written to it ends up augmented.

    Bit 0 of ``turn`` mirrors, bit 1 flips upside down, and bit 2 transposes after that.
    """
    upright = turned.swapaxes(-2, -1) if turn & 4 else turned
    return upright[..., :: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]


def _walks(store: PixelStore, places: list[Place], *, side: int, shrink: int) -> Tensor:
    """Where patches lie in a store's file, int64 (N, 4, side): each channel's rows, and the columns' distances.

    The pixel of row i and column j of channel c of patch n is byte ``[n, c, i] + [n, 3, j]``.
    """
    images = [store.images[place.image] for place in places]
    width, plane = np.array([(image.width, image.height * image.width) for image in images]).T
    offset, top, left, turn = np.array(
        [
            (image.offset, place.top // shrink, place.left // shrink, place.turn)
            for image, place in zip(images, places, strict=True)
        ]
    ).T
    mirrors, flips, transposes = (turn & bit > 0 for bit in (1, 2, 4))
    corner = offset + (top + flips * (side - 1)) * width + left + mirrors * (side - 1)
    right, down = np.where(mirrors, -1, 1), np.where(flips, -width, width)
    steps = np.where(transposes, [right, down], [down, right])[..., None] * np.arange(side)
    rows = (corner + np.arange(3)[:, None] * plane)[..., None] + steps[0]
    return torch.from_numpy(np.ascontiguousarray(np.concatenate([rows, steps[1:]]).swapaxes(0, 1)))
