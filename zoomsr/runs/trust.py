"""Signatures of run settings, because settings can run code: they name the classes that are called.

Each user has a secret key, in ``ZOOMSR_STATE``, or ``zoomsr`` in the user's state directory. Every command that makes
or resumes a run or a sweep signs with it the files from which a later command takes settings; a signature fits no other
settings. A run that is moved or copied keeps its signature, and machines that share a home share the key: the user and
host in the file are information only.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from zoomsr.runs.files import write_text
from zoomsr.runs.layout import HYDRA_OVERRIDES, HYDRA_SELF, MADE_BY, MULTIRUN, SETTINGS

HYDRAS = (HYDRA_OVERRIDES, HYDRA_SELF)
_PROGRAM = (SETTINGS, MULTIRUN, *HYDRAS)


def require_own(folder: Path) -> None:
    """Refuse the settings of a directory that this user has not signed.

    Raises:
        ValueError: it has no signature of this user, or its settings were changed since.
    """
    with suppress(OSError, RuntimeError):  # no key yet, no home, or no signatures
        signed = (folder / MADE_BY).read_text(encoding="utf-8", errors="replace").split()
        if set(_signatures(folder, _key_file().read_bytes()).values()) <= set(signed):
            return
    raise ValueError(
        f"{folder} was not made by you on this machine ({socket.gethostname()}), or before runs were signed, or its "
        "settings were changed: they can run code; add --trust if you know where they come from"
    )


def sign(folder: Path, files: Sequence[str] = _PROGRAM) -> None:
    """Sign settings in a directory; nothing is written where there is no place for the key."""
    with suppress(OSError, RuntimeError):  # RuntimeError: a user without a home
        path = folder / MADE_BY
        before = path.read_text(encoding="utf-8", errors="replace").split() if path.is_file() else []
        if not (found := _signatures(folder, _key()).items()):
            return  # a folder of runs
        lines = [signature for name, signature in found if name in files or signature in before]
        who = f"{os.environ.get('USER', 'user')}@{socket.gethostname()}"
        write_text(path, "\n".join([who, *lines]) + "\n")


def sign_all(folder: Path) -> None:
    """Sign a directory and every run below it."""
    for path in {folder, *(settings.parent for settings in folder.rglob(SETTINGS))}:
        sign(path)


def seal(data: bytes) -> bytes:
    """An HMAC of data under this user's key, 32 bytes.

    Raises:
        OSError: there is no place for the key.
        RuntimeError: the user has no home directory.
    """
    return hmac.digest(_key(), b"seal\0" + data, "sha256")


def _signatures(folder: Path, key: bytes) -> dict[str, str]:
    """Of each file of settings that is there: an HMAC over its name and content."""
    found = {name: (folder / name).read_bytes() for name in _PROGRAM if (folder / name).is_file()}
    return {name: hmac.new(key, name.encode() + b"\0" + data, "sha256").hexdigest() for name, data in found.items()}


def _key_file() -> Path:
    named = os.environ.get("ZOOMSR_STATE")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zoomsr"
    return (Path(named) if named else state) / "key"


def _name(partial: Path, path: Path) -> None:
    """Rename the file unless the name is taken; not atomically on file systems without hard links, as on USB sticks."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:
        if not path.is_file():
            partial.replace(path)


def _key() -> bytes:
    """The user's key, which is made when it is first needed; two processes that make it at once agree on one.

    Not by ``atomic_write``, with which the last writer wins: here the first does, and nobody else may read the file.
    """
    path = _key_file()
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = path.with_name(f".key.{secrets.token_hex(8)}")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                _name(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return path.read_bytes()
