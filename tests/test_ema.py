"""The running mean of the weights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.optim.swa_utils import AveragedModel

from zoomsr.callbacks.ema import EMA


def test_the_mean_remembers_more_and_more() -> None:
    ema = EMA(0.9)
    shares = [ema.share(step) for step in range(100)]
    assert shares[:2] == pytest.approx([9 / 10, 9 / 11])
    assert shares[-1] == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"ema=1\.5 must be at least 0 and less than 1"):
        EMA(1.5)


def test_the_mean_is_that_of_torch_whose_update_would_wait_for_the_device() -> None:
    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))

    def move(means: Any, weights: Any, n_averaged: Any) -> None:
        torch._foreach_lerp_(means, weights, 1 - min(0.15, (1 + n_averaged.item()) / (10 + n_averaged.item())))

    module, ema, trainer = Module(), EMA(0.15), SimpleNamespace(global_step=0)
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
