"""Tables and numbers of the READMEs, as cog writes and checks them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments import tables
from experiments.tables import READMES, column, matrix, rows, table

RESULTS = """\
set,net,psnr_y,psnr_y_sd,ssim_y,note
Set5,vdsr,37.5316,0.2,0.9587,
Set5,bicubic,33.6621,,0.9299,baseline
Set5,"unet, wide",36.2,0.031,0.9512,
Set14,bicubic,30.2335,,0.8687,
Set14,vdsr,33.0679,0.1,0.9128,-
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two sets and three nets, beside the README."""
    path = tmp_path / "results.csv"
    path.write_text(RESULTS)
    return path


def test_a_table_has_bicubic_first_formats_spread_and_the_best_in_bold(results: Path) -> None:
    assert table(results, "net psnr_y gain ssim_y note", first="x2, Set5", set="Set5") == (
        "| x2, Set5 | PSNR Y (dB) | over bicubic (dB) | SSIM Y | note |\n"
        "|---|---:|---:|---:|---|\n"
        "| bicubic | 33.66 | - | 0.9299 | baseline |\n"
        "| vdsr | **37.53 ± 0.20** | +3.87 | **0.9587** | - |\n"
        "| unet, wide | 36.20 ± 0.03 | +2.54 | 0.9512 | - |"
    )


def test_a_matrix_has_columns_side_by_side_and_a_dash_where_nothing_was_measured(results: Path) -> None:
    assert matrix(results, "net", across="set", values="psnr_y ssim_y") == (
        "| net | Set5 PSNR Y (dB) | Set5 SSIM Y | Set14 PSNR Y (dB) | Set14 SSIM Y |\n"
        "|---|---:|---:|---:|---:|\n"
        "| bicubic | 33.66 | 0.9299 | 30.23 | 0.8687 |\n"
        "| vdsr | **37.53 ± 0.20** | **0.9587** | **33.07 ± 0.10** | **0.9128** |\n"
        "| unet, wide | 36.20 ± 0.03 | 0.9512 | - | - |"
    )
    assert matrix(results, "net", across="set", values="ssim_y", net=("bicubic", "vdsr")) == (
        "| net | Set5 | Set14 |\n|---|---:|---:|\n| bicubic | 0.9299 | 0.8687 |\n| vdsr | **0.9587** | **0.9128** |"
    )
    assert matrix(results, "set", across="net", values="ssim_y", first="SSIM").splitlines()[0] == (
        "| SSIM | bicubic | vdsr | unet, wide |"
    )


def test_values_that_look_alike_are_bold_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("net,mae\na,0.01221\nb,0.01224\nc,0.0130\n")
    assert table(tmp_path / "a.csv", "net mae").splitlines()[2:] == [
        "| a | **0.0122** |",
        "| b | **0.0122** |",
        "| c | 0.0130 |",
    ]


def test_a_column_holds_numbers_or_text_by_the_column_that_tells_rows_apart(results: Path) -> None:
    assert column(results, "psnr_y", by="net", set="Set14") == {"bicubic": 30.2335, "vdsr": 33.0679}
    assert column(results, "note", by="net", set="Set5")["bicubic"] == "baseline"
    assert column(results, "gain", by="net", set="Set14")["vdsr"] == pytest.approx(2.8344)
    with pytest.raises(ValueError, match=r"results\.csv has rows with the same net"):
        column(results, "psnr_y", by="net")
    with pytest.raises(ValueError, match=r"results\.csv has no row with \{'set': 'Set7'\}"):
        rows(results, set="Set7")


README = """\
# Title

<!-- [[[cog
psnr = column("results.csv", "psnr_y", by="net", set="Set5")
print(f"VDSR gains {psnr['vdsr'] - psnr['bicubic']:+.2f} dB.")
]]] -->
<!-- [[[end]]] -->

<!-- [[[cog print(table("results.csv", "net psnr_y", set="Set14")) ]]] -->
| net | typed by hand |
<!-- [[[end]]] -->
"""


def test_writing_fills_in_what_the_csv_holds_and_twice_changes_nothing(results: Path) -> None:
    readme = results.with_name("README.md")
    readme.write_text(README)
    tables.write(readme)
    text = readme.read_text()
    assert "]]] -->\nVDSR gains +3.87 dB.\n<!-- [[[end]]] -->" in text
    assert "| bicubic | 30.23 |\n| vdsr | **33.07 ± 0.10** |\n<!--" in text
    assert "by hand" not in text
    tables.write(readme)
    assert readme.read_text() == text


def test_writing_where_a_number_cannot_be_computed_leaves_the_readme(results: Path) -> None:
    readme = results.with_name("README.md")
    readme.write_text(README.replace('set="Set14"', 'set="Set7"'))
    with pytest.raises(ValueError, match=r"cannot be written: ValueError: results\.csv has no row with .*Set7"):
        tables.write(readme)
    assert readme.read_text() == README.replace('set="Set14"', 'set="Set7"')


def test_writing_without_cog_says_so_and_leaves_the_readme(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = results.with_name("README.md")
    readme.write_text(README)
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    tables.write(readme)
    assert readme.read_text() == README
    assert "its tables need cogapp" in capsys.readouterr().out


@pytest.fixture
def check(results: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """What ``make check-numbers`` runs, on the README beside the results."""
    command = [
        sys.executable,
        "-m",
        "cogapp",
        *tables.COG[1:],
        "--check",
        "--diff",
        str(results.with_name("README.md")),
    ]
    return lambda: subprocess.run(command, capture_output=True, text=True, check=False, cwd=tables.ROOT)


def test_a_number_that_is_not_what_the_csv_gives_fails_the_check(
    results: Path, check: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    readme = results.with_name("README.md")
    readme.write_text(README)
    tables.write(readme)
    assert check().returncode == 0
    readme.write_text(readme.read_text().replace("+3.87", "+3.88"))
    wrong = check()
    assert wrong.returncode == 5
    assert "-VDSR gains +3.88 dB.\n+VDSR gains +3.87 dB." in wrong.stdout


def test_every_readme_shows_what_its_csv_files_give() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "experiments.tables", "--check", "--diff"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tables.ROOT,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


_NOT_PROSE = re.compile(
    r"<!-- \[\[\[cog.*?\[\[\[end\]\]\] -->|^```.*?^```|`[^`]+`|^#[^\n]*|\]\([^()]*\)|https?://\S+|arXiv[: ]\S+",
    re.M | re.S,
)
_MEASURED = re.compile(
    r"(?<![\w.,/])[+-]?\d[\d,]*(?:\.\d+(?![.\d])|(?:\.\d+)?[ -]?(?:%|(?:dB|ms|s|min|minutes|MB|GB|times)\b))"
)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_prose_around_the_generated_parts_has_no_measured_number(readme: Path) -> None:
    assert _MEASURED.findall(_NOT_PROSE.sub("", readme.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It gains 1.5 dB in 5 s, 52% of 3,000 ms.", ["1.5", "5 s", "52%", "3,000 ms"]),
        ("Python 3.11.7, x2, 256x256, level 5, `1.5 dB`, arXiv:1501.00092, [a](b-1.5.csv)\n## 1.5 dB", []),
        ("<!-- [[[cog x ]]] -->\n1.5 dB\n<!-- [[[end]]] -->", []),
    ],
)
def test_what_a_measured_number_is(text: str, numbers: list[str]) -> None:
    assert _MEASURED.findall(_NOT_PROSE.sub("", text)) == numbers
