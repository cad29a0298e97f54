"""What other systems lack: the commands work where the calls of POSIX and the encoding of Linux are taken away."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from _support.tiny import TINY, TINY_NET, photograph
from PIL import Image

from zoomsr.data.packed.inventory import HR_INDEX
from zoomsr.data.packed.packing import Photo, pack_photos
from zoomsr.data.packed.store import PixelStore
from zoomsr.jobs.__main__ import _ended_rank
from zoomsr.jobs.launchers.local import _signals_to
from zoomsr.pretrained.names import weights_file
from zoomsr.runs.job import stop_signals
from zoomsr.runs.trust import require_own, sign

PACKAGE = Path(__file__).parents[1] / "zoomsr"
FILES = sorted(PACKAGE.rglob("*.py"))

# Of the module os; Windows lacks all of them, and macOS some.
CALLS = {
    *("fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getpgrp", "getuid", "killpg"),
    *("mkfifo", "nice", "posix_fadvise", "posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "setpgid"),
    *("sched_getaffinity", "sched_setaffinity", "setsid", "sysconf", "waitid", "wait3", "wait4"),
}
SIGNALS = {"SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGUSR2", "pthread_kill"}
MODULES = {"fcntl", "grp", "pwd", "resource", "termios"}
Node = TypeVar("Node", ast.Attribute, ast.Call)
GUARDS = {"preadv": "RWF_NOWAIT", "SIGKILL": "killpg"}  # whose presence says that the other is there too

# The packages that are installed know Windows by its name: they are imported before the calls are taken away.
WINDOWS = f"""
import asyncio, contextlib, importlib, logging.handlers, multiprocessing, os, runpy, signal, subprocess, sys, warnings
import filelock, hydra, kornia, lightning.pytorch, matplotlib.pyplot, PIL.Image, pyvips, rich, scipy.stats, torch
import torch.utils.tensorboard, torchmetrics, typer.testing
from lightning.pytorch.trainer.connectors import signal_connector
for extra in ("gradio", "litdata", "onnxruntime", "onnxscript", "openvino", "optuna", "ray", "starlette", "submitit"):
    with contextlib.suppress(ImportError):
        importlib.import_module(extra)
for module, names in ((os, {CALLS}), (signal, {SIGNALS})):
    for name in names:
        delattr(module, name)
sys.modules |= dict.fromkeys({MODULES})
signal_connector._IS_WINDOWS = True
signal.valid_signals = lambda: {{signal.SIGABRT, signal.SIGINT, signal.SIGTERM}}
warnings.filterwarnings("error", category=EncodingWarning, module=r"zoomsr\\b")
"""


def _windows(code: str, *, place: Path, photos: Path | None = None) -> str:
    """What a fresh Python says without those calls, where the console has the characters of Western Europe alone."""
    process = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", WINDOWS + code],
        cwd=place,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PHOTOS": str(photos), "COLUMNS": "200"},
        capture_output=True,
        encoding="cp1252",
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def _nodes(kind: type[Node]) -> Iterator[tuple[Node, str, str]]:
    """Every node of a kind in the package, the text of its file, and its place."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, kind):
                yield node, text, f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_what_other_systems_lack_is_asked_for_before_it_is_used() -> None:
    found = set()
    for node, text, place in _nodes(ast.Attribute):
        name = ast.unparse(node)
        if name in {f"os.{call}" for call in CALLS} | {f"signal.{number}" for number in SIGNALS}:
            found.add(name)
            guard = GUARDS.get(node.attr, node.attr)
            assert re.search(rf'(has|get)attr\((os|signal), "{guard}"', text), place
    assert found >= {"os.pwrite", "os.killpg", "signal.SIGHUP"}


