"""The recipe of one report, from paths to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoomsr.cli.console import CONSOLE, comparison_table, progress_bar, say
from zoomsr.report.columns import columns_of
from zoomsr.report.comparability import require_alike
from zoomsr.report.drawings import charts
from zoomsr.report.entries import BICUBIC, read_entries
from zoomsr.report.folder import FIGURES, IMAGES, INDEX, LATEX, MARKDOWN, RESULTS, atomic_folder, require_free
from zoomsr.report.html import gallery
from zoomsr.report.leaderboard import Table
from zoomsr.report.page import Section, page
from zoomsr.report.pictures import COMPARISON, pictures
from zoomsr.report.rendering import render
from zoomsr.report.rows import Row, rows_of
from zoomsr.report.scores import scores
from zoomsr.report.tables import write_images, write_latex, write_markdown, write_results
from zoomsr.report.tabulation import tables_of
from zoomsr.report.trainings import environment, settings, states, unscored
from zoomsr.runs.files import short, write_text

_ON_SCREEN = ("seeds", "psnr_y", "gain", "p_next_better", "ssim_y", "latency_ms")
"""Columns that a terminal has room for; the files have all."""


def compare(paths: Sequence[Path], out: Path, *, mixed: bool, command: str) -> None:
    """Read runs, hold them against each other, and write the report.

    Args:
        paths: runs, folders of runs, sweeps, evaluations.
        out: the report's folder.
        mixed: whether other sets, and sets measured otherwise, may stand in tables of their own.
        command: that made it, to be read on the page.

    Raises:
        ValueError: nothing to compare, things that are not to be compared, or an ``out`` that is something else.
    """
    require_free(out)
    entries = read_entries(paths)
    if not any(entry.has_metrics for entry in entries):
        raise ValueError(f"no run has metrics yet: {', '.join(str(entry.place) for entry in entries)}")
    if not mixed:
        require_alike(entries)
    rows = rows_of(entries)
    tables = tables_of(rows)
    rows = _ordered(rows, tables)
    with atomic_folder(out) as folder:
        lacking = _write(folder, rows, tables, command=command)
    for table in tables:
        title = f"{table.title}, protocol {table.protocol}"
        columns = [column for column in columns_of(table) if column.name in _ON_SCREEN]
        CONSOLE.print(comparison_table(title, [one.label for one in table.standings], columns))
    for entry in unscored(rows):
        say({entry.state: f"{short(entry.place)}  {entry.reason}".rstrip()})
    for line in lacking:
        say({"figure": line})
    say({"report": short(out.resolve() / INDEX), "numbers": short(out.resolve() / RESULTS)})


def _ordered(rows: Sequence[Row], tables: Sequence[Table]) -> list[Row]:
    """As in the first table, then those that stand in no table."""
    labels = [standing.label for table in tables for standing in table.standings]
    return sorted(rows, key=lambda row: labels.index(row.label) if row.label in labels else len(labels))


def _write(folder: Path, rows: Sequence[Row], tables: Sequence[Table], *, command: str) -> list[str]:
    """Everything; the lines about figures that could not be drawn."""
    drawings = sorted([*charts(rows, tables), *pictures(rows)], key=lambda one: one.name != COMPARISON)
    with progress_bar() as progress:
        task = progress.add_task("figures", total=len(drawings))
        shown, lacking = render(drawings, folder / FIGURES, advance=lambda: progress.advance(task))
    write_results(folder / RESULTS, tables)
    write_images(folder / IMAGES, tables)
    write_markdown(folder / MARKDOWN, tables)
    write_latex(folder / LATEX, tables)
    sections = [
        Section("Scores", scores(tables)),
        Section("Not in the tables", states(rows, lacking)),
        Section("Figures", gallery(shown)),
        Section("Settings", settings(rows)),
        Section("Environment", environment(rows, tables, command)),
    ]
    nets = [row.label for row in rows if row.label != BICUBIC]
    title = " and ".join(nets) + " against bicubic" if len(nets) < 3 else f"{len(nets)} nets compared"
    footer = "Made by zoomsr.compare; the numbers are in results.csv and images.csv."
    write_text(folder / INDEX, page(title, tables=tables, sections=sections, footer=footer))
    return lacking
