"""Published zips: names, sizes, check sums and members; checked and unpacked."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from zoomsr.cli.progress import track
from zoomsr.runs.files import atomic_write, drop_partials, full_disk_explained, require_space, sha256_of


@dataclass(frozen=True)
class Archive:
    """A published zip.

    Attributes:
        name: of the file, on a mirror and on disk.
        size: in bytes.
        sha256: of the file, in hexadecimal digits.
        members: the names of the files inside: these and no others.
    """

    name: str
    size: int
    sha256: str
    members: tuple[str, ...]


def check(path: Path, archive: Archive) -> None:
    """Compare a file with what was published.

    Raises:
        ValueError: it is missing, or its size or sha256 is another.
    """
    if (size := _size_of(path)) is None:
        raise ValueError(f"{path} is missing: put {archive.name} there, {archive.size} bytes")
    if size != archive.size:
        raise ValueError(f"{path} has {size} bytes, expected {archive.size}: remove it and fetch it again")
    if (digest := sha256_of(path)) != archive.sha256:
        raise ValueError(f"{path} has sha256 {digest}, expected {archive.sha256}: remove it and fetch it again")


def unpack(path: Path, archive: Archive, target: Path) -> None:
    """Unpack a zip that has passed ``check``: its members, and of these what is not there yet with its size.

    Args:
        path: the zip.
        archive: what it holds.
        target: the folder that the members' names start from; it is made where it is missing.

    Raises:
        ValueError: the disk is full.
    """
    with full_disk_explained(path), zipfile.ZipFile(path) as file:
        sizes = {member: file.getinfo(member).file_size for member in archive.members}
        missing = [member for member, size in sizes.items() if _size_of(target / member) != size]
        target.mkdir(parents=True, exist_ok=True)
        require_space(target, sum(sizes[member] for member in missing), what=path.name)
        for member in track(missing, f"unpacking {path.name}"):
            place = target / member
            place.parent.mkdir(parents=True, exist_ok=True)
            drop_partials(place)
            with file.open(member) as source, atomic_write(place) as out:
                shutil.copyfileobj(source, out)


def _size_of(path: Path) -> int | None:
    """Bytes of a file; None where there is none."""
    return path.stat().st_size if path.is_file() else None
