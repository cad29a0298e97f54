"""Who may import whom: the plan of the house, held against the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "zoomsr"
FILES = sorted(PACKAGE.rglob("*.py"))

# A folder of zoomsr/, and the folders that it may import from. The commands, which lie beside them, import from all.
MAY_IMPORT = {
    "figures": set(),
    "hardware": set(),
    "runs": set(),
    "cli": {"runs"},
    "imaging": {"hardware", "runs"},
    "metrics": {"hardware", "imaging"},
    "models": {"imaging"},
    "downloads": {"cli", "runs"},
    "pretrained": {"cli", "downloads", "models", "runs"},
    "data": {"downloads", "hardware", "imaging", "metrics", "runs"},
    "engines": {"hardware", "imaging", "models", "pretrained", "runs"},
    "foreign": {"engines", "hardware", "imaging", "models", "pretrained", "runs"},
    "evaluation": {
        *("cli", "data", "engines", "figures", "foreign", "hardware", "imaging", "metrics", "models", "pretrained"),
        "runs",
    },
    "training": {
        *("cli", "data", "evaluation", "figures", "hardware", "imaging", "metrics", "models", "pretrained", "runs"),
    },
    "inference": {
        *("cli", "data", "engines", "evaluation", "figures", "foreign", "hardware", "imaging", "metrics", "models"),
        *("pretrained", "runs"),
    },
    "report": {"cli", "evaluation", "figures", "pretrained", "runs"},
    "jobs": {"cli", "hardware", "runs", "training"},
    "webapp": {
        *("cli", "data", "downloads", "figures", "imaging", "inference", "metrics", "models", "pretrained", "runs"),
    },
}
# A package, and the only places that may import it.
ONLY = {
    "hydra": {"cli/config", "cli/composition", "jobs/search", "evaluation/request"},
    "omegaconf": {
        "cli",
        "training/recipe",
        "training/summary",
        "evaluation/recipe",
        "evaluation/request",
        "train",
        "evaluate",
    },
    "lightning": {"training", "data/datamodule"},
    "matplotlib": {"figures"},
    "typer": {"__main__", "cli/options", "prepare", "jobs/__main__", "zoom", "export", "demo", "compare"},
    "spandrel": {"foreign/by_spandrel"},
    "scipy": {"report/significance"},
    "httpx": {"downloads/http"},
    "gradio": {"webapp/blocks", "webapp/events"},
    "starlette": {"webapp/blocks"},
}
NEVER = {"torchvision", "cv2"}


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _label(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def _folder(path: Path) -> str:
    """ "" for a command."""
    return path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""


def test_the_table_names_the_folders_and_packages_that_there_are() -> None:
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE}
    assert MAY_IMPORT.keys() == folders
    assert set().union(*MAY_IMPORT.values()) <= folders
    labels = {_label(path) for path in FILES} | folders
    for package, places in ONLY.items():
        for place in places:
            assert place in labels, place
            users = [path for path in FILES if _label(path) == place or _label(path).startswith(f"{place}/")]
            assert any(name.split(".")[0] == package for path in users for name in _imports(path)), (package, place)


def test_the_table_has_no_circle() -> None:
    placed: set[str] = set()
    while ready := {folder for folder, known in MAY_IMPORT.items() if folder not in placed and known <= placed}:
        placed |= ready
    assert placed == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != PACKAGE], ids=_label)
def test_imports_go_in_the_direction_of_the_table(path: Path) -> None:
    for name in _imports(path):
        package, _, rest = name.partition(".")
        folder = rest.split(".")[0]
        if package == "zoomsr" and folder in MAY_IMPORT and folder != _folder(path):
            assert folder in MAY_IMPORT[_folder(path)], f"{_label(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=_label)
def test_packages_stay_in_their_places(path: Path) -> None:
    label = _label(path)
    for name in _imports(path):
        package = name.split(".")[0]
        assert package not in NEVER
        if package in ONLY:
            assert any(label == place or label.startswith(f"{place}/") for place in ONLY[package]), f"{label}: {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=_label)
def test_a_net_knows_torch_and_images_only(path: Path) -> None:
    for name in _imports(path):
        package = name.split(".")[0]
        assert package in {"torch", "zoomsr"} | sys.stdlib_module_names, name


def test_heavy_packages_wait_until_the_command_line_is_read() -> None:
    commands = "zoomsr.train, zoomsr.evaluate, zoomsr.zoom, zoomsr.compare, zoomsr.export, zoomsr.demo, zoomsr.__main__"
    jobs = "zoomsr.jobs.sweep, zoomsr.jobs.__main__, zoomsr.jobs.launchers.local, hydra_plugins.zoomsr_launcher"
    code = f"import sys, {commands}, {jobs}; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for package in ("torch", "lightning", "numpy", "PIL", "matplotlib"):
        assert f"'{package}'" not in loaded
