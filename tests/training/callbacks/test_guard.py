"""A NaN or Inf loss stops the run, says why, and keeps the batch."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from _support.guard import Train, fails, require_named
from _support.nets import strong
from torch import nn

from zoomsr.models.photo_unet import PhotoUNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.training.callbacks import guard
from zoomsr.training.callbacks.guard import Guard
from zoomsr.training.diagnosis import diagnose, first_wrong


class _Late(guard._Finite):
    """As from a GPU: not here before the step is taken."""

    def __init__(self, flag: torch.Tensor) -> None:
        super().__init__(flag)
        self.is_here = False
        self._copied = SimpleNamespace(synchronize=lambda: None)


@pytest.mark.usefixtures("black")
@pytest.mark.parametrize("finite", [guard._Finite, _Late])
def test_it_stops_at_that_step_and_names_layer_photograph_and_place(
    train: Train,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    finite: type[guard._Finite],
) -> None:
    monkeypatch.setattr(guard, "_Finite", finite)
    require_named(train, capsys, tmp_path)


@pytest.mark.usefixtures("black")
def test_skip_leaves_such_batches_out_and_counts_them(train: Train) -> None:
    run = train(
        *("model._target_=_support.guard.Fragile", "callbacks.guard.on_nonfinite=skip", "data.batch_size=1"),
        *("trainer.max_epochs=2", "callbacks.loader_wait=null"),
    )
    assert [row["train/skipped"] for row in run.epochs] == [4, 8]  # 4 black patches in an epoch
    weights = torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert run.means()["srcnn"]["psnr_y"] > 15


def test_a_full_device_says_which_settings_to_lower(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SRCNN, "forward", full)
    line = fails(train, capsys, "data.batch_size=4", "trainer.num_sanity_val_steps=0")
    assert "data.batch_size=2 (now 4) with trainer.accumulate_grad_batches=2 trains the same" in line
    assert "data.patch=16 (now 32)" in line
    assert line.endswith("validates on the centres of photographs (CUDA out of memory)")


def test_the_first_wrong_layer_is_the_first_that_ran() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Hardtanh()
            self.first = nn.Identity()

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return self.second(torch.log(self.first(lr)))

    pictures = torch.ones(1, 3, 4, 4)
    assert first_wrong(diagnose(Net(), nn.L1Loss(), lr=pictures, hr=pictures)) is None
    found = diagnose(Net(), nn.L1Loss(), lr=-pictures, hr=pictures)
    assert list(found) == ["net.first (Identity)", "net.second (Hardtanh)", "net (Net)", "loss (L1Loss)"]
    assert found["net.first (Identity)"] == 1
    assert first_wrong(found) == "net.second (Hardtanh)"


def test_a_net_that_is_told_the_quality_is_told_it_here_too() -> None:
    net, pictures = strong(PhotoUNet(widths=[6, 5], blocks=[1, 1])), torch.rand(2, 3, 8, 8)
    nn.init.constant_(net.get_submodule("gains.2").bias, 1e38)
    hr, quality = torch.rand(2, 3, 16, 16), torch.tensor([20.0, 90.0])
    assert first_wrong(diagnose(net, nn.L1Loss(), lr=pictures, hr=hr)) is None
    assert first_wrong(diagnose(net, nn.L1Loss(), lr=pictures, hr=hr, quality=quality)) is not None


def test_a_compiled_net_is_not_compiled_again_to_be_looked_at() -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    net, lr, hr = SRCNN(widths=[8, 4]), torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)
    net.compile(backend=backend, dynamic=False)
    net(lr).sum().backward()
    assert len(compiled) == 1
    found = diagnose(net, nn.L1Loss(), lr=lr, hr=hr)
    assert "net.reconstruction (ReplicatedConv2d)" in found
    assert len(compiled) == 1


@pytest.mark.parametrize(("gamma", "is_said"), [(0.1, False), (1e3, True)])
def test_a_training_that_falls_apart_with_finite_losses_is_said(
    train: Train, capsys: pytest.CaptureFixture[str], gamma: float, is_said: bool
) -> None:
    train("trainer.max_epochs=2", "scheduler=steps", "scheduler.at=[0.75]", f"scheduler.gamma={gamma}")
    found = re.findall(r"val/mae (\S+) after epoch 2, once (\S+): lower optimizer.lr", capsys.readouterr().out)
    assert bool(found) == is_said
    assert all(float(now) > 2 * float(lowest) for now, lowest in found)


@pytest.mark.parametrize(("scale", "stands_still"), [(2.0**16, False), (2.0**-9, False), (2.0**-12, True)])
def test_a_float16_training_that_stands_still_is_said(tmp_path: Path, scale: float, stands_still: bool) -> None:
    scaler = SimpleNamespace(get_scale=lambda: scale)
    stop: dict[str, Any] = {"should_stop": False, "min_epochs": 0, "min_steps": 0, "global_step": 9, "current_epoch": 2}
    trainer: Any = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=scaler), is_last_batch=True, **stop)
    line = "float16 gradients are not finite at any scale in epoch 3: take trainer.precision=bf16-mixed"
    with pytest.raises(ValueError, match=line) if stands_still else nullcontext():
        Guard(str(tmp_path)).on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]


def test_a_held_out_error_of_zero_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guard = Guard(str(tmp_path))
    trainer = SimpleNamespace(sanity_checking=False, is_global_zero=True, current_epoch=0, callback_metrics={})
    for mae in (0.0, 0.0, 0.1):
        trainer.callback_metrics["val/mae"] = torch.tensor(mae)
        guard.on_validation_end(trainer, None)  # type: ignore[arg-type]
    assert capsys.readouterr().out.count("val/mae 0.1000 after epoch 1, once 0.0000") == 1


@pytest.mark.parametrize(
    ("gradient", "loss", "stops"),
    [
        ([1.0, -2.0], 3.0, False),
        ([1e30, -1e30], 3.0, False),  # large, and finite
        ([float("inf"), float("-inf")], 3.0, True),  # which do not cancel
        ([float("nan"), 0.0], 3.0, True),
        ([0.0, 0.0], float("inf"), True),
    ],
)
def test_a_nan_or_inf_in_a_loss_or_a_bias_gradient_is_found(gradient: list[float], loss: float, stops: bool) -> None:
    layer = nn.Linear(1, 2)
    layer.weight.grad = torch.full((2, 1), float("nan"))  # not looked at: biases have it too
    layer.bias.grad = torch.tensor(gradient)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    guard = Guard("runs/none", on_nonfinite="skip")
    guard.on_before_backward(None, None, torch.tensor(loss))  # type: ignore[arg-type]
    trainer = SimpleNamespace(current_epoch=0, global_step=0, precision_plugin=None)
    guard.on_before_optimizer_step(trainer, None, optimizer)  # type: ignore[arg-type]
    assert (layer.bias.grad is None) is stops
