"""Numbers of a README against their csv files: the grammar, the formats, and what is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from _support.cells import RESULTS
from typer.testing import CliRunner

from experiments.cells import Sheet
from experiments.numbers import READMES, app, findings, write, written_like
from experiments.tables import table


@pytest.fixture
def sheet(tmp_path: Path) -> Sheet:
    """Two sets and three nets, beside the README."""
    path = tmp_path / "results.csv"
    path.write_text(RESULTS)
    return Sheet.read(path)


@pytest.fixture
def found(tmp_path: Path, sheet: Sheet) -> Callable[[str], list[str]]:
    """What the check finds in a README of this text, without the file's name."""

    def check(text: str) -> list[str]:
        readme = tmp_path / "README.md"
        readme.write_text(text)
        return [line.removeprefix(f"{readme}:") for line in findings(readme)]

    return check


@pytest.mark.parametrize(
    ("text", "value", "new"),
    [
        ("1.7", 1.7249, "1.7"),
        ("1.70", 1.7251, "1.73"),
        ("+1.7", 1.26, "+1.3"),
        ("+1.7", -0.26, "-0.3"),
        ("-0.3", 0.26, "0.3"),
        ("\N{MINUS SIGN}0.3", -0.41, "\N{MINUS SIGN}0.4"),
        ("-0.3", -0.41, "-0.4"),
        ("0.00", -0.001, "0.00"),
        ("7", 8.6, "9"),
        ("1,657", 21583.7, "21,584"),
        ("999", 1234.4, "1,234"),
        ("1020", 2040.0, "2040"),
        ("1,234.5", 99.96, "100.0"),
        ("52 %", 0.514, "51 %"),
        ("52%", 0.5251, "53%"),
        ("+3.1 %", 0.0314, "+3.1 %"),
        ("about 12 dB", 13.4, "about 13 dB"),
    ],
)
def test_a_number_keeps_the_format_of_its_text(text: str, value: float, new: str) -> None:
    assert written_like(text, value) == new


@pytest.mark.parametrize(("text", "count"), [("several", 0), ("10-20", 2)])
def test_a_link_holds_one_number(text: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"^{count} numbers in the text of one link: a link for each"):
        written_like(text, 1.0)


GAIN = '[{}](results.csv "{{Set5/vdsr|psnr_y}} - {{Set5/bicubic|psnr_y}}")'


def test_a_number_that_agrees_is_no_finding(found: Callable[[str], list[str]]) -> None:
    assert found(f"VDSR gains {GAIN.format('+3.87')} dB, **{GAIN.format('3.9')}** dB, the {{x}} [baseline][1].\n") == []


def test_a_tampered_number_is_found_with_what_should_be_there(found: Callable[[str], list[str]]) -> None:
    (line,) = found(f"# Title\n\nVDSR gains\n{GAIN.format('+3.88')} dB.\n")
    assert line == '4: "+3.88" is not what its csv gives (+3.87): python -m experiments.numbers write'


