"""What ``trainer.precision=auto`` chooses, what it says, and what a resume keeps of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from _support.tiny import composed

import zoomsr.training.precision
from zoomsr.cli.config import CONF_DIR
from zoomsr.hardware import devices
from zoomsr.runs.run import Run
from zoomsr.training.precision import Precision, choose_precision, slow_precision

CPU, CUDA, MPS = map(torch.device, ("cpu", "cuda", "mps"))
RECIPES = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*_291.yaml"))


@pytest.fixture
def has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says what this machine has."""

    def say(answer: bool) -> None:
        monkeypatch.setattr(zoomsr.training.precision, "has_fast_bfloat16", lambda device: answer)

    return say


@pytest.mark.parametrize(
    ("capabilities", "onednn", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True, True),  # AMD Zen 4
        ({"avx512_bf16": True, "amx_bf16": True}, True, True),  # Intel Sapphire Rapids
        ({"avx512_bf16": True, "amx_bf16": True}, False, False),  # there, with ONEDNN_MAX_CPU_ISA=AVX2
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, True, False),  # Intel Skylake emulates it
        ({"avx2": True}, False, False),
        ({"neon": True, "bf16": True}, True, False),  # Arm, not measured
    ],
)
def test_bf16_is_fast_where_the_processor_and_onednn_have_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], onednn: bool, expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    assert devices.has_fast_bfloat16(CPU) is expected


def test_bf16_is_fast_on_gpus_that_do_not_emulate_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext(asked.append(device)))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert devices.has_fast_bfloat16(CUDA) is False
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert devices.has_fast_bfloat16(CUDA) is True
    assert devices.has_fast_bfloat16(MPS) is False
    assert set(asked) == {CUDA}


@pytest.mark.slow  # imports torch anew
def test_the_limits_that_onednn_obeys_are_obeyed() -> None:
    code = (
        "import torch; from zoomsr.hardware.devices import has_fast_bfloat16 as fast; print(fast(torch.device('cpu')))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("accelerator", "cuda", "mps", "expected"),
    [
        ("auto", True, False, CUDA),
        ("gpu", True, True, CUDA),
        ("auto", False, True, MPS),
        ("auto", False, False, CPU),
        ("cpu", True, True, CPU),
        ("mps", True, True, MPS),
    ],
)
def test_the_device_of_an_accelerator(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, cuda: bool, mps: bool, expected: torch.device
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert devices.training_device(accelerator) == expected


def test_auto_follows_the_device_and_a_named_precision_stays(has_bfloat16: Callable[[bool], None]) -> None:
    for has, name in ((True, "bf16-mixed"), (False, "32-true")):
        has_bfloat16(has)
        assert choose_precision("auto", device=CPU, start=None).name == name
        assert choose_precision("16-mixed", device=CPU, start=None) == Precision("16-mixed")


def test_a_resume_keeps_the_precision_of_its_checkpoint(has_bfloat16: Callable[[bool], None], tmp_path: Path) -> None:
    checkpoint = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "zoomsr": {"precision": "bf16-mixed"}}, checkpoint)
    has_bfloat16(False)
    assert choose_precision("auto", device=CPU, start=str(checkpoint)) == Precision("bf16-mixed", "as the run began")
    assert choose_precision("32-true", device=CPU, start=str(checkpoint)).name == "32-true"
    torch.save({"state_dict": {}}, checkpoint)  # of an older version
    assert choose_precision("auto", device=CPU, start=str(checkpoint)).name == "32-true"


def test_a_slow_precision_is_said(has_bfloat16: Callable[[bool], None]) -> None:
    has_bfloat16(False)
    on_cpu, on_gpu = slow_precision("bf16-mixed", CPU), slow_precision("bf16-true", CUDA)
    assert on_cpu is not None
    assert on_cpu.startswith("this cpu has neither AVX512_BF16 nor AMX")
    assert on_cpu.endswith("trainer.precision=32-true")
    assert on_gpu is not None
    assert on_gpu.endswith("trainer.precision=16-mixed")
    assert slow_precision("32-true", CPU) is None
    has_bfloat16(True)
    assert slow_precision("bf16-mixed", CPU) is None


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipes_ask_for_auto(recipe: str) -> None:
    assert composed(f"experiment={recipe}", "run_dir=runs/test").trainer.precision == "auto"


def test_what_was_chosen_is_said_recorded_and_kept(
    train: Callable[..., Run], has_bfloat16: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    auto = ["trainer.precision=auto", "~callbacks.pictures", "~callbacks.gallery"]
    has_bfloat16(True)
    run = train(*auto, "trainer.max_epochs=1")
    said = capsys.readouterr().out
    assert "precision bf16-mixed (auto: this cpu has fast bf16)" in said
    assert "slow bf16" not in said
    assert (run.results or {})["precision"] == "bf16-mixed"
    has_bfloat16(False)
    resumed = train(*auto, "trainer.max_epochs=2", f"ckpt={run.path}/checkpoints/last.ckpt")
    said = capsys.readouterr().out
    assert "precision bf16-mixed (auto: as the run began)" in said
    assert "slow bf16 this cpu has neither AVX512_BF16 nor AMX" in said
    assert (resumed.results or {})["precision"] == "bf16-mixed"
