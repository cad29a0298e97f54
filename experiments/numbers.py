r"""Every number of a README comes from a csv file: ``python -m experiments.numbers check`` (``make check-numbers``).

A number in a sentence is a link to its csv, whose title says how it is computed (``cells.py`` has the grammar)::

    [+1.72](results.csv "{mean/unet|psnr_y} - {mean/bicubic|psnr_y}") dB in [2.9](facts.csv "{seconds|value} / 60") min

Decimals, sign, thousands separator and per cent (``[52 %](...)`` of 0.52) are those of the text as it stands. A single
cell may also hold text: ``[AMD EPYC, 2 cores](facts.csv "{machine|value}")``. A table stands between two marks
(``tables.py`` has the grammar)::

    <!-- table results.csv where set=Set5; columns net, psnr_y .2f "PSNR Y (dB)" max -->
    <!-- end -->

``write`` brings links and tables up to date, ``check`` compares them, and finds decimals and measured quantities that
are neither. A setting goes into a code span.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from experiments.cells import Sheet, evaluate
from experiments.prose import CODE, measured, without
from experiments.tables import table
from zoomsr.cli.errors import one_line_errors
from zoomsr.runs.files import write_text

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "conf/README.md", *sorted(ROOT.glob("zoomsr/*/README.md"))]
READMES += sorted(ROOT.glob("experiments/**/README.md"))

_TABLE = re.compile(
    r"<!-- table\b(?P<line>(?:(?!-->).)*)-->[ \t]*\n(?P<body>(?:(?!<!-- table\b).)*?)<!-- end -->", re.DOTALL
)
_LINK = re.compile(r'\[(?P<body>[^\[\]]+)\]\(\s*(?P<file>[^()\s]+\.csv)\s+"(?P<formula>[^"]*)"\s*\)')
_NUMBER = re.compile(r"[+\-\u2212]?\d+(?:,\d{3})*(?:\.\d+)?")
_MINUS = "\N{MINUS SIGN}"
_WRITE = "python -m experiments.numbers write"
_MARK_IT = 'is typed by hand: link it, [NUMBER](FILE.csv "{KEY|COLUMN}"), or put a setting into a code span'


class Claim(NamedTuple):
    """A stretch of a README that a csv decides.

    Attributes:
        start: of the stretch, in the text.
        end: its end.
        what: for messages: ``"+1.72"``, ``the table``.
        recomputed: gives what should stand there; raises ValueError where that cannot be computed.
    """

    start: int
    end: int
    what: str
    recomputed: Callable[[], str]


def findings(readme: Path) -> list[str]:
    """A line for each number that differs from its csv, cannot be computed, or is typed by hand."""
    text = readme.read_text(encoding="utf-8")
    found: list[tuple[int, str]] = []
    for claim in _claims(text, readme.parent):
        try:
            expected = claim.recomputed()
        except ValueError as error:
            found.append((claim.start, f"{claim.what}: {error}"))
            continue
        if expected != text[claim.start : claim.end]:
            shown = f" ({' '.join(expected.split())})" if "\n" not in expected else ""
            found.append((claim.start, f"{claim.what} is not what its csv gives{shown}: {_WRITE}"))
    found += _by_hand(text)
    return [f"{_short(readme)}:{text.count(chr(10), 0, at) + 1}: {message}" for at, message in sorted(found)]


def write(readme: Path) -> None:
    """Replace numbers and tables by what their csv files give.

    Raises:
        ValueError: one that cannot be computed; nothing is written then.
    """
    text = readme.read_text(encoding="utf-8")
    for claim in reversed(_claims(text, readme.parent)):
        try:
            text = text[: claim.start] + claim.recomputed() + text[claim.end :]
        except ValueError as error:
            line = text.count("\n", 0, claim.start) + 1
            raise ValueError(f"{_short(readme)}:{line}: {claim.what}: {error}") from None
    write_text(readme, text)


def written_like(text: str, value: float) -> str:
    """The value in the place, and in the format, of the one number in the text.

    Raises:
        ValueError: no number in the text, or several.
    """
    numbers = list(_NUMBER.finditer(text))
    if len(numbers) != 1:
        raise ValueError(f"{len(numbers)} numbers in the text of one link: a link for each")
    (match,) = numbers
    before, old, after = text[: match.start()], match[0], text[match.end() :]
    decimals = len(old.partition(".")[2])
    scaled = 100 * value if re.match(r"[ \u00a0]?%", after) else value
    sign = "+" if old.startswith("+") else "-"
    thousands = "" if re.search(r"\d{4}", old) else ","
    new = format(round(scaled, decimals) + 0.0, f"{sign}{thousands}.{decimals}f")  # + 0.0: never -0.00
    return before + (new.replace("-", _MINUS) if _MINUS in old else new) + after


def _claims(text: str, folder: Path) -> list[Claim]:
    """Tables and links, in their order."""
    visible = without(CODE, text)
    claims = []
    for match in _TABLE.finditer(visible):
        line = text[match.start("line") : match.end("line")]
        claims.append(Claim(*match.span("body"), "the table", partial(table, line, folder)))
    for match in _LINK.finditer(without(_TABLE, visible)):
        start, end = match.span("body")
        claims.append(Claim(start, end, f'"{text[start:end]}"', partial(_computed, match, folder)))
    return sorted(claims, key=lambda claim: claim.start)


def _computed(link: re.Match[str], folder: Path) -> str:
    value = evaluate(" ".join(link["formula"].split()), Sheet.read(folder / link["file"]))
    return value if isinstance(value, str) else written_like(link["body"], value)


def _by_hand(text: str) -> Iterator[tuple[int, str]]:
    """Place and message of the numbers that are no claim, and of tables without an end."""
    rest = without(_LINK, without(_TABLE, without(CODE, text)))
    for match in re.finditer(r"<!-- table\b", rest):
        yield match.start(), "the table has no <!-- end -->"
    for at, number in measured(rest):
        yield at, f'"{number}" {_MARK_IT}'


def _short(path: Path) -> Path:
    """As seen from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def readmes(chosen: Sequence[Path] | None = None) -> list[Path]:
    """Those chosen, else the project's README.md and one for each study."""
    return list(chosen or READMES)


app = typer.Typer(help="Numbers and tables of the READMEs, from their csv files.", add_completion=False)
Chosen = Annotated[list[Path] | None, typer.Argument(help="README files; default: the project's and every study's")]


@app.command("check")
def check_command(chosen: Chosen = None) -> None:
    """Compare every number with its csv, and find those typed by hand."""
    with one_line_errors():
        found = [line for readme in readmes(chosen) for line in findings(readme)]
    for line in found:
        print(line)
    if found:
        sys.exit(1)


@app.command("write")
def write_command(chosen: Chosen = None) -> None:
    """Bring numbers and tables up to date with their csv files."""
    with one_line_errors():
        for readme in readmes(chosen):
            write(readme)


if __name__ == "__main__":
    app()
