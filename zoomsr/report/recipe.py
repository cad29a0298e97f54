"""The recipe of one report, from paths to a folder."""

from __future__ import annotations

import base64
import contextlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from zoomsr.cli.console import CONSOLE, comparison_table, progress_bar, say
from zoomsr.figures import Figure
from zoomsr.report.charts import Drawing, charts
from zoomsr.report.columns import columns_of
from zoomsr.report.comparability import require_alike
from zoomsr.report.entries import read_entries
from zoomsr.report.groups import SeedGroup, groups_of
from zoomsr.report.images import COMPARISON, image_figures
from zoomsr.report.leaderboard import Leaderboard, leaderboards
from zoomsr.report.page import PageFigure, made_by_compare, page
from zoomsr.report.tables import write_images, write_results, write_text_tables
from zoomsr.runs.files import short, write_text

INDEX, FIGURES = "index.html", "figures"
RESULTS, IMAGES = "results.csv", "images.csv"
_OURS = {INDEX, FIGURES, RESULTS, IMAGES, "results.md", "results.tex"}
_ON_SCREEN = ("seeds", "psnr_y", "gain", "p_next_better", "ssim_y", "latency_ms")
"""Columns that fit on a terminal; the files have all."""
_PNG_DPI, _PAGE_DPI, _CSS_DPI = 150, 110, 96
"""Of the files, for print; of images on the page; of a CSS inch."""
_MAX_SVG = 300_000
"""Bytes of a chart; one with very much text is shown as WebP."""


def compare(paths: Sequence[Path], out: Path, *, mixed: bool, command: str) -> None:
    """Read runs, compare them, and write the report.

    Args:
        paths: runs, folders of runs, sweeps, evaluations.
        out: the report's folder.
        mixed: whether sets that differ, or were measured differently, may have tables of their own.
        command: that made the report, for the page.

    Raises:
        ValueError: nothing to compare, runs that cannot be compared, or an ``out`` that is no report.
    """
    require_free(out)
    entries = read_entries(paths)
    if all(entry.results is None and not entry.epochs for entry in entries):
        raise ValueError(f"no run has metrics yet: {', '.join(str(entry.place) for entry in entries)}")
    if not mixed:
        require_alike(entries)
    groups = groups_of(entries)
    tables = leaderboards(groups)
    labels = list(dict.fromkeys(row.label for table in tables for row in table.rows))
    groups.sort(key=lambda group: labels.index(group.label) if group.label in labels else len(labels))
    with atomic_folder(out) as folder:
        undrawn = _write(folder, groups, tables, command=command)
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
    with progress_bar() as progress:
        for drawing in progress.track(drawings, description="figures"):
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


def require_free(out: Path) -> None:
    """Check that ``out`` is something that a report may replace: nothing, an empty folder, or an earlier report.

    Raises:
        ValueError: it is anything else.
    """
    if not out.exists():
        return
    advice = "-o names another folder"
    if not out.is_dir():
        raise ValueError(f"{out} is a file: {advice}")
    found = {path.name for path in out.iterdir()}
    if found and not made_by_compare(out / INDEX):
        raise ValueError(f"{out} is no report of zoomsr.compare, and is not overwritten: {advice}")
    found |= {path.name for path in (out / FIGURES).glob("*") if path.suffix not in (".png", ".svg")}
    if others := sorted(found - _OURS):
        raise ValueError(f"{out} holds {others[0]}, which no report has written, and is not overwritten: {advice}")


@contextlib.contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that replaces ``out`` once all is written, and is deleted when anything fails.

    Raises:
        ValueError: ``out`` holds what no report has written.
    """
    out = out.resolve()
    require_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name[:100]}.") as place:
        new, old = Path(place, "new"), Path(place, "old")
        (new / FIGURES).mkdir(parents=True)  # new has the usual permissions, which a temporary folder lacks
        yield new
        require_free(out)  # minutes later
        if out.exists():
            out.rename(old)
        new.rename(out)
