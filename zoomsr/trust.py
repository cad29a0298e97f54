"""A run directory is a program: whose settings are followed without a question.

A run's settings name what is called, so whoever wrote them can run code. Each user has a secret key, in
``ZOOMSR_STATE``, or ``zoomsr`` in the user's state directory. Every command that makes or resumes a run or a sweep
signs with it the files from which a later command takes settings. Who lacks the key cannot sign, and a signature that
was seen elsewhere fits no other settings. A run that is moved or copied keeps its signature, and machines that share a
home share the key: the user and host in the file are for people to read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from zoomsr.runs import write_text

SIGNATURE = ".made_by"
_SETTINGS = "settings.yaml"
_PROGRAM = (_SETTINGS, "multirun.yaml", ".hydra/overrides.yaml", ".hydra/hydra.yaml")


def require_own(folder: Path) -> None:
    """Refuse the settings of a directory that this user has not made here.

    Raises:
        ValueError: it has no signature of this user, or its settings were changed since.
    """
    with suppress(OSError, RuntimeError, IndexError):  # no key yet, no home, or no signature
        said = (folder / SIGNATURE).read_text(errors="replace").split()[-1]
        if hmac.compare_digest(said.encode(), _signature(folder, _key_file().read_bytes()).encode()):
            return
    raise ValueError(
        f"{folder} was not made by you on this machine ({socket.gethostname()}), or before runs were signed, or its "
        "settings were changed: they can run code; add --trust if you know where they come from"
    )


def sign(folder: Path) -> None:
    """Note that this user stands for the settings in a directory; without a place for the key nothing is noted."""
    with suppress(OSError, RuntimeError):  # RuntimeError: a user without a home
        who = f"{os.environ.get('USER', 'user')}@{socket.gethostname()}"
        write_text(folder / SIGNATURE, f"{who} {_signature(folder, _key())}\n")


def sign_all(folder: Path) -> None:
    """Sign a directory and every run below it."""
    for path in {folder, *(settings.parent for settings in folder.rglob(_SETTINGS))}:
        sign(path)


def _signature(folder: Path, key: bytes) -> str:
    files = {name: path for name in _PROGRAM if (path := folder / name).is_file()}
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return hmac.new(key, json.dumps(digests, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _key_file() -> Path:
    named = os.environ.get("ZOOMSR_STATE")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zoomsr"
    return (Path(named) if named else state) / "key"


def _key() -> bytes:
    """The user's key, which is made when it is first needed; two processes that make it at once agree on one."""
    path = _key_file()
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = path.with_name(f".key.{secrets.token_hex(8)}")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(partial, path)
        finally:
            partial.unlink()
    return path.read_bytes()
