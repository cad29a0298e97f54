"""The charts of a report: what its runs and leaderboards allow."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from zoomsr.figures import Cost, Figure, curves, dots, matrix, spectrum, tradeoff
from zoomsr.report.entries import Entry
from zoomsr.report.groups import SeedGroup
from zoomsr.report.leaderboard import Leaderboard

_MAX_SPECTRA = 8
"""Nets in a spectrum that can still be read."""


@dataclass(frozen=True)
class Drawing:
    """A figure that is still to be drawn.

    Attributes:
        name: of its files.
        caption: what it shows, and how to read it.
        alt: its content for a reader who cannot see it.
        draw: makes it.
        is_chart: lines and text, which scale; otherwise it shows images.
    """

    name: str
    caption: str
    alt: str
    draw: Callable[[], Figure]
    is_chart: bool = True


def charts(groups: Sequence[SeedGroup], tables: Sequence[Leaderboard]) -> Iterator[Drawing]:
    """Curves of all runs; the charts of each set under its first protocol; a matrix of each set's degradations."""
    yield from _curves(groups, tables)
    firsts = list({table.title: table for table in reversed(tables)}.values())[::-1]
    for table in firsts:
        yield from _of_table(table, "" if len(firsts) == 1 else f"_{slug(table.title)}")
    by_set: dict[tuple[str, str], list[Leaderboard]] = {}
    for table in firsts:
        by_set.setdefault((table.measured.name, table.protocol), []).append(table)
    yield from (_matrix(same) for same in by_set.values() if len({one.measured.degradation for one in same}) > 1)


def slug(text: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.")[:60] or "net"


def _of_table(table: Leaderboard, suffix: str) -> Iterator[Drawing]:
    where = f"{table.title}, protocol {table.protocol}"
    costs = {
        row.label: Cost(row.mean["psnr_y"], latency_ms=row.costs["latency_ms"], params=int(row.costs["params"]))
        for row in table.rows
        if row.costs.get("latency_ms") and "params" in row.costs
    }
    if len(costs) > 1:
        pairs = {label: (cost.psnr_y, cost.latency_ms) for label, cost in costs.items()}
        yield Drawing(
            f"tradeoff{suffix}",
            f"Quality against time on {where}. Up and to the left is better; a larger marker has more parameters.",
            f"PSNR on Y in dB and latency in ms: {_listed(pairs)}.",
            partial(tradeoff, costs),
        )
    if len(table.nets) > 2 or any(net.seeds > 1 for net in table.nets):
        seeds = {net.label: net.means_by_seed("psnr_y") for net in table.nets}
        yield Drawing(
            f"dots{suffix}",
            f"Every seed by itself on {where}: a dot is the mean over images, the tick the mean of the dots.",
            f"PSNR on Y of every seed, in dB: {_listed(seeds)}.",
            partial(dots, seeds, axis=f"{table.measured.name}, PSNR on Y (dB)", baseline=table.bicubic.mean["psnr_y"]),
        )
    bands = {
        row.label: [value for name, value in row.mean.items() if name.startswith("error_band_")]
        for row in table.rows[: _MAX_SPECTRA + 1]
    }
    bands = {label: values for label, values in bands.items() if values}  # older runs lack them
    if bands:
        count = len(table.nets)
        left_out = f" The {_MAX_SPECTRA} best of {count} nets are drawn." if count > _MAX_SPECTRA else ""
        yield Drawing(
            f"spectrum{suffix}",
            f"Error by spatial frequency on {where}; less is better. lr holds no frequency above "
            f"1/{2 * table.measured.scale} cycles per pixel: there a net has to guess.{left_out}",
            f"Error over ground truth in bands of rising frequency, in dB: {_listed(bands)}.",
            partial(spectrum, bands),
        )


def _matrix(tables: Sequence[Leaderboard]) -> Drawing:
    """Nets by degradation; a cell is empty where a net was not measured on one."""
    name, protocol = tables[0].measured.name, tables[0].protocol
    columns = [table.measured.degradation for table in tables]
    short = [name.partition("(")[0] for name in columns]
    columns = short if len(set(short)) == len(columns) else columns
    rows = list(dict.fromkeys(row.label for table in tables for row in table.rows))
    values = [
        [next((row.mean["psnr_y"] for row in table.rows if row.label == label), math.nan) for table in tables]
        for label in rows
    ]
    axis = f"{name}, PSNR on Y (dB)"
    return Drawing(
        f"matrix_{slug(name)}",
        f"PSNR on Y (dB) of each net by the degradation that made lr, on {name}, protocol {protocol}.",
        f"On {', '.join(columns)}, in dB: {_listed(dict(zip(rows, values, strict=True)))}.",
        partial(matrix, values, rows=rows, columns=columns, axis=axis, row_title="net", column_title="degradation"),
    )


def _curves(groups: Sequence[SeedGroup], tables: Sequence[Leaderboard]) -> Iterator[Drawing]:
    """One figure for all that were measured alike; with it runs without scores, where there is one such set only."""
    titles = list(dict.fromkeys(table.title for table in tables))
    found: dict[str, dict[str, list[Entry]]] = {}
    for group in groups:
        for entry in group.entries:
            if entry.epochs:
                own = [table.title for table in tables if entry in table.entries.get(group.label, ())]
                title = own[0] if own else titles[0] if len(titles) == 1 else ""
                found.setdefault(title, {}).setdefault(group.label, []).append(entry)
    for title, nets in found.items():
        best = {label: _best_psnr(entries) for label, entries in nets.items()}
        histories = {label: [one.epochs for one in entries] for label, entries in nets.items()}
        yield Drawing(
            "curves" if len(found) == 1 else f"curves_{slug(title or 'unfinished')}",
            f"MAE and PSNR on Y by epoch{f', {title}' if title else ''}: training dashed, validation solid; a star "
            "marks the best epoch of the validation, a band runs from the lowest to the highest seed.",
            f"Best validation PSNR on Y, in dB: {_listed(best)}.",
            partial(curves, histories, baseline=_baseline(title, nets, tables)),
        )


def _baseline(title: str, nets: Mapping[str, list[Entry]], tables: Sequence[Leaderboard]) -> Mapping[str, float] | None:
    """Bicubic's means, where whole images are validated; for crops of them they are not known."""
    settings = [entry.settings.get("data") or {} for entries in nets.values() for entry in entries]
    if not title or any("val_patch" not in data or data["val_patch"] is not None for data in settings):
        return None
    return next(table.bicubic.mean for table in tables if table.title == title)


def _best_psnr(entries: Sequence[Entry]) -> list[float]:
    values = (row.get("val/psnr_y", math.nan) for entry in entries for row in entry.epochs)
    return sorted(filter(math.isfinite, values))[-1:]


def _listed(values: Mapping[str, Sequence[float]]) -> str:
    return "; ".join(f"{label} {', '.join(f'{one:.2f}' for one in row)}" for label, row in values.items() if row)
