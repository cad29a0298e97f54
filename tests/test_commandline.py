"""What a command line leaves unsaid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from zoomsr.commandline import completed
from zoomsr.trust import sign


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, ``old`` and ``new``, with their overrides and last checkpoints."""
    monkeypatch.setenv("ZOOMSR_RUNS", str(tmp_path))
    for age, name in ((100, "old"), (0, "new")):
        run = tmp_path / name
        (run / ".hydra").mkdir(parents=True)
        (run / "checkpoints").mkdir()
        (run / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["model=vdsr", "seed=3", f"+note={name}"]))
        for file in ("last.ckpt", "best.ckpt"):
            (run / "checkpoints" / file).touch()
            os.utime(run / "checkpoints" / file, (1e9 - age, 1e9 - age))
        sign(run)
    return tmp_path


def test_an_ordinary_command_stays_as_it_is() -> None:
    for arguments in (["model=unet", "seed=2"], ["-m", "model=unet,vdsr"], ["--help"], ["ckpt=null"]):
        assert completed(arguments) == arguments
    assert completed(["model=unet,vdsr", "-m", "seed=2"]) == ["-m", "model=unet,vdsr", "seed=2"]


@pytest.mark.parametrize("ckpt", ["last", "{runs}/new", "{runs}/new/checkpoints/last.ckpt"])
def test_a_run_goes_on_with_its_own_settings_in_its_own_directory(runs: Path, ckpt: str) -> None:
    assert completed([f"ckpt={ckpt.format(runs=runs)}", "trainer.max_epochs=20", "seed=4"]) == [
        *("model=vdsr", "seed=4", "+note=new", "trainer.max_epochs=20"),
        *("ckpt=last", f"hydra.run.dir='{runs}/new'"),
    ]


def test_another_checkpoint_starts_a_run_of_its_own(runs: Path) -> None:
    for arguments in (
        [f"ckpt={runs}/new/checkpoints/best.ckpt"],
        [f"ckpt={runs}/new", "ckpt_mode=weights"],
        [f"ckpt={runs}/new", f"hydra.run.dir={runs}/third"],
    ):
        assert completed(arguments) == arguments


def test_last_in_a_named_directory_is_that_directorys_own(runs: Path) -> None:
    assert completed(["ckpt=last", f"hydra.run.dir={runs}/old"])[-1] == f"hydra.run.dir='{runs}/old'"
    fresh = ["ckpt=last", f"hydra.run.dir={runs}/third"]
    assert completed(fresh) == fresh  # a cluster starts the same command for the first time


def test_a_sweep_goes_on_with_the_command_it_was_started_with(tmp_path: Path) -> None:
    overrides = {
        "task": ["model=vdsr,unet", "seed=1"],
        "hydra": ["hydra.mode=MULTIRUN", "hydra.sweep.dir=x", "hydra.job.name=y"],
    }
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": overrides}}))
    sign(tmp_path)
    place = [f"hydra.sweep.dir='{tmp_path}'", "hydra.callbacks.directory.resumes=true"]
    expected = ["-m", "model=vdsr,unet", "seed=1", "hydra.job.name=y", *place]
    assert completed([f"sweep_resume={tmp_path}"]) == expected
    with pytest.raises(ValueError, match="leave out seed=2"):
        completed([f"sweep_resume={tmp_path}", "seed=2"])


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOMSR_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match="no run below"):
        completed(["ckpt=last"])
    with pytest.raises(ValueError, match=r"has no checkpoints/last\.ckpt"):
        completed([f"ckpt={tmp_path}"])
    with pytest.raises(ValueError, match="is no sweep's directory"):
        completed([f"sweep_resume={tmp_path}"])
