"""What is right on CUDA and wrong on Apple's GPUs: float64, and copies that are not waited for.

The meta device stands for one: it refuses float64 here, and what comes back from it is black.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from _support import watching
from _support.watching import STAND_IN, WATCH, Watched
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zoomsr.data.datamodule import Batch, PairsDataModule
from zoomsr.hardware.devices import copies_ahead, has_float64
from zoomsr.imaging import resize
from zoomsr.imaging.degradations import Bicubic
from zoomsr.metrics import quality
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import measure
from zoomsr.models.srcnn import SRCNN
from zoomsr.training.callbacks.guard import _Finite
from zoomsr.training.module import ZoomModule
from zoomsr.training.recipe import train

META = torch.device("meta")


class _NoFloat64(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and value.device == META and value.dtype == torch.float64:
                raise TypeError(f"{func}: Cannot convert a MPS Tensor to float64 dtype")
        return result


@contextmanager
def _apple(device: torch.device) -> Iterator[None]:
    with _NoFloat64():
        yield


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    move = Tensor.to

    def to(self: Tensor, *arguments: Any, **settings: Any) -> Tensor:
        if self.device == META and torch.device("cpu") in arguments:
            return torch.zeros(self.shape, dtype=self.dtype)
        return move(self, *arguments, **settings)

    monkeypatch.setattr(Tensor, "to", to)
    monkeypatch.setattr(Tensor, "cpu", lambda self: self.to(torch.device("cpu")))
    for module in (quality, resize):
        monkeypatch.setattr(module, "has_float64", lambda device: device != META)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


def test_which_device_can_what() -> None:
    assert [has_float64(torch.device(name)) for name in ("cpu", "cuda", "mps")] == [True, True, False]
    assert [copies_ahead(torch.device(name)) for name in ("cpu", "cuda", "mps")] == [False, True, False]


@pytest.mark.parametrize(("device", "ahead"), [("mps", False), ("cpu", False), ("cuda:1", True)])
def test_only_cuda_is_sent_batches_without_waiting(device: str, ahead: bool) -> None:
    sent: list[tuple[torch.device, bool]] = []
    value = SimpleNamespace(to=lambda where, *, non_blocking: sent.append((where, non_blocking)))
    batch = {"hr": value, "lr": value, "index": value, "seed": value, "name": ["a"]}
    send = PairsDataModule.transfer_batch_to_device
    moved = send(None, batch, torch.device(device), 0)  # type: ignore[arg-type]  # it asks the module for nothing
    assert sent == [(torch.device(device), ahead)] * 3
    assert moved["seed"] is value  # stays on the host


@pytest.mark.usefixtures("apple")
def test_steps_of_a_training_have_no_float64_there(
    settings: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for loop in ("fit_loop", "evaluation_loop"):
        monkeypatch.setattr(f"lightning.pytorch.loops.{loop}.has_len_all_ranks", lambda *_: True)
    monkeypatch.setattr(_Finite, "read", lambda self: True)
    monkeypatch.setattr(watching, "no_waiting", _apple)
    long = ["data.patches_per_image=12", "trainer.max_epochs=1", "data.pack_lr=false"]
    with pytest.raises(Watched):
        train(settings("run", *long, *WATCH, *STAND_IN))


@pytest.mark.usefixtures("apple")
def test_validation_and_a_resume_have_no_float64_there() -> None:
    net = SRCNN(widths=[8, 4])
    module = ZoomModule(net, loss=nn.L1Loss(), optimizer=None, schedule=None)  # type: ignore[arg-type]
    module.to(META).eval()
    batch = Batch(
        lr=torch.rand(2, 3, 16, 16, device=META),
        hr=torch.rand(2, 3, 32, 32, device=META),
        name=["a", "b"],
        index=torch.arange(2, device=META),
    )
    with _NoFloat64():
        module.validation_step(batch, 0)
        module.test_step(batch, 0)
        assert module._val_metric.values[0].dtype == torch.float64
        measured = (module._val_metric, module._test_metric, module._bicubic_metric, module._val_loss)
        for metric in measured:  # all on one device
            assert {part.device.type for part in (*metric.index, *metric.values)} == {"cpu"}
        state = {"losses": torch.ones(2), "scores": module._val_metric.state()}
        module.resume_epoch([state, state])
        assert {part.device.type for part in module._train_metric.values} == {"cpu"}
        picture = torch.rand(3, 16, 16, device=META)
        assert measure(picture, picture, protocol=MODERN, border=2, y=(picture[:1], picture[:1])).device.type == "cpu"


@pytest.mark.usefixtures("apple")
def test_held_out_lr_by_thirds_has_no_float64_there() -> None:
    pixels = torch.empty(3, 36, 36, dtype=torch.uint8, device=META)
    with _NoFloat64():
        small = Bicubic(3).down(pixels)
        assert (small.shape, small.dtype, small.device) == ((3, 12, 12), torch.uint8, META)
        assert Bicubic(3).up(torch.rand(3, 5, 7, device=META)).shape == (3, 15, 21)
        assert resize.resize(pixels, (25, 31)).shape == (3, 25, 31)
