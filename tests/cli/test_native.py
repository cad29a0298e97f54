"""What is told to the libraries under torch, and that it is in time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from _support.tiny import photograph
from PIL import Image

from zoomsr.cli.native import share_cores
from zoomsr.jobs.__main__ import main as job

RUN = """
import os, runpy, sys
from importlib.abc import MetaPathFinder

class AtTorch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print("GOMP_SPINCOUNT =", os.environ.get("GOMP_SPINCOUNT"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, AtTorch())
sys.argv[0] = "zoomsr"
runpy.run_module("zoomsr", run_name="__main__")
"""
"""Runs a command until it imports torch."""


@pytest.mark.parametrize(
    ("user", "value"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),  # GOMP_SPINCOUNT would overrule it
    ],
)
def test_waiting_threads_sleep_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, user: dict[str, str], value: str | None
) -> None:
    monkeypatch.setattr(os, "environ", dict(user))
    share_cores()
    assert os.environ.get("GOMP_SPINCOUNT") == value


@pytest.mark.parametrize(
    "command",
    [
        "zoom a.png",
        "export -m srcnn -o srcnn.onnx",
        "evaluate data_dir=. ckpt=[srcnn]",
        "train plan=true",
        "prepare folder .",
        "demo",
    ],
)
def test_a_command_says_it_before_torch_is_imported(tmp_path: Path, command: str) -> None:
    Image.fromarray(photograph(8, 10)).save(tmp_path / "a.png")
    (tmp_path / "gradio.py").touch()  # demo looks whether it is there
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    process = [sys.executable, "-c", RUN, *command.split()]
    run = subprocess.run(process, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.splitlines()[-1:] == ["GOMP_SPINCOUNT = 1000"], run.stderr


def test_so_does_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict[str, str]())
    with pytest.raises(SystemExit):
        job(tmp_path / "none")
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
