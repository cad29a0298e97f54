"""Figures made of photographs: nets side by side, epoch by epoch, good results and difficulties; and a net drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from zoomsr.evaluation.crops import comparison_row, crop_rows, epochs_row
from zoomsr.figures import Figure, architecture, best_worst, comparison, epochs
from zoomsr.pretrained.weights import Weights
from zoomsr.report.anatomy import stages
from zoomsr.report.drawings import Drawing, slug
from zoomsr.report.entries import Entry
from zoomsr.report.rows import Row
from zoomsr.runs.crops import Crop, read_crops
from zoomsr.runs.layout import CROP_EPOCHS, CROP_JSON, GALLERY, PICTURES, best_checkpoint

COMPARISON = "comparison"

_AREAS = 3
_STRIPS = 6
"""Rows of pictures of all strips of epochs together, so that many runs do not make a report heavy and slow."""
_NETS = 4
"""That are drawn."""
_UNETS = ("zoomsr.models.unet.UNet", "zoomsr.models.residual_unet.ResidualUNet")


def pictures(rows: Sequence[Row]) -> list[Drawing]:
    """What the runs have kept, the best net first.

    Args:
        rows: in the order of the table.
    """
    return [*_comparison(rows), *_gallery(rows), *_epochs(rows), *_architectures(rows)]


def _comparison(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Of the areas that every net with pictures has enlarged."""
    kept = {row.label: {_key(area): area for area in _tested(row)} for row in rows}
    kept = {label: areas for label, areas in kept.items() if areas}
    if not kept:
        return
    first, *_ = kept.values()
    shared = [key for key in first if all(_same(first[key], areas.get(key)) for areas in kept.values())][:_AREAS]
    if shared:
        names = ", ".join(first[key].name for key in shared)
        chosen = {label: [areas[key] for key in shared] for label, areas in kept.items()}
        yield Drawing(
            COMPARISON,
            "The same areas by every net that has kept pictures; the box marks the area, the inset where nets differ.",
            f"Areas of {names}: the truth, the input, bicubic, {', '.join(kept)}.",
            partial(_compare, chosen),
            is_chart=False,
        )


def _compare(chosen: Mapping[str, Sequence[Crop]]) -> Figure:
    rows = []
    for areas in zip(*chosen.values(), strict=True):
        tested = {label: area.tested for label, area in zip(chosen, areas, strict=True) if area.tested is not None}
        rows.append(comparison_row(areas[0], tested))
    return comparison(rows)


def _gallery(rows: Sequence[Row]) -> Iterator[Drawing]:
    for row in rows:
        for entry in row.entries:
            if entry.is_run and entry.is_scored and any((entry.place / GALLERY).glob(f"*/{CROP_JSON}")):
                yield Drawing(
                    "gallery",
                    f"Good results and difficulties of {row.label}: its largest gains over bicubic and largest errors.",
                    f"Areas of held-out photographs: input, bicubic, {row.label}, truth and absolute error.",
                    partial(_draw_gallery, entry.place, row.label),
                    is_chart=False,
                )
                return


def _draw_gallery(run: Path, label: str) -> Figure:
    gains, errors = crop_rows(run, net_name=label)
    return best_worst(gains=gains, errors=errors)


def _epochs(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Of the first seed of each net."""
    found = {row.label: run for row in rows if (run := _with_epochs(row)) is not None}
    count = max(1, min(_AREAS, _STRIPS // max(1, len(found))))
    for label, run in list(found.items())[:_STRIPS]:
        yield Drawing(
            f"epochs_{slug(label)}",
            f"{label}, epoch by epoch: the input, bicubic, what the net makes of it, the truth, and the last error.",
            f"An area of a held-out photograph as {label} enlarges it after its epochs, beside bicubic and the truth.",
            partial(_draw_epochs, run, count),
            is_chart=False,
        )


def _draw_epochs(run: Path, count: int) -> Figure:
    rows = [epochs_row(area) for area in read_crops(run / PICTURES) if area.epochs]
    alike = [row for row in rows if row.methods.keys() == rows[0].methods.keys()]  # it may be training just now
    return epochs(alike[:count])


def _architectures(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Of U-Nets, whose stages are worth a drawing; nets that are made in the same way are drawn once."""
    found = {
        str(row.settings.get("model", row.label)): (row, path) for row in reversed(rows) if (path := _checkpoint(row))
    }
    for row, path in list(reversed(found.values()))[:_NETS]:
        yield Drawing(
            f"architecture_{slug(row.label)}",
            f"{row.label}, drawn from the module itself: its stages, channels and sizes for an input of 64x64.",
            f"The levels of {row.label} with their channels, sizes and skip connections.",
            partial(_draw_architecture, path),
        )


def _draw_architecture(path: Path) -> Figure:
    return architecture(stages(Weights.read(path).build()))


def _checkpoint(row: Row) -> Path | None:
    for entry in row.entries:
        path = best_checkpoint(entry.place)
        made = (entry.about.get("config") or entry.settings.get("model") or {}).get("_target_")
        if entry.is_run and made in _UNETS and path.is_file():
            return path
    return None


def _with_epochs(row: Row) -> Path | None:
    for entry in row.entries:
        if entry.is_run and any((entry.place / PICTURES).glob(f"*/{CROP_EPOCHS}")):
            return entry.place
    return None


def _tested(row: Row) -> list[Crop]:
    """Of the first seed that has any."""
    for entry in row.entries:
        areas = [area for area in _areas(entry) if area.tested is not None]
        if areas:
            return areas
    return []


def _areas(entry: Entry) -> list[Crop]:
    return read_crops(entry.place / PICTURES) if entry.is_run and entry.is_scored else []


def _key(area: Crop) -> tuple[str, tuple[int, int, int, int]]:
    return area.name, area.box


def _same(area: Crop, other: Crop | None) -> bool:
    """Also shrunk in the same way."""
    return other is not None and all(
        mine.shape == theirs.shape and bool(np.array_equal(mine, theirs))
        for mine, theirs in ((area.lr, other.lr), (area.hr, other.hr))
    )
