"""Zips unpacked without trust in what they say of themselves."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path, PurePosixPath, PureWindowsPath

from zoomsr.data.div2k.archives import CHUNK, Archive, Progress, full_disk_explained, require_space, size_of
from zoomsr.runs.files import atomic_write, drop_partials


def unpack(path: Path, archive: Archive, target: Path, *, progress: Progress, largest: int = 64 * 2**20) -> None:
    """Unpack a zip; members that are there with their size are left alone, so a second run goes on.

    Nothing is written before all names and sizes are found to be right, and nothing ever outside ``target``.

    Args:
        path: the zip; it is not hashed here, see ``check``.
        archive: what it must hold.
        target: the folder that the members' names start from; it is made where it is missing.
        progress: hears how many members are there.
        largest: bytes that a member may have.

    Raises:
        ValueError: the zip is damaged or holds anything but the members, or the disk is full.
    """
    with full_disk_explained(path), _damage_explained(path), zipfile.ZipFile(path) as file:
        entries = _vetted(file, archive, target, largest)
        target.mkdir(parents=True, exist_ok=True)
        missing = [entry for entry in entries if size_of(target / entry.filename) != entry.file_size]
        require_space(target, sum(entry.file_size for entry in missing), what=path.name)
        progress(done := len(entries) - len(missing))
        for n, entry in enumerate(missing, 1):
            _extract(file, entry, target / entry.filename)
            progress(done + n)


def _vetted(file: zipfile.ZipFile, archive: Archive, target: Path, largest: int) -> list[zipfile.ZipInfo]:
    """The members' entries, after all that the zip says of itself is found to be right."""
    for entry in file.infolist():
        if problem := _problem(entry, target, largest):
            raise ValueError(f"{file.filename} is not unpacked: {entry.orig_filename!r} {problem}")
    entries = [entry for entry in file.infolist() if not entry.orig_filename.endswith("/")]
    names, expected = Counter(entry.orig_filename for entry in entries), Counter(archive.members)
    for problem, wrong in (("is not expected, or twice in it", names - expected), ("is missing", expected - names)):
        if wrong:
            raise ValueError(f"{file.filename} is not unpacked: {min(wrong)!r} {problem} (names like it: {len(wrong)})")
    return entries


def _problem(entry: zipfile.ZipInfo, target: Path, largest: int) -> str | None:
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if entry.header_offset < 0:
        raise zipfile.BadZipFile(f"{name} begins before the file does")
    linked_out = not (target / entry.filename).resolve().is_relative_to(target.resolve())
    if linked_out or "\\" in name or PureWindowsPath(name).anchor or ".." in PurePosixPath(name).parts:
        return f"leads outside {target}"
    if kind not in (0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG):
        return "is a link, or no file at all"
    if entry.flag_bits & 0x1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted, or packed in another way than a plain zip"
    return f"has {entry.file_size} bytes, at most {largest} are allowed" if entry.file_size > largest else None


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    drop_partials(place)
    longer, size = copy(entry), 0
    longer.file_size += CHUNK  # zipfile drops what exceeds the declared size, so a member that lies would go unseen
    with file.open(longer) as source, atomic_write(place) as out:
        while size <= entry.file_size and (chunk := source.read(CHUNK)):
            size += out.write(chunk)
        if size != entry.file_size:
            raise zipfile.BadZipFile(f"{entry.filename} does not have the {entry.file_size} bytes it declares")


@contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is a damaged zip ({error}): remove it and fetch it again") from error
