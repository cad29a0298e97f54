"""A small published zip, and disks that fill up."""

from __future__ import annotations

import errno
import hashlib
import io
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from zoomsr.downloads.archives import Archive

MEMBERS = {f"SET/X2/000{n}x2.png": random.Random(n).randbytes(20_000) for n in (1, 2, 3)}
ONE, TWO, THREE = MEMBERS


def zipped(members: dict[Any, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


DATA = zipped(MEMBERS)
ARCHIVE = Archive("set.zip", len(DATA), hashlib.sha256(DATA).hexdigest(), tuple(MEMBERS))
ALTERED = DATA[:30_000] + bytes([DATA[30_000] ^ 1]) + DATA[30_001:]


def leave(folder: Path, data: bytes, name: str = "set.zip.part") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def fill_disk(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Each .part that is written next takes ``room`` bytes and then none."""
    really_open = Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            fits = super().write(bytes(data)[: max(0, room - self.tell())])
            if fits < len(data):
                raise OSError(errno.ENOSPC, "No space left on device")
            return fits

    def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        writes = path.suffix == ".part" and not mode.startswith("r")
        return Full(path, mode) if writes else really_open(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
