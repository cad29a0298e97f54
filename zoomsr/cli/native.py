"""What the C libraries under torch are told in a command's process, before torch is imported."""

from __future__ import annotations

import ctypes
import os

_MMAP_THRESHOLD = -3  # of mallopt, in glibc's malloc.h
_LARGE = 2**20


def share_cores() -> None:
    """A thread that waits for the others soon sleeps; processes started from here inherit it.

    GCC's OpenMP, which torch brings on Linux, spins 300,000 times first. Where another program keeps a core busy, our
    thread there gets its turn late, and the waiting one burns its own core meanwhile, several times in every layer.
    With 1,000 nothing is lost on an idle machine (``experiments/benchmarks/busy_core``). What the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def share_cores_and_memory() -> None:
    """Large freed blocks go back to the system at once, too; for commands that enlarge pictures.

    glibc keeps freed blocks that do not fit the next tile: half a gigabyte more for the U-Net. Fresh memory costs page
    faults, so torch is asked for pages of 2 MB, with which a photograph takes no longer than before.
    """
    share_cores()
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:  # not on macOS
        mallopt(_MMAP_THRESHOLD, _LARGE)
