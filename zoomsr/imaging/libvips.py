"""libvips, configured once, and one-line errors for the failures of decoders and encoders."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from zoomsr.imaging.pixels import PixelArray


def libvips() -> Any:
    """The module ``pyvips``, without a cache, and without the loaders that its authors do not trust with any file.

    Raises:
        RuntimeError: in a process forked from one that has used it: without libvips' threads it would hang.
    """
    vips, pid = _started()
    if pid != os.getpid():
        raise RuntimeError("libvips was used before this process was forked: start processes by spawn")
    return vips


def as_vips(pixels: PixelArray, dpi: tuple[float, float] | None = None) -> Any:
    """Pixels (H, W, 1 to 4), uint8 or uint16, as a libvips image; they are not copied."""
    height, width, channels = pixels.shape
    data, kind = np.ascontiguousarray(pixels).data, "ushort" if pixels.dtype == np.uint16 else "uchar"
    return as_kind(libvips().Image.new_from_memory(data, width, height, channels, kind), dpi)


def as_kind(image: Any, dpi: tuple[float, float] | None) -> Any:
    """A libvips image of 1 to 4 channels, interpreted as grey, grey and alpha, RGB, or RGB and alpha."""
    kinds = ("grey16", "rgb16") if image.format == "ushort" else ("b-w", "srgb")
    across, down = (1.0, 1.0) if dpi is None else dpi
    return image.copy(interpretation=kinds[image.bands > 2], xres=across / 25.4, yres=down / 25.4)


@cache
def _started() -> tuple[Any, int]:
    import pyvips  # late: the command line is read without it

    logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # it logs calls, and errors that it also raises
    pyvips.cache_set_max(0)  # it would remember files by their names
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeignLoadRaw", False)  # of files that we have written
    return pyvips, os.getpid()


def reading(path: Path) -> AbstractContextManager[None]:
    """Turn any exception into a ValueError of one line that names the file; decoders raise errors of any type."""
    return _one_line(path, "cannot be read", "is damaged or truncated")


def writing(path: Path) -> AbstractContextManager[None]:
    """Turn any exception into a ValueError of one line that names the file."""
    return _one_line(path, "cannot be written", "cannot be written")


@contextlib.contextmanager
def _one_line(path: Path, by_system: str, by_coder: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise  # is such a line
        fault, why = by_coder, str(error)
        if error.args and isinstance(error.args[0], bytes):  # rawpy's
            why = error.args[0].decode(errors="replace")
        if isinstance(error, OSError) and error.strerror:
            fault, why = by_system, error.strerror
        if isinstance(error, MemoryError):
            fault, why = by_system, "it needs more memory than there is"
        lines = dict.fromkeys(line.strip() for line in why.splitlines())  # libvips repeats itself
        raise ValueError(f"{path} {fault}: {' '.join(lines) or type(error).__name__}") from error
