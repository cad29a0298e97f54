"""The first command of the README: `make demo`."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture
def demo() -> list[list[str]]:
    """The commands of `make demo` after the installation."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    said = subprocess.run(
        ["make", "-n", "demo", "RUNS=some runs"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    ).stdout
    return [shlex.split(line) for line in said.splitlines() if " -m zoomsr." in line]


def test_the_demo_zooms_before_it_trains_by_the_command_of_the_readme(demo: list[list[str]]) -> None:
    zooming, training = demo
    assert zooming[1:3] == ["-m", "zoomsr.zoom"]
    assert zooming[-1] == "some runs/first_zoom.png"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (promised,) = set(re.findall(r"python (-m zoomsr\.train model=unet trainer\.max_epochs=\d+)", readme))
    assert training[1:] == promised.split()


@pytest.mark.slow
def test_the_demo_s_first_picture_is_a_strip_of_a_real_photograph(demo: list[list[str]], tmp_path: Path) -> None:
    site = sysconfig.get_path("purelib")
    arguments = [argument.replace(".venv/lib/python*/site-packages", site) for argument in demo[0][1:]]
    said = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    ).stdout
    assert "first_zoom.png" in said
    with Image.open(tmp_path / "some runs" / "first_zoom.png") as picture:
        assert min(picture.size) > 400