def test_a_changed_csv_is_found(found: Callable[[str], list[str]], tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(RESULTS.replace("37.5316", "37.6316"))
    assert [line.partition(":")[0] for line in found(f"{GAIN.format('+3.87')} dB\n")] == ["1"]


def test_text_of_a_cell_is_compared_as_it_is(found: Callable[[str], list[str]]) -> None:
    assert found('The [baseline](results.csv "{Set5/bicubic|note}").\n') == []
    assert found('The [base](results.csv "{Set5/bicubic|note}").\n')[0].startswith(
        '1: "base" is not what its csv gives'
    )


def test_a_link_may_be_broken_over_lines_and_lie_in_another_folder(tmp_path: Path, sheet: Sheet) -> None:
    readme = tmp_path / "study" / "README.md"
    readme.parent.mkdir()
    readme.write_text('[37.53](../results.csv\n"{Set5/vdsr|\npsnr_y}")\n'.replace("|\n", "|"))
    assert findings(readme) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It reaches 12.34 and 1,234.5.", ["12.34", "1,234.5"]),
        ("A gain of +1.72 dB, a loss of \N{MINUS SIGN}0.3.", ["+1.72 dB", "\N{MINUS SIGN}0.3"]),
        ("Takes 5 s, 20 ms, 3 min, 2 hours or 15\nminutes.", ["5 s", "20 ms", "3 min", "2 hours", "15 minutes"]),
        ("Needs 1,200 MB, 3GB, 16 KB.", ["1,200 MB", "3GB", "16 KB"]),
        ("340 times, 12x, 52 %, 52%.", ["340 times", "12x", "52 %", "52%"]),
        ("A halo of 112 px, 8 pixels, 4 levels.", ["112 px", "8 pixels", "4 levels"]),
        ("90 pairs per second, 90 patches/s.", ["90 pairs per second", "90 patches/s"]),
        ("**7** dB", ["7** dB"]),
        ("| net | 33.66 |", ["33.66"]),
        ("Between 2.7-3.5 dB", ["2.7", "3.5 dB"]),
        ("[12.5](results.csv) without a formula", ["12.5"]),
        ("![a strip of 3.5 dB](x.png)", ["3.5 dB"]),
    ],
)
def test_a_number_typed_by_hand_is_found(found: Callable[[str], list[str]], text: str, numbers: list[str]) -> None:
    lines = found(f"{text}\n")
    assert [line.split('"')[1] for line in lines] == numbers
    assert all("typed by hand: link it" in line for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "Sigma `1.6`, and `a span over\ntwo lines of 3.5 dB`, and ``one with ` of 2.5 s``.",
        "```sh\nsleep 3.5 s\n```",
        "- a list\n  ~~~\n  3.5 dB\n  ~~~",
        "```\nnever closed 3.5 dB\n",
        "<!-- 3.5 dB -->",
        "## U-Net 2.0 gains 3.5 dB",
        '[a page](https://example.org/v1.5/a "3.5 dB") and https://example.org/3.5 here',
        '<img src="a.png" width="49.5%">',
        "arXiv:1501.00092 and arXiv 1511.04587",
        "On 2026-11-25, 25.11.2026, at 127.0.0.1, torch 2.13.0, v1.2, conv3.1",
        "Of 7 photographs, 10 epochs, 256x256 to 512x512, 8-bit, x2, level 5, 1990s, 3 sets, 1/255.",
        "One and a half times as fast as the 3 others; 20 minimal ones; 3 strips.",
    ],
)
def test_what_is_no_measurement_is_left_alone(found: Callable[[str], list[str]], text: str) -> None:
    assert found(f"{text}\n") == []


def test_an_example_in_a_code_block_is_no_claim(found: Callable[[str], list[str]]) -> None:
    assert found('```\n[1.5](nowhere.csv "{a|b}")\n<!-- table nowhere.csv; columns a -->\n```\n') == []


PLAIN = """\
| net | PSNR Y (dB) | SSIM Y | share |
|---|---:|---:|---:|
| bicubic | 33.66 | 0.9299 | 51% |
| unet, wide | 36.20 ± 0.03 | 0.9512 | 52% |
| vdsr | **37.53 ± 0.20** | **0.9587** | **-0%** |
"""


def test_a_table_has_rows_formats_spread_and_the_best_in_bold(sheet: Sheet, tmp_path: Path) -> None:
    columns = 'net, psnr_y ± psnr_y_sd .2f "PSNR Y (dB)" max, ssim_y .4f "SSIM Y" max,\n share .0% min'
    assert table(f" results.csv where set=Set5; columns {columns} ", tmp_path) == PLAIN


def test_a_table_across_a_column_sets_each_rows_best_in_bold(sheet: Sheet, tmp_path: Path) -> None:
    assert table('results.csv; columns set "PSNR (dB)"; across net: psnr_y .1f max', tmp_path) == (
        "| PSNR (dB) | bicubic | unet, wide | vdsr |\n|---|---:|---:|---:|\n"
        "| Set5 | 33.7 | 36.2 | **37.5** |\n| Set14 | 30.2 | - | **33.1** |\n"
    )


def test_several_fields_across(sheet: Sheet, tmp_path: Path) -> None:
    line = 'results.csv where net!="unet, wide"; columns net; across set: psnr_y ± psnr_y_sd +.1f "dB", note "note"'
    assert table(line, tmp_path) == (
        "| net | Set5 dB | Set5 note | Set14 dB | Set14 note |\n|---|---:|---|---:|---|\n"
        "| bicubic | +33.7 | baseline | +30.2 | - |\n| vdsr | +37.5 ± 0.2 | - | +33.1 ± 0.1 | - |\n"
    )


