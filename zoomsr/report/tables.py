"""The score tables as files: results.csv, images.csv, results.md and results.tex."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoomsr.report.captions import about_protocol, about_test, about_tests
from zoomsr.report.columns import Column, columns_of
from zoomsr.report.leaderboard import COSTS, Table
from zoomsr.runs.files import write_text

Cell = str | int | float | None


def write_results(path: Path, tables: Sequence[Table]) -> None:
    """A row for each set, protocol and net, in this order."""
    _write_csv(path, [row for table in tables for row in _summary(table)])


def write_images(path: Path, tables: Sequence[Table]) -> None:
    """A row for each set, protocol, net, run and picture; bicubic has no run."""
    _write_csv(path, [row for table in tables for row in _images(table)])


def write_markdown(path: Path, tables: Sequence[Table]) -> None:
    """A table for each set and protocol, the best in bold, and what its numbers are."""
    blocks = []
    for table in tables:
        columns = columns_of(table)
        head = ["net", *(column.heading for column in columns)]
        lines = [head, ["---", *("---:" for _ in columns)], *_markdown_rows(table, columns)]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(f"## {_markdown(table.title)}, protocol {table.protocol}\n\n{about_test(table)}\n\n{text}")
    notes = [about_protocol(tables, name) for name in dict.fromkeys(table.protocol for table in tables)]
    write_text(path, "\n\n".join([*blocks, *notes, about_tests(tables)] if tables else ["No run is finished."]) + "\n")


def write_latex(path: Path, tables: Sequence[Table]) -> None:
    r"""A ``table`` for each set and protocol, for ``\input``; it needs the package booktabs."""
    head = "% \\usepackage{booktabs,graphicx} in the preamble, then \\input{results.tex}\n"
    write_text(path, head + "\n".join(_latex_table(table) for table in tables))


def _summary(table: Table) -> Iterator[dict[str, Cell]]:
    for row in table.standings:
        means, better = row.mean, table.better(row)
        low, high = table.intervals[row.label] or (None, None)
        gain_low, gain_high = table.gains.get(row.label) or (None, None)
        gain = None if row is table.standings[0] else means["psnr_y"] - table.standings[0].mean["psnr_y"]
        yield {
            **{"set": table.title, "protocol": table.protocol, "net": row.label},
            **{"seeds": row.seeds, "images": len(row.images)},
            **{"psnr_y": means["psnr_y"], "psnr_y_low": low, "psnr_y_high": high, "psnr_y_sd": row.spread},
            **{"gain": gain, "gain_low": gain_low, "gain_high": gain_high},
            "next_better": None if better is None else better.label,
            "p_next_better": None if better is None else table.p_values.get((better.label, row.label)),
            **{name: value for name, value in means.items() if name != "psnr_y"},
            **{name: row.costs.get(name) for name in COSTS},
        }


def _images(table: Table) -> Iterator[dict[str, Cell]]:
    for row in table.standings:
        for run, images in (row.by_seed or {"": row.images}).items():
            for image, scores in images.items():
                key = {"set": table.title, "protocol": table.protocol, "net": row.label, "run": run, "image": image}
                yield {**key, **scores}


def _write_csv(path: Path, rows: Sequence[dict[str, Cell]]) -> None:
    names = list(dict.fromkeys([*("set", "protocol", "net"), *(name for row in rows for name in row)]))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_written(row.get(name)) for name in names] for row in rows)


def _written(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.8g}"
    return "" if cell is None else str(cell)


def _markdown_rows(table: Table, columns: Sequence[Column]) -> Iterator[list[str]]:
    for number, row in enumerate(table.standings):
        yield [_markdown(row.label), *(_markdown_cell(column, number) for column in columns)]


def _markdown_cell(column: Column, row: int) -> str:
    text = f"**{column.texts[row]}**" if row in column.best else column.texts[row]
    return f"{text} ({column.note(row)})" if column.note(row) else text


def _markdown(text: str) -> str:
    """A name, whatever characters are in it."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": "$<$", ">": "$>$"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def _latex_table(table: Table) -> str:
    columns = columns_of(table)
    lines = [" & ".join(["net", *(_latex(column.heading) for column in columns)]) + r" \\"]
    for number, row in enumerate(table.standings):
        lines.append(" & ".join([_latex(row.label), *(_latex_cell(one, number) for one in columns)]) + r" \\")
    head, bicubic, *nets = lines
    caption = f"{table.title}, protocol {table.protocol}. {about_test(table)}"
    return "\n".join(
        [
            *(r"\begin{table}", r"\centering", rf"\caption{{{_latex(caption)}}}"),
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            *(r"\toprule", head, r"\midrule", bicubic, *([r"\midrule", *nets] if nets else []), r"\bottomrule"),
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _latex_cell(column: Column, row: int) -> str:
    text = _number(column.texts[row])
    text = rf"\textbf{{{text}}}" if row in column.best else text
    return rf"{text} {{\scriptsize ({_number(column.note(row))})}}" if column.note(row) else text


def _number(text: str) -> str:
    """With a minus where it has a hyphen."""
    return re.sub(r"(?<!\S)-(?=\d)", r"$-$", _latex(text))
