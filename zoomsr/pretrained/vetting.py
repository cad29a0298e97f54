"""A net's description in a file of weights or a card: validated as plain data, and instantiated.

Nothing here goes through Hydra or OmegaConf. A file names a class of ``zoomsr.models`` or
``zoomsr.imaging.degradations`` and its arguments; everything else is refused, but for classes that the user has named.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from zoomsr.runs.layout import run_of

TARGET = "_target_"

_MAX_ENTRIES = 1000
_MAX_DEPTH = 16
_MAX_TEXT = 1000
_MAX_INTEGER = 2**53
_MAX_TOTAL = 10_000
"""Sum of all integers of a net's description: the layers and maps of the largest net here add up to a tenth."""

_CONTRACT = {"scale": (1, 16), "channels": (1, 3), "multiple_of": (1, 1024), "halo": (0, 2**16)}
"""Least and most value; a larger scale or grid would make gigabytes of every picture."""

_PLAIN = (str, bool, int, float, NoneType, list, dict)


def require_plain(path: Path, data: object) -> None:
    """Raise ValueError unless it is dict with text keys, list, text without ``${``, int, finite float, bool and None.

    Not by recursion: an unpickled list may hold itself, or the same large list many times.

    Raises:
        ValueError: it holds anything else, or more than describes a net.
    """
    level, seen, depth = [data], 0, 0
    while level:
        seen, depth = seen + len(level), depth + 1
        if seen > _MAX_ENTRIES or depth > _MAX_DEPTH:
            raise ValueError(f"{path} is damaged: it says more of its net than {_MAX_ENTRIES} values")
        for value in level:
            if (fault := _fault(value)) is not None:
                raise ValueError(f"{path} describes its net by {fault}")
        level = [child for value in level for child in _children(value)]


def _fault(value: object) -> str | None:
    """Why a value is not plain, its children aside."""
    if type(value) not in _PLAIN:
        return f"a {type(value).__name__}, which is no plain data"
    if isinstance(value, str) and ("${" in value or len(value) > _MAX_TEXT or not value.isprintable()):
        return f"the text {value[:80]!r}, which is no plain text"
    if isinstance(value, (int, float)) and not abs(value) <= _MAX_INTEGER:
        return "a number that is not finite, or too large"
    if isinstance(value, (list, dict)) and len(value) > _MAX_ENTRIES:
        return f"{len(value)} entries in one place, which no net has"
    if isinstance(value, dict) and not all(type(key) is str for key in value):
        return "a key that is no text"
    return None


def _children(value: object) -> Iterable[object]:
    """Keys and values of a dict, entries of a list."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else ()


def foreign(config: Mapping[str, Any], nets: Container[str] = ()) -> tuple[str, object] | None:
    """The first key of a description, with its value, by which it could call anything beyond zoomsr and ``nets``.

    Args:
        config: plain, see ``require_plain``.
        nets: classes that the user has named, ``mynets.Tiny``.
    """
    for key, value in _entries(config):
        is_named = isinstance(value, str) and value in nets
        if key.startswith("_") and not (key == TARGET and (is_named or _is_ours(value))):
            return key, value
    return None


def require_ours(path: Path, config: Mapping[str, Any], nets: Container[str] = ()) -> None:
    """Require that a description names only nets and degradations of zoomsr, by the module that defines them.

    Args:
        path: of the file, for the error.
        config: plain, see ``require_plain``.
        nets: further classes, see ``foreign``.

    Raises:
        ValueError: another ``_target_``, another key of Hydra's, or numbers beyond every net.
    """
    if (found := foreign(config, nets)) is not None:
        raise ValueError(_refusal(path, *found))
    for key, value in _entries(config):
        if key in _CONTRACT and not _is_within(value, *_CONTRACT[key]):
            raise ValueError(f"{path} holds a net with {key}={value}: {key} is {_range(key)}")
    if sum(abs(value) for value in _values(config) if isinstance(value, int)) > _MAX_TOTAL:
        raise ValueError(f"{path} holds {described(config)}, which is larger than any net")


def _values(config: object) -> Iterator[object]:
    """A description with all that is in it, at every depth."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        yield value
        waiting += _children(value)


def _entries(config: object) -> Iterator[tuple[str, object]]:
    """Keys and values of its dicts."""
    return (entry for value in _values(config) if isinstance(value, dict) for entry in value.items())


def _refusal(path: Path, key: str, value: object) -> str:
    """Why a file's net is not made, and what makes it."""
    advice = ["--trust, which is kept for its run"] if run_of(path.resolve()) is not None else []
    if key == TARGET and (name := re.fullmatch(r"([A-Za-z_][\w.]*)\.(\w+)", str(value))):
        advice.append(f"--net {name[1]}:{name[2]}")
    held = value if key == TARGET else f"{key}={value}"
    known = f"; if you know its code, add {', or '.join(advice)}" if advice else ""
    return f"{path} holds a {held}, which is no net of zoomsr, and no file chooses what is imported{known}"


