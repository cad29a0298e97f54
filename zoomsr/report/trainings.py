"""What stands behind the scores, as HTML: states, settings, versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from zoomsr.report.entries import Entry
from zoomsr.report.html import facts, folded, word_table
from zoomsr.report.leaderboard import Table
from zoomsr.report.rows import Row
from zoomsr.runs.files import short
from zoomsr.runs.job import differences


def unscored(rows: Sequence[Row]) -> list[Entry]:
    """The runs that have no scores."""
    return [entry for row in rows for entry in row.entries if not entry.is_scored]


def states(rows: Sequence[Row], lacking: Sequence[str]) -> str:
    """The runs that stand in no table and why, then the figures that are missing; empty where there are none."""
    labels = {id(entry): row.label for row in rows for entry in row.entries}
    found = [
        [labels[id(entry)], short(entry.place), entry.state, entry.reason or "-", _epochs(entry)]
        for entry in unscored(rows)
    ]
    table = word_table(["net", "run", "state", "reason", "epochs"], found, marked=2) if found else ""
    return table + (word_table(["figure"], [[line] for line in lacking]) if lacking else "")


def settings(rows: Sequence[Row]) -> str:
    """In what the nets' settings differ, a column for each net; then all settings of each."""
    known = {row.label: row.settings for row in rows if row.settings}
    if not known:
        return ""
    first, *others = known.values()
    keys = dict.fromkeys(line.partition(": ")[0] for other in others for line in differences(first, other))
    table = [[key, *(_at(one, key) for one in known.values())] for key in keys]
    text = word_table(["setting", *known], table) if table else "<p>No setting differs.</p>" if others else ""
    return text + "".join(
        folded(f"All settings of {label}", yaml.safe_dump(one, sort_keys=False)) for label, one in known.items()
    )


def environment(rows: Sequence[Row], tables: Sequence[Table], command: str) -> str:
    """The command, the data, the versions, and which runs and seeds stand behind each row."""
    scored = [entry.results for row in rows for entry in row.entries if entry.results is not None]
    pairs = {"command": command}
    for table in tables:
        pairs[f"data hash, {table.title}"] = ", ".join(table.hashes)
    for package in dict.fromkeys(name for results in scored for name in results["versions"]):
        found = dict.fromkeys(str(results["versions"].get(package, "?")) for results in scored)
        pairs[package] = ", ".join(found)
    runs = [_facts_of(row.label, entry) for row in rows for entry in row.entries]
    return facts(pairs) + word_table(["net", "run", "seed", "state", "epochs"], runs)


def _facts_of(label: str, entry: Entry) -> list[str]:
    seed = "-" if entry.seed is None else str(entry.seed)
    return [label, short(entry.place), seed, entry.state, _epochs(entry)]


def _epochs(entry: Entry) -> str:
    """How many; an epoch with several validations has as many rows."""
    return str(len({row["epoch"] for row in entry.epochs}))


def _at(settings: dict[str, Any], key: str) -> str:
    """The value at ``trainer.max_epochs``; a dash where there is none."""
    value: Any = settings
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return "-"
        value = value[part]
    return str(value)
