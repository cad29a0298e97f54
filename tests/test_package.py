"""The wheel, as a user installs it."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from _support.tiny import TINY
from packaging.specifiers import SpecifierSet

import zoomsr
from zoomsr.runs.run import Run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.parametrize(
    ("package", "closed_in"), [("torch", "2.10"), ("hydra-core", "1.3.8"), ("pillow", "12.3"), ("filelock", "3.20.3")]
)
def test_no_version_that_is_allowed_opens_what_the_newest_closes(package: str, closed_in: str) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    (bound,) = re.findall(rf'^  "({package}[<>=!][^"]*)", # .*CVE', text, re.MULTILINE)
    assert min(SpecifierSet(bound.removeprefix(package)), key=lambda one: one.operator != ">=").version == closed_in


def test_the_version_to_cite_is_the_packages() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == zoomsr.__version__
    assert f"Version {zoomsr.__version__}," in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_wheel_holds_every_module_and_every_yaml(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assets = [
        path for kind in ("css", "csv", "html", "js", "md", "tex") for path in (ROOT / "zoomsr").rglob(f"*.{kind}")
    ]
    assert len(assets) >= 4
    modules = [path for package in ("zoomsr", "hydra_plugins") for path in (ROOT / package).rglob("*.py")]
    for source in (*modules, *assets, ROOT / "zoomsr" / "py.typed"):
        assert source.relative_to(ROOT).as_posix() in names
    nets = [path for kind in ("safetensors", "json") for path in (ROOT / "zoomsr" / "pretrained").glob(f"*.{kind}")]
    assert len(nets) >= 8
    for weights in nets:
        assert weights.relative_to(ROOT).as_posix() in names
    for source in (ROOT / "conf").rglob("*.yaml"):
        assert f"zoomsr/{source.relative_to(ROOT).as_posix()}" in names


@pytest.mark.slow
def test_installed_wheel_trains_from_any_directory(wheel: Path, photos: Path, tmp_path: Path) -> None:
    place = tmp_path / "env"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    # The dependencies come from this environment; its editable zoomsr does not, because a .pth is not read twice.
    (site,) = (place / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = [python, "-c", "import zoomsr.cli.config as c; print(c.__file__, c.CONF_DIR)"]
    found = subprocess.run(where, cwd=elsewhere, check=True, capture_output=True, text=True).stdout
    assert found.split() == [str(site / "zoomsr" / "cli" / "config.py"), str(site / "zoomsr" / "conf")]
    for number, command in enumerate(([place / "bin" / "zoomsr", "train"], [python, "-m", "zoomsr.train"])):
        arguments = [*TINY, "model=srcnn", "model.widths=[8,4]", f"data.root={photos}", f"hydra.run.dir=run{number}"]
        subprocess.run([*command, *arguments, "trainer.max_epochs=1"], cwd=elsewhere, check=True, timeout=120)
        assert Run.read(elsewhere / f"run{number}").results is not None
