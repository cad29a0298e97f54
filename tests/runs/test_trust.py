"""A run directory is a program: whose settings are followed, and that a forged one runs nothing unasked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from _support.tiny import TINY, TINY_NET
from lightning.pytorch.callbacks import Callback

from zoomsr.cli.overrides import completed
from zoomsr.jobs import __main__ as job
from zoomsr.runs.job import Job
from zoomsr.runs.layout import SETTINGS
from zoomsr.runs.run import Run
from zoomsr.runs.trust import HYDRAS, require_own, sign

Command = Callable[..., Path]
REFUSED = "was not made by you on this machine"


class Canary(Callback):
    """What a stranger would like to have called: it leaves a file."""

    def __init__(self, file: str) -> None:
        Path(file).touch()


def _canary(tmp_path: Path) -> dict[str, str]:
    return {"_target_": "test_trust.Canary", "file": f"{tmp_path}/canary"}


def _forge_overrides(run: Path, tmp_path: Path) -> None:
    text = f"+callbacks.canary={{_target_:test_trust.Canary,file:'{tmp_path}/canary'}}"
    notes = run / ".hydra" / "overrides.yaml"
    notes.write_text(yaml.safe_dump([*yaml.safe_load(notes.read_text()), text]))


def _forge_settings(run: Path, tmp_path: Path) -> None:
    settings = Job(run).settings()
    settings["callbacks"]["canary"] = _canary(tmp_path)
    settings["trainer"]["max_epochs"] = 2
    (run / SETTINGS).write_text(yaml.safe_dump(settings | {"ckpt": "last"}))


def _refusal(call: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        call()
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_forged_run_is_resumed_only_with_trust(
    command: Command, train: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("trainer.max_epochs=1").path
    _forge_overrides(run, tmp_path)
    assert REFUSED in _refusal(lambda: command(f"ckpt={run}", "trainer.max_epochs=2"), capsys)
    assert not (tmp_path / "canary").exists()
    command(f"ckpt={run}", "trainer.max_epochs=2", "--trust")
    assert (tmp_path / "canary").exists()
    (tmp_path / "canary").unlink()
    command(f"ckpt={run}", "trainer.max_epochs=3")  # it was signed with that
    assert (tmp_path / "canary").exists()


def test_forged_settings_are_carried_out_only_with_trust(
    train: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("trainer.max_epochs=1").path
    _forge_settings(run, tmp_path)
    assert REFUSED in _refusal(lambda: job.main(run), capsys)
    assert not (tmp_path / "canary").exists()
    job.main(run, trust=True)
    assert (tmp_path / "canary").exists()
    assert [row["epoch"] for row in Run.read(run).epochs] == [1, 2]


def test_a_forged_sweep_is_resumed_only_with_trust(tmp_path: Path) -> None:
    task = ["seed=1,2", f"+callbacks.canary={{_target_:test_trust.Canary,file:{tmp_path}/canary}}"]
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    overrides = {"task": task, "hydra": ["hydra.mode=MULTIRUN"]}
    (sweep / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": overrides}}))
    with pytest.raises(ValueError, match=f"{REFUSED}.* add --trust"):
        completed([f"sweep_resume={sweep}"])
    trusted = completed([f"sweep_resume={sweep}", "--trust"])
    assert {"seed=1,2", f"+{task[1]}"} < set(trusted)
    assert "--trust" not in trusted
    assert completed([f"sweep_resume={sweep}"]) == trusted  # signed by now


def test_what_only_reads_weights_needs_no_trust_and_runs_nothing(
    command: Command, train: Callable[..., Run], evaluate: Callable[..., dict[str, Any]], photos: Path, tmp_path: Path
) -> None:
    run = train("trainer.max_epochs=1").path
    for forge in (_forge_overrides, _forge_settings):
        forge(run, tmp_path)
    assert evaluate(f"data_dir={photos}", f"ckpt={run}")["sets"]
    small = [*TINY, *TINY_NET, f"data.root={photos}", "trainer.max_epochs=1"]
    command(*small, f"ckpt={run}", "ckpt_mode=weights", "hydra.run.dir=second")
    assert not (tmp_path / "canary").exists()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A signed directory with settings."""
    folder = tmp_path / "run"
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("[seed=1]")
    (folder / SETTINGS).write_text("seed: 1")
    sign(folder)
    return folder


def test_a_moved_run_stays_its_makers(run: Path, tmp_path: Path) -> None:
    require_own(Path(shutil.copytree(run, tmp_path / "elsewhere" / "copy")))
    require_own(Path(shutil.move(run, tmp_path / "moved")))


@pytest.mark.parametrize("change", ["settings.yaml", ".hydra/overrides.yaml", "multirun.yaml", ".hydra/hydra.yaml"])
def test_every_file_of_settings_counts(run: Path, change: str) -> None:
    (run / change).write_text("seed: 2")
    with pytest.raises(ValueError, match=REFUSED):
        require_own(run)


def test_what_hydra_writes_again_is_signed_without_the_rest(run: Path) -> None:
    (run / HYDRAS[0]).write_text("[seed=2]")
    sign(run, HYDRAS)
    require_own(run)
    (run / SETTINGS).write_text("seed: 2")
    sign(run, HYDRAS)
    with pytest.raises(ValueError, match=REFUSED):
        require_own(run)


def test_a_signature_of_another_user_or_of_another_run_is_none(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (tmp_path / "state" / "key").stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    other.mkdir()
    (other / SETTINGS).write_text("seed: 3")
    shutil.copy(run / ".made_by", other)
    with pytest.raises(ValueError, match=REFUSED):
        require_own(other)
    monkeypatch.setenv("ZOOMSR_STATE", str(tmp_path / "theirs"))
    sign(other)  # they have a key of their own
    with pytest.raises(ValueError, match=REFUSED):
        require_own(run)
