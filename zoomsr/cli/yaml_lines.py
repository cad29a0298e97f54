"""The keys of a yaml file with the line, the text and the comment of each, which loading it would lose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

_COMMENT = re.compile(r"\s*:?\s*(?:[|>][-+\d]*)?\s*#\s?(.*)")  # what may stand between a key or value and its comment
_DEFAULTS = "defaults"
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class YamlKey:
    """A key of a file.

    Attributes:
        path: the keys that lead to it and its own; items of a list by number, from 0.
        text: its value as written, on one line; "" where it stands on lines of its own.
        line: from 1.
        comment: behind the key or its value, else the lines directly above; "" where there is none.
        is_mapping: whether keys stand below it; a list has items instead.
    """

    path: tuple[str, ...]
    text: str
    line: int
    comment: str
    is_mapping: bool


@dataclass(frozen=True)
class DefaultsLine:
    """An entry of Hydra's defaults list that chooses a group's option: ``- override /model: vdsr``.

    Attributes:
        group: as written, without its keywords: ``/model``.
        is_override: whether it changes the choice of another file.
        text: the whole entry.
        line: from 1.
        comment: as of a key.
    """

    group: str
    is_override: bool
    text: str
    line: int
    comment: str


@dataclass(frozen=True)
class YamlFile:
    """What a file of conf/ holds; ``header`` is the comment at its top, line by line, without ``@package``."""

    path: Path
    header: tuple[str, ...]
    keys: tuple[YamlKey, ...]
    defaults: tuple[DefaultsLine, ...]


def read_yaml_lines(path: Path) -> YamlFile:
    """Read a yaml file without losing where its keys stand.

    Raises:
        yaml.YAMLError: it is no yaml.
    """
    source = _Source(path.read_text(encoding="utf-8"))
    root = yaml.compose(source.text)
    keys = list(source.keys(root, ())) if root is not None else []
    choices = [key for key in keys if key.path[0] == _DEFAULTS and len(key.path) == 3]
    header = tuple(line.lstrip("# ") for line in source.lines[: source.top] if "@package" not in line)
    own = tuple(key for key in keys if key.path[0] != _DEFAULTS)
    return YamlFile(path, header, own, tuple(map(_defaults_line, choices)))


def _defaults_line(key: YamlKey) -> DefaultsLine:
    *keywords, group = key.path[-1].split()
    return DefaultsLine(group, "override" in keywords, f"{key.path[-1]}: {key.text}", key.line, key.comment)


class _Source:
    """A file's text, its lines, and the number of those in the comment at its top."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = re.split(r"[\n\x85\u2028\u2029]", text)  # as yaml counts them
        self.top = next((number for number, line in enumerate(self.lines) if not line.startswith("#")), 0)

    def keys(self, node: yaml.Node, path: tuple[str, ...]) -> Iterator[YamlKey]:
        """All keys below a node, each before those below itself."""
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                yield from self.keys(item, (*path, str(number)))
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == _MERGE:  # <<: *anchor
                yield from self.keys(value, path)
                continue
            own, line = (*path, str(key.value)), key.start_mark.line + 1
            is_inline, is_mapping = _is_inline(value), isinstance(value, yaml.MappingNode)
            text = self.text[value.start_mark.index : value.end_mark.index] if is_inline else ""
            comment = self._comment(key, [value, key] if is_inline else [key])
            yield YamlKey(own, " ".join(text.split()), line, comment, is_mapping)
            yield from self.keys(value, own)

    def _comment(self, key: yaml.Node, before: Sequence[yaml.Node]) -> str:
        """The comment that follows a node on its last line, else the lines directly above the key."""
        for node in before:
            if found := _COMMENT.fullmatch(self.lines[node.end_mark.line][node.end_mark.column :]):
                return found.group(1).strip()
        column, line = key.start_mark.column, key.start_mark.line
        first = line
        while first > self.top and re.match(rf" {{{column}}}#", self.lines[first - 1]):
            first -= 1
        return " ".join(text.lstrip("# ") for text in self.lines[first:line])


def _is_inline(node: yaml.Node) -> bool:
    """Whether the node ends where its last character stands, and not where the next key begins."""
    if isinstance(node, yaml.CollectionNode):
        return bool(node.flow_style)
    return isinstance(node, yaml.ScalarNode) and node.style not in ("|", ">")