def test_text_files_and_pipes_say_their_encoding() -> None:
    found = 0
    for node, _, place in _nodes(ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        given = {keyword.arg for keyword in node.keywords}
        mode = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        is_text = name in ("read_text", "write_text") or (name == "open" and (mode in ("w", "a") or "newline" in given))
        if is_text or given & {"text", "universal_newlines"}:
            found += 1
            assert "encoding" in given, f"{place}: {ast.unparse(node)}"
    assert found > 20


def test_pixels_are_packed_where_there_is_no_pwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pwrite")
    pictures = [photograph(40 + number, 50, seed=number) for number in range(6)]
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    pack_photos([Photo(str(number), tmp_path / f"{number}.png") for number in range(6)], tmp_path / HR_INDEX)
    store = PixelStore(tmp_path / HR_INDEX)
    for number, pixels in enumerate(pictures):
        assert (store.read(number).permute(1, 2, 0).numpy() == pixels).all()


def test_a_system_without_hangups_stops_by_two_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")
    assert stop_signals() == [signal.SIGINT, signal.SIGTERM]


def test_where_the_writing_of_paths_has_a_backslash_a_slash_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sep", "\\")
    assert weights_file("runs/NAME") == Path("runs/NAME")


def test_a_hangup_is_passed_on_to_jobs_unless_it_is_ignored() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda *_: heard.append(-1))
    try:
        with _signals_to(lambda number, _: heard.append(number)):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with _signals_to(lambda number, _: heard.append(number)):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == [signal.SIGHUP, -1]


def test_a_lost_rank_without_waitid_hides_no_other_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "waitid")
    assert _ended_rank() == ""


def test_a_home_without_hard_links_has_a_key_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.yaml").write_text("seed: 1\n", encoding="utf-8")
        sign(tmp_path / name)
    for name in ("one", "other"):  # the second one has used the key of the first
        require_own(tmp_path / name)
    (key,) = (tmp_path / "state").iterdir()
    assert len(key.read_bytes()) == 32


@pytest.mark.slow
def test_every_module_can_be_imported_on_a_system_without_posix(tmp_path: Path) -> None:
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in FILES]
    code = f"""
for name in {[name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name in ("gradio", "litdata", "starlette"), error  # an extra
"""
    _windows(code, place=tmp_path)


@pytest.mark.slow
def test_the_commands_work_on_a_system_without_posix(tmp_path: Path, photos: Path) -> None:
    (photos / "0.png").rename(photos / "日本.png")
    train = ["zoomsr.train", *TINY, *TINY_NET, f"data.root={photos}", "trainer.max_steps=2"]
    commands = [
        [*train, "hydra.run.dir=runs/one"],
        ["zoomsr.train", "ckpt=runs/one", "trainer.max_steps=3"],
        ["zoomsr.train", "-m", *train[1:], "seed=1,2", "hydra.sweep.dir=runs/many"],
        ["zoomsr.evaluate", f"data_dir={photos}", "ckpt=runs/one", "hydra.run.dir=runs/test"],
        ["zoomsr.zoom", str(photos), "-m", "runs/one", "-o", "larger/"],
        ["zoomsr.zoom", str(photos / "日本.png"), "--compare", "-m", "runs/one", "-o", "compared.png"],
        ["zoomsr.compare", "runs/one", "runs/many", "--mixed", "-o", "report"],
        ["zoomsr.export", "-m", "runs/one", "-o", "one.pt2"],
    ]
    code = f"""
if __name__ == "__main__":
    for module, *arguments in {commands!r}:
        sys.argv[1:] = arguments
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            assert not end.code, (module, arguments)
"""
    said = _windows(code, place=tmp_path)
    assert r"\u65e5\u672c" in said
    for name in ("one", "many/1_srcnn", "test"):
        assert (tmp_path / "runs" / name / "metrics.json").is_file()
    assert (tmp_path / "report" / "index.html").is_file()
    with Image.open(tmp_path / "larger" / "日本-x2.png") as picture:
        assert picture.size == (128, 96)
    assert (tmp_path / "compared.png").is_file()
    assert (tmp_path / "one.pt2").is_file()
