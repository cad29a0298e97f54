"""From directories to rows and tables: states, seeds, labels, and what is refused."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from _support.results import BICUBIC, CLASSIC, MODERN, evaluation, finished, gained, metrics, run

from zoomsr.report.comparability import require_alike
from zoomsr.report.entries import read_entries
from zoomsr.report.groups import SeedGroup, groups_of
from zoomsr.report.leaderboard import Leaderboard, leaderboards


def _rows(*paths: Path) -> list[SeedGroup]:
    return groups_of(read_entries(paths))


def _labels(*paths: Path) -> dict[str, list[str]]:
    return {row.label: [entry.place.name for entry in row.entries] for row in _rows(*paths)}


def _table(*paths: Path) -> Leaderboard:
    (table,) = leaderboards(_rows(*paths))
    return table


def test_bicubic_is_first_and_nets_fall_by_psnr(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1), net="srcnn")
    finished(tmp_path / "b", gained(2), net="vdsr")
    finished(tmp_path / "c", gained(-1), net="unet")
    assert [one.label for one in _table(tmp_path).rows] == ["bicubic", "vdsr", "srcnn", "unet"]


def test_runs_that_differ_in_the_seed_alone_are_one_row(tmp_path: Path) -> None:
    for seed, gain in ((1, 1.0), (2, 2.0), (3, 3.0)):
        finished(tmp_path / f"s{seed}", gained(gain), seed=seed)
    finished(tmp_path / "other", gained(5), seed=1, overrides=["loss=mse"], more={"loss": "mse"})
    assert _labels(tmp_path) == {"loss=mse": ["other"], "srcnn": ["s1", "s2", "s3"]}
    _, best, seeds = _table(tmp_path).rows
    assert (best.seeds, best.spread("psnr_y")) == (1, None)
    assert seeds.seeds == 3
    assert seeds.means_by_seed("psnr_y") == pytest.approx([32.333333, 33.333333, 34.333333])
    assert seeds.spread("psnr_y") == pytest.approx(1.0)
    assert seeds.images["c.png"]["psnr_y"] == 30.0
    assert seeds.images["c.png"]["mae"] == pytest.approx((1 / 29 + 1 / 30 + 1 / 31) / 3)


def test_what_only_watches_a_training_makes_no_other_row(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1), seed=1, more={"callbacks": {"pictures": {"count": 9}}, "logger": None})
    finished(tmp_path / "b", gained(1), seed=2, more={"callbacks": {"gallery": {"count": 9}}, "logger": {"x": 1}})
    finished(tmp_path / "c", gained(1), seed=3, more={"callbacks": {"guard": {"on_nonfinite": "skip"}}})
    assert sorted(map(len, _labels(tmp_path).values())) == [1, 2]


def test_a_second_run_of_the_same_seed_is_no_further_seed(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1))
    finished(tmp_path / "b", gained(1))
    assert _labels(tmp_path) == {"srcnn (a)": ["a"], "srcnn (b)": ["b"]}


def test_one_run_is_called_by_its_net(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1), overrides=["trainer=quick"])
    assert list(_labels(tmp_path)) == ["srcnn"]


def test_nets_of_one_evaluation_are_told_apart_by_their_names_in_it(tmp_path: Path) -> None:
    finished(tmp_path / "runs" / "s", gained(9))
    place = evaluation(tmp_path / "e", {"srcnn": gained(1), "srcnn s/best": gained(2)})
    data = json.loads((place / "metrics.json").read_text())
    data["nets"]["srcnn s/best"]["weights"] = {"path": str(tmp_path / "runs/s/checkpoints/best.ckpt")}
    (place / "metrics.json").write_text(json.dumps(data))
    assert list(_labels(place)) == ["srcnn", "srcnn s/best"]
    other = evaluation(tmp_path / "f", {"srcnn": gained(1)})
    assert list(_labels(place, other)) == ["srcnn (e: srcnn)", "srcnn s/best", "srcnn (f: srcnn)"]


def test_labels_leave_out_the_groups_of_keys_unless_they_tell_runs_apart(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1), overrides=["+optimizer.lr=1e-4", "data.x=1"], more={"x": 1})
    finished(tmp_path / "b", gained(1), overrides=["model.x=1"], more={"x": 2})
    assert list(_labels(tmp_path)) == ["lr=1e-4 x=1", "x=1"]
    finished(tmp_path / "c", gained(1), overrides=["data.x=1"], more={"x": 3})
    assert list(_labels(tmp_path)) == ["+optimizer.lr=1e-4 data.x=1", "model.x=1", "data.x=1"]


def test_a_label_that_fits_no_legend_gives_way_to_the_net_and_the_directory(tmp_path: Path) -> None:
    for name in "ab":
        long = [f"a_setting_with_a_long_name_{number}={name}" for number in range(3)]
        finished(tmp_path / name, gained(1), overrides=long, more={"long": long})
    assert list(_labels(tmp_path)) == ["srcnn (a)", "srcnn (b)"]


def test_csv_and_json_suffice(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "metrics.json").write_text(json.dumps(metrics("srcnn", gained(1))))
    (tmp_path / "a" / "metrics.csv").write_text("epoch,val/psnr_y\n1,30\n")
    (entry,) = read_entries([tmp_path / "a"])
    assert (entry.net, entry.state, entry.seed, entry.epochs) == (
        "srcnn",
        "finished",
        None,
        [{"epoch": 1, "val/psnr_y": 30}],
    )


def test_a_sweep_with_unfinished_and_failed_runs(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    finished(sweep / "0_srcnn", gained(1))
    run(sweep / "1_vdsr", net="vdsr", epochs=2)
    failed = {"state": "failed", "exit_code": 1, "error": "the loss is no number"}
    run(sweep / "2_unet", net="unet", epochs=0, status=failed)
    (sweep / "multirun.yaml").write_text("hydra: {}")
    entries = read_entries([sweep])
    assert [(one.net, one.state, one.reason, len(one.epochs)) for one in entries] == [
        ("srcnn", "finished", "", 3),
        ("vdsr", "unfinished", "", 2),
        ("unet", "failed", "the loss is no number", 0),
    ]
    assert [one.label for one in _table(sweep).rows] == ["bicubic", "srcnn"]


def test_a_run_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1))
    assert len(read_entries([tmp_path / "a", tmp_path, tmp_path / "a" / "metrics.json"])) == 1


def test_an_evaluation_has_a_table_for_each_set_and_protocol(tmp_path: Path) -> None:
    evaluation(tmp_path / "e", {"unet": gained(2), "vdsr": gained(1)}, ["Set5", "Set14"])
    tables = leaderboards(_rows(tmp_path / "e"))
    assert [(one.title, one.protocol) for one in tables] == [
        *(("Set5", "modern"), ("Set5", "classic")),
        *(("Set14", "modern"), ("Set14", "classic")),
    ]
    assert [one.label for one in tables[1].rows] == ["bicubic", "unet", "vdsr"]
    assert tables[1].nets[0].mean["psnr_y"] == pytest.approx(statistics.fmean(BICUBIC.values()) + 3)


def test_checkpoints_of_one_net_with_two_seeds_are_one_row_of_an_evaluation(tmp_path: Path) -> None:
    for seed in (1, 2):
        finished(tmp_path / "runs" / f"s{seed}", gained(9), seed=seed)
    place = evaluation(tmp_path / "e", {"srcnn s1/best": gained(1), "srcnn s2/best": gained(2), "other": gained(0)})
    data = json.loads((place / "metrics.json").read_text())
    for seed in (1, 2):
        path = tmp_path / "runs" / f"s{seed}" / "checkpoints" / "best.ckpt"
        data["nets"][f"srcnn s{seed}/best"]["weights"] = {"path": str(path)}
    (place / "metrics.json").write_text(json.dumps(data))
    table = leaderboards(_rows(place))[0]
    assert [(one.label, one.seeds) for one in table.rows] == [("bicubic", 0), ("srcnn", 2), ("other", 1)]
    assert table.nets[0].costs == {
        "params": 10,
        "macs": 2e9,
        "latency_ms": 12.5,
        "peak_mb": 3.5,
        "best_epoch": 2,
        "seconds": 90,
    }


def test_costs_are_means_over_seeds_and_older_runs_lack_some(tmp_path: Path) -> None:
    for seed, net in (
        (1, {"name": "srcnn", "params": 10, "latency_ms": 2.0}),
        (2, {"name": "srcnn", "params": 10, "latency_ms": 4.0}),
    ):
        run(tmp_path / f"s{seed}", seed=seed, results=metrics("srcnn", gained(1), net=net))
    assert _table(tmp_path).nets[0].costs == {"params": 10, "latency_ms": 3, "best_epoch": 2, "seconds": 90}


def test_a_run_of_bicubic_is_no_further_row(tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(0), net="bicubic")
    finished(tmp_path / "b", gained(1))
    table = _table(tmp_path)
    assert [(one.label, one.costs.get("latency_ms")) for one in table.rows] == [("bicubic", 12.5), ("srcnn", 12.5)]


def _other(tmp_path: Path, **about: Any) -> list[Path]:
    psnr = about.pop("psnr", gained(1))
    results = metrics("vdsr", psnr)
    for key, value in about.items():
        results[key] = {**results[key], **value} if isinstance(value, dict) else value
    finished(tmp_path / "one", gained(1))
    run(tmp_path / "two", net="vdsr", results=results)
    return [tmp_path / "one", tmp_path / "two"]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"scale": 3}, "scale 2 and 3"),
        ({"degradation": "Box(scale=2)"}, r"degradation Bicubic\(scale=2\) and Box\(scale=2\)"),
        ({"data": {"hash": "def456"}}, "data hash abc123 and def456"),
        ({"protocols": {"modern": {**MODERN, "luma_8bit": True}}}, "protocol modern .*luma_8bit=False and .*=True"),
        ({"psnr": {"a.png": 31.0, "b.png": 31.0}}, r"6 and 2 images, c\.png in one of them alone"),
    ],
)
def test_what_was_not_measured_alike_is_refused(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    paths = _other(tmp_path, **about)
    with pytest.raises(
        ValueError, match=rf"one and .*two were not measured alike: .*{said}.*; --mixed reports each set"
    ):
        require_alike(read_entries(paths))


def test_other_sets_and_other_pictures_of_the_same_names_are_refused(tmp_path: Path) -> None:
    evaluation(tmp_path / "e", {"unet": gained(2)})
    finished(tmp_path / "a", gained(1))
    with pytest.raises(ValueError, match="sets Set5 and folder held-out"):
        require_alike(read_entries([tmp_path / "e", tmp_path / "a"]))
    results = metrics("vdsr", gained(1))
    results["sets"]["folder held-out"]["bicubic"]["modern"]["images"]["b.png"]["psnr_y"] = 25.0
    run(tmp_path / "b", net="vdsr", results=results)
    with pytest.raises(ValueError, match=r"bicubic on b\.png 32\.00 dB and 25\.00 dB"):
        require_alike(read_entries([tmp_path / "a", tmp_path / "b"]))


def test_mixed_sets_stand_in_tables_of_their_own(tmp_path: Path) -> None:
    paths = _other(tmp_path, degradation="Box(scale=2)")
    tables = leaderboards(_rows(*paths))
    assert {one.title: [row.label for row in one.rows] for one in tables} == {
        "folder held-out, Bicubic(scale=2)": ["bicubic", "srcnn"],
        "folder held-out, Box(scale=2)": ["bicubic", "vdsr"],
    }


def test_other_training_photographs_but_the_same_pictures_share_a_table_when_mixed(tmp_path: Path) -> None:
    table = _table(*_other(tmp_path, data={"hash": "def456"}))
    assert [one.label for one in table.rows] == ["bicubic", "srcnn", "vdsr"]
    assert {entry.results["data"]["hash"] for row in table.entries.values() for entry in row} == {"abc123", "def456"}


def test_protocols_of_the_same_name_that_differ_are_two_tables_when_mixed(tmp_path: Path) -> None:
    tables = leaderboards(_rows(*_other(tmp_path, protocols={"modern": {**CLASSIC, "name": "modern"}})))
    assert [len(table.rows) for table in tables] == [2, 2]
    assert len({table.title for table in tables}) == 2


def test_two_runs_of_one_name_are_told_apart_by_the_folder_above_or_refused(tmp_path: Path) -> None:
    for folder in ("x", "y", "z/x"):
        finished(tmp_path / folder / "run", gained(1))
    assert list(_labels(tmp_path / "x", tmp_path / "y")) == ["srcnn (x/run)", "srcnn (y/run)"]
    with pytest.raises(ValueError, match=r"x/run and .*z/x/run are both called x/run, and cannot be told apart"):
        _rows(tmp_path / "x", tmp_path / "z")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metrics.json", "{", r"metrics\.json is damaged"),
        ("metrics.json", '{"sets": {}}', r"metrics\.json is damaged: it lacks 'protocols'"),
        ("metrics.json", json.dumps(metrics("srcnn", {"a.png": float("nan")})), r"srcnn, modern, a\.png: .* is nan"),
        ("metrics.csv", "epoch,val/mae\n1,abc\n", r"metrics\.csv is damaged: could not convert string to float: 'abc'"),
        ("metrics.csv", "val/mae\n1\n", r"metrics\.csv is damaged: a row has no epoch"),
        ("settings.yaml", "a: [", r"settings\.yaml cannot be read"),
        ("status.json", "{", r"status\.json is damaged"),
        (".hydra/overrides.yaml", "a: [", r"overrides\.yaml is damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    place = finished(tmp_path / "a", gained(1))
    (place / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_entries([place])


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no .*nowhere"):
        read_entries([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty is no run and holds none"):
        read_entries([tmp_path / "empty"])
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(ValueError, match=r"file\.txt is no run and holds none"):
        read_entries([tmp_path / "file.txt"])
