"""The pretrained nets beside published ones: which rows are kept, what is refused, what the table holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.results import scores

from experiments import tables
from experiments.pretrained import collect, rounds
from experiments.pretrained import mean as means_of_weights
from experiments.pretrained.collect import PretrainedNet
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import WEIGHTS_DIR
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.layout import best_checkpoint
from zoomsr.runs.run import Run

ARTICLES = [
    {"net": net, "scale": scale, "set5": psnr, "set14": "30", "b100": "29", "urban100": "", "gmacs": gmacs}
    | {"trained_on": "291", "params": "9", "protocol": "classic", "article": "A et al."}
    for net, scale, psnr, gmacs in [
        ("VDSR", "2", "37.53", "613"),
        ("IDN", "2", "37.83", "127"),
        ("IDN", "3", "34.11", "56"),
    ]
]


def _net(name: str, scale: int, sha: str, *, data: dict[str, Any] | None = None) -> PretrainedNet:
    data = data or {"name": "train291", "n_train": 275}
    known = {"net": {}, "channels": 3, "degradation": "", "protocols": {}, "sets": {}, "halo": 1, "bfloat16": True}
    card = Card(scale=scale, sha256=sha * 64, data=data, params=7, licence="", command="", versions={}, **known)
    return PretrainedNet(Path(f"{name}.safetensors"), card)


NETS = {net.key: net for net in (_net("unet", 2, "a"), _net("unet_x3", 3, "b"), _net("srcnn", 2, "c"))}


def _run(scale: int, label: str, sha: str, verdict: str = "Set5, complete") -> dict[str, Any]:
    by_protocol = {"modern": scores({"x": 34.0}), "classic": scores({"x": 33.5})}
    nets = {"bicubic": {"weights": None}, label: {"weights": {"sha256": sha * 64}}}
    sets = {"Set5": {"bicubic": by_protocol, label: by_protocol}}
    return {"scale": scale, "nets": nets, "sets": sets, "data": {"recognised": {"Set5": verdict}}}


def _row(net: str, scale: str, sha: str, name: str = "Set5", protocol: str = "modern", **more: str) -> dict[str, str]:
    key = {"scale": scale, "set": name, "protocol": protocol, "net": net, "weights": sha * 12}
    return {**key, "psnr_y": "37", "ssim_y": "1", "psnr_rgb": "1", "mae": "0", "params": "", "gmacs": "", **more}


def test_the_rows_of_an_evaluation_carry_scale_and_weights() -> None:
    found = list(collect.rows(_run(3, "unet_x3", "b"), NETS))
    keys = [("3", "Set5", protocol, net) for net in ("bicubic", "unet") for protocol in ("modern", "classic")]
    assert [collect.row_key(row) for row in found] == keys
    assert [row["weights"] for row in found] == ["", "", "b" * 12, "b" * 12]
    assert [row["psnr_y"] for row in found] == [34.0, 33.5, 34.0, 33.5]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (_run(3, "unet_x3", "a"), "the run at x3 has measured other weights than the pretrained unet_x3"),
        (_run(2, "unet_x3", "b"), "the run at x2 has measured other weights than the pretrained unet_x3"),
        (_run(2, "unet", "a", "Set5: 3 of 5 pictures"), "the run at x2 has measured Set5: Set5: 3 of 5 pictures"),
        (_run(2, "unet", "a", "Set14, complete"), "the run at x2 has measured Set5: Set14, complete; wanted are Set5"),
    ],
)
def test_other_weights_and_other_pictures_are_refused(run: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(collect.rows(run, NETS))


def test_rows_of_weights_that_have_not_changed_are_kept() -> None:
    old = [_row("bicubic", "4", ""), _row("unet", "2", "a"), _row("srcnn", "2", "d"), _row("ircnn", "2", "e")]
    old.append(_row("unet", "3", "a"))
    assert [key[::3] for key in collect.kept(old, NETS)] == [("4", "bicubic"), ("2", "unet")]


def test_a_net_that_was_not_measured_again_is_named_with_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    nets = {key: NETS[key] for key in (("2", "unet"), ("3", "unet"))}
    whole = [_row("unet", "2", "a", name) for name in ("Set5", "Set14", "B100")]
    some = [_row("unet", "3", "b", name) for name in ("Set5", "Set14")]
    collect.require_whole([*whole, *some], nets)
    command = "python -m zoomsr.evaluate data_dir=[{}] scale=3 ckpt=[unet_x3]"
    assert capsys.readouterr().out.split() == ["missing", *command.format("B100").split()]
    with pytest.raises(ValueError, match="unet_x3 has not been measured since its weights changed: ") as error:
        collect.require_whole(whole, nets)
    assert str(error.value).endswith(command.format("Set5,Set14,B100"))


def test_costs_are_those_of_before_where_the_net_has_as_many_parameters() -> None:
    old = [
        _row("unet", "2", "z", params="7", gmacs="98", latency_ms="47", machine="m"),
        _row("unet", "2", "z", params="8"),
    ]
    results: list[Any] = [_row("unet", "2", "a"), _row("bicubic", "2", "")]
    collect.add_costs(results, {("2", "unet"): NETS["2", "unet"]}, old)
    assert [(row["params"], row["gmacs"], row.get("latency_ms")) for row in results] == [
        ("7", "98", "47"),
        ("", "", None),
    ]


def test_an_articles_value_stands_beside_the_same_net_scale_and_set_under_classic() -> None:
    wanted = [
        _row("vdsr", "2", "", protocol="classic"),
        _row("vdsr", "2", "", protocol="modern"),
        _row("vdsr", "3", "", protocol="classic"),
        _row("vdsr", "2", "", "B100", "classic"),
    ]
    assert [collect.article(row, ARTICLES) for row in wanted] == ["37.53", None, None, "29"]


def test_the_unet_stands_among_published_nets_of_similar_cost() -> None:
    results = [
        _row(net, "2", "", name, protocol, gmacs="98" if net == "unet" else "", psnr_y=psnr)
        for net, psnr in (("bicubic", "33"), ("unet", "38"))
        for name in ("Set5", "B100")
        for protocol in ("modern", "classic")
    ]
    found = list(collect.beside(results, ARTICLES, NETS))
    shown = [(row["scale"], row["net"], row["protocol"], row.get("set5"), row.get("b100")) for row in found]
    assert shown == [
        ("x2", "bicubic", "modern", "33", "33"),
        ("x2", "unet", "classic", "38", "38"),
        ("x2", "unet", "modern", "38", "38"),
        ("x2", "IDN", "classic", "37.83", "29"),
        ("x3", "IDN", "classic", "34.11", "29"),  # no U-Net is measured at x3, VDSR costs more than five times as much
    ]
    assert [row["trained_on"] for row in found] == [None, "275 of the 291", "275 of the 291", "291", "291"]


def test_photographs_whose_licences_allow_everything_are_called_free() -> None:
    photographs = [{"file": "free/a.webp", "split": "train"}, {"file": "research/b.webp", "split": "val"}]
    data = {"name": "photos", "n_train": 240, "photographs": photographs}
    assert _net("unet", 2, "a", data=data).trained_on() == "240 free photographs"
    seen = {**data, "started_from": ["275 of train291", "240 of photos"]}
    assert _net("unet", 2, "a", data=seen).trained_on() == "240 free photographs, after 275 of the 291"
    photographs[1]["split"] = "train"
    assert _net("unet", 2, "a", data=data).trained_on() == "240 photographs"


def test_the_round_that_is_shipped_is_the_one_on_the_card() -> None:
    shipped = {row["net"]: row for row in tables.rows(rounds.ROUNDS) if row["shipped"]}
    assert {"srcnn", "unet", "unet_photo", "unet_x3", "unet_x4", "vdsr"} == shipped.keys()
    for net, row in shipped.items():
        card = Card.beside(WEIGHTS_DIR / f"{net}.safetensors")
        assert card is not None
        assert card.command == f"python -m zoomsr.train {row['recipe']}"
        *_, means = card.sets["photos held-out"].values()
        own = means["modern"]["psnr_y"]
        assert own == pytest.approx(float(row["val_psnr_y"]), abs=1e-3)


def test_a_round_is_what_its_run_says(train: Callable[..., Run]) -> None:
    run = train("data.patches_per_image=2", "trainer.max_epochs=1")
    found = rounds.measured(run)
    assert run.results is not None
    assert found["photographs"] == run.results["data"]["n_train"]
    assert found["val_psnr_y"] == list(run.means().values())[-1]["psnr_y"]
    assert "trainer.max_epochs=1" in str(found["recipe"]).split()


def test_a_mean_of_weights_starts_a_training_that_knows_where_they_come_from(
    train: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["data.patches_per_image=2", "trainer.max_epochs=1"]
    first = train(*short)
    second = train(*short, f"ckpt={first.path}", "ckpt_mode=weights", "seed=1", "optimizer.lr=0.1")
    parts = [Weights.read(best_checkpoint(run.path)) for run in (first, second)]
    out = tmp_path / "mean.safetensors"
    means_of_weights.main([str(first.path), str(second.path)], out)
    found = Weights.read(out)
    for name, tensor in found.tensors.items():
        one, other = (part.tensors[name] for part in parts)
        assert not torch.equal(one, other)
        torch.testing.assert_close(tensor.float(), (one + other) / 2, rtol=1e-3, atol=1e-6)  # 16 bit
    assert found.card is not None
    assert found.card.data["started_from"] == ["5 of photos"]
    assert found.card.command == "python -m experiments.pretrained.mean FOLDER FOLDER -o FILE"
    assert found.card.sets == {}
    means_of_weights.main([str(first.path), str(second.path)], out, start=str(first.path), step=1.5)
    further = Weights.read(out)
    for name, tensor in further.tensors.items():
        one, other = (part.tensors[name] for part in parts)
        torch.testing.assert_close(tensor.float(), one / 4 + other * 3 / 4, rtol=1e-3, atol=1e-6)
    assert further.card is not None
    assert further.card.command.endswith("FOLDER FOLDER -o FILE --start NET --step 1.5")
    for start, message in (
        (None, "--step 1.5 needs --start NET, from which it leads"),
        ("bicubic", "bicubic has no weights"),
    ):
        with pytest.raises(SystemExit):
            means_of_weights.main([str(first.path), str(second.path)], out, start=start, step=1.5)
        assert message in capsys.readouterr().err
    third = train(*short, f"ckpt={out}", "ckpt_mode=weights")
    assert third.results is not None
    assert third.results["data"]["started_from"] == ["5 of photos", "5 of photos"]


def test_a_mean_of_one_net_or_of_different_nets_or_photographs_is_refused(
    train: Callable[..., Run], tmp_path: Path
) -> None:
    one, two = (
        Weights(tmp_path / "x", {"weight": torch.ones(1)}, {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": scale})
        for scale in (2, 3)
    )
    with pytest.raises(ValueError, match="a mean is of two nets or more"):
        means_of_weights.mean([one])
    with pytest.raises(ValueError, match="scale=2 was asked for"):
        means_of_weights.mean([one, two])
    with pytest.raises(ValueError, match="scale=3 was asked for"):
        means_of_weights.beyond(one, two, step=1.5)
    few, all_of_them = train("data.val_fraction=0.4"), train()
    with pytest.raises(ValueError, match=r"best\.ckpt was trained on other photographs than the others"):
        means_of_weights.origin([Weights.read(best_checkpoint(run.path)) for run in (all_of_them, few)])
