"""The leaderboards as files: results.csv, images.csv, results.md and results.tex."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from zoomsr.report.captions import about_set, notes
from zoomsr.report.columns import Column, columns_of
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
    _write_csv(path, [row for table in tables for row in _images(table)])


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
            **{"psnr_y": row.mean["psnr_y"], "psnr_y_low": low, "psnr_y_high": high, "psnr_y_sd": row.spread("psnr_y")},
            "gain": None if row is table.bicubic else row.mean["psnr_y"] - baseline,
            **{"gain_low": gain_low, "gain_high": gain_high},
            "next_better": None if better is None else better.label,
            "p_next_better": table.p_next_better(row),
            **{name: value for name, value in row.mean.items() if name != "psnr_y"},
            **{name: row.costs.get(name) for name in COSTS},
        }


def _images(table: Leaderboard) -> Iterator[dict[str, CsvValue]]:
    for row in table.rows:
        for run, images in (row.by_seed or {"": row.images}).items():
            for image, scores in images.items():
                key = {"set": table.title, "protocol": table.protocol, "net": row.label, "run": run, "image": image}
                yield {**key, **scores}


def write_markdown(path: Path, tables: Sequence[Leaderboard]) -> None:
    """A table for each set and protocol, the best in bold, and what its numbers are."""
    blocks = []
    for table in tables:
        columns = columns_of(table)
        lines = [["net", *(column.heading for column in columns)], ["---", *("---:" for _ in columns)]]
        for number, row in enumerate(table.rows):
            lines.append([_markdown(row.label), *(_markdown_cell(column, number) for column in columns)])
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(f"## {_markdown(table.title)}, protocol {table.protocol}\n\n{about_set(table)}\n\n{text}")
    write_text(path, "\n\n".join([*blocks, *notes(tables)] or ["No run is finished."]) + "\n")


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _markdown_cell(column: Column, row: int) -> str:
    text = f"**{column.texts[row]}**" if row in column.best else column.texts[row]
    return f"{text} ({column.note(row)})" if column.note(row) else text


def write_latex(path: Path, tables: Sequence[Leaderboard]) -> None:
    r"""A ``table`` for each set and protocol, for ``\input``; it needs the package booktabs."""
    head = "% \\usepackage{booktabs,graphicx} in the preamble, then \\input{results.tex}\n"
    write_text(path, head + "\n".join(_latex_table(table) for table in tables))


def _latex_table(table: Leaderboard) -> str:
    columns = columns_of(table)
    lines = [" & ".join(["net", *(_latex(column.heading) for column in columns)]) + r" \\"]
    for number, row in enumerate(table.rows):
        lines.append(" & ".join([_latex(row.label), *(_latex_cell(one, number) for one in columns)]) + r" \\")
    head, bicubic, *nets = lines
    caption = f"{table.title}, protocol {table.protocol}. {about_set(table)}"
    return "\n".join(
        [
            *(r"\begin{table}", r"\centering", rf"\caption{{{_latex(caption)}}}"),
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            *(r"\toprule", head, r"\midrule", bicubic, *([r"\midrule", *nets] if nets else []), r"\bottomrule"),
            *(r"\end{tabular}}", r"\end{table}", ""),
        ]
    )


def _latex_cell(column: Column, row: int) -> str:
    """With a minus sign where the text has a hyphen."""
    text, note = (re.sub(r"(?<!\S)-(?=\d)", r"$-$", _latex(one)) for one in (column.texts[row], column.note(row)))
    text = rf"\textbf{{{text}}}" if row in column.best else text
    return rf"{text} {{\scriptsize ({note})}}" if note else text


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
