"""Packed sets as folders: found, measured, removed; none is opened, and torch is not imported."""

from __future__ import annotations

from pathlib import Path

from zoomsr.runs.files import cache_folder
from zoomsr.runs.layout import LOCK

HR_INDEX = "hr.json"
"""The index of packed hr images."""
_INDICES = (HR_INDEX, "lr_*.json")
_DATA = ("hr.u8", "lr_*.u8", ".hr.*.part", ".lr_*.part", LOCK)


def folders(path: Path | None) -> list[Path]:
    """The folders below ``path`` (None: the cache) that hold packed photographs, intact or damaged.

    Raises:
        ValueError: ``path`` holds none.
    """
    root = cache_folder() if path is None else path
    found = sorted({file.parent for name in (HR_INDEX, "hr.u8", ".hr.*.part") for file in root.rglob(name)})
    if not found and path is not None:
        raise ValueError(f"{path} holds no packed photographs ({HR_INDEX})")
    return found


def size(folder: Path) -> int:
    """Bytes on the disk."""
    return sum(file.stat().st_size for file in _files(folder))


def remove(path: Path | None) -> int:
    """Remove the packed pixels below ``path`` (None: the cache), and nothing else; returns how many bytes.

    Raises:
        ValueError: ``path`` holds none.
    """
    removed = 0
    for folder in folders(path):
        removed += size(folder)
        for file in _files(folder):
            file.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    return removed


def _files(folder: Path) -> list[Path]:
    """Indices first: a store that is removed in part does not exist any more."""
    return [file for pattern in (*_INDICES, *_DATA) for file in folder.glob(pattern)]
