"""``data.batch_size=auto``: the largest power of two that fits, found by trial, and kept by the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoomsr.hardware.devices import MemoryFullError
from zoomsr.runs.job import Job, with_batch
from zoomsr.training import batch_size
from zoomsr.training.batch_size import largest_that_fits, with_fitting_batch


@pytest.mark.parametrize(
    ("most", "limit", "found"), [(100, 1000, 64), (128, 1000, 128), (1000, 100, 64), (1, 100, 1), (9, 1, 1)]
)
def test_the_largest_power_of_two_that_fits(most: int, limit: int, found: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= most

    assert largest_that_fits(fits, limit=limit) == found
    assert tried == [2**power for power in range(1, len(tried) + 1)]  # none after the first that does not
    assert max(tried, default=0) <= 2 * found


def _settings(run_dir: Path, **more: Any) -> dict[str, Any]:
    data = {"batch_size": "auto", "patch": [32, 64], "module": {"batch_size": "auto", "seed": 1}}
    trainer = {"accelerator": "gpu", "devices": 1, "num_nodes": 1}
    return {"run_dir": str(run_dir), "trainer": trainer, "data": data, "compile": False, **more}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """A GPU that holds 40 patches of 64x64, or 20 of a compiled net; the sizes that were tried on it."""
    tried: list[tuple[int, bool]] = []

    def short_training(settings: dict[str, Any], *, patch: int, batch_size: int, **_: int) -> dict[str, int]:
        tried.append((batch_size, settings["compile"]))
        assert patch == 64
        assert settings["data"]["module"]["batch_size"] == batch_size
        if batch_size > (20 if settings["compile"] else 40):
            raise MemoryFullError("the device's memory is full")
        return {"patches": 1000}

    monkeypatch.setattr(batch_size, "short_training", short_training)
    monkeypatch.setattr(batch_size, "training_device", lambda name: torch.device("cuda"))
    memory = SimpleNamespace(total_memory=80_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    return tried


def test_sizes_are_tried_until_one_does_not_fit(
    gpu: list[tuple[int, bool]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = with_fitting_batch(_settings(tmp_path))
    assert found["data"] == {"batch_size": 32, "patch": [32, 64], "module": {"batch_size": 32, "seed": 1}}
    assert [size for size, _ in gpu] == [1, 2, 4, 8, 16, 32, 64]
    said = "data.batch_size=32, the largest power of two that fits into 80.0 GB: 64 does not"
    assert said in capsys.readouterr().out
    assert with_fitting_batch(found) == found


def test_a_compiled_net_is_tried_last_and_only_where_it_must(gpu: list[tuple[int, bool]], tmp_path: Path) -> None:
    assert with_fitting_batch(_settings(tmp_path, compile=True))["data"]["batch_size"] == 16
    assert gpu[-2:] == [(32, True), (16, True)]
    assert not any(is_compiled for _, is_compiled in gpu[:-2])


def test_another_error_than_a_lack_of_memory_ends_the_search(
    gpu: list[tuple[int, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: int) -> None:
        raise ValueError("data.patch 7 is no multiple")

    monkeypatch.setattr(batch_size, "short_training", broken)
    with pytest.raises(ValueError, match="no multiple"):
        with_fitting_batch(_settings(tmp_path))


def test_several_devices_are_refused(gpu: list[tuple[int, bool]], tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    settings["trainer"]["devices"] = 4
    with pytest.raises(
        ValueError, match=r"measures one device, and this training has 4: .* trainer\.devices=1 plan=tr"
    ):
        with_fitting_batch(settings)


def test_a_cpu_gets_a_clear_line(
    command: Callable[..., Path], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command("data=folder", f"data.root={photos}", "trainer=cpu", "data.batch_size=auto")
    assert not list((photos.parent / "runs").iterdir())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: data.batch_size=auto fits the batch into the memory of an NVIDIA GPU, and this tra")
    assert line.endswith("runs on the CPU: give a number, data.batch_size=8")


def test_a_run_keeps_the_size_that_was_found(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert Job.freeze(settings).settings()["data"]["batch_size"] == "auto"
    Job.freeze(with_batch(settings, 64))
    kept = Job.freeze(settings).settings()["data"]  # as a resume does
    assert kept == {"batch_size": 64, "patch": [32, 64], "module": {"batch_size": 64, "seed": 1}}
    assert Job.freeze(with_batch(settings, 8)).settings()["data"]["batch_size"] == 8
