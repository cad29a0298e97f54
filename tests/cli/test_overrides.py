"""What a command line leaves unsaid."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from _support.tiny import TINY, TINY_NET
from hydra.core.override_parser.overrides_parser import OverridesParser

from zoomsr.cli.overrides import completed, stray
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run
from zoomsr.runs.trust import sign


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


def test_the_words_of_explain_stay_beside_a_runs_own_settings(runs: Path) -> None:
    assert completed(["explain", "model", "seed", "ckpt=last"])[:5] == [
        "explain",
        "model",
        "seed",
        "model=vdsr",
        "seed=3",
    ]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--max_epochs", "3"], ("--max_epochs", "3")),
        (["seed=1", "--max-epochs=3"], ("--max-epochs", "3")),
        (["--seed", "model=vdsr"], ("--seed", "")),
        (["model", "vdsr", "seed=1"], ("model", "vdsr")),
        (["seed=1,", "2"], ("2", "")),
        (["-m", "model=a,b", "~ema", "+x=1", "--config-dir", "mine", "-cd=mine", "hydra/launcher=slurm"], None),
        (["--cfg", "job", "--package", "model", "--info", "all", "--multi", "--resolve", "-"], None),
    ],
)
def test_a_word_that_is_no_override_is_found(arguments: list[str], found: tuple[str, str] | None) -> None:
    assert stray(arguments) == found


@pytest.mark.parametrize("ckpt", ["last", "{runs}/new", "{runs}/new/checkpoints/last.ckpt"])
def test_a_run_goes_on_with_its_own_settings_in_its_own_directory(runs: Path, ckpt: str) -> None:
    assert completed([f"ckpt={ckpt.format(runs=runs)}", "trainer.max_epochs=20", "seed=4"]) == [
        *("model=vdsr", "seed=4", "++note=new", "trainer.max_epochs=20"),
        *("ckpt=last", f"hydra.run.dir='{runs}/new'"),
    ]


def test_the_home_stands_for_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    given = ["data.root=~/photos", "ckpt=~/a b.ckpt", "ckpt_mode=weights", "~ema", "x=a~b"]
    asked = ["data.root=/home/me/photos", "ckpt='/home/me/a b.ckpt'", "ckpt_mode=weights", "~ema", "x=a~b"]
    assert completed(given) == asked
    assert completed(["-m", "data.root=~/photos"]) == ["-m", "data.root=/home/me/photos"]


def test_another_checkpoint_starts_a_run_of_its_own(runs: Path) -> None:
    for arguments in (
        [f"ckpt={runs}/new/checkpoints/best.ckpt"],
        [f"ckpt={runs}/new", "ckpt_mode=weights"],
        [f"ckpt={runs}/new", f"hydra.run.dir={runs}/third"],
    ):
        assert completed(arguments) == arguments


def test_a_run_that_is_run_again_brings_its_settings_into_a_new_directory(runs: Path) -> None:
    (runs / "new" / "settings.yaml").touch()
    sign(runs / "new")
    again = ["model=vdsr", "seed=4", "++note=new", f"rerun='{runs}/new'"]
    assert completed([f"rerun={runs}/new", "seed=4"]) == again
    with pytest.raises(ValueError, match="is one run, and -m a sweep"):
        completed(["-m", f"rerun={runs}/new"])
    with pytest.raises(ValueError, match="trains that run anew: leave out ckpt=last"):
        completed([f"rerun={runs}/new", "ckpt=last"])
    with pytest.raises(ValueError, match=r"is no run of zoomsr.train: it has no settings\.yaml"):
        completed([f"rerun={runs}/old"])
    (runs / "new" / "settings.yaml").write_text("seed: 9")
    with pytest.raises(ValueError, match="was not made by you"):
        completed([f"rerun={runs}/new"])
    (runs / "old" / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(again))
    sign(runs / "old")
    with pytest.raises(ValueError, match="resumes as it was started: leave out seed=5"):
        completed([f"ckpt={runs}/old", "seed=5"])


def test_a_run_that_started_from_weights_resumes_from_its_own_checkpoint(runs: Path) -> None:
    notes = runs / "new" / ".hydra" / "overrides.yaml"
    notes.write_text(yaml.safe_dump(["model=vdsr", "ckpt=unet", "ckpt_mode=weights"]))
    sign(runs / "new")
    assert completed(["ckpt=last"]) == ["model=vdsr", "ckpt=last", f"hydra.run.dir='{runs}/new'"]


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


def test_a_run_that_holds_only_the_checkpoint_before_the_last_is_found(runs: Path) -> None:
    last = runs / "new" / "checkpoints" / "last.ckpt"
    last.rename(last.with_name("previous.ckpt"))
    (runs / "later" / "checkpoints").mkdir(parents=True)  # of no command: it could not be resumed
    (runs / "later" / "checkpoints" / "last.ckpt").touch()
    for ckpt in ("last", f"{runs}/new", f"{runs}/new/checkpoints/previous.ckpt"):
        assert completed([f"ckpt={ckpt}"])[-1] == f"hydra.run.dir='{runs}/new'"


@pytest.mark.parametrize(
    "name", ["a=b", "a, b", "it's (x)", 'say "x"', "{a: [b]}", "back\\slash\\", "back\\'s", " a  b ", "äö~#%"]
)
def test_any_name_of_a_run_is_read_back_by_hydra(runs: Path, name: str) -> None:
    run = (runs / "old").rename(runs / name)
    for arguments in ([f"ckpt={run}"], ["ckpt=last", f"hydra.run.dir={run}"]):
        (override,) = OverridesParser.create().parse_overrides([completed(arguments)[-1]])
        assert override.key_or_group == "hydra.run.dir"
        assert override.value() == str(run)
    typed = ["ckpt=none.ckpt", f"hydra.run.dir={run}"]  # and one that is made with such a name
    assert OverridesParser.create().parse_overrides(completed(typed))[-1].value() == str(run)


def test_a_run_with_any_name_is_resumed_with_the_yaml_files_it_had(
    command: Callable[..., Path], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "it's (lr=1), or not"
    (tmp_path / "my conf" / "loss").mkdir(parents=True)
    (tmp_path / "my conf" / "loss" / "huber.yaml").write_text("_target_: torch.nn.HuberLoss\ndelta: 0.1\n")
    mine = ["--config-dir", str(tmp_path / "my conf"), "loss=huber"]
    command(*TINY, *TINY_NET, f"data.root={photos}", "trainer.max_epochs=1", *mine, f"hydra.run.dir={run}")
    capsys.readouterr()
    command(f"ckpt={run}", "trainer.max_epochs=2")
    assert capsys.readouterr().out.startswith(f"resumes  {run.name}\nchanged  trainer.max_epochs")
    assert [row["epoch"] for row in Run.read(run).epochs] == [1, 2]
    assert Job(run).settings()["loss"] == {"_target_": "torch.nn.HuberLoss", "delta": 0.1}


def test_a_config_dir_that_is_given_takes_the_place_of_the_remembered(runs: Path) -> None:
    own = str(runs)  # a folder that is there
    notes = runs / "new" / ".hydra" / "hydra.yaml"
    sources = [{"path": own, "provider": "command-line"}, {"path": "x", "provider": "main"}]
    notes.write_text(yaml.safe_dump({"hydra": {"runtime": {"config_sources": sources}}}))
    sign(runs / "new")
    assert completed(["ckpt=last"])[:2] == ["--config-dir", own]
    assert completed(["ckpt=last", "--config-dir", "/given"])[:2] == ["--config-dir", "/given"]
    assert completed(["--config-dir=/given", "ckpt=last"])[0] == "--config-dir=/given"
    assert own not in completed(["ckpt=last", "-cd", "/given"])


def test_last_is_the_newest_run_of_the_config_dir_that_is_given(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "mine").mkdir()
    sources = [{"path": str(runs / "mine"), "provider": "command-line"}]
    (runs / "old" / ".hydra" / "hydra.yaml").write_text(
        yaml.safe_dump({"hydra": {"runtime": {"config_sources": sources}}})
    )
    sign(runs / "old")
    monkeypatch.chdir(runs)
    for flags in (["--config-dir", "mine"], ["-cd=mine"]):
        assert completed(["ckpt=last", *flags])[-1] == f"hydra.run.dir='{runs}/old'"
        assert completed([*flags, "ckpt=last", "ckpt_mode=weights"])[-2:] == [f"ckpt='{runs}/old'", "ckpt_mode=weights"]
    assert completed(["ckpt=last", "--config-dir", "another"])[-1] == f"hydra.run.dir='{runs}/new'"


def test_weights_of_the_last_run_are_those_of_the_newest(runs: Path) -> None:
    given, found = ["ckpt_mode=weights", "ckpt=last", "seed=4"], ["ckpt_mode=weights", f"ckpt='{runs}/new'", "seed=4"]
    assert completed(given) == found
    assert completed(["-m", *given]) == ["-m", *found]


def test_a_key_that_an_old_run_had_to_add_may_stand_in_conf_by_now(
    train: Callable[..., Run], command: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("trainer.max_steps=2").path
    notes, frozen = run / ".hydra" / "overrides.yaml", run / "settings.yaml"
    notes.write_text(notes.read_text().replace("trainer.max_steps=2", "+trainer.max_steps=2"))
    old = yaml.safe_load(frozen.read_text())
    del old["trainer"]["overfit_batches"]
    frozen.write_text(yaml.safe_dump(old))
    sign(run)
    capsys.readouterr()
    command(f"ckpt={run}", "trainer.max_steps=4")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("changed")]
    assert said == ["changed  trainer.max_steps: 2 -> 4"]
    assert Run.read(run).epochs[-1]["step"] == 4