def test_values_that_look_alike_are_bold_together(sheet: Sheet, tmp_path: Path) -> None:
    shown = table("results.csv where set=Set5 and net!=vdsr; columns net, share .1f max, ssim_y .4f", tmp_path)
    assert shown.splitlines()[2:] == ["| bicubic | **0.5** | 0.9299 |", "| unet, wide | **0.5** | 0.9512 |"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "after the file come columns"),
        ("results.csv; rows net", "after the file come columns"),
        ("results.txt; columns net", "results.txt is not FILE.csv where COLUMN=VALUE and"),
        ("none.csv; columns net", "there is no .*none.csv"),
        ("results.csv where set; columns net", "set is not COLUMN=VALUE"),
        ("results.csv where set=Set7; columns net", "results.csv has no row where set=Set7"),
        ("results.csv where sets=Set5; columns net", "results.csv has no column sets"),
        ("results.csv; columns net, mae .2f", "results.csv has no column mae"),
        ("results.csv; columns net, psnr_y ± sd .2f", "results.csv has no column sd"),
        ("results.csv; columns net, psnr_y .2q", "psnr_y .2q is not NAME"),
        ("results.csv; columns net, psnr_y max", "psnr_y needs a format, as in psnr_y .2f"),
        ("results.csv; columns net .2f", "net of results.csv is bicubic, not a number"),
        ("results.csv; columns net; across sets: psnr_y .2f", "results.csv has no column sets"),
        ("results.csv; columns note; across set: psnr_y .2f", "results.csv has two rows  with set=Set5"),
    ],
)
def test_a_wrong_table_is_one_clear_line(sheet: Sheet, tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(line, tmp_path)


MARK = '<!-- table results.csv where set=Set14; columns net, psnr_y .2f "dB" -->\n'
BODY = "| net | dB |\n|---|---:|\n| bicubic | 30.23 |\n| vdsr | 33.07 |\n"


def test_a_table_is_checked_and_written(found: Callable[[str], list[str]], tmp_path: Path) -> None:
    assert found(f"{MARK}{BODY}<!-- end -->\n") == []
    (line,) = found(f"Text.\n\n{MARK}{BODY.replace('33.07', '33.08')}<!-- end -->\n")
    assert line == "4: the table is not what its csv gives: python -m experiments.numbers write"
    write(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == f"Text.\n\n{MARK}{BODY}<!-- end -->\n"


def test_a_table_without_an_end_is_found(found: Callable[[str], list[str]]) -> None:
    lines = found(f"{MARK}\n{MARK}{BODY}<!-- end -->\n")
    assert lines == ["1: the table has no <!-- end -->"]


def test_write_brings_numbers_up_to_date_in_place_and_twice_changes_nothing(tmp_path: Path, sheet: Sheet) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"A {GAIN.format('+1.000')} dB, `[1](a.csv)`,\n{MARK}<!-- end -->\nB {GAIN.format('1')}\n")
    write(readme)
    expected = f"A {GAIN.format('+3.870')} dB, `[1](a.csv)`,\n{MARK}{BODY}<!-- end -->\nB {GAIN.format('4')}\n"
    assert readme.read_text() == expected.replace("+3.870", "+3.869")  # 3.8695 lies below itself in binary
    write(readme)
    assert findings(readme) == []


def test_write_leaves_a_readme_alone_where_a_number_cannot_be_computed(tmp_path: Path, sheet: Sheet) -> None:
    text = f'{GAIN.format("1")}\n\n[2](results.csv "{{Set7|psnr_y}}")\n'
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(ValueError, match=r'README\.md:3: "2": results.csv has no row Set7'):
        write(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == text


def test_the_command_prints_a_line_for_each_finding_and_exits_with_1(tmp_path: Path, sheet: Sheet) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"It gains {GAIN.format('9')} dB in 5 s.\n")
    result = CliRunner().invoke(app, ["check", str(readme)])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 2)
    assert CliRunner().invoke(app, ["write", str(readme)]).exit_code == 0
    readme.write_text(readme.read_text().replace("5 s", "`5` s"))
    result = CliRunner().invoke(app, ["check", str(readme)])
    assert (result.exit_code, result.output) == (0, "")
    assert readme.read_text() == f"It gains {GAIN.format('4')} dB in `5` s.\n"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_number_of_a_study_comes_from_its_csv(readme: Path) -> None:
    assert findings(readme) == []
