"""Where a run's results come from: the code with its uncommitted changes, versions, device, data, first weights.

``starts.json`` has an entry for each start of a run that differs from the one before; the uncommitted changes of an
entry lie beside it as ``changes.diff``, for ``git apply``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import zoomsr
from zoomsr.runs.files import sha256_of, write_json, write_text
from zoomsr.runs.layout import CHANGES, STARTS

_logger = logging.getLogger(__name__)

_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
_KEY = "starts"
_TARGET = "_target_"


def read_starts(run: Path) -> list[dict[str, Any]]:
    """The starts of a run that differ, the first one first; none of a run of an older version.

    Raises:
        ValueError: the file is damaged.
    """
    path = run / STARTS
    if not path.is_file():
        return []
    try:
        starts: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))[_KEY]
        return starts
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def record(run: Path, start: Mapping[str, Any], *, changes: str) -> None:
    """Add a start to a run's notes, unless it equals the last one.

    Args:
        run: its directory.
        start: as plain data.
        changes: the uncommitted changes, see ``code_now``.
    """
    starts = read_starts(run)
    if starts and starts[-1] == start:
        return
    run.mkdir(parents=True, exist_ok=True)  # a training that no command has started
    if changes:
        write_text(run / CHANGES.format(number=f"_{len(starts) + 1}" if starts else ""), changes)
    write_json(run / STARTS, {_KEY: [*starts, start]})


def code_now(settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The code that runs.

    Args:
        settings: of a run; modules outside zoomsr and outside what is installed that they name are code too.

    Returns:
        ``commit`` of a checkout of zoomsr, the sha256 of its ``files``, that of the ``changes`` ("" for none), and of
        each module of the user's own; then these changes as a diff, in which files that git does not know, and the
        user's own modules, stand as new ones.
    """
    own = dict(_own_modules(settings))
    changes = _uncommitted() + "".join(_as_new(path, path.name) for path in own.values())
    digest = hashlib.sha256(changes.encode()).hexdigest() if changes else ""
    modules = {name: sha256_of(path) for name, path in own.items()}
    return {"commit": commit(), "files": code_hash(), "changes": digest, **modules}, changes


@cache
def commit() -> str | None:
    """``1a2b3c... with changes``; None where zoomsr is installed otherwise, also inside another project's checkout."""
    try:
        _git("ls-files", "--error-unmatch", "__init__.py")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".")
        return _git("rev-parse", "HEAD").strip() + (" with changes" if changed.strip() else "")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def code_hash() -> str:
    """sha256 over the package's own files: a change in any of them may change a result."""
    package = Path(zoomsr.__file__).parent
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(f"{path.relative_to(package).as_posix()}\n".encode() + path.read_bytes())
    return total.hexdigest()


def _uncommitted() -> str:
    """What differs from the commit, and the Python files that git does not know; "" without a checkout."""
    if commit() is None:
        return ""
    package = Path(zoomsr.__file__).parent
    try:
        inside = _git("rev-parse", "--show-prefix").strip()  # zoomsr/
        new = _git("ls-files", "--others", "--exclude-standard", "-z", "--", "*.py").split("\0")
        changed = _git("diff", "--no-ext-diff", "--no-color", "HEAD", "--", ".")
    except (OSError, subprocess.SubprocessError) as error:
        _logger.warning("the uncommitted changes of the code are not kept: %s", error)
        return ""
    return changed + "".join(_as_new(package / name, inside + name) for name in new if name)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(zoomsr.__file__).parent), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", errors="replace", timeout=10)
    return done.stdout


def _as_new(path: Path, name: str) -> str:
    """A diff that adds a text file."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n\\ No newline at end of file\n"
    return "".join(difflib.unified_diff([], lines, "/dev/null", f"b/{name}"))


def _own_modules(settings: Any) -> Iterator[tuple[str, Path]]:
    """Files of imported modules that settings name, neither of zoomsr nor installed; by the modules' names."""
    installed = [Path(path).resolve() for name, path in sysconfig.get_paths().items() if name in _INSTALLED]
    installed.append(Path(zoomsr.__file__).parent.resolve())
    for name in sorted(set(_modules(settings))):
        file = getattr(sys.modules[name], "__file__", None)
        path = Path(file).resolve() if file else None
        if path is not None and path.suffix == ".py" and not any(path.is_relative_to(place) for place in installed):
            yield name, path


def _modules(settings: Any) -> Iterator[str]:
    """Imported modules of the classes and functions that settings name."""
    if isinstance(settings, Mapping):
        parts = str(settings.get(_TARGET, "")).split(".")
        names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        yield from [name for name in names if name in sys.modules][:1]
        settings = list(settings.values())
    for value in settings if isinstance(settings, list) else ():
        yield from _modules(value)
