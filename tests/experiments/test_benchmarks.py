"""Benchmarks say where they are, leave out what is slow here, and end."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from experiments import progress, report
from experiments.benchmarks.training_speed import bench


def test_each_part_is_said_before_it_runs_also_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    parts = progress.each([("srcnn", "fp32"), ("unet", "bf16")], "training")
    next(parts)
    assert capsys.readouterr().out.endswith("s] training 1/2: srcnn, fp32\n")
    assert list(parts) == [("unet", "bf16")]
    assert capsys.readouterr().out.endswith("s] training 2/2: unet, bf16\n")
    assert list(progress.each(range(1), "round")) == [0]
    assert capsys.readouterr().out.endswith("s] round 1/1\n")


def test_what_no_longer_fits_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress, "_START", 100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    done = []
    for part in progress.each(["first", "second", "third", "fourth"], "measuring", until_s=15):
        done.append(part)
        now[0] += 10
    assert done == ["first", "second"]
    assert capsys.readouterr().out.splitlines()[-1] == "[  20 s] measuring: 15 s are over, left out: third; fourth"


def test_an_epoch_has_as_many_steps_as_fit() -> None:
    class Net(nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(3, 3, 1, bias=False)

    flop = 2 * bench.BATCH * 2 * 3 * 3 * (bench.PATCH // 2) ** 2  # forward, and backward to the weights alone
    epochs = 2 * bench.EPOCHS + 1
    rate = 2 * 50 * epochs * flop / bench.WAY_S / 1e12  # of which half lets 50 steps fit
    assert bench.steps_of(Net(), rate=1.001 * rate) == 50
    assert bench.steps_of(Net(), rate=rate / 1e6) == 2
    assert bench.steps_of(Net(), rate=rate * 1e6) == bench.MAX_STEPS


@pytest.mark.parametrize("has_bf16", [True, False])
def test_slow_ways_are_skipped_and_a_stuck_one_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], has_bf16: bool
) -> None:
    def trained(folder: Path, overrides: list[str], *, limit_s: float | None = None) -> dict[str, Any]:
        if has_bf16 and "compile=true" in overrides:
            assert limit_s == bench.STUCK_S
            raise subprocess.TimeoutExpired("zoomsr.train", bench.STUCK_S)
        loops = {f"{loop} (s/step)": 1.0 for loop in bench.LOOPS}
        return {**loops, "of raw": 1.0, "wait": 0.0, "flop": 10**9, "patches": 8}

    monkeypatch.setattr(bench, "has_fast_bfloat16", lambda device: has_bf16)
    monkeypatch.setattr(bench, "UNTIL_S", 1e9)
    monkeypatch.setattr(bench, "matrix_rate", lambda kind, **_: 1.0)
    monkeypatch.setattr(bench, "steps_of", lambda net, rate: 2)
    monkeypatch.setattr(bench, "trained", trained)
    found = {"machine": "a processor", "start-up (s)": 1.0, "bare Lightning above raw (s/step)": 0.0}
    monkeypatch.setattr(bench, "overheads", lambda folder: {**found, "tiny": trained(folder, []), bench.SEEDS_WAY: 1.0})
    monkeypatch.setattr(bench, "HERE", tmp_path)
    monkeypatch.setattr(bench.tables, "write", lambda readme: None)
    bench.main()
    said, rows = capsys.readouterr().out, (tmp_path / "results.csv").read_text()
    assert ("left out, because bf16 is not fast here: bf16; bf16, channels_last;" in said) is not has_bf16
    assert ("left out, because it took more than" in said) is has_bf16
    assert ("bf16" in rows) is has_bf16
    assert "compile" not in rows
    assert rows.count("channels_last") == (6 if has_bf16 else 3)
    assert "machine,a processor" in (tmp_path / "facts.csv").read_text()


def test_without_time_the_first_way_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured: list[list[Any]] = []
    monkeypatch.setattr(bench, "UNTIL_S", -1)
    monkeypatch.setattr(bench, "HERE", tmp_path)
    monkeypatch.setattr(bench, "overheads", lambda folder: {})
    monkeypatch.setattr(bench, "matrix_rate", lambda kind, **_: 1.0)
    monkeypatch.setattr(bench, "steps_of", lambda net, rate: 2)
    monkeypatch.setattr(bench, "trained", lambda folder, overrides, limit_s: measured.append([*overrides[:2], limit_s]))
    for name in ("rows", "facts"):
        monkeypatch.setattr(bench, name, lambda results: {})
    monkeypatch.setattr(bench.tables, "write", lambda readme: None)
    bench.main()
    assert measured == [[f"model={net}", *bench.WAYS["fp32"], None] for net in bench.NETS]  # however long it takes


@pytest.mark.parametrize("name", ["training_speed", "loading", "inference_speed", "metrics"])
def test_every_table_of_a_benchmark_says_its_processor(name: str) -> None:
    folder = Path(progress.__file__).parent / "benchmarks" / name
    (machine,) = (line for line in (folder / "facts.csv").read_text().splitlines() if line.startswith("machine,"))
    named = machine.removeprefix("machine,").strip('"')
    assert "core" in named or "NVIDIA" in named
    assert named in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("has_bf16", "capabilities", "expected"),
    [(True, {"amx_bf16": True}, "AMX"), (True, {"amx_bf16": False}, "AVX512_BF16"), (False, {}, "AVX2")],
)
def test_a_processor_is_named_with_its_instructions(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, capabilities: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(report, "has_fast_bfloat16", lambda device: has_bf16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert report.machine().endswith(f", {expected}")
