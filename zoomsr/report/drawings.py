"""Which figures a report has: what its runs have kept is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from zoomsr.figures import Cost, Figure, curves, dots, spectrum, tradeoff
from zoomsr.report.entries import BICUBIC, Entry
from zoomsr.report.leaderboard import Standing, Table
from zoomsr.report.rows import Row

_LINES = 8
"""Nets of which a spectrum can be read."""


@dataclass(frozen=True)
class Drawing:
    """A figure that is still to be drawn.

    Attributes:
        name: of its files.
        caption: what it shows, and how to read it.
        alt: what it says to somebody who does not see it.
        draw: makes it.
        is_chart: lines and text, which scale; otherwise it is made of photographs.
    """

    name: str
    caption: str
    alt: str
    draw: Callable[[], Figure]
    is_chart: bool = True


def charts(rows: Sequence[Row], tables: Sequence[Table]) -> list[Drawing]:
    """Curves of all runs, then of each set what its table allows."""
    firsts = {table.title: table for table in reversed(tables)}  # the first protocol of each set
    drawn: list[Drawing] = []
    for title in dict.fromkeys(table.title for table in tables):
        suffix = "" if len(firsts) == 1 else f"_{slug(title)}"
        drawn += _of_table(firsts[title], suffix)
    return [*_curves(rows, tables), *drawn]


def slug(text: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.")[:60] or "net"


def _of_table(table: Table, suffix: str) -> Iterator[Drawing]:
    where = f"{table.title}, protocol {table.protocol}"
    costs = {net.label: cost for net in table.standings if (cost := _cost(net)) is not None}
    if len(costs) > 1:
        yield _tradeoff(costs, where=where, suffix=suffix)
    if any(net.seeds > 1 for net in table.nets):
        yield _dots(table, where=where, suffix=suffix)
    bands = {net.label: found for net in table.standings[: _LINES + 1] if (found := _bands(net.mean))}
    if bands:
        yield _spectrum(table, bands, where=where, suffix=suffix)


def _tradeoff(costs: Mapping[str, Cost], *, where: str, suffix: str) -> Drawing:
    texts = {label: f"{cost.psnr_y:.2f} dB in {cost.latency_ms:.1f} ms" for label, cost in costs.items()}
    return Drawing(
        f"tradeoff{suffix}",
        f"Quality against time on {where}. Up and to the left is better; a larger marker has more parameters.",
        f"PSNR on Y against latency: {_listed(texts)}.",
        partial(tradeoff, costs),
    )


def _dots(table: Table, *, where: str, suffix: str) -> Drawing:
    values = {net.label: net.psnr_by_seed() for net in table.nets}
    texts = {label: _numbers(found, "{:.2f}") for label, found in values.items()}
    return Drawing(
        f"dots{suffix}",
        f"Every seed by itself on {where}: a dot is the mean over pictures, the tick the mean of the dots.",
        f"PSNR on Y of every seed, in dB: {_listed(texts)}.",
        partial(dots, values, axis="PSNR on Y (dB)", baseline=table.standings[0].mean["psnr_y"]),
    )


def _spectrum(table: Table, bands: Mapping[str, Sequence[float]], *, where: str, suffix: str) -> Drawing:
    texts = {label: _numbers(found, "{:.1f}") for label, found in bands.items()}
    left_out = f" Of {len(table.nets)} nets the {_LINES} best are drawn." if len(table.nets) > _LINES else ""
    return Drawing(
        f"spectrum{suffix}",
        f"Error by spatial frequency on {where}; less is better. Above 1/{2 * table.test.scale} cycles per pixel "
        f"lies what the small picture cannot hold, so that a net has to guess.{left_out}",
        f"Error over truth in bands of rising frequency, in dB: {_listed(texts)}.",
        partial(spectrum, bands),
    )


def _curves(rows: Sequence[Row], tables: Sequence[Table]) -> Iterator[Drawing]:
    """One figure for all that were measured alike; runs without scores go with them where there is but one such set."""
    titles = dict.fromkeys(table.title for table in tables)
    courses: dict[str, dict[str, list[Entry]]] = {}
    for row in rows:
        for entry in row.entries:
            if entry.epochs:
                own = _title(entry, tables) or (next(iter(titles)) if len(titles) == 1 else "")
                courses.setdefault(own, {}).setdefault(row.label, []).append(entry)
    for title, found in courses.items():
        suffix = "" if len(courses) == 1 else f"_{slug(title or 'unfinished')}"
        baseline = _baseline(title, found, tables)
        best = {label: _best(entries) for label, entries in found.items()}
        histories = {label: [one.epochs for one in entries] for label, entries in found.items()}
        yield Drawing(
            f"curves{suffix}",
            f"MAE and PSNR on Y by epoch{f', {title}' if title else ''}: training dashed, held-out solid; a star marks "
            "the best held-out epoch, a band runs from the lowest to the highest seed.",
            f"Best held-out PSNR on Y: {_listed({label: text for label, text in best.items() if text})}.",
            partial(curves, histories, baseline=baseline),
        )


def _title(entry: Entry, tables: Sequence[Table]) -> str:
    """Of the table that the entry's scores stand in; empty for one without."""
    for table in tables:
        if entry.results is not None and table.test.name in entry.results["sets"]:
            images = entry.results["sets"][table.test.name][BICUBIC].get(table.protocol, {}).get("images")
            if images is table.test.bicubic[table.protocol] or images == table.test.bicubic[table.protocol]:
                return table.title
    return ""


def _baseline(title: str, found: Mapping[str, list[Entry]], tables: Sequence[Table]) -> dict[str, float] | None:
    """Bicubic's, where whole photographs are measured after an epoch; of areas within them it is not known."""
    settings = [entry.settings.get("data") or {} for entries in found.values() for entry in entries]
    if not title or any("val_patch" not in data or data["val_patch"] is not None for data in settings):
        return None
    return next(table.standings[0].mean for table in tables if table.title == title)


def _best(entries: Sequence[Entry]) -> str:
    values = [row["val/psnr_y"] for entry in entries for row in entry.epochs if "val/psnr_y" in row]
    known = [value for value in values if math.isfinite(value)]
    return f"{max(known):.2f} dB" if known else ""


def _cost(net: Standing) -> Cost | None:
    latency, params = net.costs.get("latency_ms"), net.costs.get("params")
    if not latency or params is None:
        return None
    return Cost(net.mean["psnr_y"], latency_ms=latency, params=int(params))


def _bands(means: Mapping[str, float]) -> list[float]:
    names = sorted((name for name in means if name.startswith("error_band_")), key=lambda name: int(name[11:]))
    return [means[name] for name in names]


def _numbers(values: Sequence[float], form: str) -> str:
    return ", ".join(form.format(value) for value in values)


def _listed(texts: Mapping[str, str]) -> str:
    return "; ".join(f"{label} {text}" for label, text in texts.items())
