"""A leaderboard as text, column by column: the same headings and digits for Markdown, LaTeX, HTML and the screen."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Table

from zoomsr.cli.console import SCORES
from zoomsr.report.leaderboard import Leaderboard
from zoomsr.report.significance import Interval

DASH = "-"
_COSTS = {
    "params": ("parameters", "{:,.0f}", 1),
    "macs": ("MACs (G)", "{:,.1f}", 1e9),
    "latency_ms": ("latency (ms)", "{:,.1f}", 1),
    "peak_mb": ("memory (MB)", "{:,.1f}", 1),
    "best_epoch": ("best epoch", "{:.1f}", 1),
    "seconds": ("training (min)", "{:,.1f}", 60),
}
"""Heading, format and unit."""
_ON_SCREEN = ("seeds", "psnr_y", "gain", "p_next_better", "ssim_y", "latency_ms")
_ON_SCREEN_WIDTH = 64
"""Of these columns, in characters, where the texts in them are wrapped; the files have all columns."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as in results.csv.
        heading: with the unit.
        values: of each row, None where there is none; a table is sorted by them.
        texts: the same to read.
        notes: an interval beside each text, or empty.
        best: rows that are set in bold.
    """

    name: str
    heading: str
    values: Sequence[float | None]
    texts: Sequence[str]
    notes: Sequence[str] = ()
    best: frozenset[int] = field(default_factory=frozenset)

    def note(self, row: int) -> str:
        """Empty where there is none."""
        return self.notes[row] if self.notes else ""


def columns_of(table: Leaderboard) -> list[Column]:
    """All columns in which at least one row has a value."""
    rows, bicubic = table.rows, table.bicubic
    gains = [None, *(net.mean["psnr_y"] - bicubic.mean["psnr_y"] for net in table.nets)]
    gain_notes = [between(table.gains.get(row.label), "{:+.2f}") for row in rows]
    p = [table.p_next_better(row) for row in rows]
    seeds, spreads = [float(row.seeds) or None for row in rows], [row.spread("psnr_y") for row in rows]
    scores = {}
    for name, (heading, form, choose) in SCORES.items():
        values = [row.mean[name] for row in rows]
        best = frozenset(number for number, value in enumerate(values) if value == choose(values))
        notes = [between(row.interval, form) for row in rows] if name == "psnr_y" else ()
        scores[name] = Column(name, heading, values, _texts(values, form), notes, best)
    columns = [
        Column("seeds", "seeds", seeds, _texts(seeds, "{:.0f}")),
        scores.pop("psnr_y"),
        Column("gain", "gain (dB)", gains, _texts(gains, "{:+.2f}"), gain_notes),
        Column("p_next_better", "p, next better", p, [DASH if value is None else p_text(value) for value in p]),
        Column("psnr_y_sd", "SD over seeds (dB)", spreads, _texts(spreads, "{:.3f}")),
        *scores.values(),
    ]
    for name, (heading, form, unit) in _COSTS.items():
        costs = [row.costs.get(name) for row in rows]
        texts = _texts([None if cost is None else cost / unit for cost in costs], form)
        if name == "best_epoch":
            texts = [text.removesuffix(".0") for text in texts]
        columns.append(Column(name, heading, costs, texts))
    return [column for column in columns if any(value is not None for value in column.values)]


def on_screen(table: Leaderboard, *, width: int) -> Table:
    """The main columns for a terminal, which may be 80 characters wide.

    Args:
        table: the leaderboard.
        width: of the terminal, in characters.
    """
    shown = Table(title=escape(f"{table.title}, protocol {table.protocol}"), title_justify="left")
    shown.add_column("", no_wrap=True)
    columns = [column for column in columns_of(table) if column.name in _ON_SCREEN]
    for column in columns:
        shown.add_column(column.heading, justify="right")
    for number, row in enumerate(table.rows):
        cells = [f"[bold]{one.texts[number]}[/]" if number in one.best else one.texts[number] for one in columns]
        notes = [f"\n[dim]{one.note(number)}[/]" if one.note(number) else "" for one in columns]
        label = textwrap.fill(row.label, max(16, width - _ON_SCREEN_WIDTH), break_on_hyphens=False)
        shown.add_row(escape(label), *(cell + note for cell, note in zip(cells, notes, strict=True)))
    return shown


def p_text(value: float) -> str:
    """Two digits, or that it is below a thousandth."""
    return "<0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1"


def between(found: Interval | None, form: str) -> str:
    """``30.12 to 31.45``; empty where there is no interval."""
    return "" if found is None else " to ".join(form.format(value) for value in found)


def _texts(values: Sequence[float | None], form: str) -> list[str]:
    return [DASH if value is None else form.format(value) for value in values]