def constructed(path: Path, config: Mapping[str, Any], *, n_bytes: int) -> nn.Module:
    """Instantiate the class that a description names, which ``require_ours`` has accepted.

    Args:
        path: of the file, for the error.
        config: ``_target_`` and arguments.
        n_bytes: memory that its layers may take.

    Raises:
        ValueError: the class refuses the arguments, takes more memory, or what it makes is no net.
    """
    try:
        with _Budget(n_bytes):
            net = _call(config)
    except Exception as error:  # arguments from a file make constructors raise errors of any type
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} holds {described(config)}, which cannot be made: {reason}") from None
    return require_net(path, config, net)


def require_net(path: Path, config: Mapping[str, Any], made: object) -> nn.Module:
    """What a description has made, as a net that has the attributes of ``zoomsr.models.Net``.

    Raises:
        ValueError: it is none, or a value is out of range.
    """
    for name in _CONTRACT:
        value = getattr(made, name, None)
        if not isinstance(made, nn.Module) or not _is_within(value, *_CONTRACT[name]):
            raise ValueError(f"{path} holds {described(config)} with {name} {value}: {name} of a net is {_range(name)}")
    return made  # type: ignore[return-value]  # an nn.Module, as was just seen


def described(config: Mapping[str, Any]) -> str:
    """The net in words: ``SRCNN(scale=2, channels=3, ...)``."""
    arguments = ", ".join(f"{key}={value}" for key, value in config.items() if key != TARGET)
    return f"{str(config.get(TARGET, '?')).rsplit('.', 1)[-1]}({arguments})"


def first_difference(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The first argument in which two descriptions differ, with its wanted value; None where they are equal."""
    return next(((key, ours) for key, _theirs, ours in differences(held, wanted)), None)


def differences(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The arguments in which two descriptions differ, with the value that is held and the one that is wanted.

    An argument that one of them lacks has its default, for a file of a version that had no such argument.
    """
    defaults: dict[str, Any] = {}
    if isinstance(wanted.get(TARGET), str) and held.get(TARGET) == wanted[TARGET]:
        # The user named the same class, so importing it runs no code of the file's choice.
        parameters = inspect.signature(pkgutil.resolve_name(wanted[TARGET])).parameters
        defaults = {key: one.default for key, one in parameters.items() if one.default is not one.empty}
    for key in sorted({*held, *wanted}):
        theirs, ours = held.get(key, defaults.get(key)), wanted.get(key, defaults.get(key))
        if isinstance(theirs, dict) and isinstance(ours, dict):
            is_same = first_difference(theirs, ours) is None
        elif {type(theirs), type(ours)} == {list, tuple}:
            is_same = [*theirs] == [*ours]
        else:
            is_same = theirs == ours
        if not is_same:
            yield key, theirs, ours


def fits(value: object, hint: Any) -> bool:
    """Whether a plain value, or an object made of one, is of an annotated type; integers are floats too."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is float:
        return type(value) in (int, float)
    if hint in _PLAIN:
        return type(value) is hint
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in arguments)
    if origin in (list, tuple, Sequence):
        return type(value) is list and all(fits(one, arguments[0]) for one in value)
    if origin in (dict, Mapping):
        return type(value) is dict and all(fits(one, arguments[1]) for one in value.values())
    return type(value) not in _PLAIN


def _is_within(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _range(name: str) -> str:
    return "{} to {}".format(*_CONTRACT[name])


class _Budget(TorchFunctionMode):
    """Stops a constructor that allocates more: before its layers are initialised, so that no memory is really used."""

    def __init__(self, n_bytes: int) -> None:
        super().__init__()
        self._left = n_bytes

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is torch.empty:
            self._left -= made.nbytes
            if self._left < 0:
                raise ValueError("its layers are larger than the tensors in the file")
        return made


def _is_ours(target: object) -> bool:
    """Whether it is a class of ours, named by the module that defines it, not by one that imports it."""
    module, _, name = str(target).rpartition(".")
    if not re.fullmatch(r"zoomsr\.(models\.[a-z0-9_]+|imaging\.degradations)", module):
        return False
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module


def _call(value: Any) -> Any:
    """Lists and dicts as they are, and an object for each dict with a ``_target_``."""
    if isinstance(value, list):
        return [_call(one) for one in value]
    if not isinstance(value, dict) or TARGET not in value:
        return value
    module, _, name = value[TARGET].rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    arguments = {key: _call(child) for key, child in value.items() if key != TARGET}
    hints = get_type_hints(kind.__init__)
    for key, argument in arguments.items():
        if key in hints and not fits(argument, hints[key]):
            raise TypeError(f"{key}={value[key]} is not of the type {getattr(hints[key], '__name__', hints[key])}")
    return kind(**arguments)
