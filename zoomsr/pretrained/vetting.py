"""What a file of weights or a card says of its net: checked to be plain data, and made into that net.

Nothing here goes through Hydra or OmegaConf. A file names a class of ``zoomsr.models`` or
``zoomsr.imaging.degradations`` and its arguments; everything else is refused.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

TARGET = "_target_"

_MAX_ENTRIES = 1000
_MAX_DEPTH = 16
_MAX_TEXT = 1000
_MAX_INTEGER = 2**53
_MAX_TOTAL = 10_000
"""Of all whole numbers of a net's description: the layers and maps of the largest net here add up to a tenth."""

_CONTRACT = {"scale": (1, 16), "channels": (1, 3), "multiple_of": (1, 1024), "halo": (0, 2**16)}
"""Least and most; a larger scale or grid would make gigabytes of every picture."""

_PLAIN = (str, bool, int, float, NoneType, list, dict)


def require_plain(path: Path, data: object) -> None:
    """Let nothing through but dict with text keys, list, text without ``${``, int, finite float, bool and None.

    Not by recursion: an unpickled list may hold itself, or the same large list many times.

    Raises:
        ValueError: it holds anything else, or more than describes a net.
    """
    level, seen, depth = [data], 0, 0
    while level:
        seen, depth = seen + len(level), depth + 1
        if seen > _MAX_ENTRIES or depth > _MAX_DEPTH:
            raise ValueError(f"{path} is damaged: it says more of its net than {_MAX_ENTRIES} values")
        level = [child for value in level for child in _children(path, value)]


def _children(path: Path, value: object) -> Iterable[object]:
    """What a plain value holds: keys and values, or entries."""
    found = f"{path} describes its net by"
    if type(value) not in _PLAIN:
        raise ValueError(f"{found} a {type(value).__name__}, which is no plain data")
    if isinstance(value, str) and ("${" in value or len(value) > _MAX_TEXT or not value.isprintable()):
        raise ValueError(f"{found} the text {value[:80]!r}, which is no plain text")
    if isinstance(value, (int, float)) and not abs(value) <= _MAX_INTEGER:
        raise ValueError(f"{found} a number that is not finite, or too large")
    if not isinstance(value, (list, dict)):
        return ()
    if len(value) > _MAX_ENTRIES:
        raise ValueError(f"{found} {len(value)} entries in one place, which no net has")
    if isinstance(value, list):
        return value
    if not all(type(key) is str for key in value):
        raise ValueError(f"{found} a key that is no text")
    return [*value.keys(), *value.values()]


def require_ours(path: Path, config: Mapping[str, Any]) -> None:
    """Let a net's description name only classes of nets and degradations of zoomsr, by the module that defines them.

    Args:
        path: of the file, for the error.
        config: plain, see ``require_plain``.

    Raises:
        ValueError: another ``_target_``, another key of Hydra's, or numbers beyond every net.
    """
    waiting: list[Any] = [config]
    total = 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                _require_entry(path, key, child)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int):
            total += abs(value)
    if total > _MAX_TOTAL:
        raise ValueError(f"{path} holds {described(config)}, which is larger than any net")


def _require_entry(path: Path, key: str, value: object) -> None:
    if key.startswith("_") and not (key == TARGET and _is_ours(value)):
        named = value if key == TARGET else f"{key}={value}"
        raise ValueError(f"{path} holds a {named}, which is no net of zoomsr: add model=NAME")
    if key in _CONTRACT and not _is_within(value, *_CONTRACT[key]):
        raise ValueError(f"{path} holds a net with {key}={value}: {key} is {_said(key)}")


def constructed(path: Path, config: Mapping[str, Any], *, n_bytes: int) -> nn.Module:
    """Call the class that a description names, which ``require_ours`` has let through.

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
    except Exception as error:  # arguments from a file make a constructor stumble over whatever they hit
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} holds {described(config)}, which cannot be made: {reason}") from None
    for name in _CONTRACT:
        value = getattr(net, name, None)
        if not isinstance(net, nn.Module) or not _is_within(value, *_CONTRACT[name]):
            raise ValueError(f"{path} holds {described(config)} with {name} {value}: {name} of a net is {_said(name)}")
    return net  # type: ignore[no-any-return]  # an nn.Module, as was just seen


def described(config: Mapping[str, Any]) -> str:
    """The net in words: ``SRCNN(scale=2, channels=3, ...)``."""
    arguments = ", ".join(f"{key}={value}" for key, value in config.items() if key != TARGET)
    return f"{str(config.get(TARGET, '?')).rsplit('.', 1)[-1]}({arguments})"


def fits(value: object, hint: Any) -> bool:
    """Whether a plain value, or an object made of one, is of an annotated type; whole numbers are floats too."""
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


def _said(name: str) -> str:
    return "{} to {}".format(*_CONTRACT[name])


class _Budget(TorchFunctionMode):
    """Stops a constructor that allocates more: before its layers are filled, so that no memory is really taken."""

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
    """A class that is named by the module that defines it: no way leads from there to others."""
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
