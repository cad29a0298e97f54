"""Sentences that go with the numbers, whatever they are written in."""

from __future__ import annotations

from collections.abc import Sequence

from zoomsr.report.columns import between
from zoomsr.report.leaderboard import Table
from zoomsr.report.significance import FEWEST, RESAMPLES

_ENOUGH = 8
"""Pictures, of which p can be below 0.01."""


def about_test(table: Table) -> str:
    """What was measured: pictures, degradation, scale."""
    count = len(table.test.bicubic[table.protocol])
    pictures = f"{count} picture{'s' if count > 1 else ''}"
    size = f"enlarged {table.test.scale} times" if table.test.scale > 1 else "at their own size"
    return f"{pictures}, {size}; lr made by {table.test.degradation}."


def about_protocol(tables: Sequence[Table], name: str) -> str:
    """A protocol in words."""
    flags = next(table.test.protocols[name] for table in tables if table.protocol == name)
    given = "an 8-bit lr" if flags.get("lr_8bit") else "an lr of floats, never rounded (of Y, for a net on luma)"
    luma = "rounded to whole grey levels" if flags.get("luma_8bit") else "not rounded"
    return (
        f"Protocol {name}: the net is given {given}; as many pixels as the scale are shaved off every side; Y (BT.601) "
        f"is {luma} before it is measured, RGB is in whole grey levels. PSNR is the mean over pictures of each one's, "
        "and identical pictures count 100 dB. MAE is on [0, 1]."
    )


def about_tests(tables: Sequence[Table]) -> str:
    """How sure the numbers are, in words."""
    counts = sorted(len(table.test.bicubic[table.protocol]) for table in tables)
    if counts[-1] < FEWEST:
        return f"Sets of fewer than {FEWEST} pictures have neither intervals nor tests."
    text = (
        f"A range is the 95 % interval of a mean over pictures, by bootstrap (BCa, {RESAMPLES} resamples); that of the "
        "gain over bicubic is paired, picture by picture. Scores of several seeds are averaged for each picture first. "
        "p: Wilcoxon's signed-rank test over pictures against the next better net, two-sided, corrected by Holm for "
        "all pairs of the table."
    )
    few = next((count for count in counts if FEWEST <= count < _ENOUGH), None)
    return text if few is None else f"{text} Of {few} pictures p cannot be below {2 / 2**few:.2g}, even uncorrected."


def headline(tables: Sequence[Table]) -> str:
    """The result in one sentence."""
    if not tables:
        return "No run is finished yet: there are curves, and no scores."
    table = tables[0]
    if not table.nets:
        return f"Bicubic alone, on {table.title}."
    best, bicubic = table.nets[0], table.standings[0]
    gain = best.mean["psnr_y"] - bicubic.mean["psnr_y"]
    sure = between(table.gains[best.label], "{:+.2f}")
    what = f"{gain:+.2f} dB {'over' if gain >= 0 else 'against'} bicubic"
    return (
        f"{best.label} is the best net on {table.title}: {best.mean['psnr_y']:.2f} dB PSNR on Y, {what}"
        f"{f' (95 % interval {sure})' if sure else ''}, protocol {table.protocol}."
    )
