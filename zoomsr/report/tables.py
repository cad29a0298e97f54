"""The leaderboards as files: results.csv and images.csv; results.md and results.tex from templates."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from zoomsr.report.captions import about_set, notes
from zoomsr.report.columns import columns_of
from zoomsr.report.leaderboard import COSTS, Leaderboard
from zoomsr.runs.files import write_text

CsvValue = str | int | float | None

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": "$<$", ">": "$>$"},
}


def write_results(path: Path, tables: Sequence[Leaderboard]) -> None:
    """A row for each set, protocol and net, in this order."""
    _write_csv(path, [row for table in tables for row in _summary(table)])


def write_images(path: Path, tables: Sequence[Leaderboard]) -> None:
    """A row for each set, protocol, net, run and image; bicubic has no run."""
    written: list[dict[str, CsvValue]] = []
    for table in tables:
        for row in table.rows:
            for run, images in (row.by_seed or {"": row.images}).items():
                key = {"set": table.title, "protocol": table.protocol, "net": row.label, "run": run}
                written += [{**key, "image": image, **scores} for image, scores in images.items()]
    _write_csv(path, written)


def write_text_tables(folder: Path, tables: Sequence[Leaderboard]) -> None:
    r"""Write results.md and results.tex: a table for each set and protocol, the best in bold.

    The LaTeX is for ``\input`` and needs the packages booktabs and graphicx.
    """
    environment = templates()
    for name in ("results.md", "results.tex"):
        template = environment.get_template(name)
        text = template.render(tables=tables, columns_of=columns_of, about_set=about_set, notes=notes)
        write_text(folder / name, text)


def templates() -> Environment:
    """The templates of text files, with filters ``markdown`` and ``latex`` that escape."""
    environment = Environment(
        block_start_string="<%",  # LaTeX has many braces
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=PackageLoader("zoomsr.report"),
        undefined=StrictUndefined,
    )
    environment.filters |= {"markdown": _markdown, "latex": _latex}
    return environment


def _write_csv(path: Path, rows: Sequence[Mapping[str, CsvValue]]) -> None:
    """Rows with the columns of all of them; floats with eight significant digits, None as an empty cell."""
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["set", "protocol", "net"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(name) for name in columns]
        writer.writerow([f"{value:.8g}" if isinstance(value, float) else value for value in values])
    write_text(path, text.getvalue())


def _summary(table: Leaderboard) -> Iterator[dict[str, CsvValue]]:
    baseline = table.bicubic.mean["psnr_y"]
    for row in table.rows:
        better = table.next_better(row)
        low, high = row.interval or (None, None)
        gain_low, gain_high = table.gains.get(row.label) or (None, None)
        yield {
            **{"set": table.title, "protocol": table.protocol, "net": row.label},
            **{"seeds": row.seeds, "images": len(row.images)},
            **{"psnr_y": row.mean["psnr_y"], "psnr_y_low": low, "psnr_y_high": high},
            "psnr_y_sd": row.spread("psnr_y"),
            "gain": None if row is table.bicubic else row.mean["psnr_y"] - baseline,
            **{"gain_low": gain_low, "gain_high": gain_high},
            "next_better": None if better is None else better.label,
            "p_next_better": table.p_next_better(row),
            **{name: value for name, value in row.mean.items() if name != "psnr_y"},
            **{name: row.costs.get(name) for name in COSTS},
        }


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    """With a minus sign where a number has a hyphen."""
    escaped = "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
    return re.sub(r"(?<!\S)-(?=\d)", "$-$", escaped)
