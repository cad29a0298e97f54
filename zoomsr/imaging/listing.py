"""Find the image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path


def is_picture(path: Path, suffixes: Collection[str]) -> bool:
    """Whether a file's name ends in one of the suffixes and is not hidden (``._photo.jpg`` is macOS's metadata).

    A broken link counts, so that opening it fails visibly.
    """
    is_named_so = path.suffix.lower() in suffixes and not path.name.startswith(".")
    return is_named_so and (path.is_file() or path.is_symlink())


def pictures_below(
    root: Path, suffixes: Collection[str], *, on_error: Callable[[OSError], None] | None = None
) -> list[Path]:
    """Pictures at any depth, by name. Hidden folders are left out; links to folders are followed.

    Each folder is visited once, however many links lead to it, and under its own name where it lies below ``root``.

    Args:
        root: where to look.
        suffixes: in lower case, with the dot.
        on_error: called for a folder that cannot be read; None raises.

    Raises:
        OSError: a folder cannot be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        for folder, folders, files in os.walk(waiting.pop(0), onerror=on_error or _raise):
            if (real := os.path.realpath(folder)) in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            waiting += [path for name in folders if (path := Path(folder, name)).is_symlink()]
            found += [path for name in files if is_picture(path := Path(folder, name), suffixes)]
    return sorted(found)


def require_folder(root: Path) -> None:
    """Raise ValueError where there is no such folder."""
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder: give a folder with images at any depth")


def pictures_in(root: Path, suffixes: Collection[str]) -> list[Path]:
    """As ``pictures_below``, of a folder that must hold some.

    Raises:
        ValueError: no such folder, or none in it.
        OSError: a folder below it cannot be read.
    """
    require_folder(root)
    found = pictures_below(root, suffixes)
    if not found:
        raise ValueError(f"{root} has no images ({' '.join(sorted(suffixes))}) at any depth")
    return found


def _raise(error: OSError) -> None:
    raise error
