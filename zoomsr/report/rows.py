"""One row for all seeds of a net: runs that differ in nothing else, and what tells rows apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoomsr.report.entries import BICUBIC, Entry
from zoomsr.runs.run import labels

# Where and how a run runs and what it writes, not what it computes; replay is of older runs.
_APART = (
    "run_dir",
    "ckpt",
    "ckpt_mode",
    "overwrite",
    "launcher",
    "logger",
    "sweep_resume",
    "replay",
)  # replay: older runs
# Callbacks that look at a training, and leave it as it is.
_WATCHING = ("curves", "gallery", "loader_wait", "pictures", "progress")
_LONGEST = 50
"""Characters of a label, which must fit into legends."""
_UNSAID = ("seed", "ckpt", "ckpt_mode")


@dataclass(frozen=True)
class Row:
    """A net, trained once or with several seeds.

    Attributes:
        label: its name in every table and figure.
        entries: one for each seed, of which some may be unfinished.
    """

    label: str
    entries: list[Entry]

    @property
    def settings(self) -> dict[str, Any]:
        """That all seeds share."""
        return shared_settings(self.entries[0].settings)

    @property
    def is_scored(self) -> bool:
        """Whether at least one seed is finished."""
        return any(entry.is_scored for entry in self.entries)


def rows_of(entries: Sequence[Entry]) -> list[Row]:
    """Group by settings and label; bicubic, whatever it was run by, is one row.

    A second run of the same settings and the same seed is no further seed, and has a row of its own.

    Raises:
        ValueError: two runs whose folders have the same name, and that of the folder above.
    """
    names, groups = names_of(entries), _groups(entries)
    texts = labels([group[0].overrides for group in groups], without=_UNSAID)
    short = [_without_groups(text) for text in texts]
    if len(set(short)) == len(set(texts)):
        texts = short
    plain = [_label(group[0], text) for text, group in zip(texts, groups, strict=True)]
    often = Counter(plain)
    return [
        Row(label if often[label] == 1 else f"{label} ({name_of(group[0], names)})", group)
        for label, group in zip(plain, groups, strict=True)
    ]


def _without_groups(label: str) -> str:
    """``optimizer.lr=1e-4`` as ``lr=1e-4``."""
    return re.sub(r"(?<!\S)[+~]*(?:[\w/]+\.)+(?=\w+=)", "", label)


def _label(entry: Entry, text: str) -> str:
    if entry.net == BICUBIC:
        return BICUBIC
    return text if 0 < len(text) <= _LONGEST else entry.title  # the settings' table has what was left out


def name_of(entry: Entry, names: Mapping[Path, str]) -> str:
    """The run's; of a net of an evaluation, both names."""
    return names[entry.place] if entry.is_run else f"{names[entry.place]}: {entry.net}"


def names_of(entries: Sequence[Entry]) -> dict[Path, str]:
    """Place to its name: the folder's, with its parent's where two are called the same.

    Raises:
        ValueError: even so two are called the same.
    """
    names: dict[Path, str] = {}
    places = list(dict.fromkeys(entry.place for entry in entries))
    often = Counter(place.name for place in places)
    for place in places:
        name = place.name if often[place.name] == 1 else f"{place.parent.name}/{place.name}"
        for other, taken in names.items():
            if name == taken:
                raise ValueError(f"{other} and {place} are both called {name}, and cannot be told apart: rename one")
        names[place] = name
    return names


def shared_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without the seed, and without where and how the run ran."""
    if not settings:
        return {}
    text = json.dumps({key: value for key, value in settings.items() if key not in _APART}, default=str)
    kept: dict[str, Any] = _seedless(json.loads(text.replace(str(settings.get("run_dir", "\0")), "RUN")))
    choices = kept.get("choices") or {}
    callbacks = {key: one for key, one in (kept.get("callbacks") or {}).items() if key not in _WATCHING}
    return {
        **kept,
        "callbacks": callbacks,
        "choices": {key: name for key, name in choices.items() if "/" not in key and key not in _APART},
    }


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    seen: Counter[str] = Counter()
    for entry in entries:
        key = BICUBIC if entry.net == BICUBIC else _identity(entry)
        repeat = f"{key} {entry.seed} {entry.is_run}"
        groups.setdefault(key if key == BICUBIC else f"{key} {seen[repeat]}", []).append(entry)
        seen[repeat] += 1
    return list(groups.values())


def _identity(entry: Entry) -> str:
    """Of what was trained, whatever the seed; a net of which nothing is known is like no other."""
    if not entry.settings:
        return f"{entry.place} {entry.net}"
    settings = shared_settings(entry.settings)
    settings["choices"] = settings["choices"].get("model")  # the others are names of what the settings hold anyway
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _seedless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _seedless(child) for key, child in value.items() if key != "seed"}
    return [_seedless(child) for child in value] if isinstance(value, list) else value
