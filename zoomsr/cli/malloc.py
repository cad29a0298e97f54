"""How a command's process keeps memory: large blocks go back to the system as soon as they are let go."""

from __future__ import annotations

import ctypes
import os

_MMAP_THRESHOLD = -3  # of mallopt, in glibc's malloc.h
_LARGE = 2**20


def give_back_early() -> None:
    """To be called before torch is imported.

    glibc keeps what was let go, in pieces that do not fit the next tile: half a gigabyte more for the U-Net. Fresh
    memory, on the other hand, is paid for page by page, so torch is asked for large pages (of 2 MB, where the system
    gives them), with which a photograph takes no longer than before.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:  # not on macOS
        mallopt(_MMAP_THRESHOLD, _LARGE)
