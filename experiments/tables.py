"""Numbers and tables of the READMEs, generated between cog's markers from the csv files beside them.

``make numbers`` rewrites them, ``make check-numbers`` checks them. A table is a line of Python, a sentence an f-string;
files are relative to the README::

    <!-- [[[cog print(table("results.csv", "net psnr_y ssim_y mae", set="Set5", protocol="modern")) ]]] -->
    <!-- [[[end]]] -->

    <!-- [[[cog
    psnr = column("results.csv", "psnr_y", by="net", set="Set5", protocol="modern")
    print(f"The U-Net is {psnr['unet'] - psnr['bicubic']:+.2f} dB above bicubic.")
    ]]] -->
    <!-- [[[end]]] -->
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["answers", "circumstances", "column", "exists", "facts", "matrix", "scores", "table"]

Row = dict[str, str]

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "conf/README.md"]
for _pages in ("docs/*.md", "zoomsr/*/README.md", "experiments/*/**/README.md"):
    READMES += sorted(ROOT.glob(_pages))
READMES += [ROOT / "experiments/README.md"]  # last: it repeats the studies' answers
COG = ["cog", "-P", "-p", "from experiments.tables import *"]

with (ROOT / "experiments/columns.csv").open(newline="", encoding="utf-8") as _file:
    COLUMNS = {row["column"]: row for row in csv.DictReader(_file)}
"""How columns are shown: heading, format, which value is the best, whether a spread follows. Without a format: text."""


def rows(file: str | Path, **where: str | Sequence[str]) -> list[Row]:
    """The rows of a csv file with these values (one or several), bicubic first; a relative path starts at the README.

    Beside the file's columns there is ``gain``: dB of PSNR on Y above bicubic on the same pictures.

    Raises:
        ValueError: no row has them.
    """
    with _place(file).open(newline="", encoding="utf-8") as opened:
        every = list(csv.DictReader(opened))
    bicubic = {_pictures(row): float(row["psnr_y"]) for row in every if row.get("net") == "bicubic" and "psnr_y" in row}
    for row in every:
        if row.get("net", "bicubic") != "bicubic" and _pictures(row) in bicubic:
            row["gain"] = str(float(row["psnr_y"]) - bicubic[_pictures(row)])
    wanted = {name: (value,) if isinstance(value, str) else tuple(value) for name, value in where.items()}
    found = [row for row in every if all(row[name] in values for name, values in wanted.items())]
    if not found:
        raise ValueError(f"{file} has no row with {where}")
    return sorted(found, key=lambda row: row.get("net") != "bicubic")


def column(file: str | Path, name: str, *, by: str, **where: str | Sequence[str]) -> dict[str, float | str]:
    """One column as numbers (text where a cell is none), by another column, which tells the rows apart.

    Raises:
        ValueError: it does not.
    """
    found = rows(file, **where)
    values = {row[by]: _number(row.get(name, "")) for row in found}
    if len(values) < len(found):
        raise ValueError(f"{file} has rows with the same {by}: choose among them by another column")
    return values


def facts(file: str = "facts.csv") -> dict[str, float | str]:
    """What has no row of its own: machine, minutes ..."""
    return column(file, "value", by="fact")


def exists(file: str) -> bool:
    """Whether the measurement has been made."""
    return _place(file).is_file()


def table(file: str | Path, columns: str, *, first: str = "", **where: str | Sequence[str]) -> str:
    """A Markdown table of some rows; the best of a column is bold, a spread over seeds follows its mean.

    Args:
        file: the csv.
        columns: their names, with spaces between them.
        first: heading of the first one; default: its name.
        where: values of the rows to show.
    """
    names, found = columns.split(), rows(file, **where)
    return _markdown([first or names[0], *map(_heading, names[1:])], names, [_marked(name, found) for name in names])


def matrix(
    file: str | Path, columns: str, *, across: str, values: str, first: str = "", **where: str | Sequence[str]
) -> str:
    """A Markdown table with a row for each value of the first column, and the values for each value of ``across``.

    Args:
        file: the csv.
        columns: the first ones; those after the first are the same for all values of ``across``.
        across: column whose values stand side by side.
        values: columns that are shown for each of them; the best of each is bold.
        first: heading of the first column; default: its name.
        where: values of the rows to show.
    """
    found, names, fields = rows(file, **where), columns.split(), values.split()
    cells = {(row[names[0]], row[across]): row for row in found}
    labels, places = (list(dict.fromkeys(key[n] for key in cells)) for n in (0, 1))
    wide = [(place, field) for place in places for field in fields]
    left = [[_shown(name, cells[label, places[0]]) for label in labels] for name in names]
    right = [_marked(field, [cells.get((label, place), {}) for label in labels]) for place, field in wide]
    above = [f"{place} {_heading(field)}" if len(fields) > 1 else place for place, field in wide]
    headings = [first or names[0], *map(_heading, names[1:]), *above]
    return _markdown(headings, [*names, *(field for _, field in wide)], left + right)


def scores(test: str) -> str:
    """A study's nets on a test set by protocol ``modern``; what they cost, where they differ in it."""
    where = {"set": test, "protocol": "modern"}
    differ = len({row["params"] for row in rows("results.csv", **where)[1:]}) > 1
    costs = "params gmacs latency_ms" if differ else ""
    columns = f"net seeds psnr_y gain ssim_y mae error_band_4 {costs}"
    return table("results.csv", columns, first=f"x2, {test}, modern", **where)


