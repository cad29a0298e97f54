"""Group entries that differ in nothing but the seed, and label the groups by what tells them apart."""

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

# Where and how a run runs and what it writes, not what it computes; older runs have replay.
_APART = ("run_dir", "ckpt", "ckpt_mode", "overwrite", "launcher", "logger", "sweep_resume", "replay")
# Callbacks that observe a training and do not change it.
_OBSERVERS = ("curves", "gallery", "loader_wait", "pictures", "progress")
_MAX_LABEL = 50
"""Characters that fit into a legend."""
_NOT_IN_LABELS = ("seed", "ckpt", "ckpt_mode")


@dataclass(frozen=True)
class SeedGroup:
    """A net, trained once or with several seeds.

    Attributes:
        label: its name in every table and figure.
        entries: of each seed; some may be unfinished, and a seed has one for each evaluation.
    """

    label: str
    entries: list[Entry]

    @property
    def settings(self) -> dict[str, Any]:
        """Those that all seeds share."""
        return _shared_settings(self.entries[0].settings)


def groups_of(entries: Sequence[Entry]) -> list[SeedGroup]:
    """Group by settings; all entries of bicubic are one group.

    A second run with the same settings and the same seed is no further seed: it becomes a group of its own. So does a
    second evaluation of the same net on the same sets and degradation.

    Raises:
        ValueError: two runs whose folders, and the folders above these, have the same names.
    """
    names, groups = names_of(entries), _grouped(entries)
    texts = labels([group[0].overrides for group in groups], without=_NOT_IN_LABELS)
    short = [re.sub(r"(?<!\S)[+~]*(?:[\w/]+\.)+(?=\w+=)", "", text) for text in texts]  # optimizer.lr=1e-4: lr=1e-4
    if len(set(short)) == len(set(texts)):
        texts = short
    plain = []
    for group, text in zip(groups, texts, strict=True):
        fits = 0 < len(text) <= _MAX_LABEL  # otherwise the table of settings has the rest
        plain.append(BICUBIC if group[0].net == BICUBIC else text if fits else group[0].title)
    nets = [label if group[0].is_run else group[0].net for group, label in zip(groups, plain, strict=True)]
    longest = [f"{label} ({name_of(group[0], names)})" for group, label in zip(groups, plain, strict=True)]
    chosen = _told_apart(_told_apart(plain, nets), longest)
    return [SeedGroup(label, group) for label, group in zip(chosen, groups, strict=True)]


def name_of(entry: Entry, names: Mapping[Path, str]) -> str:
    """The run's name; for a net of an evaluation, the evaluation's and the net's."""
    return names[entry.place] if entry.is_run else f"{names[entry.place]}: {entry.net}"


def names_of(entries: Sequence[Entry]) -> dict[Path, str]:
    """Place to its name: the folder's, after its parent's where two folders have the same.

    Raises:
        ValueError: two places have the same name even so.
    """
    places = list(dict.fromkeys(entry.place for entry in entries))
    often = Counter(place.name for place in places)
    found: dict[str, Path] = {}
    for place in places:
        name = place.name if often[place.name] == 1 else f"{place.parent.name}/{place.name}"
        if name in found:
            raise ValueError(f"{found[name]} and {place} are both called {name}, and cannot be told apart: rename one")
        found[name] = place
    return {place: name for name, place in found.items()}


def _told_apart(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """The longer names in place of those that stand twice."""
    often = Counter(names)
    return [other if often[name] > 1 else name for name, other in zip(names, longer, strict=True)]


def _grouped(entries: Sequence[Entry]) -> list[list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    seen: Counter[str] = Counter()
    for entry in entries:
        key = BICUBIC if entry.net == BICUBIC else _identity(entry)
        measured = [entry.results["degradation"], *entry.results["sets"]] if entry.results is not None else []
        repeat = f"{key} {entry.seed} {entry.is_run} {measured}"  # another evaluation of the same net is no repeat
        groups.setdefault(key if key == BICUBIC else f"{key} {seen[repeat]}", []).append(entry)
        seen[repeat] += 1
    return list(groups.values())


def _identity(entry: Entry) -> str:
    """A hash of what was trained, without the seed; a net without known settings is unlike any other."""
    if not entry.settings:
        return f"{entry.place} {entry.net}"
    settings = _shared_settings(entry.settings)
    settings["choices"] = settings["choices"].get("model")  # the others only name what the settings hold
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _shared_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without the seed, and without where and how the run ran."""
    if not settings:
        return {}
    text = json.dumps({key: value for key, value in settings.items() if key not in _APART}, default=str)
    kept: dict[str, Any] = _seedless(json.loads(text.replace(str(settings.get("run_dir", "\0")), "RUN")))
    choices, callbacks = kept.get("choices") or {}, kept.get("callbacks") or {}
    kept["callbacks"] = {key: one for key, one in callbacks.items() if key not in _OBSERVERS}
    kept["choices"] = {key: name for key, name in choices.items() if "/" not in key and key not in _APART}
    return kept


def _seedless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _seedless(child) for key, child in value.items() if key != "seed"}
    return [_seedless(child) for child in value] if isinstance(value, list) else value
