"""What a report writes: tables as csv, Markdown and LaTeX, one page, and its folder."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from _support.results import evaluation, finished, gained, keep_pictures, run
from matplotlib.text import Text
from rich.console import Console

from zoomsr.figures import Figure
from zoomsr.report.captions import about_set, about_tests, headline, notes
from zoomsr.report.charts import Drawing
from zoomsr.report.columns import on_screen, p_text
from zoomsr.report.entries import read_entries
from zoomsr.report.groups import SeedGroup, groups_of
from zoomsr.report.images import image_figures, sliders
from zoomsr.report.leaderboard import Leaderboard, leaderboards
from zoomsr.report.page import PageFigure, PageSlider, page
from zoomsr.report.place import atomic_folder, made_by_compare
from zoomsr.report.tables import write_images, write_results, write_text_tables

# Six pictures that all gain: p = 2 / 64, times 3 pairs = 0.094; all but c gain over vdsr.
UNET, VDSR = (3.0, 3.1, 3.2, 3.3, 3.4, 3.5), (1.0, 1.1, 4.0, 1.3, 1.4, 1.5)


def _page(
    groups: Sequence[SeedGroup],
    tables: Sequence[Leaderboard],
    figures: Sequence[PageFigure] = (),
    *,
    shown: Sequence[PageSlider] = (),
    undrawn: Sequence[str] = (),
    out: Path = Path("/report"),
) -> str:
    files = ["results.csv"]
    return page(groups, tables, figures, sliders=shown, undrawn=undrawn, files=files, out=out, command="made")


@pytest.fixture
def tables(tmp_path: Path) -> list[Leaderboard]:
    """Two nets, one of them with two seeds."""
    finished(tmp_path / "runs" / "u1", gained(*UNET), net="unet", seed=1)
    finished(tmp_path / "runs" / "u2", gained(*(gain + 1 for gain in UNET)), net="unet", seed=2)
    finished(tmp_path / "runs" / "v", gained(*VDSR), net="vdsr")
    return leaderboards(groups_of(read_entries([tmp_path / "runs"])))


def test_results_csv_is_keyed_by_set_protocol_and_net(tables: list[Leaderboard], tmp_path: Path) -> None:
    write_results(tmp_path / "results.csv", tables)
    with (tmp_path / "results.csv").open() as file:
        rows = {row["net"]: row for row in csv.DictReader(file)}
    assert list(rows["unet"])[:3] == ["set", "protocol", "net"]
    assert list(rows) == ["bicubic", "unet", "vdsr"]
    unet, vdsr, bicubic = rows["unet"], rows["vdsr"], rows["bicubic"]
    assert (unet["set"], unet["protocol"], unet["seeds"], unet["images"]) == ("folder held-out", "modern", "2", "6")
    assert float(unet["gain"]) == pytest.approx(3.75)
    assert float(unet["psnr_y"]) == pytest.approx(35.083333)
    assert float(unet["psnr_y_sd"]) == pytest.approx(0.5**0.5)
    assert 3.6 < float(unet["gain_low"]) < 3.75 < float(unet["gain_high"]) < 3.9
    assert float(vdsr["gain"]) == pytest.approx(10.3 / 6)
    # Over vdsr five pictures gain 2.5, and one loses 0.3: rank 1 of 6, or none, both ways: 4 of 64; then Holm by 1.
    assert (vdsr["next_better"], float(vdsr["p_next_better"])) == ("unet", pytest.approx(0.09375))
    assert (bicubic["gain"], bicubic["next_better"], bicubic["psnr_y_sd"], bicubic["seeds"]) == ("", "", "", "0")
    assert (unet["params"], unet["macs"], unet["peak_mb"], unet["seconds"]) == ("1000", "2e+09", "3.5", "90")


def test_p_values_are_corrected_for_all_pairs(tables: list[Leaderboard]) -> None:
    # 2/64, 2/64 and 4/64 by Holm: 3 x 2/64; 2 x 2/64, not below the first; 4/64, not below the second.
    assert dict(tables[0].p_values) == {
        ("bicubic", "unet"): pytest.approx(6 / 64),
        ("bicubic", "vdsr"): pytest.approx(6 / 64),
        ("unet", "vdsr"): pytest.approx(6 / 64),
    }


def test_images_csv_has_every_picture_of_every_seed(tables: list[Leaderboard], tmp_path: Path) -> None:
    write_images(tmp_path / "images.csv", tables)
    with (tmp_path / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * (1 + 2 + 1)
    found = {(row["net"], row["run"], row["image"]): float(row["psnr_y"]) for row in rows}
    assert found["bicubic", "", "b.png"] == 32.0
    assert found["unet", "u2", "c.png"] == pytest.approx(32.2)
    assert list(rows[0])[:5] == ["set", "protocol", "net", "run", "image"]


def test_markdown_sets_the_best_in_bold(tables: list[Leaderboard], tmp_path: Path) -> None:
    write_text_tables(tmp_path, tables)
    lines = (tmp_path / "results.md").read_text().splitlines()
    assert lines[0] == "## folder held-out, protocol modern"
    unet = next(line for line in lines if line.startswith("| unet"))
    assert re.match(r"\| unet \| 2 \| \*\*35\.08\*\* \(3\d\.\d\d to 3\d\.\d\d\) \| \+3\.75 \(", unet)
    assert "| 1,000 | 2.0 | 12.5 | 3.5 | 2 | 1.5 |" in unet
    assert "bootstrap (BCa, 9999 resamples)" in lines[-1]
    assert "Of 6 images p cannot be below 0.031" in lines[-1]


def test_a_table_fits_on_a_terminal_of_80_characters(tmp_path: Path) -> None:
    name = "name_of_a_net_with_[brackets]"
    finished(tmp_path / "a", gained(*UNET), net=name)
    finished(tmp_path / "b", gained(*VDSR), net="vdsr")
    (table,) = leaderboards(groups_of(read_entries([tmp_path])))
    screen = Console(width=80, file=io.StringIO())
    screen.print(on_screen(table, width=80))
    lines = screen.file.getvalue().splitlines()[1:]
    assert len({len(line) for line in lines}) == 1
    assert {line[-1] for line in lines} == {*"┓┃┩│┘"}
    labels = [line.split("│")[1].strip() for line in lines if line[0] == "│"]
    assert "".join(labels) == f"bicubic{name}vdsr"
    assert sum(" 12.5 │" in line for line in lines) == 2


def test_a_caption_says_which_published_set_was_measured(tmp_path: Path) -> None:
    place = evaluation(tmp_path / "e", {"unet": gained(1)})
    data = json.loads((place / "metrics.json").read_text())
    data["data"]["recognised"] = {"Set5": "Set5: 3 of 5 pictures"}
    (place / "metrics.json").write_text(json.dumps(data))
    table, _ = leaderboards(groups_of(read_entries([place])))
    assert about_set(table).endswith(" Recognised by its pixels: Set5: 3 of 5 pictures.")


def test_names_cannot_break_a_table(tmp_path: Path) -> None:
    name = "a_b|c<i>$x$ & 50%\\"
    finished(tmp_path / "a", gained(1), overrides=["x=1"], more={"x": 1})
    finished(tmp_path / "b", gained(2), overrides=[name], more={"x": 2})
    tables = leaderboards(groups_of(read_entries([tmp_path])))
    write_text_tables(tmp_path, tables)
    assert r"| a\_b\|c\<i\>$x$ & 50%\\ |" in (tmp_path / "results.md").read_text()
    assert r"a\_b|c$<$i$>$\$x\$ \& 50\%\textbackslash{} &" in (tmp_path / "results.tex").read_text()
    text = _page([], tables)
    assert "a_b|c&lt;i&gt;$x$ &amp; 50%\\" in text
    assert "<i>" not in text


def test_latex_is_balanced_and_every_row_has_all_columns(tables: list[Leaderboard], tmp_path: Path) -> None:
    write_text_tables(tmp_path, tables)
    text = (tmp_path / "results.tex").read_text()
    assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
        *(("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table"))
    ]
    assert text.count("{") == text.count("}")
    assert [text.count(f"\\{rule}") for rule in ("toprule", "midrule", "bottomrule")] == [1, 2, 1]
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    (spec,) = re.findall(r"\\begin\{tabular\}\{(l[r]+)\}", text)
    assert [line.count(" & ") + 1 for line in rows] == [len(spec)] * 4
    assert r"\textbf{35.08}" in rows[2]


def test_latex_has_a_minus_where_a_net_loses(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(-1.5))
    write_text_tables(tmp_path, leaderboards(groups_of(read_entries([tmp_path / "a"]))))
    assert r"& $-$1.50 {\scriptsize ($-$1.50 to $-$1.50)} &" in (tmp_path / "results.tex").read_text()


@pytest.mark.parametrize(("p", "text"), [(0.0004, "<0.001"), (0.0312, "0.031"), (1.0, "1"), (0.997, "1"), (0.5, "0.5")])
def test_p_is_shown_to_two_digits(p: float, text: str) -> None:
    assert p_text(p) == text


def test_two_pictures_have_neither_interval_nor_test(tmp_path: Path) -> None:
    finished(tmp_path / "a", {"a.png": 31.0, "b.png": 34.0})
    (table,) = leaderboards(groups_of(read_entries([tmp_path])))
    assert (table.nets[0].interval, table.p_values) == (None, {})
    assert about_tests([table]) == "Sets of fewer than 3 images have neither intervals nor tests."
    assert (
        headline([table])
        == "srcnn is the best net on folder held-out: 32.50 dB PSNR on Y, +1.50 dB over bicubic, protocol modern."
    )


def test_a_net_below_bicubic_is_no_success(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(-1.5))
    finished(tmp_path / "b", gained(-2.0), net="vdsr")
    assert headline(leaderboards(groups_of(read_entries([tmp_path])))) == (
        "No net beats bicubic on folder held-out yet; the best is srcnn: 29.83 dB PSNR on Y, -1.50 dB against bicubic "
        "(95 % interval -1.50 to -1.50), protocol modern."
    )


def test_protocols_in_words(tmp_path: Path) -> None:
    modern, classic, tests = notes(
        leaderboards(groups_of(read_entries([evaluation(tmp_path / "e", {"u": gained(1)})])))
    )
    assert "given an 8-bit lr;" in modern
    assert "Y (BT.601) is not rounded" in modern
    assert "an lr of floats" in classic
    assert "Y (BT.601) is rounded to whole grey levels" in classic
    assert tests.startswith("A range is the 95 % interval")


def test_states_and_settings_on_the_page(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1), more={"lr": 0.1})
    failed = {"state": "failed", "error": "<b>no number</b>"}
    run(tmp_path / "b", net="vdsr", epochs=2, status=failed, more={"lr": 0.2})
    groups = groups_of(read_entries([tmp_path]))
    text = _page(groups, leaderboards(groups), undrawn=["epochs_x is missing: damaged"])
    assert '<td class="state">failed</td><td>&lt;b&gt;no number&lt;/b&gt;</td><td>2</td>' in text
    assert "epochs_x is missing" in text
    settings = text[text.index("<h2>Settings</h2>") : text.index("<h2>Environment</h2>")]
    assert '<th scope="row">lr</th><td>0.1</td><td>0.2</td>' in settings
    assert "checkpoints" in settings
    assert "seed" not in settings
    assert str(tmp_path) not in settings
    assert "Not in the tables" not in _page(groups[:1], leaderboards(groups))


def test_a_page_refers_to_nothing_outside(tables: list[Leaderboard], tmp_path: Path) -> None:
    groups = groups_of(read_entries([finished(tmp_path / "a #1", gained(1), net="<nets>")]))
    text = _page(groups, tables, out=tmp_path / "out" / "report")
    assert "default-src 'none'" in text
    assert "<h1>&lt;nets&gt; against bicubic</h1>" in text
    links = set(re.findall(r"(?:src|href)=\"([^\"]*)", text))
    assert {link for link in links if link[0] != "#"} == {"data:,", "../../a%20%231/", "results.csv"}
    assert "://" not in text


def test_a_page_has_no_more_figures_than_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoomsr.report.page._MAX_BYTES", 1000)
    figures = [
        PageFigure(Drawing(name, f"About {name}.", name, Figure), "x" * size, (9, 9))
        for name, size in (("a", 1200), ("b", 120))
    ]
    text = _page([], [], figures)
    assert text.count("<img src") == 1
    assert 'About a. It is too large for this page: see <a href="figures/a.png">figures/a.png</a>.' in text
    assert '<a class="enlarge" href="figures/b.png" title="enlarge"><img src="xxx' in text


def test_a_slider_shows_bicubic_and_the_best_net_first(tmp_path: Path) -> None:
    for number, net in enumerate(("srcnn", "vdsr")):
        keep_pictures(finished(tmp_path / net, gained(number), net=net), shade=0.5 + 0.1 * number)
    groups = groups_of(read_entries([tmp_path]))
    (slider,) = sliders(groups)
    assert list(slider.pictures) == ["bicubic", "srcnn", "vdsr", "ground truth"]
    assert [round(float(slider.pictures[net].mean()), 2) for net in ("srcnn", "vdsr")] == [0.5, 0.6]
    shown = PageSlider(slider.name, dict.fromkeys(slider.pictures, "data:x"), (32, 32))
    text = _page(groups, [], shown=[shown])
    assert re.findall(r'alt="(a.png, [a-z ]*)" width="32" height="32"(?: class="(\w+)")?', text) == [
        *(("a.png, bicubic", "left"), ("a.png, srcnn", "right"), ("a.png, vdsr", ""), ("a.png, ground truth", "")),
    ]


def test_tables_can_be_referred_to_in_latex(tmp_path: Path) -> None:
    groups = groups_of(read_entries([evaluation(tmp_path / "e", {"u": gained(1)}, sets=["Set5", "B 100 %"])]))
    write_text_tables(tmp_path, leaderboards(groups))
    labels = re.findall(r"\\caption\{.*\n\\label\{(.*)\}", (tmp_path / "results.tex").read_text())
    assert labels == ["tab:Set5:modern", "tab:Set5:classic", "tab:B_100:modern", "tab:B_100:classic"]


def test_crops_that_all_runs_share_are_compared(tmp_path: Path) -> None:
    for number, net in enumerate(("srcnn", "vdsr")):
        keep_pictures(finished(tmp_path / net, gained(number), net=net), shade=0.5 + 0.1 * number)
    keep_pictures(run(tmp_path / "unfinished", net="unet"))
    found = {one.name: one for one in image_figures(groups_of(read_entries([tmp_path])))}
    assert set(found) == {"comparison", "gallery", "epochs_srcnn", "epochs_vdsr", "epochs_unet"}
    assert found["comparison"].alt == "Crops of a.png: ground truth, input, bicubic, srcnn, vdsr."
    drawn = {text.get_text() for text in found["comparison"].draw().findobj(Text)}
    assert {"a.png", "bicubic", "srcnn", "vdsr"} <= drawn


def test_nets_of_any_kind_with_a_checkpoint_are_drawn_and_those_made_alike_once(tmp_path: Path) -> None:
    unet = {"_target_": "zoomsr.models.unet.UNet"}
    for number, more in enumerate(({"x": 1}, {"x": 2}, {"x": 3, "model": {"_target_": "mynets.Mine"}})):
        place = finished(tmp_path / f"{number}", gained(number), net="unet", more={"model": unet, **more})
        (place / "checkpoints").mkdir()
        (place / "checkpoints" / "best.ckpt").touch()
    finished(tmp_path / "without", gained(2), net="vdsr")
    drawn = [one.name for one in image_figures(groups_of(read_entries([tmp_path])))]
    assert drawn == ["architecture_unet_0", "architecture_unet_2"]


def test_a_folder_is_replaced_atomically(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"

    def write(text: str) -> None:
        with atomic_folder(out) as folder:
            (folder / "index.html").write_text('<meta name="generator" content="zoomsr.compare">' + text)
            if text == "broken":
                raise OSError("the disk is full")

    write("one")
    assert made_by_compare(out / "index.html")
    with pytest.raises(OSError, match="full"):
        write("broken")
    assert (out / "index.html").read_text().endswith("one")
    write("two")
    assert (out / "index.html").read_text().endswith("two")
    assert [path.name for path in out.parent.iterdir()] == ["report"]
    assert out.stat().st_mode & 0o055 == 0o055  # others may read it


@pytest.mark.parametrize("name", ["notes.txt", "figures/mine.xcf"])
def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path: Path, name: str) -> None:
    out = tmp_path / "report"
    with atomic_folder(out) as folder:
        (folder / "index.html").write_text('<meta name="generator" content="zoomsr.compare">')
    (out / name).write_text("mine")
    with (
        pytest.raises(ValueError, match=f"report holds {Path(name).name}, which no report has written"),
        atomic_folder(out),
    ):
        pass
    assert (out / name).read_text() == "mine"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("<html>")
    for name, said in (("file", "is a file"), ("folder", "is no report of zoomsr.compare, and is not overwritten")):
        with pytest.raises(ValueError, match=said), atomic_folder(tmp_path / name):
            pass
