"""Small photographs, and the training command run in this process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.commands import said_by
from _support.tiny import TINY, TINY_NET, composed, photograph
from omegaconf import OmegaConf
from PIL import Image

from zoomsr.cli.config import plain
from zoomsr.data.packed.packing import Photo
from zoomsr.runs.run import Run

with redirect_stderr(sys.__stderr__):
    # TensorBoard brings it. It keeps the stderr of its import and closes it once Hydra sets up logging while stderr is
    # another: were that pytest's, all later tests would fail.
    import absl.logging  # noqa: F401

_SHARED = ("browser", "guard", "http_server", "kills", "nets", "page_server", "signals", "texts", "zooming")
pytest_plugins = [f"_support.{name}" for name in _SHARED]  # their fixtures, and what their assertions compare


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six 64x48 photographs, two of them in a sub-folder."""
    root = tmp_path / "photos"
    (root / "more").mkdir(parents=True)
    for number in range(6):
        place = root / "more" if number > 3 else root
        Image.fromarray(photograph(48, 64, seed=number)).save(place / f"{number}.png")
    return root


@pytest.fixture
def odd_photos(tmp_path: Path) -> list[Photo]:
    """Three photographs of different, partly odd sizes."""
    photos = []
    for number, size in enumerate([(40, 50), (37, 61), (64, 33)]):
        path = tmp_path / f"odd{number}.png"
        Image.fromarray(photograph(*size, seed=number)).save(path)
        photos.append(Photo(f"photo {number}", path))
    return photos


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs ``zoomsr.train`` with the given arguments; returns the runs folder."""
    from zoomsr.train import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOOMSR_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("ZOOMSR_DATA", raising=False)

    def run(*arguments: str) -> Path:
        monkeypatch.setattr(sys, "argv", ["zoomsr.train", *arguments])
        main()
        return tmp_path / "runs"

    return run


@pytest.fixture
def train(command: Callable[..., Path], photos: Path, tmp_path: Path) -> Callable[..., Run]:
    """Trains a tiny SRCNN on ``photos`` with further overrides; returns the finished run."""

    def run(*overrides: str, net: Sequence[str] = TINY_NET) -> Run:
        name = f"run{len(list(tmp_path.glob('run*')))}"
        command(*TINY, *net, f"data.root={photos}", f"hydra.run.dir={tmp_path / name}", *overrides)
        return Run.read(tmp_path / name)

    return run


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """All settings of a tiny training in ``tmp_path/name``, resolved, as plain data."""

    def resolved(name: str, *overrides: str) -> dict[str, Any]:
        arguments = [*TINY, *TINY_NET, f"data.root={photos}", f"run_dir={tmp_path / name}", *overrides]
        config = composed(*arguments)
        return plain(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))

    return resolved


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs the command with the given arguments; returns its JSON."""
    from zoomsr.evaluate import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> dict[str, Any]:
        place = [f"hydra.run.dir={tmp_path}/out", "overwrite=true"]
        monkeypatch.setattr(sys, "argv", ["zoomsr.evaluate", *place, *arguments])
        main()
        results: dict[str, Any] = json.loads((tmp_path / "out" / "metrics.json").read_text())
        return results

    return run


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command; returns what it printed, one line, or its error."""
    from zoomsr.cli.console import CONSOLE
    from zoomsr.prepare import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CONSOLE, "width", 250)  # of tables; where COLUMNS is set, it was read at import

    def run(*arguments: str, code: int = 0) -> str:
        text = " ".join(said_by(app, arguments, capsys, code=code).split())
        return text

    return run


@pytest.fixture
def benchmarks() -> Path:
    """The folder with Set5/ and Set14/ (HR/ and LRx2/), for tests on published images."""
    root = os.environ.get("ZOOMSR_BENCHMARKS")
    if root is None or not Path(root, "Set5", "HR").is_dir():
        pytest.skip("ZOOMSR_BENCHMARKS names no folder with Set5/HR and Set5/LRx2")
    return Path(root)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOMSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOOMSR_STATE", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
