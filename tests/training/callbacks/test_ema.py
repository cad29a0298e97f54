"""The running mean of the weights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.optim.swa_utils import AveragedModel

from zoomsr.training.callbacks.ema import EMA


class _Weight(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("count", torch.zeros(()))


def _stepped(ema: EMA, module: _Weight, weights: list[float], *, device: str = "cpu") -> list[float]:
    """The mean after each optimizer step, with two batches for a step."""
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)), global_step=0)
    ema.setup(trainer, module, "fit")
    means = []
    for weight in weights:
        ema.on_train_batch_end(trainer, module, None, None, 0)  # a batch of which the gradients are only summed up
        module.weight.data.fill_(weight)
        module.count += 1
        trainer.global_step += 1
        ema.on_train_batch_end(trainer, module, None, None, 1)
        means.append(ema._average_model.module.weight.item())
    return means


def test_the_mean_remembers_more_and_more() -> None:
    ema, module = EMA(0.9), _Weight()
    means = _stepped(ema, module, [1.0] + 99 * [2.0])
    # Copied at first; then 9/11 of the way, 9/12 ... and at last a tenth.
    assert means[:3] == pytest.approx([1, 1 + 9 / 11, 1 + 9 / 11 + 2 / 11 * 9 / 12])
    slow = _stepped(EMA(0.9), module, 99 * [1.0] + [2.0])
    assert slow[-1] - slow[-2] == pytest.approx(0.1)
    assert int(ema._average_model.n_averaged) == 100
    assert float(ema._average_model.module.count) == 100
    with pytest.raises(ValueError, match=r"ema=1\.5 must be at least 0 and less than 1"):
        EMA(1.5)


def test_the_mean_lies_where_the_net_will_be_trained() -> None:
    ema = EMA(0.9)
    _stepped(ema, _Weight(), [], device="meta")
    assert ema._average_model.module.weight.device.type == "meta"
    assert ema._average_model.n_averaged.device.type == "cpu"  # no step may wait for the device to read it


def test_the_mean_is_that_of_torch_whose_update_would_wait_for_the_device() -> None:
    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))

    def move(means: Any, weights: Any, n_averaged: Any) -> None:
        torch._foreach_lerp_(means, weights, 1 - min(0.15, (1 + n_averaged.item()) / (10 + n_averaged.item())))

    module, ema, trainer = Module(), EMA(0.15), SimpleNamespace(global_step=0)
    trainer.strategy = SimpleNamespace(root_device=torch.device("cpu"))
    torchs = AveragedModel(module, multi_avg_fn=move)
    ema.setup(trainer, module, "fit")  # type: ignore[arg-type]  # it asks for the steps alone
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for step in range(1, 5):
        module.net(torch.rand(2, 3, 5, 5)).square().sum().backward()
        optimizer.step()
        trainer.global_step = step
        torchs.update_parameters(module)
        for batch in range(2):  # the second one only accumulates
            ema.on_train_batch_end(trainer, module, None, None, batch)  # type: ignore[arg-type]
        assert ema._average_model is not None
        found, expected = ema._average_model.state_dict(), torchs.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in found)
