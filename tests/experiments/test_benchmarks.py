"""Benchmarks say where they are, leave out what is slow here, and end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments import report
from experiments.benchmarks import harness
from experiments.benchmarks.harness import answers
from experiments.benchmarks.training_speed import bench

CHILD = """
import json, os, sys, time
for way in json.loads(sys.argv[1])["jobs"]:
    if way == "crash":
        print("the last words", file=sys.stderr)
        os.abort()
    if way == "hang":
        time.sleep(60)
    print(json.dumps({"error": "no memory"} if way == "fail" else {"did": way}), flush=True)
    if way == "fail":
        sys.exit(1)
"""
"""Does what a job's name says."""


def _found(*jobs: str, within: float = 60, longest: float = 30) -> list[dict[str, Any]]:
    until_s = time.monotonic() - harness._START + within
    found = list(answers([sys.executable, "-c", CHILD], jobs, until_s=until_s, longest=longest))
    assert [job for job, _ in found] == list(jobs)
    return [answer for _, answer in found]


def test_a_job_that_fails_crashes_or_hangs_is_an_answer_and_the_others_go_on() -> None:
    a, fail, b, crash, hang, c = _found("a", "fail", "b", "crash", "hang", "c", longest=2)
    assert [a, b, c] == [{"did": "a"}, {"did": "b"}, {"did": "c"}]
    assert fail == {"error": "no memory"}
    assert crash == {"error": "its process ended with exit code -6: the last words"}
    assert hang == {"error": "given up after 2 s"}


def test_it_ends_when_its_time_is_over() -> None:
    start = time.monotonic()
    late = {"error": "no time was left"}
    assert _found("a", "hang", "b", within=2) == [{"did": "a"}, late, late]
    assert 2 <= time.monotonic() - start < 10
    assert _found("a", within=-1) == [late]


def test_each_part_is_said_before_it_runs_also_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    parts = harness.each([("srcnn", "fp32"), ("unet", "bf16")], "training")
    next(parts)
    assert capsys.readouterr().out.endswith("s] training 1/2: srcnn, fp32\n")
    assert list(parts) == [("unet", "bf16")]
    assert capsys.readouterr().out.endswith("s] training 2/2: unet, bf16\n")
    assert list(harness.each(range(1), "round")) == [0]
    assert capsys.readouterr().out.endswith("s] round 1/1\n")


def test_what_no_longer_fits_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(harness, "_START", 100.0)
    monkeypatch.setattr(harness.time, "monotonic", lambda: now[0])
    done = []
    for part in harness.each(["first", "second", "third", "fourth"], "measuring", until_s=15):
        done.append(part)
        now[0] += 10
    assert done == ["first", "second"]
    assert capsys.readouterr().out.splitlines()[-1] == "[  20 s] measuring: 15 s are over, left out: third; fourth"


def test_rivals_alternate_after_a_call_that_warms_up() -> None:
    called: list[str] = []
    ticks = iter(range(100))
    seconds = harness.turns(
        {"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=2, clock=lambda: float(next(ticks))
    )
    assert called == ["a", "b"] * 3
    assert seconds == {"a": [1, 1], "b": [1, 1]}


@pytest.mark.parametrize("has_bf16", [True, False])
def test_slow_ways_are_skipped_and_a_stuck_one_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], has_bf16: bool
) -> None:
    limits: list[tuple[float, float]] = []

    def answers(command: Any, jobs: Any, *, until_s: float, longest: float, sizes: Any) -> Any:
        limits.append((until_s, longest))
        for what, net, way in jobs:
            loops = {"trainer": [1.0], "raw": [0.5], "waiting": [0.25]}
            found: dict[str, Any] = {**loops, "patches": 8, "flop": 10**9, "peak": None}
            if what == "device":
                found = {"name": None, "best": dict.fromkeys(way.split(), 0.1)}
            yield (what, net, way), {"error": "given up after 90 s"} if "compile" in way else found

    monkeypatch.setattr(bench, "has_fast_bfloat16", lambda device: has_bf16)
    monkeypatch.setattr(bench, "answers", answers)
    monkeypatch.setattr(bench, "overheads", lambda folder: {"start-up (s)": 1.0, "bare": 0.001, "png": 2.0})
    monkeypatch.setattr(bench, "HERE", tmp_path)
    monkeypatch.setattr(harness, "machine", lambda: "a processor")
    monkeypatch.setattr(bench, "machine", lambda: "a processor")
    (tmp_path / "README.md").write_text("")
    bench.main()
    said, rows = capsys.readouterr().out, (tmp_path / "results.csv").read_text()
    assert ("left out, because bf16 is not fast here: bf16; bf16, channels_last;" in said) is not has_bf16
    assert ("left out, given up after 90 s" in said) is has_bf16
    assert ("bf16" in rows) is has_bf16
    assert "compile" not in rows
    assert rows.count("channels_last") == (6 if has_bf16 else 3)
    assert rows.splitlines()[0] == (
        "net,way,patches_per_s,times_fp32,of_raw_loop,of_matrix_product,waiting,raw_ms,trainer_ms,above_raw_ms,flop_per_step"
    )
    assert rows.splitlines()[1] == "srcnn,fp32,8,1,0.5,0.01,0.25,500,1000,500,1000000000"
    assert '"unet_plain, from PNG files",fp32,2,0.25,' in rows
    facts = (tmp_path / "facts.csv").read_text()
    assert "machine,a processor" in facts
    assert '"tiny net, above raw (ms/step)",500' in facts
    # The first way is measured however long it takes.
    assert limits == [(float("inf"), float("inf")), (bench.UNTIL_S, bench.STUCK_S)]


@pytest.mark.parametrize("name", ["training_speed", "loading", "inference_speed", "metrics"])
def test_every_readme_of_a_benchmark_names_its_processor(name: str) -> None:
    folder = Path(harness.__file__).parent / name
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
