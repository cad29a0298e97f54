"""Checks the numbers and lists of a config against the annotations of their targets, before anything is called."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf

_WANTED = {float: "a number", int: "a whole number", bool: "true or false"}


def require_types(node: Any) -> None:
    """Refuse what is no number where a target expects one, and no list where it expects a list, at any depth.

    A partial target would be called only during the training, and would fail with ``'<=' not supported``.

    Args:
        node: with or without a ``_target_``.

    Raises:
        ValueError: key, value, and what it must be.
    """
    if isinstance(node, ListConfig):
        for child in node:
            require_types(child)
    if not isinstance(node, DictConfig):
        return
    parameters = dict(_parameters(node.get("_target_")))
    for key in map(str, node):
        if OmegaConf.is_missing(node, key):
            continue
        value = node[key]
        require_types(value)
        wanted = _wanted(value, *parameters[key]) if key in parameters else None
        if wanted is not None:
            raise ValueError(f"{node._get_full_key(key)}={'null' if value is None else value} must be {wanted}")


def _parameters(target: object) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Name, annotation and default of a target's annotated parameters; nothing where it cannot be imported."""
    module, _, name = str(target).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        hints = get_type_hints(inspect.getattr_static(found, "__init__") if isinstance(found, type) else found)
        parameters = inspect.signature(found).parameters
    except Exception:  # any error of an import; instantiate() raises it again
        return
    for key, parameter in parameters.items():
        if key in hints:
            yield key, (hints[key], parameter.default)


def _wanted(value: object, hint: Any, default: object = inspect.Parameter.empty) -> str | None:
    """What a value must be; None where it fits or its type is unknown."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    numbers = [member for member in (float, int, bool) if member in members]
    lists = [member for member in members if get_origin(member) in (Sequence, list, tuple)]
    others = [member for member in members if member not in (*_WANTED, *lists, NoneType)]
    if (value is None and (NoneType in members or default is None)) or not (numbers or lists):
        return None
    if isinstance(value, DictConfig):  # a target's, which may make either
        return None
    if isinstance(value, ListConfig) and lists:
        inner = get_args(lists[0])[0]
        return next((found for item in value if (found := _wanted(item, inner))), None)
    kind = list if isinstance(value, ListConfig) else type(value)
    # A text is a sequence of texts, and Any is no type.
    takes = any(not isinstance(other, type) or issubclass(kind, other) for other in others)
    if not numbers:
        are_texts = isinstance(value, str) and _wanted(value, get_args(lists[0])[0]) is None
        return None if takes or are_texts else "a list"
    if isinstance(value, (str, ListConfig)):
        is_wrong = not takes
    else:
        is_wrong = value is None or (isinstance(value, float) and float not in (*members, type(default)))
    return _WANTED[numbers[0]] if is_wrong else None
