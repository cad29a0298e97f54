"""One self-contained page: it shows everything and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from zoomsr.report.captions import about_set, headline, notes
from zoomsr.report.charts import Drawing
from zoomsr.report.columns import DASH, columns_of, p_text
from zoomsr.report.entries import BICUBIC, Entry
from zoomsr.report.groups import SeedGroup
from zoomsr.report.leaderboard import Leaderboard
from zoomsr.report.place import GENERATOR
from zoomsr.runs.files import short
from zoomsr.runs.job import differences

_MAX_BYTES = 4_500_000
"""Of all figures on a page: it can be sent by mail, and opened on a telephone."""


@dataclass(frozen=True)
class PageFigure:
    """A drawing as the page shows it.

    Attributes:
        drawing: its name, caption and alternative text.
        source: a data URL.
        size: width and height in CSS pixels.
    """

    drawing: Drawing
    source: str
    size: tuple[int, int]


def page(
    groups: Sequence[SeedGroup],
    tables: Sequence[Leaderboard],
    figures: Sequence[PageFigure],
    *,
    undrawn: Sequence[str],
    command: str,
) -> str:
    """The whole page.

    Args:
        groups: in the order in which they are shown.
        tables: of their scores.
        figures: as many are shown as fit.
        undrawn: a line for each figure that is missing.
        command: that made the report.
    """
    environment = Environment(
        loader=PackageLoader("zoomsr.report"),
        autoescape=True,  # labels come from files and command lines
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assert environment.loader is not None
    style, script = (
        Markup(environment.loader.get_source(environment, name)[0].strip()) for name in ("page.css", "page.js")
    )
    entries = [(group.label, entry) for group in groups for entry in group.entries]
    settings = {group.label: group.settings for group in groups if group.settings}
    template = environment.get_template("page.html", globals=_FUNCTIONS)
    return template.render(
        nets=[group.label for group in groups if group.label != BICUBIC],
        generator=GENERATOR,
        tables=tables,
        entries=entries,
        unscored=[(label, entry) for label, entry in entries if entry.results is None],
        undrawn=undrawn,
        figures=_fitting(figures),
        different={
            key: [value_at(one, key) for one in settings.values()] for key in differing(list(settings.values()))
        },
        settings=settings,
        facts=_facts(
            [entry.results for _, entry in entries if entry.results is not None], tables, command, _trained_on(entries)
        ),
        style=style,
        script=script,
    )


def _hash(text: str) -> str:
    """For the Content-Security-Policy: it allows this text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _fitting(figures: Sequence[PageFigure]) -> list[tuple[PageFigure, bool]]:
    """Each figure, and whether there is room for it; otherwise the page names its file."""
    found, left = [], _MAX_BYTES
    for figure in figures:
        fits = len(figure.source) <= left
        left -= len(figure.source) if fits else 0
        found.append((figure, fits))
    return found


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of the settings that differ."""
    return list(
        dict.fromkeys(line.partition(": ")[0] for one in settings[1:] for line in differences(settings[0], one))
    )


def value_at(settings: Mapping[str, Any], key: str) -> str:
    """The value at ``trainer.max_epochs``; a dash where there is none."""
    value: Any = settings
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return DASH
        value = value[part]
    return str(value)


def _trained_on(entries: Sequence[tuple[str, Entry]]) -> dict[str, str]:
    """Of nets of other projects: what they are, and what they were trained on, as their files say."""
    found = {label: entry.about for label, entry in entries if "trained_on" in entry.about}
    return {f"net, {label}": f"{one['kind']}; trained on: {one['trained_on']}" for label, one in found.items()}


def _facts(
    results: Sequence[Mapping[str, Any]], tables: Sequence[Leaderboard], command: str, trained_on: Mapping[str, str]
) -> dict[str, str]:
    """The command, the data, the devices and the versions."""
    facts = {"command": command}
    for table in tables:
        members = [entry for entries in table.entries.values() for entry in entries]
        hashes = dict.fromkeys(entry.results["data"]["hash"] for entry in members if entry.results is not None)
        facts[f"data hash, {table.title}"] = ", ".join(hashes)
    facts |= trained_on
    devices = (one.get("device", {}).get("name", "not known") for one in results)  # older versions kept none
    facts["device"] = ", ".join(dict.fromkeys(devices))
    for package in dict.fromkeys(name for one in results for name in one["versions"]):
        facts[package] = ", ".join(dict.fromkeys(str(one["versions"].get(package, "?")) for one in results))
    return facts


_FUNCTIONS = {
    **{"headline": headline, "notes": notes, "about_set": about_set, "columns_of": columns_of, "p_text": p_text},
    **{"short": short, "as_yaml": partial(yaml.safe_dump, sort_keys=False), "hash_of": _hash},
}
"""That the template calls."""
