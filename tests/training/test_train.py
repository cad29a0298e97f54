"""The training command, end to end on tiny photographs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from _support.tiny import TINY, photograph
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from zoomsr.hardware.processor import processor
from zoomsr.metrics.quality import METRICS
from zoomsr.runs.run import Run

Train = Callable[..., Run]


def _weights(run: Run, name: str = "last") -> dict[str, torch.Tensor]:
    checkpoint = torch.load(run.path / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return {key: value for key, value in checkpoint["state_dict"].items() if key.startswith("net.")}


def test_a_run_leaves_what_the_design_says(train: Train) -> None:
    run = train()
    assert [row["epoch"] for row in run.epochs] == [1, 2]
    for row in run.epochs:
        for split in ("train", "val"):
            assert {f"{split}/{name}" for name in METRICS} <= row.keys()
        assert row["seconds"] > 0
        assert row["optim/learning_rate"] > 0
    assert run.results is not None
    assert run.results["device"] == {"type": "cpu", "name": processor()}
    (scores,) = run.results["sets"].values()
    assert list(scores) == ["bicubic", "srcnn"]
    for net in scores.values():
        images = net["modern"]["images"]
        assert len(images) == run.results["data"]["n_val"] == 1
        for name in METRICS:
            mean = sum(image[name] for image in images.values()) / len(images)
            assert net["modern"]["mean"][name] == pytest.approx(mean)
    assert run.results["net"]["config"]["widths"] == [8, 4]
    assert run.results["epochs"] == 2
    assert run.results["best_epoch"] in (1, 2)
    assert (run.path / "checkpoints" / "best.ckpt").is_file()
    with Image.open(run.path / "comparison.png") as picture:
        assert picture.width > 600


def test_validation_and_test_agree_on_whole_photographs(train: Train) -> None:
    run = train()
    best = max(run.epochs, key=lambda row: row["val/psnr_y"])
    for name in METRICS:
        assert best[f"val/{name}"] == pytest.approx(run.means()["srcnn"][name], rel=1e-5)


def test_at_the_end_a_run_names_what_there_is_to_look_at(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train("trainer.max_epochs=1")
    *_, picture, results, curves, zoom = capsys.readouterr().out.splitlines()
    assert [picture.split(), results.split()] == [["picture", "run0/comparison.png"], ["results", "run0/metrics.json"]]
    assert curves.split() == ["curves", "tensorboard", "--logdir", "run0"]
    assert " ".join(zoom.split()) == "zoom python -m zoomsr.zoom PHOTO --compare -m ./run0"


def test_the_test_measures_the_mean_of_the_weights(train: Train) -> None:
    run = train("ema=0.8", "optimizer.lr=0.01")
    best = max(row["val/psnr_y"] for row in run.epochs)
    assert run.means()["srcnn"]["psnr_y"] == pytest.approx(best, abs=1e-4)


@pytest.mark.slow
def test_the_mean_of_a_short_training_is_not_its_beginning(train: Train) -> None:
    settings = ("optimizer.lr=1e-3", "data.patches_per_image=16")
    last, mean, slow = (train(*settings, *ema).means()["srcnn"]["psnr_y"] for ema in ((), ["ema=0.5"], ["ema=0.999"]))
    assert mean != last
    assert slow == pytest.approx(last, abs=0.5)


def test_curves_stand_at_their_epoch_and_share_a_chart(train: Train) -> None:
    run = train().path
    for split, meaning in (("train", "training patches"), ("val", "validation images")):
        of_split = EventAccumulator(str(run / split)).Reload()
        assert [event.step for event in of_split.Scalars("epoch/psnr_y")] == [1, 2]
        assert {tag.split("/")[0] for tag in of_split.Tags()["scalars"]} == {"epoch"}
        assert of_split.summary_metadata["epoch/error_band_4"].summary_description == (
            "Error over ground truth on Y in dB at 0.375 to 0.5 cycles per pixel; less is better. "
            f"On {meaning}, by epoch."
        )
    events = EventAccumulator(str(run), size_guidance={"images": 0}).Reload()
    assert events.summary_metadata["train/loss"].summary_description == "The loss. On training patches, by step."
    assert len(events.Scalars("train/loss")) == 10  # 5 batches in each of 2 epochs
    assert len(events.Scalars("optim/learning_rate")) == 10
    (strip,) = (tag for tag in events.Tags()["images"] if tag.startswith("held-out/"))
    assert [event.step for event in events.Images(strip)] == [1, 2]
    layout = events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0].decode(errors="replace")
    assert "^epoch/mae$" in layout
    assert "gallery/good results and difficulties" in events.Tags()["images"]


def test_hyper_parameters_carry_the_final_metrics(train: Train) -> None:
    run = train()
    for file in sorted(run.path.glob("events*")):
        events = EventAccumulator(str(file)).Reload()
        if "test/psnr_y" in events.Tags()["scalars"]:
            assert events.Scalars("test/psnr_y")[-1].value == pytest.approx(run.means()["srcnn"]["psnr_y"], rel=1e-5)
            table = HParamsPluginData.FromString(events.summary_metadata["_hparams_/experiment"].plugin_data.content)
            columns = table.experiment.hparam_infos
            assert len(columns) == len({column.name for column in columns}) > 10
            in_order = sorted(columns, key=lambda column: (not column.differs, column.name))  # as TensorBoard does
            leading = ["data.batch_size", "data.patch", "loss", "model", "optimizer.lr"]
            assert [column.name for column in in_order][:5] == leading
            return
    pytest.fail("no event file holds test/psnr_y")


def test_same_seed_gives_the_same_bits(train: Train) -> None:
    first, second, other = train(), train(), train("seed=2")
    for key, value in _weights(first).items():
        assert torch.equal(value, _weights(second)[key]), key
    assert not all(torch.equal(value, _weights(other)[key]) for key, value in _weights(first).items())


def test_resume_goes_on_counting_epochs(train: Train) -> None:
    first = train()
    resumed = train(f"ckpt={first.path}/checkpoints/last.ckpt", "trainer.max_epochs=4")
    assert [row["epoch"] for row in resumed.epochs] == [3, 4]
    assert resumed.results is not None
    assert resumed.results["epochs"] == 4


def test_checkpoint_of_another_net_is_refused_and_both_are_named(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train()
    with pytest.raises(SystemExit) as stop:
        train(f"ckpt={first.path}/checkpoints/last.ckpt", "model.widths=[8,6]", "model.kernels=[9,1,5]")
    assert stop.value.code == 1
    message = capsys.readouterr().err
    assert re.search(
        r"error: .*last\.ckpt holds SRCNN\(.*widths=\[8, 4\].*\), and kernels=\[9, 1, 5\] was asked for", message
    )


@pytest.mark.slow  # compiling takes seconds
def test_compiled_it_trains_on_patches_and_measures_photographs_of_any_size(train: Train, tmp_path: Path) -> None:
    sizes = tmp_path / "held out"
    sizes.mkdir()
    for number, size in enumerate([(40, 50), (37, 61), (64, 33)]):
        Image.fromarray(photograph(*size, seed=number)).save(sizes / f"{number}.png")
    runs = [train(f"data.val_root='{sizes}'", f"compile={compiled}") for compiled in ("false", "true")]
    scores = [run.means()["srcnn"]["psnr_y"] for run in runs]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


def test_bf16_and_every_loss_train_on_a_cpu(train: Train) -> None:
    for loss in ("mse", "charbonnier"):
        run = train(f"loss={loss}", "trainer.precision=bf16-mixed", "trainer.max_epochs=1")
        assert 5 < run.means()["srcnn"]["psnr_y"] < 60


def test_bicubic_is_measured_without_training(train: Train) -> None:
    run = train(net=["model=bicubic"])
    assert list(run.means()) == ["bicubic"]
    assert run.epochs == []


def _fails(train: Train, capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    with pytest.raises(SystemExit) as stop:
        train(*overrides)
    assert stop.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=unett", "Available options in 'model': bicubic"),
        ("trainer.max_epoch=3", "the nearest: trainer.max_epochs"),
        ("lr=1e-4", "the nearest: optimizer.lr (+lr=... would add it)"),
        ("max_epochs=3", "the nearest: trainer.max_epochs ("),
        ("--max_epochs=3", "--max_epochs is no option; settings are written KEY=VALUE: trainer.max_epochs=3"),
        ("modle=unet", "no setting is called 'modle'; the nearest: model"),
        ("data.root=/nowhere", "/nowhere is not a folder"),
        ("data.patch=64", "smaller than the training patch (data.patch) of 64x64"),
        ("data=div2k", "DIV2K_train_HR lacks 800 of 800"),
        ("ckpt=none.ckpt", "there is no file none.ckpt"),
        ("trainer.accelerator=gpu", "trainer=cpu works everywhere"),
        ("model.kernels=[9,4,5]", "3 odd kernels"),
        ("optimizer.lr=-1", "Invalid learning rate"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="one of the mistakes is asking for a GPU that is not there")
def test_a_mistake_is_one_clear_line_and_leaves_nothing(
    train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path, override: str, message: str
) -> None:
    assert message in _fails(train, capsys, override)
    assert not list(tmp_path.glob("run*"))


def test_a_damaged_photograph_is_named(train: Train, capsys: pytest.CaptureFixture[str], photos: Path) -> None:
    whole = (photos / "2.png").read_bytes()
    (photos / "2.png").write_bytes(whole[: len(whole) // 2])
    assert "2.png is damaged or truncated" in _fails(train, capsys)


def test_checkpoint_that_would_run_code_is_refused(
    train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"state_dict": {}, "hyper_parameters": {"model": Evil()}}, tmp_path / "evil.ckpt")
    assert "could run code: not opened" in _fails(train, capsys, f"ckpt={tmp_path}/evil.ckpt")
    assert not (tmp_path / "owned").exists()


def test_debug_variable_shows_the_traceback(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOMSR_DEBUG", "1")
    with pytest.raises(ValueError, match="/nowhere is not a folder"):
        train("data.root=/nowhere")


def test_a_failed_run_does_not_remove_older_files(
    train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "run0").mkdir()
    (tmp_path / "run0" / "thesis.txt").write_text("mine")
    _fails(train, capsys, f"hydra.run.dir={tmp_path}/run0", "optimizer.lr=-1")
    assert (tmp_path / "run0" / "thesis.txt").read_text() == "mine"


@pytest.mark.slow
def test_two_cpu_ranks_measure_what_one_does(photos: Path, tmp_path: Path) -> None:
    results = []
    for devices in (1, 2):
        run_dir = tmp_path / f"devices{devices}"
        arguments = [*TINY, "model=bicubic", f"data.root={photos}", "data.val_fraction=0.5"]
        arguments += [f"trainer.devices={devices}", "trainer.strategy=ddp", f"hydra.run.dir={run_dir}"]
        subprocess.run([sys.executable, "-m", "zoomsr.train", *arguments], check=True, timeout=120)
        results.append(json.loads((run_dir / "metrics.json").read_text())["sets"])
    assert results[0] == results[1]


def test_last_checkpoint_is_of_the_last_epoch_whatever_was_best(train: Train) -> None:
    run = train("trainer.max_epochs=3", "monitor=val/psnr_y", "monitor_mode=min", "scheduler=constant")
    best, last = (torch.load(run.path / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    scores = {int(row["epoch"]): row["val/psnr_y"] for row in run.epochs}
    assert last["epoch"] + 1 == 3
    assert run.results is not None
    assert best["epoch"] + 1 == run.results["best_epoch"] == min(scores, key=scores.__getitem__)


def test_validation_that_did_not_happen_is_not_in_the_table(train: Train) -> None:
    run = train("trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2")
    assert ["val/psnr_y" in row for row in run.epochs] == [False, True, False]
    assert (run.path / "metrics.csv").read_text().splitlines()[3].startswith("3,")


def test_a_training_that_diverges_says_so(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train("optimizer=sgd", "optimizer.lr=1e20", "loss=mse", "trainer.max_epochs=3")
    assert re.search(r"error: MSELoss is \S+ at step \d+, epoch 1: .* lower optimizer\.lr", capsys.readouterr().err)


def test_held_out_pictures_are_checked_before_anything_is_trained(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "held").mkdir()
    Image.fromarray(photograph(12, 12)).save(tmp_path / "held" / "stamp.png")
    with pytest.raises(SystemExit):
        train(f"data.val_root={tmp_path}/held")
    assert "stamp.png is 12x12, smaller than what can be measured" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train("trainer.max_epochs=-1")
    assert "a schedule needs an end" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train("monitor=val/psnr")
    shown = capsys.readouterr()
    assert "monitor=val/psnr is not measured; the nearest: val/psnr_y, val/psnr_rgb" in shown.err
    assert "epoch 1" not in shown.out


def test_unet_on_luma_trains(train: Train) -> None:
    run = train("model.width=4", "model.depth=1", "model.channels=1", "trainer.max_epochs=1", net=["model=unet_plain"])
    assert run.means()["unet_plain"]["psnr_y"] > 15


@pytest.mark.slow
def test_a_net_on_luma_trains_on_y_alone(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    colour, y = (
        train("model.channels=1", f"data.y_only={flag}", "trainer.max_epochs=1").epochs[0] for flag in ("false", "true")
    )
    assert y["train/psnr_y"] == pytest.approx(colour["train/psnr_y"], abs=0.3)
    assert y["train/mae"] < 0.95 * colour["train/mae"]  # of Y, whose range is smaller, without the error of chroma
    with pytest.raises(SystemExit):
        train("data.y_only=true")
    assert "a net on 3 channel(s) was given an image of 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_denoiser_trains_on_noise(train: Train) -> None:
    longer = ["data.patches_per_image=32", "trainer.max_epochs=3", "model.width=8", "model.batch_norm=false"]
    run = train("degradation=gaussian_noise", "optimizer.lr=3e-3", *longer, net=["model=ircnn_denoiser"])
    noisy, clean = (run.means()[net]["psnr_rgb"] for net in ("bicubic", "ircnn_denoiser"))
    assert noisy == pytest.approx(20.4, abs=1)  # 25 of 255
    assert clean > noisy


def test_waiting_for_data_is_logged_and_said_once(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run = train("callbacks.loader_wait.limit=0")
    assert all(0 < row["data/wait"] < 1 for row in run.epochs)
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("went by without a batch: data.threads=2 (or more)") == 1


@pytest.mark.slow
def test_pixels_on_the_device_train_the_same_net(train: Train) -> None:
    host, device = (train(f"data.resident={where}") for where in ("host", "device"))
    for one, other in zip(host.epochs, device.epochs, strict=True):
        assert {key: one[key] for key in one if key.startswith(("train/", "val/"))} == {
            key: other[key] for key in other if key.startswith(("train/", "val/"))
        }


@pytest.mark.slow
def test_lr_made_on_the_device_trains_too(train: Train) -> None:
    # At a rate at which the net hardly changes, so that the pairs alone can differ.
    slow = ("optimizer.lr=1e-5", "trainer.max_epochs=1")
    packed, made = (train(f"data.pack_lr={flag}", *slow) for flag in ("true", "false"))
    assert made.epochs[0]["train/psnr_y"] == pytest.approx(packed.epochs[0]["train/psnr_y"], abs=0.1)
    assert made.epochs[0]["train/psnr_y"] != packed.epochs[0]["train/psnr_y"]


def test_without_test_batches_there_is_no_table(train: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    run = train("trainer.limit_test_batches=0", "trainer.max_epochs=1", "~logger")
    assert run.means() == {}
    assert [row["epoch"] for row in run.epochs] == [1]
    assert "weights of epoch" not in capfd.readouterr().out
