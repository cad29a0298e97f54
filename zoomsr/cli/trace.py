"""Where settings come from: for each key what set it, in order, what it refers to, and what it means. Plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Key = tuple[str, ...]  # optimizer.lr is ("optimizer", "lr"); items of a list by number, from 0

_REFERENCE = re.compile(r"\$\{(hydra:)?(\.*)([\w./\[\]-]+)\}")
_ENVIRONMENT = re.compile(r"\$\{oc\.env:\s*(\w+)")
_CHOICES = ("hydra", "runtime", "choices")  # ${hydra:runtime.choices.model} is the option of model=
_OF_HYDRA = {
    "_target_": "the class or function that is called",
    "_partial_": "true: it is called later, with further arguments",
}


@dataclass(frozen=True)
class Setting:
    """One place that sets a key.

    Attributes:
        key: the key.
        written: as in the file, ``lr: 1e-3``, or on the command line, ``optimizer.lr=1e-3``.
        file: None for the command line.
        line: from 1.
        comment: of this line.
        is_mapping: whether it is merged into what the key held, as a mapping is; all else replaces that.
    """

    key: Key
    written: str
    file: Path | None = None
    line: int = 0
    comment: str = ""
    is_mapping: bool = False


@dataclass(frozen=True)
class Group:
    """A group of files of which one is chosen, as ``model``.

    Attributes:
        option: the file, as ``unet``; None where none is chosen.
        file: its path; None where Hydra has it in code.
        header: the comment at the top of the file, line by line.
        options: all files.
        settings: the lines and overrides that chose, in the order in which they apply: the last holds.
    """

    option: str | None
    file: Path | None
    header: Sequence[str]
    options: Sequence[str]
    settings: Sequence[Setting]


@dataclass(frozen=True)
class Trace:
    """All settings of a command, and where they come from.

    Attributes:
        values: as ``--cfg job`` prints them, ``${...}`` unresolved; below ``hydra`` Hydra's own.
        resolved: the values that hold a ``${...}``, resolved, as far as they can be.
        settings: in the order in which they apply: the last of a key holds.
        groups: by name, those of Hydra's own as ``hydra/launcher``.
    """

    values: Mapping[str, Any]
    resolved: Mapping[Key, Any]
    settings: Sequence[Setting]
    groups: Mapping[str, Group]

    def names(self) -> dict[str, Key]:
        """Every key by its name, ``optimizer.lr``; groups by theirs, also where they set nothing."""
        found = {".".join(key): key for key in keys_below(self.values)}
        return {**found, **{name: tuple(name.split("/")) for name in self.groups if name not in found}}

    def group(self, key: Key) -> Group | None:
        """The group whose option a key holds."""
        return self.groups.get("/".join(key[len(_CHOICES) :] if key[: len(_CHOICES)] == _CHOICES else key))

    def value(self, key: Key) -> Any:
        """Of a key, unresolved; None also where there is none."""
        return self._found(key)[1]

    def _found(self, key: Key) -> tuple[Key, Any]:
        """A key with its value; below a value that is ``${name}``, as ``choices.model``, the key that is meant."""
        node: Any = self.values
        for depth, part in enumerate(key):
            if isinstance(node, str) and (whole := _REFERENCE.fullmatch(node)) is not None:
                return self._found((*_target(key[:depth], whole), *key[depth:]))
            if isinstance(node, list):
                node = dict(zip(map(str, range(len(node))), node, strict=True))
            node = node.get(part) if isinstance(node, dict) else None
        return key, node

    def history(self, key: Key) -> Sequence[Setting]:
        """What set a key, the first first; the last holds. Of a group: what chose its option."""
        group = self.group(key)
        return self._history(key) if group is None else group.settings

    def _history(self, key: Key) -> list[Setting]:
        """What set a key or, of a group, the keys below it."""
        history: list[Setting] = []
        for setting in self.settings:
            before = history[-1] if history else setting
            if setting.key == key:
                if before.key != key and before.file == setting.file is not None:
                    history.pop()  # an item of a list follows the list
                if not history or not setting.written.endswith((": ???", "=???")):  # Hydra keeps a value that is there
                    history.append(setting)
            elif key[: len(setting.key)] == setting.key and not setting.is_mapping:
                history.append(setting)  # sets a key above anew, and with it this one
            elif setting.key[: len(key)] == key and isinstance(self.value(key), list) and setting.file != before.file:
                history.append(setting)  # model.widths.0=32
        return history

    def description(self, key: Key) -> str:
        """The first comment of the lines that set a key, or the description of the key to which it refers."""
        settings = [*self.history(key), *(self._history(key) if self.group(key) is not None else ())]
        comments = [setting.comment for setting in settings if setting.comment]
        if comments or key[-1] in _OF_HYDRA:
            return comments[0] if comments else _OF_HYDRA[key[-1]]
        value = self.value(key)
        whole = _REFERENCE.fullmatch(value) if isinstance(value, str) and self.group(key) is None else None
        return self.description(_target(key, whole)) if whole is not None else ""

    def links(self, key: Key) -> Iterator[Key]:
        """The keys to which the ``${...}`` in a value refer, each followed by those to which it refers itself."""
        value = self.value(key)
        for found in _REFERENCE.finditer(str(value)) if isinstance(value, (str, list)) else ():
            yield (target := self._found(_target(key, found))[0])
            yield from self.links(target)

    def variables(self, key: Key) -> list[str]:
        """The environment variables that the line reads which set a key, or chose a group's option."""
        return [name for setting in self.history(key)[-1:] for name in _ENVIRONMENT.findall(setting.written)]


def keys_below(node: Any, path: Key = ()) -> Iterator[Key]:
    """All keys of nested mappings and lists."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in items:
        yield (own := (*path, str(name)))
        yield from keys_below(child, own)


def _target(key: Key, found: re.Match[str]) -> Key:
    """The key that ``${name}``, ``${hydra:name}`` or, relative to ``key``, ``${..name}`` means."""
    is_hydra, dots, name = found.groups()
    parts = tuple(part for part in re.split(r"[.\[\]]+", name) if part)
    return (*(("hydra",) if is_hydra else key[: -len(dots)] if dots else ()), *parts)
