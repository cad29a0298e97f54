"""The figures of a report that show images: nets side by side, epochs, best and worst crops; and the net's drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from zoomsr.evaluation.crops import comparison_row, crop_rows, epochs_row
from zoomsr.figures import Figure, architecture, best_worst, comparison, epochs, stages
from zoomsr.pretrained.weights import Weights
from zoomsr.report.charts import Drawing, slug
from zoomsr.report.groups import SeedGroup
from zoomsr.runs.crops import Crop, Image, read_crops
from zoomsr.runs.layout import CROP_EPOCHS, CROP_JSON, GALLERY, PICTURES, best_checkpoint

COMPARISON = "comparison"

_MAX_CROPS = 3
_MAX_EPOCH_ROWS = 6
"""In all figures of epochs together, so that a report of many runs stays small."""
_MAX_ARCHITECTURES = 4
_MAX_SLIDER_NETS = 4


@dataclass(frozen=True)
class Slider:
    """A crop of which the page shows two pictures at once, under a slider between them.

    Attributes:
        name: of the photograph.
        pictures: bicubic, nets and the ground truth, by name; equally large.
    """

    name: str
    pictures: Mapping[str, Image]


def image_figures(groups: Sequence[SeedGroup]) -> Iterator[Drawing]:
    """Of the crops that the runs have kept.

    Args:
        groups: in the order of the leaderboard, the best net first.
    """
    yield from _comparison(groups)
    yield from _gallery(groups)
    yield from _epochs(groups)
    yield from _architectures(groups)


def sliders(groups: Sequence[SeedGroup]) -> list[Slider]:
    """Of the crops of the comparison: bicubic, the best nets, and the ground truth.

    Args:
        groups: in the order of the leaderboard, the best net first.
    """
    kept = dict(list(_shared(groups).items())[:_MAX_SLIDER_NETS])
    rows = zip(*kept.values(), strict=True)
    return [Slider(crops[0].name, dict(_pictures(dict(zip(kept, crops, strict=True))))) for crops in rows]


def _pictures(crops: Mapping[str, Crop]) -> Iterator[tuple[str, Image]]:
    first, *_ = crops.values()
    yield "bicubic", first.bicubic
    yield from ((label, crop.tested) for label, crop in crops.items() if crop.tested is not None)
    yield "ground truth", first.hr


def _comparison(groups: Sequence[SeedGroup]) -> Iterator[Drawing]:
    kept = _shared(groups)
    if kept:
        names = [crop.name for crop in next(iter(kept.values()))]
        yield Drawing(
            COMPARISON,
            "The same crops by every net that has kept crops; the box marks the crop, the inset where nets differ.",
            f"Crops of {', '.join(names)}: ground truth, input, bicubic, {', '.join(kept)}.",
            partial(_draw_comparison, kept),
            is_chart=False,
        )


def _shared(groups: Sequence[SeedGroup]) -> dict[str, list[Crop]]:
    """The crops that all nets with crops have upscaled, by net; each by its first seed that has any."""
    kept = {}
    for group in groups:
        scored = (entry for entry in group.entries if entry.is_run and entry.results is not None)
        found = ([crop for crop in read_crops(one.place / PICTURES) if crop.tested is not None] for one in scored)
        if crops := next(filter(None, found), []):
            kept[group.label] = {(crop.name, crop.box): crop for crop in crops}
    if not kept:
        return {}
    first, *_ = kept.values()
    shared = [key for key in first if all(_same(first[key], crops.get(key)) for crops in kept.values())][:_MAX_CROPS]
    return {label: [crops[key] for key in shared] for label, crops in kept.items()} if shared else {}


def _same(crop: Crop, other: Crop | None) -> bool:
    """Whether the images are equal too: another degradation makes another lr."""
    return other is not None and np.array_equal(crop.lr, other.lr) and np.array_equal(crop.hr, other.hr)


def _draw_comparison(kept: Mapping[str, Sequence[Crop]]) -> Figure:
    rows = []
    for crops in zip(*kept.values(), strict=True):
        tested = {label: crop.tested for label, crop in zip(kept, crops, strict=True) if crop.tested is not None}
        rows.append(comparison_row(crops[0], tested))
    return comparison(rows)


def _gallery(groups: Sequence[SeedGroup]) -> Iterator[Drawing]:
    """Of the best net that has one."""
    for group in groups:
        for entry in group.entries:
            if entry.is_run and entry.results is not None and any((entry.place / GALLERY).glob(f"*/{CROP_JSON}")):
                yield Drawing(
                    "gallery",
                    f"Crops of {group.label}: its largest gains over bicubic, and its largest errors elsewhere.",
                    f"Crops of validation images: input, bicubic, {group.label}, ground truth and absolute error.",
                    partial(_draw_gallery, entry.place, group.label),
                    is_chart=False,
                )
                return


def _draw_gallery(run: Path, label: str) -> Figure:
    gains, errors = crop_rows(run, net_name=label)
    return best_worst(gains=gains, errors=errors)


def _epochs(groups: Sequence[SeedGroup]) -> Iterator[Drawing]:
    """Of each net's first seed that has any."""
    found: dict[str, Path] = {}
    for group in groups:
        for entry in group.entries:
            if entry.is_run and any((entry.place / PICTURES).glob(f"*/{CROP_EPOCHS}")):
                found.setdefault(group.label, entry.place)
    count = max(1, min(_MAX_CROPS, _MAX_EPOCH_ROWS // max(1, len(found))))
    for label, run in list(found.items())[:_MAX_EPOCH_ROWS]:
        yield Drawing(
            f"epochs_{slug(label)}",
            f"{label}, epoch by epoch: the input, bicubic, the net's output, the ground truth, and the last error.",
            f"A crop of a validation image as {label} upscales it after its epochs, beside bicubic and ground truth.",
            partial(_draw_epochs, run, count),
            is_chart=False,
        )


def _draw_epochs(run: Path, count: int) -> Figure:
    rows = [epochs_row(crop) for crop in read_crops(run / PICTURES) if crop.epochs]
    alike = [row for row in rows if row.methods.keys() == rows[0].methods.keys()]  # the run may be training
    return epochs(alike[:count])


def _architectures(groups: Sequence[SeedGroup]) -> Iterator[Drawing]:
    """Of U-Nets; nets with the same model settings are drawn once."""
    found: dict[str, tuple[str, Path]] = {}
    for group in groups:
        for entry in group.entries:
            path = best_checkpoint(entry.place)
            if entry.is_run and path.is_file():
                found.setdefault(str(group.settings.get("model", group.label)), (group.label, path))
    for label, path in list(found.values())[:_MAX_ARCHITECTURES]:
        yield Drawing(
            f"architecture_{slug(label)}",
            f"{label}, drawn from the module itself: its stages, channels and sizes for an input of 64x64.",
            f"The levels of {label} with their channels, sizes and skip connections.",
            partial(_draw_architecture, path),
        )


def _draw_architecture(path: Path) -> Figure:
    return architecture(stages(Weights.read(path).build()))
