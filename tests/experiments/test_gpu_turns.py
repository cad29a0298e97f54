"""How a training is timed on a GPU, with everything that is the GPU's replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd import DeviceType

from experiments.benchmarks import turns
from experiments.benchmarks.turns import PROFILED, TURNS, WARM_UP, Turns, kernels, share_without


def _event(name: str, start: float, *, kind: DeviceType = DeviceType.CUDA, named: bool = False) -> SimpleNamespace:
    place = SimpleNamespace(start=start, end=start + 1)
    return SimpleNamespace(name=name, device_type=kind, is_user_annotation=named, time_range=place)


def test_time_without_a_kernel_lies_between_the_first_and_the_last() -> None:
    assert share_without([(10, 20), (15, 18), (30, 40), (39, 50)]) == pytest.approx(10 / 40)
    assert share_without([(5, 6)]) == 0
    assert share_without([]) is None


def test_copies_named_stretches_and_the_host_are_no_kernels() -> None:
    events = [
        *(_event("conv", 3), _event("relu", 1), _event("Memcpy HtoD", 2)),
        *(_event("Adam.step", 0, named=True), _event("aten", 4, kind=DeviceType.CPU)),
    ]
    assert kernels(SimpleNamespace(events=lambda: events)) == [(1, 2), (3, 4)]  # type: ignore[arg-type]


def test_both_take_turns_then_kernels_are_recorded_and_the_training_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, said = [0.0], []
    loader = SimpleNamespace(waited=0.0)
    trainer = SimpleNamespace(should_stop=False, train_dataloader=loader)

    class Raw:
        """A step takes 0.1 s, the trainer's 0.125 s, of which 0.025 s are waited for data."""

        flop = 7

        def __init__(self, *_: Any, mode: str) -> None:
            said.append(f"raw net, {mode}")

        def seconds(self, steps: int) -> float:
            said.append(f"raw {steps}")
            return 0.1

    @contextmanager
    def profile(**_: Any) -> Iterator[SimpleNamespace]:
        said.append("profiler")
        # Two kernels a step: close together at first, then with as much time between them as they take.
        early = [_event("conv", start) for start in range(2 * WARM_UP)]
        yield SimpleNamespace(events=lambda: early + [_event("conv", 100 + 2 * n) for n in range(2 * PROFILED)])

    monkeypatch.setattr(turns, "Raw", Raw)
    monkeypatch.setattr(turns, "profile", profile)
    monkeypatch.setattr(turns, "wait_for", lambda device: None)
    monkeypatch.setattr(turns.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: said.append("memory from here"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: said.append("peak") or 5)
    callback = Turns(str(tmp_path / "found.json"), seconds=2.4, compile="reduce-overhead")
    module, batch = SimpleNamespace(device=torch.device("cuda")), {"hr": torch.zeros(32, 1)}
    steps = 0
    while not trainer.should_stop:
        callback.on_train_batch_start(trainer, module, batch, steps)  # type: ignore[arg-type]
        clock[0], loader.waited, steps = clock[0] + 0.125, loader.waited + 0.025, steps + 1
    length = 4  # 2.4 s for six turns, of 0.1 s a step
    start = ["memory from here", "peak", "raw net, reduce-overhead", f"raw {WARM_UP}", f"raw {WARM_UP}"]
    assert said == [*start, *[f"raw {length}"] * TURNS, "profiler"]
    assert steps == WARM_UP + TURNS * length + WARM_UP + PROFILED + 1
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["trainer"] == pytest.approx([0.125] * TURNS)
    assert found["waiting"] == pytest.approx([0.2] * TURNS)
    assert found["kernels"] == 2
    assert found["no kernel"] == pytest.approx(0.5, abs=0.02)
    assert (found["raw"], found["flop"], found["patches"], found["peak"]) == ([0.1] * TURNS, 7, 32, 5)
