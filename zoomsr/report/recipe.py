"""The recipe of one report, from paths to a folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from zoomsr.cli.console import CONSOLE, comparison_table, say
from zoomsr.cli.progress import track
from zoomsr.figures import Figure
from zoomsr.report.charts import Drawing, charts
from zoomsr.report.checklist import write_checklist
from zoomsr.report.columns import columns_of
from zoomsr.report.entries import Entry
from zoomsr.report.groups import SeedGroup, groups_of
from zoomsr.report.images import COMPARISON, image_figures
from zoomsr.report.leaderboard import Leaderboard, leaderboards
from zoomsr.report.page import PageFigure, page
from zoomsr.report.place import CHECKLIST, FIGURES, IMAGES, INDEX, RESULTS, atomic_folder
from zoomsr.report.tables import write_images, write_results, write_text_tables
from zoomsr.runs.files import short, write_text

_ON_SCREEN = ("seeds", "psnr_y", "gain", "p_next_better", "ssim_y", "latency_ms")
"""Columns that fit on a terminal; the files have all."""
_PNG_DPI, _PAGE_DPI, _CSS_DPI = 150, 110, 96
"""Of the files, for print; of images on the page; of a CSS inch."""
_MAX_SVG = 300_000
"""Bytes of a chart; one with very much text is shown as WebP."""


def compare(entries: Sequence[Entry], out: Path, *, command: str, checklist: bool = False) -> None:
    """Compare the nets of runs, and write the report.

    Args:
        entries: see ``zoomsr.report.comparability.read_comparable``.
        out: the report's folder.
        command: that made the report, for the page.
        checklist: whether to write ``checklist.md`` too.

    Raises:
        ValueError: an ``out`` that is no report.
    """
    groups = groups_of(entries)
    tables = leaderboards(groups)
    labels = list(dict.fromkeys(row.label for table in tables for row in table.rows))
    groups.sort(key=lambda group: labels.index(group.label) if group.label in labels else len(labels))
    with atomic_folder(out) as folder:
        undrawn = _write(folder, groups, tables, command=command)
        if checklist:
            write_checklist(folder / CHECKLIST, groups, tables, command=command)
    for table in tables:
        columns = [column for column in columns_of(table) if column.name in _ON_SCREEN]
        title = f"{table.title}, protocol {table.protocol}"
        CONSOLE.print(comparison_table(title, [row.label for row in table.rows], columns))
    for entry in (entry for group in groups for entry in group.entries if entry.results is None):
        say({entry.state: f"{short(entry.place)}  {entry.reason}".rstrip()})
    for line in undrawn:
        say({"figure": line})
    say({"report": short(out.resolve() / INDEX), "numbers": short(out.resolve() / RESULTS)})


def _write(folder: Path, groups: Sequence[SeedGroup], tables: Sequence[Leaderboard], *, command: str) -> list[str]:
    """Write all files; return a line for each figure that could not be drawn."""
    drawings = sorted([*charts(groups, tables), *image_figures(groups)], key=lambda one: one.name != COMPARISON)
    figures, undrawn = [], []
    for drawing in track(drawings, "figures"):
        try:
            figure = drawing.draw()
        except ValueError as error:  # a file of its run is damaged; the numbers do not depend on it
            undrawn.append(f"{drawing.name} is missing: {' '.join(str(error).split())}")
        else:
            figures.append(_page_figure(drawing, figure, folder / FIGURES))
    write_results(folder / RESULTS, tables)
    write_images(folder / IMAGES, tables)
    write_text_tables(folder, tables)
    write_text(folder / INDEX, page(groups, tables, figures, undrawn=undrawn, command=command))
    return undrawn


def _page_figure(drawing: Drawing, figure: Figure, folder: Path) -> PageFigure:
    """Write a figure as PNG and SVG; the page shows the SVG of a chart, and a smaller WebP of images."""
    png, svg = folder / f"{drawing.name}.png", folder / f"{drawing.name}.svg"
    figure.savefig(png, dpi=_PNG_DPI)
    figure.savefig(svg, dpi=_PAGE_DPI, metadata={"Date": None})
    data, kind = svg.read_bytes(), "svg+xml"
    if not drawing.is_chart or len(data) > _MAX_SVG:
        file, kind = io.BytesIO(), "webp"
        with Image.open(png) as image:
            width, height = (round(side * _PAGE_DPI / _PNG_DPI) for side in image.size)
            image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(file, "WEBP", quality=85)
        data = file.getvalue()
    width, height = (round(side * _CSS_DPI) for side in figure.get_size_inches())
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return PageFigure(drawing, source, (width, height))
