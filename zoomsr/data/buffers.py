"""Memory for batches: used again, because the page faults of new memory cost more than a copy."""

from __future__ import annotations

import sys
import threading

import numpy as np
import torch
from torch import Tensor

from zoomsr.data.packed.store import UInt8Array


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


class PinnedBuffers:
    """Page-locked memory; torch keeps it for the next batch, and waits for copies that still read it."""

    def take(self, shape: tuple[int, ...]) -> tuple[Tensor, UInt8Array]:
        """See ``RecycledBuffers.take``."""
        tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return tensor, tensor.numpy()
