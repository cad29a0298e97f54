"""Sentences beside the numbers, the same in Markdown, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoomsr.report.columns import between
from zoomsr.report.leaderboard import Leaderboard
from zoomsr.report.significance import MIN_IMAGES, RESAMPLES

_ENOUGH = 8
"""Images, of which p can be below 0.01."""


def about_set(table: Leaderboard) -> str:
    """What was measured: images, scale, degradation, and which published set this is."""
    count, scale = len(table.bicubic.images), table.measured.scale
    size = f"upscaled by {scale}" if scale > 1 else "at their own size"
    verdict = f" Recognised by its pixels: {table.measured.recognised}." if table.measured.recognised else ""
    return f"{count} image{'s' if count > 1 else ''}, {size}; lr made by {table.measured.degradation}.{verdict}"


def notes(tables: Sequence[Leaderboard]) -> list[str]:
    """What the numbers are: a sentence about each protocol, then about intervals and tests; none without tables."""
    flags = {table.protocol: table.measured.protocols[table.protocol] for table in reversed(tables)}
    names = dict.fromkeys(table.protocol for table in tables)
    return [*(_about_protocol(name, flags[name]) for name in names), *([about_tests(tables)] if tables else [])]


def about_tests(tables: Sequence[Leaderboard]) -> str:
    """How certain the numbers are."""
    counts = sorted(len(table.bicubic.images) for table in tables)
    if counts[-1] < MIN_IMAGES:
        return f"Sets of fewer than {MIN_IMAGES} images have neither intervals nor tests."
    text = (
        f"A range is the 95 % interval of a mean over images, by bootstrap (BCa, {RESAMPLES} resamples); that of the "
        "gain over bicubic is paired, image by image. Scores of several seeds are averaged for each image first. "
        "p: Wilcoxon's signed-rank test over images against the next better net, two-sided, corrected by Holm for "
        "all pairs of the table."
    )
    few = next((count for count in counts if MIN_IMAGES <= count < _ENOUGH), None)
    return text if few is None else f"{text} Of {few} images p cannot be below {2 / 2**few:.2g}, even uncorrected."


def headline(tables: Sequence[Leaderboard]) -> str:
    """The result in one sentence."""
    if not tables:
        return "No run is finished yet: there are curves, and no scores."
    table = tables[0]
    if not table.nets:
        return f"Bicubic alone, on {table.title}."
    best = table.nets[0]
    psnr = best.mean["psnr_y"]
    gain, interval = psnr - table.bicubic.mean["psnr_y"], between(table.gains[best.label], "{:+.2f}")
    best_of = f"{best.label} is the best net on {table.title}:"
    if gain <= 0:
        best_of = f"No net beats bicubic on {table.title} yet; the best is {best.label}:"
    return (
        f"{best_of} {psnr:.2f} dB PSNR on Y, "
        f"{gain:+.2f} dB {'over' if gain > 0 else 'against'} bicubic"
        f"{f' (95 % interval {interval})' if interval else ''}, protocol {table.protocol}."
    )


def _about_protocol(name: str, flags: Mapping[str, Any]) -> str:
    given = "an 8-bit lr" if flags.get("lr_8bit") else "an lr of floats, never rounded (of Y, for a net on luma)"
    luma = "rounded to whole grey levels" if flags.get("luma_8bit") else "not rounded"
    return (
        f"Protocol {name}: the net is given {given}; as many pixels as the scale are shaved off every side; Y (BT.601) "
        f"is {luma} before it is measured, RGB is in whole grey levels. PSNR is the mean over images of each one's, "
        "and identical images count 100 dB. MAE is on [0, 1]."
    )
