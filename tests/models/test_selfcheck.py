"""A device that computes something else than the CPU is found, and not chosen by itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoomsr.models import selfcheck
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.ircnn import IRCNNDenoiser
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.selfcheck import TOLERANCE, largest_difference
from zoomsr.models.srcnn import SRCNN
from zoomsr.runs.run import Run
from zoomsr.training import recipe

CPU, APPLE = torch.device("cpu"), torch.device("mps")

Wrong = Callable[[Tensor], Tensor]


class OnApple(nn.Module):
    """A net as a device would run it whose kernels do ``wrong`` to its output."""

    def __init__(self, net: nn.Module, wrong: Wrong) -> None:
        super().__init__()
        self.net, self.wrong = net, wrong
        self.channels, self.scale, self.multiple_of = net.channels, net.scale, net.multiple_of

    def forward(self, lr: Tensor) -> Tensor:
        return self.wrong(self.net(lr))


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> Callable[[Wrong], None]:
    """Plays an Apple GPU by the CPU, with something wrong."""
    computed = selfcheck._computed

    def play(wrong: Wrong) -> None:
        monkeypatch.setattr(recipe, "MPSAccelerator", SimpleNamespace(is_available=lambda: True))
        monkeypatch.setattr(
            selfcheck,
            "_computed",
            lambda net, device: computed(OnApple(net, wrong) if device == APPLE else net, CPU),
        )

    return play


@pytest.mark.parametrize(
    "net",
    [SRCNN(widths=[8, 4]), IRCNNDenoiser(channels=1, width=4), ResidualUNet(widths=[4, 8], blocks=[1, 1]), Bicubic(3)],
    ids=lambda net: type(net).__name__,
)
def test_the_cpu_agrees_with_itself_and_the_net_is_left_alone(net: nn.Module) -> None:
    before = copy.deepcopy(net.state_dict())
    assert largest_difference(net, CPU) == 0
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_dropout_is_no_difference() -> None:
    net = SRCNN(widths=[8, 4])
    net.reconstruction = nn.Sequential(nn.Dropout2d(0.5), net.reconstruction)
    assert largest_difference(net, CPU) == 0
    net.train()
    lr = torch.rand(1, 3, 8, 8)
    assert not torch.equal(net(lr), net(lr))  # it draws


class _WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sr: Tensor) -> Tensor:
        return sr.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 1.1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda sr: sr * 1.05, 0.05),
        (lambda sr: sr * (1 + 1e-4), 1e-4),
        (_WrongGradient.apply, 0.1),
        (lambda sr: sr * math.nan, math.inf),
    ],
    ids=["output", "order of sums", "gradient", "NaN"],
)
def test_the_difference_is_a_share_of_the_largest_value(
    apple: Callable[[Wrong], None], wrong: Wrong, expected: float
) -> None:
    apple(wrong)
    found = largest_difference(SRCNN(widths=[8, 4]), APPLE)
    assert found == pytest.approx(expected, rel=0.05)
    assert (found <= TOLERANCE) == (expected < 1e-3)


def test_a_device_that_cannot_run_the_net_differs_without_end() -> None:
    assert largest_difference(SRCNN(widths=[8, 4]), torch.device("meta")) == math.inf  # nothing comes back from it


def _module(net: nn.Module) -> Any:
    return SimpleNamespace(net=net)


def _config(accelerator: str) -> Any:
    return SimpleNamespace(trainer=SimpleNamespace(accelerator=accelerator))


def test_a_right_apple_gpu_is_chosen(apple: Callable[[Wrong], None], capsys: pytest.CaptureFixture[str]) -> None:
    apple(lambda sr: sr)
    for name in ("auto", "mps", "cpu"):
        assert recipe._checked_accelerator(_config(name), _module(SRCNN(widths=[8, 4]))) == name
    assert not capsys.readouterr().out


def test_a_wrong_apple_gpu_is_used_with_a_warning_where_it_is_asked_for(
    apple: Callable[[Wrong], None], capsys: pytest.CaptureFixture[str]
) -> None:
    apple(lambda sr: sr * 1.5)
    assert recipe._checked_accelerator(_config("mps"), _module(SRCNN(widths=[8, 4]))) == "mps"
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("warning the Apple GPU computes something else than the CPU (largest difference 0.5 of")


def test_a_wrong_apple_gpu_is_not_chosen(apple: Callable[[Wrong], None], capsys: pytest.CaptureFixture[str]) -> None:
    apple(lambda sr: sr * 1.5)
    assert recipe._checked_accelerator(_config("auto"), _module(SRCNN(widths=[8, 4]))) == "cpu"
    assert "the CPU is used; trainer.accelerator=mps takes the GPU" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_training_leaves_a_wrong_apple_gpu_alone_and_says_so(
    apple: Callable[[Wrong], None], train: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    apple(lambda sr: sr * 1.5)
    run = train("trainer=auto", "trainer.max_epochs=1")
    said = " ".join(capsys.readouterr().out.split())
    assert "the CPU is used; trainer.accelerator=mps takes the GPU all the same" in said
    assert "1 x cpu" in said
    assert run.results is not None
