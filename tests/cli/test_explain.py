"""``explain``: where the settings of the real commands come from."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from zoomsr.cli.composition import trace
from zoomsr.cli.config import CONF_DIR
from zoomsr.cli.trace import Key, Trace, keys_below
from zoomsr.evaluate import main as evaluate
from zoomsr.runs.trust import sign

Said = Callable[..., str]


@pytest.fixture
def said(command: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """What ``zoomsr.train`` prints with the given arguments."""

    monkeypatch.delenv("ZOOMSR_DATA_DIR", raising=False)

    def run(*arguments: str) -> str:
        command(*arguments)
        return capsys.readouterr().out.replace(f"{CONF_DIR}/", "conf/")

    return run


def _plain(found: Trace) -> dict[str, Any]:
    return {key: value for key, value in found.values.items() if key != "hydra"}


def _as_written(found: Trace, key: Key) -> Any:
    """The value that the line says which set the key; what stands on lines of its own is taken as found."""
    last = found.history(key)[-1]
    name, _, text = last.written.partition("=" if last.file is None else ": ")
    if not text:
        return found.value(key)
    value = OmegaConf.to_container(OmegaConf.create(f"it: {text}"))["it"]
    for part in key[len(last.key) :]:
        value = value[int(part)]
    assert name.endswith(last.key[-1])
    return value


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml")))
def test_every_setting_is_what_its_line_says_and_what_cfg_job_shows(name: str, said: Said) -> None:
    overrides = [f"experiment={name}", "optimizer.lr=0.003", "data.patch=36"]
    found = trace("train", overrides, conf_dir=CONF_DIR)
    assert yaml.safe_load(said("--cfg", "job", *overrides)) == yaml.safe_load(yaml.safe_dump(_plain(found)))
    own = [setting for setting in found.settings if setting.file and setting.file.parent.name == "experiment"]
    assert own
    assert all(found.description(setting.key) for setting in own)
    keys = list(keys_below(_plain(found)))
    assert len(keys) > 120
    for key in keys:
        last = found.history(key)[-1]
        if last.file is not None:
            assert f"{last.written.split(':')[0]}:" in last.file.read_text().splitlines()[last.line - 1]
        group = found.group(key)
        if group is not None:
            assert last.written.endswith((f": {group.option}", ",sample}"))
        elif not isinstance(found.value(key), dict):
            assert _as_written(found, key) == found.value(key), key


def test_a_value_its_meaning_what_set_it_and_what_that_overrode(said: Said) -> None:
    lines = said("experiment=vdsr_291", "explain", "optimizer.lr", "optimizer.lr=3e-4").splitlines()
    adam, vdsr = (
        next(number for number, line in enumerate((CONF_DIR / file).read_text().splitlines(), 1) if "lr:" in line)
        for file in ("optimizer/adam.yaml", "experiment/vdsr_291.yaml")
    )
    assert [" ".join(line.split()) for line in lines] == [
        "setting optimizer.lr",
        "value 0.0003",
        "meaning learning rate at its peak",
        "set by command line optimizer.lr=3e-4",
        f"over conf/experiment/vdsr_291.yaml:{vdsr} lr: 5e-4",
        f"over conf/optimizer/adam.yaml:{adam} lr: 1e-3",
    ]


def test_a_reference_is_followed(said: Said) -> None:
    lines = said("explain", "data.module.patch", "data=folder", "data.patch=32").splitlines()
    assert lines[1] == "value    32, from ${..patch}"
    assert [line[:30].strip() for line in lines if line.startswith("refers")] == ["refers   data.patch = 32"]
    assert lines[-2].split()[:4] == ["set", "by", "command", "line"]
    assert lines[-1].startswith("over     conf/data/base.yaml:")
    said_of_root = said("explain", "data.root", "data=div2k")
    assert "value    data/DIV2K, from ${oc.env:ZOOMSR_DATA_DIR,data}/DIV2K" in said_of_root
    assert "reads    ZOOMSR_DATA_DIR, which is not set" in said_of_root
    assert "${run_dir}/checkpoints, known only in a run" in said("explain", "callbacks.last.dirpath")
    nowhere = said("explain", "+x=${model.nokey}", "x")
    assert "value    ${model.nokey}, which does not resolve" in nowhere
    assert "refers   model.nokey, which is no setting" in nowhere


def test_a_group_says_which_file_was_chosen_and_shows_its_keys(said: Said) -> None:
    text = said("explain", "model", "experiment=unet_photos", "model=vdsr", "model.depth=7")
    assert "set by   command line  model=vdsr" in text
    assert "override /model: unet" in text
    assert "file     conf/model/vdsr.yaml  VDSR (Kim et al. 2016)." in text
    assert "options  bicubic ircnn" in text
    assert "model.depth = 7  # convolutions" in text
    assert "optimizer" not in text
    recipe = said("explain", "experiment", "experiment=unet_photos")
    assert "scheduler.floor = 0.001" in recipe
    assert "hydra.launcher._target_" in said("explain", "hydra/launcher")


def test_several_files_of_a_group_may_be_chosen(said: Said) -> None:
    text = said("logger=[tensorboard,csv]", "explain", "logger")
    assert "set by   command line  logger=[tensorboard,csv]" in text
    assert re.search(r"over +conf/train.yaml:\d+  .*logger: tensorboard", text)
    assert "logger.csv.version = csv" in text


def test_explain_alone_lists_every_setting(said: Said) -> None:
    lines = said("explain").splitlines()
    shown = {line.split(" ")[0] for line in lines}
    found = trace("train", [], conf_dir=CONF_DIR)
    keys = [key for key in keys_below(_plain(found)) if not isinstance(found.value(key[:-1]), list)]
    assert shown == {".".join(key) for key in keys} | {"debug", "experiment", "hparams_search"}
    assert "seed     = 1  # of initial weights, crops, augmentation and noise" in lines


def test_the_yaml_files_of_the_user_are_named(said: Said, tmp_path: Path) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "tiny.yaml").write_text("# A tiny net.\n_target_: mynets.Tiny\nwidth: 8 # of it\n")
    for flags in (["--config-dir", "mine"], ["--config-dir=mine"], ["-cd", "mine"]):
        text = said("explain", *flags, "model=tiny", "model.width")
        assert "meaning  of it" in text
        assert "set by   mine/model/tiny.yaml:3  width: 8" in text


def test_settings_that_a_resumed_run_brings_are_found_in_it(said: Said, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "it's (mine)"
    (run / ".hydra").mkdir(parents=True)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    (run / ".hydra" / "overrides.yaml").write_text("- model=vdsr\n- optimizer.lr=0.003\n")
    sign(run)
    text = said("explain", "optimizer.lr", "model", "ckpt=last", "seed=2")
    assert "set by   runs/it's (mine)/.hydra/overrides.yaml:2  optimizer.lr=0.003" in text
    assert "set by   runs/it's (mine)/.hydra/overrides.yaml:1  model=vdsr" in text
    assert "set by   command line  seed=2" in said("explain", "seed", "ckpt=last", "seed=2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["optimzer.lr"], "no setting is called 'optimzer.lr'; the nearest: optimizer.lr"),
        (["lr"], "no setting is called 'lr'; the nearest: optimizer.lr"),
        (["xyzzy"], "no setting is called 'xyzzy'; explain lists all"),
        (["hydra.run.dri"], "no setting is called 'hydra.run.dri'; the nearest: hydra.run.dir"),
        (["trainer.precision", "~trainer.precision"], "trainer.precision is not set: ~trainer.precision removes it"),
        (["model.width", "~model"], "model.width is not set: ~model removes it"),
        (["-m", "lr"], "explain takes keys, overrides and --config-dir, not -m"),
        (["--config-dir"], "--config-dir names no folder"),
        (["a", "+a=${b}", "+b=${a}"], "settings refer to each other in a circle"),
        (
            ["seed", "--config-dir", ".", "hydra.searchpath=[file://x]"],
            "takes --config-dir or hydra.searchpath, not both",
        ),
        (["lr", "sede=3"], "no setting is called 'sede'; the nearest: seed"),
        (["model", "model=vdsrr"], "Could not find 'model/vdsrr'"),
    ],
)
def test_a_mistake_is_one_line(
    command: Callable[..., Path], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command("explain", *arguments)
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message in error
    assert error.count("\n") == 1


def test_evaluate_explains_its_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["zoomsr.evaluate", "explain", "data_dir", "engine", "engine=auto"])
    evaluate()
    text = capsys.readouterr().out
    assert "value    not given: data_dir=VALUE does" in text
    assert "set by   command line  engine=auto" in text
    assert list(tmp_path.iterdir()) == []


def test_the_readme_shows_what_is_printed(said: Said) -> None:
    readme = (CONF_DIR / "README.md").read_text(encoding="utf-8")
    command = re.search(r"zoomsr\.train (\S+ \S+ explain .+?)  +#", readme)
    shown = re.search(r"```\n(setting .+?)```", readme, re.DOTALL)
    assert command is not None
    assert shown is not None
    lines = re.compile(r"(?<=\.yaml:)\d+")  # which change with the files
    assert lines.sub("", said(*command.group(1).split())) == lines.sub("", shown.group(1))


def test_it_answers_without_torch() -> None:
    code = "import sys; from zoomsr.train import main; main(); print([name for name in sys.modules if name == 'torch'])"
    arguments = [sys.executable, "-c", code, "explain", "model", "trainer.precision"]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.splitlines()[-1] == "[]"
