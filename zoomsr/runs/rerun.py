"""A training that is run again: its frozen settings, what differs now, and whether the metrics are equal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoomsr.runs.files import short
from zoomsr.runs.job import Job
from zoomsr.runs.layout import CHANGES, METRICS_CSV
from zoomsr.runs.provenance import read_starts
from zoomsr.runs.run import Run

_HERE = ("run_dir", "overwrite", "launcher", "rerun", "plan")  # of the command that runs it again
_MEASURED = ("seconds", "data/wait")  # which differ from run to run
_FILES = ("files", "changes")  # of the code; see ``_of_files``
_LAST = "last"
_DIGITS = 12  # of a hash or commit in a line


def repeated(first: Job, *, before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run as they were frozen, for another directory.

    Args:
        first: the run.
        before: the settings that its own command line gives today.
        now: the same with the overrides of the command that runs it again; what differs from ``before`` is changed.

    Raises:
        ValueError: it started from weights that its notes do not name.
    """
    frozen = first.settings()
    settings = placed({**now, **frozen}, str(frozen["run_dir"]), str(now["run_dir"]))
    settings = _overridden(settings, before, now) | {key: now[key] for key in _HERE}
    if settings["callbacks"].get("pruning"):  # a trial of a search: it runs alone, and to its end
        settings["callbacks"] = {**settings["callbacks"], "pruning": None}
    return settings | dict(zip(("ckpt", "ckpt_mode"), _origin(first, settings), strict=True))


