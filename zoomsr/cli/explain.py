"""``python -m zoomsr.train explain optimizer.lr``: the value of a setting, what set it, and what it means."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from zoomsr.cli.composition import trace
from zoomsr.cli.console import say
from zoomsr.cli.errors import nearest
from zoomsr.cli.trace import Key, Setting, Trace, keys_below
from zoomsr.runs.files import short

EXPLAIN = "explain"
_CONFIG_DIR = ("--config-dir", "-cd")
_WIDTH = 100  # characters of a value in a list


def explain(arguments: Sequence[str], *, config_name: str, conf_dir: Path) -> None:
    """Print where settings come from; without a key all settings with their values and descriptions.

    Args:
        arguments: the command line: ``explain``, keys, overrides, ``--config-dir DIR``.
        config_name: ``train`` for conf/train.yaml.
        conf_dir: conf/.

    Raises:
        ValueError: there is no such key, or it is no option of ``explain``.
        HydraException: Hydra cannot compose the settings.
    """
    words, config_dir = _without_config_dir([text for text in arguments if text != EXPLAIN])
    if flags := [text for text in words if text.startswith("-")]:
        raise ValueError(f"explain takes keys, overrides and --config-dir, not {flags[0]}")
    overrides = [text for text in words if "=" in text or text.startswith("~")]
    found = trace(config_name, overrides, conf_dir=conf_dir, config_dir=config_dir)
    names = [text for text in words if text not in overrides]
    known = found.names()
    keys = [_key(name, known, overrides) for name in names]
    try:
        lines = [line for key in keys for line in _explained(found, key)]
        if not keys:
            lines = list(_rows(found, [key for name, key in known.items() if not is_hydra(name)]))
    except RecursionError:
        raise ValueError("settings refer to each other in a circle; --cfg job shows them as written") from None
    for label, text in lines:
        say({label: text})


def _without_config_dir(words: Sequence[str]) -> tuple[list[str], Path | None]:
    """The words, and the folder that ``--config-dir`` names."""
    rest: list[str] = []
    folder: Path | None = None
    left = iter(words)
    for text in left:
        name, equals, value = text.partition("=")
        if name not in _CONFIG_DIR:
            rest.append(text)
        elif not (value := value if equals else next(left, "")):
            raise ValueError(f"{name} names no folder")
        else:
            folder = Path(value)
    return rest, folder


def is_hydra(name: str) -> bool:
    """Whether a setting is Hydra's own, as ``hydra.run.dir`` and ``hydra/launcher``."""
    return re.match(r"hydra\b", name) is not None


def _key(name: str, known: dict[str, Key], overrides: Sequence[str]) -> Key:
    plain = name.replace("[", ".").replace("]", "")
    if plain not in known:
        removed = [text for text in overrides if text.startswith("~") and f"{plain}.".startswith(f"{text[1:]}.")]
        if removed:
            raise ValueError(f"{name} is not set: {removed[0]} removes it")
        near = ", ".join(nearest(plain, [text for text in known if is_hydra(text) == is_hydra(plain)]))
        raise ValueError(f"no setting is called {name!r}; {f'the nearest: {near}' if near else 'explain lists all'}")
    return known[plain]


def _explained(found: Trace, key: Key) -> Iterator[tuple[str, str]]:
    """Labelled lines: value, meaning, what set it, what that overrode, to what it refers; then the keys below."""
    group = found.group(key)
    yield "setting", "/".join(key) if group else ".".join(key)
    value, meaning = _value(found, key), found.description(key)
    yield from [(label, text) for label, text in (("value", value), ("meaning", meaning)) if text]
    yield from _origin(found, key, known=meaning)
    for link in dict.fromkeys(found.links(key)):
        if ".".join(link) in found.names():
            yield "refers", f"{'.'.join(link)} = {_value(found, link)}".removesuffix(" = ")
            yield from _origin(found, link, known="")
        else:
            yield "refers", f"{'.'.join(link)}, which is no setting"
    if group is not None:
        yield from [("file", "  ".join([short(group.file), *group.header[:1]]))] if group.file else []
        yield from [("options", " ".join(group.options))] if group.options else []
    below = found.value(key)
    if isinstance(below, dict):
        yield from _rows(found, keys_below(below, key))
    elif group is not None and group.file is not None:  # of all keys, as an experiment
        yield from _rows(found, [setting.key for setting in found.settings if setting.file == group.file])


def _origin(found: Trace, key: Key, *, known: str) -> Iterator[tuple[str, str]]:
    """The line that set a key, those that it overrode from the latest to the first, and the environment it reads.

    A comment of a line is shown unless it is ``known``.
    """
    history = found.history(key)[::-1]
    for number, setting in enumerate(history):
        label = "and by" if setting.is_mapping else "over"  # mappings are merged
        yield label if number else "set by", _place(setting, known)
    if not history:
        yield "set by", "Hydra"
    for name in found.variables(key):
        yield "reads", f"{name}, {f'which is {os.environ[name]}' if name in os.environ else 'which is not set'}"


def _place(setting: Setting, known: str) -> str:
    place = f"{short(setting.file)}:{setting.line}" if setting.file else "command line"
    comment = f"  # {setting.comment}" if setting.comment not in ("", known) else ""
    return f"{place}  {textwrap.shorten(setting.written, _WIDTH, placeholder=' ...')}{comment}"


def _rows(found: Trace, keys: Iterable[Key]) -> Iterator[tuple[str, str]]:
    """Lines of a list: name, value, description; a list is one value."""
    for key in keys:
        if isinstance(found.value(key[:-1]), list):
            continue
        group = found.group(key)
        words = ": ".join(filter(None, [found.description(key), *(group.header[:1] if group else ())]))
        value = textwrap.shorten(_value(found, key), _WIDTH, placeholder=" ...")
        parts = (f"= {value}" if value else "", f"# {words}" if words else "")
        yield "/".join(key) if group else ".".join(key), "  ".join(filter(None, parts))


def _value(found: Trace, key: Key) -> str:
    """As yaml on one line, resolved, with what was written; "" for a mapping, whose keys follow."""
    if (group := found.group(key)) is not None:
        return group.option or "null"
    value = found.value(key)
    if isinstance(value, dict):
        return "" if value else "{}"
    for one in (key, *found.links(key)):
        if found.value(one) == "???":
            why = "known only in a run" if one[0] == "hydra" else f"not given: {'.'.join(one)}=VALUE does"
            return why if one == key else f"{value}, {why}"
    if not (isinstance(value, str) and "${" in value):
        return _yaml(value)
    if key not in found.resolved:
        return f"{value}, which does not resolve"
    resolved = found.resolved[key]
    return value if isinstance(resolved, dict) else f"{_yaml(resolved)}, from {value}"


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("...\n").strip()
