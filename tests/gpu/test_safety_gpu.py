"""What ends a training on a GPU: each is said in one line, and nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from _support.device_checks import GPU, Train, little_memory
from _support.guard import fails, require_named
from _support.kills import Settings, require_no_trace
from _support.signals import steps_of, stopped

pytestmark = pytest.mark.usefixtures("own_handlers")


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_a_kill_leaves_no_trace(settings: Settings, precision: str) -> None:
    exact = ("trainer.deterministic=true", f"trainer.precision={precision}")
    require_no_trace(settings, GPU, *exact, trials=1, ranks=1)


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_a_signal_saves_before_the_run_stops(train: Train, tmp_path: Path, precision: str) -> None:
    assert stopped(train, signal.SIGTERM, overrides=[GPU, f"trainer.precision={precision}"]) == 143
    assert steps_of(tmp_path / "run0") == 7


@pytest.mark.usefixtures("black")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_nan_is_named(train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path, precision: str) -> None:
    require_named(train, capsys, tmp_path, GPU, f"trainer.precision={precision}")


def test_full_memory_gives_its_advice(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train(GPU, "trainer.max_epochs=1")  # CUDA's own memory is taken by now
    with little_memory(2**24):
        line = fails(train, capsys, GPU, "model.widths=[4096,64]", "data.batch_size=4")
    assert "the device's memory is full: data.batch_size=2 (now 4)" in line
    assert len(train(GPU, "trainer.max_epochs=1").epochs) == 1  # and the next one has room
