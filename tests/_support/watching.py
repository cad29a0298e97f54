"""A training whose steps are watched: none may wait for the device, on a GPU or on a stand-in that nobody can read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

WATCH = ["+callbacks.watch._target_=_support.watching.Watch", "trainer.log_every_n_steps=1000000"]
"""Overrides of a training: it ends with ``Watched`` after the steps that were watched, if none of them waited."""

STAND_IN = ["trainer=auto", "trainer.strategy={_target_:_support.watching.StandIn}", "trainer.num_sanity_val_steps=0"]
"""Overrides that train on torch's meta device, which has shapes and no values: to ask it for one is an error."""


class Watched(Exception):  # noqa: N818  # not an error
    """All steps were watched."""


class WaitsError(AssertionError):
    """The host copied something to the device in a way that waits for it."""


class Watch(Callback):
    """Watches the batches ``first`` to ``last`` with all that lies between, and ends the training after them.

    On CUDA torch itself raises where the host waits. Waiting for an event, as the guard does for the step before, is
    allowed there.
    """

    def __init__(self, *, first: int = 2, last: int = 7) -> None:
        self._first, self._last = first, last
        self._stack = ExitStack()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == self._first:
            self._stack.enter_context(no_waiting(pl_module.device))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == self._last:
            self._stack.close()
            raise Watched

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stack.close()


class StandIn(SingleDeviceStrategy):
    """Trains on the meta device."""

    def __init__(self) -> None:
        super().__init__(device=torch.device("meta"), accelerator=_Accelerator())

    def teardown(self) -> None:
        """The weights cannot come back."""


class _Accelerator(CPUAccelerator):
    def setup_device(self, device: torch.device) -> None:
        pass


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Where the host would wait for the device, an error is raised."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
    else:
        with _NoLiterals(device), _NoBlockingCopies(device):
            yield


class _NoLiterals(TorchFunctionMode):
    """Python numbers that become tensors on the device are copied there, and waited for; filling does not wait."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu") == self._device:
            raise WaitsError(f"torch.tensor({args[0]}, device={self._device})")
        if func is torch.Tensor.__setitem__ and args[0].device == self._device and not torch.is_tensor(args[2]):
            raise WaitsError(f"tensor[...] = {args[2]} on {self._device}")
        return func(*args, **kwargs)


class _NoBlockingCopies(TorchDispatchMode):
    """From the host to the device, without ``non_blocking``. The other way round meta itself refuses."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        source, target = None, None
        if func is torch.ops.aten._to_copy.default:
            source, target = args[0], kwargs.get("device") or args[0].device
        elif func is torch.ops.aten.copy_.default:
            source, target = args[1], args[0].device
        may_go_on = kwargs.get("non_blocking", False) or (len(args) > 2 and args[2] is True)
        if source is not None and source.device.type == "cpu" and target == self._device and not may_go_on:
            raise WaitsError(f"a blocking copy of {tuple(source.shape)} to {self._device}")
        return func(*args, **kwargs)
