"""Who may know whom: the house plan, held against the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "zoomsr"
FILES = sorted(PACKAGE.rglob("*.py"))

# Lower rooms know nothing of higher ones.
LAYERS = [
    {"image", "resize", "errors", "runs", "frequency", "commandline", "trust", "devices", "memory", "listing"}
    | {"png", "tiff", "metadata", "libvips", "encoding", "decoding", "pillow"},
    {"degradations", "metrics", "areas", "costs", "selfcheck", "losses", "schedules", "figures", "screen", "jobs"}
    | {"directories", "photograph"},
    {"models", "config", "arguments", "drawing"},
    {"anatomy", "data", "module", "tiling", "transparency", "weights", "vetting"}
    | {"diagnosis", "checkpoints", "cards", "engines"},
    {"callbacks", "scoring", "zoomer"},
    {
        "training",
        "precision",
        "summary",
        "evaluation",
        "targets",
        "zooming",
        "strip",
        "huge",
        "enlarging",
        "exporting",
        "shipping",
        "report",
        "page",
        "page_steps",
        "page_results",
        "page_events",
        "page_gate",
    },
    {"launchers", "job"},
    {"sweep", "search"},
    {"train", "evaluate", "zoom", "compare", "prepare", "export", "demo", "__main__", "__init__"},
]
ONLY = {
    "hydra": {"config", "search", "evaluation"},
    "omegaconf": {"config", "arguments", "training", "summary", "train", "evaluation", "evaluate"},
    "lightning": {"module", "data/datamodule", "callbacks", "checkpoints", "training", "summary"},
    "matplotlib": {"figures"},
    "typer": {"__main__", "prepare", "job", "zoom", "export", "demo", "compare"},
    "scipy": {"report/significance"},
    "httpx": {"data/download"},
    "onnxruntime": {"engines/onnx"},
    "openvino": {"engines/openvino"},
    "gradio": {"page/blocks", "page/events"},
    "starlette": {"page/blocks"},
}
NEVER = {"torchvision", "cv2"}


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _room(name: str) -> str:
    """zoomsr.data.store.PixelStore and data/store.py both live in the room "data"."""
    return name.split(".")[1]


def _layer(room: str) -> int:
    (level,) = (level for level, rooms in enumerate(LAYERS) if room in rooms)
    return level


def _label(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", FILES, ids=_label)
def test_nothing_imports_from_a_higher_room(path: Path) -> None:
    own = _label(path).split("/")[0]
    for name in _imports(path):
        if name.startswith("zoomsr."):
            assert _layer(_room(name)) <= _layer(own), f"{_label(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=_label)
def test_packages_stay_in_their_rooms(path: Path) -> None:
    label = _label(path)
    for name in _imports(path):
        package = name.split(".")[0]
        assert package not in NEVER
        if package in ONLY:
            assert any(label == room or label.startswith(f"{room}/") for room in ONLY[package]), f"{label}: {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=_label)
def test_a_net_knows_torch_and_the_lowest_rooms_only(path: Path) -> None:
    allowed = {"image", "resize", "degradations", "models"}
    for name in _imports(path):
        package = name.split(".")[0]
        assert package in {"torch", "zoomsr"} | sys.stdlib_module_names, name
        assert package != "zoomsr" or _room(name) in allowed, name


def test_heavy_packages_wait_until_the_command_line_is_read() -> None:
    commands = "zoomsr.train, zoomsr.evaluate, zoomsr.zoom, zoomsr.compare, zoomsr.export, zoomsr.demo, zoomsr.__main__"
    light = f"{commands}, zoomsr.sweep, zoomsr.job, zoomsr.launchers.local"
    code = f"import sys, {light}; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for package in ("torch", "lightning", "numpy", "PIL", "matplotlib"):
        assert f"'{package}'" not in loaded
