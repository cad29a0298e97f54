"""Whether results can be written: their folders, and the disk space that they need, against what is free."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from zoomsr.cli.console import decimal, say
from zoomsr.runs.files import short

# Median of six photographs of Set14, upscaled by the U-Net, in 8 bit RGB, with quality 95.
_BYTES_PER_PIXEL = {".png": 1.8, ".tif": 1.9, ".tiff": 1.9, ".webp": 0.45, ".avif": 0.45, ".jxl": 0.35}
_JPEG_BYTES_PER_PIXEL = 0.7


def about_bytes(target: Path, pixels: int) -> int:
    """Size of a file with so many pixels of a photograph; a drawing needs a fraction of it."""
    return round(pixels * _BYTES_PER_PIXEL.get(target.suffix.lower(), _JPEG_BYTES_PER_PIXEL))


def require_free(target: Path, *, overwrite: bool, option: str = "-o") -> None:
    """Raise ValueError where the target cannot be written, or exists and must not be replaced."""
    require_folder(target, option=option)
    if target.exists() and not overwrite:
        raise ValueError(f"{target} is there already: --overwrite replaces it")


def require_folder(target: Path, *, option: str = "-o") -> None:
    """Raise ValueError where no file can be written into the target's folder, or no folder be made there."""
    folder = next(one for one in target.absolute().parents if one.exists())
    if not folder.is_dir():
        raise ValueError(f"{target} cannot be written: {short(folder)} is no folder, name another with {option}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{target} cannot be written: {short(folder)} is read-only, name another with {option}")


def require_room(results: Iterable[tuple[Path, int]], *, is_told: bool) -> None:
    """Compare what results need with what is free on their disks.

    Args:
        results: the file of each, and about how many bytes it gets. What it replaces is counted as free.
        is_told: whether to print both also where there is room.

    Raises:
        ValueError: not even half of that fits, so that the estimate cannot be to blame.
    """
    disks: dict[int, tuple[Path, int]] = {}
    needed: defaultdict[int, int] = defaultdict(int)
    for target, n_bytes in results:
        folder = next(one for one in target.absolute().parents if one.is_dir())
        disk = folder.stat().st_dev
        disks.setdefault(disk, (folder, shutil.disk_usage(folder).free))
        needed[disk] += n_bytes - (target.stat().st_size if target.is_file() else 0)
    for disk, (folder, free) in disks.items():
        text = f"about {decimal(max(0, needed[disk]))} needed, {decimal(free)} free in {folder}"
        if needed[disk] > 2 * free:
            raise ValueError(f"the results do not fit on the disk, {text}: free some space, or name another with -o")
        if needed[disk] > free:
            say({"note": f"{text}: the disk may become full; what is done then stays"})
        elif is_told:
            say({"disk": text})
