"""How a net and its device are set up for a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from _support.tiny import TINY_NET, composed

from zoomsr.jobs.launchers import train_here
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run
from zoomsr.training.recipe import build_module


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """How the net of a training with these overrides would be compiled."""

    def build(*overrides: str) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []
        monkeypatch.setattr(torch.nn.Module, "compile", lambda net, **options: asked.append(options))
        build_module(composed("run_dir=run", *TINY_NET, *overrides))
        return asked

    return build


@pytest.fixture
def _flags() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before


@pytest.mark.parametrize(
    ("override", "options"),
    [
        ("compile=false", []),
        ("compile=true", [{"dynamic": False, "mode": "default"}]),
        ("compile=reduce-overhead", [{"dynamic": False, "mode": "reduce-overhead"}]),
    ],
)
def test_the_net_is_compiled_as_it_was_asked_for(
    compiled: Callable[..., list[dict[str, Any]]], override: str, options: list[dict[str, Any]]
) -> None:
    assert compiled(override) == options


def test_a_way_to_compile_that_does_not_exist_or_overwrites_gradients_is_refused(
    compiled: Callable[..., list[dict[str, Any]]],
) -> None:
    with pytest.raises(ValueError, match="compile=fast must be true, false or one of default, max-autotune"):
        compiled("compile=fast")
    accumulates = "trainer.accumulate_grad_batches=2"
    assert compiled("compile=true", accumulates)
    with pytest.raises(ValueError, match="compile=reduce-overhead cannot accumulate gradients: compile=true, or"):
        compiled("compile=reduce-overhead", accumulates)


@pytest.mark.usefixtures("_flags")
def test_float32_on_cuda_and_cudnns_search_are_settings(train: Callable[..., Run]) -> None:
    train("tf32=false", "trainer.benchmark=true", "trainer.max_epochs=1")
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark) == (False, True)


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ("callbacks.checkpoint=null", "callbacks lacks a ModelCheckpoint"),
        ("trainer.accelerator=tpu", "the trainer cannot start: Requirement 'torch_xla"),
        ("ckpt=. ckpt_mode=weights", "ckpt=. holds no checkpoint"),
        ("ckpt=.", "ckpt=. holds no checkpoint"),
    ],
)
def test_what_cannot_be_trained_is_refused_before(
    train: Callable[..., Run],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    overrides: str,
    error: str,
) -> None:
    monkeypatch.setattr("zoomsr.training.recipe._fit", lambda *arguments, **options: pytest.fail("it was trained"))
    with pytest.raises(SystemExit):
        train(*overrides.split())
    assert f"error: {error}" in capsys.readouterr().err


def test_settings_frozen_by_an_older_version_train_as_they_did(settings: Callable[..., dict[str, Any]]) -> None:
    old = settings("run", "trainer.max_epochs=1", "ema=0.9")
    for name in ("results", "exact_resume", "ema"):
        del old["callbacks"][name]
    for name in ("max_steps", "overfit_batches", "fast_dev_run", "strategy", "limit_test_batches"):
        del old["trainer"][name]
    job = Job.freeze(old)
    (job.path / ".hydra").mkdir()
    (job.path / ".hydra" / "overrides.yaml").write_text("[]")
    train_here(job, job.settings())
    assert [row["epoch"] for row in Run.read(job.path).epochs] == [1]
    last = torch.load(job.path / "checkpoints" / "last.ckpt", weights_only=True)
    assert {"averaging_state", "zoomsr"} <= last.keys()  # of EMA and of ExactResume
