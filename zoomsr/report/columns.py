"""A score table as text, column by column: one set of words for Markdown, LaTeX, HTML and the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from zoomsr.report.leaderboard import Standing, Table
from zoomsr.report.significance import Interval

DASH = "-"

_SCORES = {
    "psnr_y": ("PSNR Y (dB)", "{:.2f}", max),
    "psnr_rgb": ("PSNR RGB (dB)", "{:.2f}", max),
    "ssim_y": ("SSIM Y", "{:.4f}", max),
    "ssim_rgb": ("SSIM RGB", "{:.4f}", max),
    "mae": ("MAE", "{:.4f}", min),
}
_COSTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "params": ("parameters", lambda value: f"{value:,.0f}"),
    "macs": ("MACs (G)", lambda value: f"{value / 1e9:,.1f}"),
    "latency_ms": ("latency (ms)", lambda value: f"{value:,.1f}"),
    "peak_mb": ("memory (MB)", lambda value: f"{value:,.1f}"),
    "best_epoch": ("best epoch", lambda value: f"{value:.1f}".removesuffix(".0")),
    "seconds": ("training (min)", lambda value: f"{value / 60:,.1f}"),
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as in results.csv.
        heading: with the unit.
        values: of each row, None where there is none; what a table is sorted by.
        texts: the same to read.
        notes: smaller, beside it: an interval.
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


def columns_of(table: Table) -> list[Column]:
    """All columns of which at least one row knows something."""
    rows = table.standings
    psnr, *scores = (_score(name, rows) for name in _SCORES)
    columns = [
        _plain("seeds", "seeds", [float(row.seeds) or None for row in rows], "{:.0f}"),
        _noted(psnr, [table.intervals[row.label] for row in rows], "{:.2f}"),
        _gain(table),
        _p(table),
        _plain("psnr_y_sd", "SD over seeds (dB)", [row.spread for row in rows], "{:.3f}"),
        *scores,
    ]
    for name, (heading, shown) in _COSTS.items():
        values = [row.costs.get(name) for row in rows]
        columns.append(Column(name, heading, values, [DASH if v is None else shown(v) for v in values]))
    return [column for column in columns if any(value is not None for value in column.values)]


def p_text(value: float) -> str:
    """Two digits; below a thousandth it is only said that it is."""
    return "<0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1"


def between(found: Interval | None, form: str) -> str:
    """``30.12 to 31.45``; empty where there is no interval."""
    return "" if found is None else " to ".join(form.format(value) for value in found)


def _score(name: str, rows: Sequence[Standing]) -> Column:
    heading, form, choose = _SCORES[name]
    values = [row.mean[name] for row in rows]
    best = frozenset(number for number, value in enumerate(values) if value == choose(values))
    return Column(name, heading, values, [form.format(value) for value in values], best=best)


def _gain(table: Table) -> Column:
    bicubic, *nets = table.standings
    values = [None, *(net.mean["psnr_y"] - bicubic.mean["psnr_y"] for net in nets)]
    column = _plain("gain", "gain (dB)", values, "{:+.2f}")
    return _noted(column, [None, *(table.gains[net.label] for net in nets)], "{:+.2f}")


def _p(table: Table) -> Column:
    values, notes = [], []
    for row in table.standings:
        above = table.better(row)
        values.append(None if above is None else table.p_values.get((above.label, row.label)))
        notes.append("" if above is None else above.label)
    texts = [DASH if value is None else p_text(value) for value in values]
    return Column("p_next_better", "p, next better", values, texts)


def _plain(name: str, heading: str, values: Sequence[float | None], form: str) -> Column:
    return Column(name, heading, values, [DASH if value is None else form.format(value) for value in values])


def _noted(column: Column, intervals: Sequence[Interval | None], form: str) -> Column:
    notes = [between(found, form) for found in intervals]
    return Column(column.name, column.heading, column.values, column.texts, notes, column.best)
