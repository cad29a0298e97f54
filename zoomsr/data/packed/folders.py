"""Packed sets as folders: found, opened, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zoomsr.data.packed.packing import HR_INDEX, Pairs
from zoomsr.data.packed.store import PixelStore
from zoomsr.runs.files import cache_folder
from zoomsr.runs.layout import LOCK

_OURS = ("hr.*", "lr_*.*", ".hr.*.part", ".lr_*.part", LOCK)


def folders(path: Path | None) -> list[Path]:
    """The folders below ``path`` (None: the cache) that hold packed photographs, whole or damaged.

    Raises:
        ValueError: ``path`` holds none.
    """
    root = cache_folder() if path is None else path
    found = sorted({file.parent for name in ("hr.json", "hr.u8", ".hr.*.part") for file in root.rglob(name)})
    if not found and path is not None:
        raise ValueError(f"{path} holds no packed photographs ({HR_INDEX})")
    return found


def stores(folder: Path) -> Iterator[Pairs]:
    """The photographs of a folder with each lr that is packed beside them; once alone where there is none.

    Raises:
        ValueError: a store is damaged.
    """
    hr = PixelStore(folder / HR_INDEX)
    indices = sorted(folder.glob("lr_*.json"))
    if not indices:
        yield Pairs(hr, None)
    for index in indices:
        yield Pairs(hr, PixelStore(index))


def contents(folder: Path) -> str:
    """What a folder holds, in words."""
    try:
        pairs = list(stores(folder))
    except ValueError as error:
        return f"damaged: {error}"
    lr = ", ".join(sorted(pair.lr.degradation or "" for pair in pairs if pair.lr is not None))
    return f"{len(pairs[0].hr)} photographs, lr {lr or 'none'}"


def size(folder: Path) -> int:
    """Bytes on the disk."""
    return sum(file.stat().st_size for pattern in _OURS for file in folder.glob(pattern))


def remove(path: Path | None) -> int:
    """Remove the packed pixels below ``path`` (None: the cache), and nothing else; returns how many bytes.

    Raises:
        ValueError: ``path`` holds none.
    """
    removed = 0
    for folder in folders(path):
        removed += size(folder)
        # An index goes first: what is half removed is no store any more.
        for pattern in ("*.json", *_OURS):
            for file in folder.glob(pattern):
                if pattern != "*.json" or file.name.startswith(("hr.", "lr_")):
                    file.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    return removed
