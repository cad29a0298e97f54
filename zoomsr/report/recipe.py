"""The recipe of one report, from paths to a folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from zoomsr.cli.console import CONSOLE, say
from zoomsr.cli.progress import track
from zoomsr.figures import Figure
from zoomsr.report.charts import Drawing, charts
from zoomsr.report.checklist import write_checklist
from zoomsr.report.columns import on_screen
from zoomsr.report.entries import Entry
from zoomsr.report.groups import SeedGroup, groups_of
from zoomsr.report.images import COMPARISON, Slider, image_figures, sliders
from zoomsr.report.leaderboard import Leaderboard, leaderboards
from zoomsr.report.page import PageFigure, PageSlider, page
from zoomsr.report.place import CHECKLIST, FIGURES, IMAGES, INDEX, RESULTS, atomic_folder
from zoomsr.report.tables import write_images, write_results, write_text_tables
from zoomsr.runs.files import short, write_text

_DPI, _CSS_DPI = 150, 96
"""Of the files, and of images on the page, which can be enlarged; of a CSS inch."""
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
        if checklist:
            write_checklist(folder / CHECKLIST, groups, tables, command=command)
        undrawn = _write(folder, groups, tables, out=out.resolve(), command=command)
    for table in tables:
        CONSOLE.print(on_screen(table, width=CONSOLE.width))
    for entry in (entry for group in groups for entry in group.entries if entry.results is None):
        say({entry.state: f"{short(entry.place)}  {entry.reason}".rstrip()})
    for line in undrawn:
        say({"figure": line})
    say({"report": short(out.resolve() / INDEX), "numbers": short(out.resolve() / RESULTS)})


def _write(
    folder: Path, groups: Sequence[SeedGroup], tables: Sequence[Leaderboard], *, out: Path, command: str
) -> list[str]:
    """Write all files; return a line for each figure that could not be drawn.

    Args:
        folder: to write into; it becomes ``out``.
        groups: in the order of the leaderboard.
        tables: of their scores.
        out: the report's folder.
        command: that made the report.
    """
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
    shown = [_page_slider(one) for one in sliders(groups)]
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    text = page(groups, tables, figures, sliders=shown, undrawn=undrawn, files=files, out=out, command=command)
    write_text(folder / INDEX, text)
    return undrawn


def _page_figure(drawing: Drawing, figure: Figure, folder: Path) -> PageFigure:
    """Write a figure as PNG and SVG; the page shows the SVG of a chart, and images as WebP."""
    png, svg = folder / f"{drawing.name}.png", folder / f"{drawing.name}.svg"
    figure.savefig(png, dpi=_DPI)
    figure.savefig(svg, dpi=_DPI, metadata={"Date": None})
    width, height = (round(side * _CSS_DPI) for side in figure.get_size_inches())
    if drawing.is_chart and svg.stat().st_size <= _MAX_SVG:
        return PageFigure(drawing, _data_url(svg.read_bytes(), "svg+xml"), (width, height))
    with Image.open(png) as image:
        return PageFigure(drawing, _webp(image.convert("RGB"), lossless=False), (width, height))


def _page_slider(slider: Slider) -> PageSlider:
    pictures = {
        name: _webp(Image.fromarray((image * 255 + 0.5).astype(np.uint8)), lossless=True)
        for name, image in slider.pictures.items()
    }
    height, width = next(iter(slider.pictures.values())).shape[:2]
    return PageSlider(slider.name, pictures, (width, height))


def _webp(image: Image.Image, *, lossless: bool) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=85, lossless=lossless)
    return _data_url(file.getvalue(), "webp")


def _data_url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