def placed(value: Any, old: str, new: str) -> Any:
    """Settings with the paths inside one directory as paths inside another."""
    if isinstance(value, Mapping):
        return {key: placed(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [placed(one, old, new) for one in value]
    is_inside = isinstance(value, str) and (value == old or value.startswith(old + os.sep))
    return new + value[len(old) :] if is_inside else value


def what_differs(run: Path, now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text of each part of ``starts.json`` in which a new start differs from those of a run.

    Args:
        run: that is run again.
        now: the new start.
    """
    starts = read_starts(run) or [_known(Run.read(run))]
    for part, facts in now.items():
        kept = [start[part] for start in starts if part in start]
        if facts and not kept:
            yield part, f"{short(run)} does not tell its own"
        names = [name for name in dict.fromkeys(key for one in kept for key in one) if name not in _FILES]
        lines = [_difference(name, [old.get(name) for old in kept], facts.get(name)) for name in names]
        if part == "code":
            lines.append(_of_files(kept, facts, commit_differs=bool(lines and lines[0])))
        if found := "; ".join(filter(None, lines)):
            yield part, found
    if len(starts) > 1:
        yield "resumed", f"{short(run)} was resumed with other code, versions or data, or on another device"


def comparison(run: Path, again: Path) -> str:
    """Whether the metrics of a finished run equal those of the run that it repeats, to the bit.

    Args:
        run: the first one; where it is unfinished, the epochs that both have are compared.
        again: the finished one.
    """
    first, second = Run.read(run), Run.read(again)
    rows, new = first.epochs, second.epochs[: None if first.results else len(first.epochs)]
    what = f"{len(new)} rows of {METRICS_CSV}"
    if first.results is not None and second.results is not None:
        what += " and the scores of every image"
        if first.results["sets"] == second.results["sets"] and _same(rows, new):
            return f"the metrics equal those of {short(run)} to the bit: {what}"
    elif _same(rows, new):
        return f"{short(run)} is unfinished; its metrics are equal to the bit: {what}"
    return f"the metrics differ from those of {short(run)}: {_first_difference(rows, new, first, second)}"


def _same(rows: list[dict[str, float]], new: list[dict[str, float]]) -> bool:
    return len(rows) == len(new) and not any(_unequal(*pair) for pair in zip(rows, new, strict=True))


def _unequal(old: Mapping[str, float], new: Mapping[str, float]) -> list[str]:
    """Names of metrics that are not the same; NaN equals NaN."""
    names = [name for name in dict.fromkeys([*old, *new]) if name not in _MEASURED]
    return [name for name in names if repr(old.get(name)) != repr(new.get(name))]


def _first_difference(rows: list[dict[str, float]], new: list[dict[str, float]], first: Run, second: Run) -> str:
    """The first metric that is not the same, and the final scores."""
    found = ""
    for old, one in zip(rows, new, strict=False):
        if names := _unequal(old, one):
            found = f"first {names[0]} of epoch {old['epoch']:.0f}, {old.get(names[0])} -> {one.get(names[0])}"
            break
    else:
        found = f"{len(rows)} rows -> {len(new)}" if len(rows) != len(new) else "every epoch is equal, the test is not"
    before, after = first.means(), second.means()
    both = [net for net in before if net in after]
    scores = [f"PSNR on Y of {net} {before[net]['psnr_y']:.4f} -> {after[net]['psnr_y']:.4f} dB" for net in both]
    return "; ".join([found, *scores])


def _difference(name: str, kept: list[Any], now: Any) -> str:
    """``torch 2.10.0 -> 2.13.0``; "" where one of the starts had the same."""
    if now in kept:
        return ""
    old = ", then ".join(dict.fromkeys(_shown(value) for value in kept))
    return f"{name} {old} -> {_shown(now)}"


def _of_files(kept: list[Any], now: Mapping[str, Any], *, commit_differs: bool) -> str:
    """Whether the files of zoomsr hold something else."""
    known = [old for old in kept if "files" in old]
    if any(old["files"] == now["files"] for old in known):
        return "zoomsr's own files are the same" if commit_differs else ""
    changes = CHANGES.format(number="")
    where = f" (uncommitted changes: {changes} in its run)" if any(one["changes"] for one in (*known, now)) else ""
    return f"zoomsr's own files are not the same{where}" if known else ""


def _shown(value: Any) -> str:
    if value in (None, ""):
        return "none"
    text, space, rest = str(value).partition(" ")
    is_hash = len(text) >= 40 and all(digit in "0123456789abcdef" for digit in text)
    return f"{text[:_DIGITS]}{space}{rest}" if is_hash else str(value)


def _known(run: Run) -> dict[str, Any]:
    """What the results of a run without ``starts.json`` tell; that of older versions."""
    results = run.results or {}
    versions = dict(results.get("versions", {}))
    code = {"commit": versions.pop("commit")} if "commit" in versions else {}
    known = {"code": code, "versions": versions}
    for part, names in (("data", ("name", "hash")), ("device", ("type", "name"))):
        known[part] = {name: value for name, value in results.get(part, {}).items() if name in names}
    return {part: facts for part, facts in known.items() if facts}


def _origin(first: Job, settings: Mapping[str, Any]) -> tuple[str | None, str]:
    """``ckpt`` and ``ckpt_mode`` of its first start; a resume has replaced them in its settings."""
    if settings["ckpt"] != _LAST:
        return settings["ckpt"], settings["ckpt_mode"]
    for start in read_starts(first.path)[:1]:
        origin = start["weights"]
        return (origin["ckpt"], origin["ckpt_mode"]) if origin else (None, "resume")
    if settings["ckpt_mode"] == "weights":
        raise ValueError(
            f"{first.path} started from other weights and was resumed by an older version, so its notes do not name "
            "them: the same settings with ckpt=FILE ckpt_mode=weights train it anew"
        )
    return None, "resume"


def _overridden(settings: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which what differs between ``before`` and ``now`` is as in ``now``."""
    result = dict(settings)
    for key in dict.fromkeys([*before, *now]):
        old, new, own = before.get(key), now.get(key), result.get(key)
        if old == new:
            continue
        if key not in now:
            result.pop(key, None)
        elif isinstance(old, Mapping) and isinstance(new, Mapping) and isinstance(own, Mapping):
            result[key] = _overridden(own, old, new)
        else:
            result[key] = new
    return result