def circumstances() -> str:
    """Where a study's runs ran, how long, and with which photographs."""
    return (
        "Machine: {machine}, for each run; bf16. Training took {minutes:.0f} minutes in all. Data:\n"
        "{photographs:.0f} photographs to train on, {held_out:.0f} to validate on, which choose the best epoch;\n"
        "Set5 and Set14 are looked at once, at the end. What each run is stands in [study.yaml](study.yaml)."
    ).format(**facts())


def answers(*studies: str) -> str:
    """A line for each study: its question, the title of its README, and the answer, the first generated part.

    Links are relative to ``experiments/``.
    """
    lines = []
    for study in studies:
        text = (ROOT / "experiments" / study / "README.md").read_text(encoding="utf-8")
        question = text.partition("\n")[0].removeprefix("# ")
        answer = re.search(r"\]\]\] -->\n(.*?)<!-- \[\[\[", text, re.DOTALL)
        lines.append(f"- [{question}]({study}/README.md) {' '.join(answer[1].split()) if answer else ''}")
    return "\n".join(lines)


def write(readme: Path) -> None:
    """Generate the tables and numbers of a README anew, where cog is installed.

    Raises:
        ValueError: the code between its markers fails; the README stays as it was.
    """
    if find_spec("cogapp") is None:  # as on a rented machine with torch alone
        print(f"{readme} is as it was: its tables need cogapp (pip install zoomsr[dev]; make numbers)")
        return
    from cogapp.cogapp import Cog, CogError

    try:
        Cog().callable_main([*COG, "-r", "--verbosity=0", str(readme)])
    except CogError as error:
        raise ValueError(f"{readme} cannot be written: {str(error).splitlines()[-1]}") from error


def _place(file: str | Path) -> Path:
    if Path(file).is_absolute():
        return Path(file)
    import cog  # cogapp makes it while it runs

    return Path(cog.inFile).parent / file


def _pictures(row: Row) -> tuple[str | None, ...]:
    return tuple(map(row.get, ("scale", "set", "shrunk_by", "protocol", "photograph")))


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _heading(name: str) -> str:
    return COLUMNS[name]["heading"] if name in COLUMNS else name


def _shown(name: str, row: Row) -> str:
    """A cell as it is read: a number in its column's format, a dash where there is nothing."""
    form = COLUMNS.get(name, {}).get("format")
    if not row.get(name) or not form:
        return row.get(name) or "-"
    spread = COLUMNS[name]["spread"] and row.get(f"{name}_sd")
    return f"{float(row[name]):{form}} ± {float(spread):{form}}" if spread else f"{float(row[name]):{form}}"


def _marked(name: str, found: Sequence[Row]) -> list[str]:
    """One column of some rows; the best, and what looks the same, in bold."""
    texts = [_shown(name, row) for row in found]
    choose = {"max": max, "min": min}.get(COLUMNS.get(name, {}).get("best", ""))
    filled = [number for number, row in enumerate(found) if row.get(name)]
    if choose is None or len(filled) < 2:
        return texts
    best = texts[choose(filled, key=lambda number: float(found[number][name]))]
    return [f"**{text}**" if text == best else text for text in texts]


def _markdown(headings: Sequence[str], names: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    rules = ["---:" if COLUMNS.get(name, {}).get("format") else "---" for name in names]
    head, *body = (f"| {' | '.join(cells)} |" for cells in [headings, *zip(*columns, strict=True)])
    return "\n".join([head, f"|{'|'.join(rules)}|", *body])


if __name__ == "__main__":
    from cogapp import Cog

    sys.exit(Cog().main([*COG, "--verbosity=1", *sys.argv[1:], *map(str, READMES)]))
