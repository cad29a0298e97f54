"""``zoomsr.zoom --inspect``: what is in a photograph and what will be done with it. Nothing is written."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from zoomsr.cli.console import CONSOLE, decimal, printable, say
from zoomsr.cli.progress import duration
from zoomsr.imaging import files
from zoomsr.imaging.decode import MAX_PIXELS
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.inference.batch import MAX_EXIT_CODE, error_line
from zoomsr.inference.disk import require_room
from zoomsr.inference.findings import Findings
from zoomsr.inference.forecast import BASIS, Forecast
from zoomsr.inference.options import Options
from zoomsr.inference.out_of_core import read_region
from zoomsr.inference.targets import Task

_HUGE = 2048  # side of the part that is judged of a picture which is too large to decode as a whole


@dataclass(frozen=True)
class Inspection:
    """What is in a photograph, and what will be done with it."""

    findings: Findings
    forecast: Forecast


def inspect(tasks: Sequence[Task], options: Options, *, as_json: bool) -> None:
    """Print what was found in each photograph. One that fails is a line on stderr, and counts in the exit code.

    Raises:
        ValueError: a net that does not go with the options.
    """
    found: list[Inspection] = []
    failures: list[str] = []
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():  # notes
        options.first_net()
        for task in tasks:
            try:
                found.append(_inspected(task, options))
            except Exception as error:  # decoders raise errors of any type
                failures.append(error_line(error, task))
    if as_json:
        print(json.dumps([asdict(one.findings) | {"forecast": asdict(one.forecast)} for one in found], indent=2))
    elif found:
        CONSOLE.print(_table(found))
        try:
            _say_costs([one.forecast for one in found if one.forecast.refused is None])
        except ValueError as error:
            failures.append(str(error))
    for line in failures:
        print(f"error: {line}", file=sys.stderr)
    if failures:
        sys.exit(min(len(failures), MAX_EXIT_CODE))


def _inspected(task: Task, options: Options) -> Inspection:
    height, width = files.size(task.source)
    if height * width > MAX_PIXELS:
        photograph = read_region(task.source, _middle(height, width))
    else:
        photograph = Photograph.read(task.source)
    findings = Findings.of(task.source, photograph, (height, width))
    forecast = Forecast.of(task, photograph, (height, width), findings.compression, options)
    return Inspection(findings, forecast)


def _middle(height: int, width: int) -> CropBox:
    """Of a picture that is too large to decode as a whole; on the grid of a JPEG's blocks."""
    left, top = (max(length - _HUGE, 0) // 2 // 8 * 8 for length in (width, height))
    return CropBox(left, top, min(width, _HUGE), min(height, _HUGE))


def _table(found: Sequence[Inspection]) -> Table:
    """A row for each photograph."""
    table = Table("photograph", "found in it", "will be made", show_lines=len(found) > 1)
    table.caption, table.caption_justify = BASIS, "left"
    for one in found:
        cells = (_picture_lines(one.findings), one.findings.lines, _forecast_lines(one.forecast))
        table.add_row(*(escape(printable("\n".join(lines))) for lines in cells))
    return table


def _picture_lines(one: Findings) -> list[str]:
    pixels, profile = one.file_lines
    kind = one.header.format or Path(one.file).suffix[1:].upper()
    return [one.file, f"{one.width}x{one.height}, {pixels}", f"{kind}, {profile}"]


def _forecast_lines(forecast: Forecast) -> list[str]:
    lines = [f"{forecast.target}", f"{forecast.width}x{forecast.height} by {forecast.net}, x{forecast.factor:g}"]
    if forecast.refused is not None:
        return [*lines, f"not made: {forecast.refused}"]
    disk = f"about {decimal(forecast.disk_bytes)} on disk"
    if forecast.temporary_bytes:
        disk += f", {decimal(forecast.temporary_bytes)} more until it is done"
    return [*lines, f"about {duration(forecast.seconds)}, at most {decimal(forecast.memory_bytes)} of memory, {disk}"]


def _say_costs(forecasts: Sequence[Forecast]) -> None:
    """Of all together, and the disk's free space."""
    if len(forecasts) > 1:
        say({"time": f"about {duration(sum(one.seconds for one in forecasts))} for {len(forecasts)} photographs"})
    require_room([(Path(one.target), one.disk_bytes + one.temporary_bytes) for one in forecasts], is_told=True)
