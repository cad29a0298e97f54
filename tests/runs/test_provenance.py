"""The code that a run is made by: the commit, and the changes that are not in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import zoomsr
from zoomsr.runs.provenance import code_hash, code_now, commit, record


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with one committed file of zoomsr."""
    package = tmp_path / "checkout" / "zoomsr"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("a = 1\n")
    _git(package.parent, "init", "-q")
    _git(package.parent, "add", "zoomsr")
    _git(package.parent, "commit", "-q", "-m", "ours")
    with monkeypatch.context() as context:
        context.setattr(zoomsr, "__file__", str(package / "__init__.py"))
        _forget()
        yield package
    _forget()


def _forget() -> None:
    commit.cache_clear()
    code_hash.cache_clear()


def test_a_clean_checkout_is_its_commit(package: Path) -> None:
    code, changes = code_now({})
    assert (code["commit"], code["changes"], changes) == (_git(package, "rev-parse", "HEAD"), "", "")


def test_changes_and_new_files_make_the_code_again(package: Path, tmp_path: Path) -> None:
    clean = code_now({})[0]["files"]
    (package / "__init__.py").write_text("a = 2\n")
    (package / "net.py").write_text("b = 3\n\n\nc = 4")  # its last line has no end
    (package / "data.bin").write_bytes(b"\0\1")
    _forget()
    code, changes = code_now({})
    assert code["commit"].endswith(" with changes")
    assert code["files"] != clean
    assert "data.bin" not in changes
    record(tmp_path, {"code": code}, changes=changes)
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", str(package.parent), str(other)], check=True)
    _git(other, "apply", str(tmp_path / "changes.diff"))
    assert (other / "zoomsr" / "__init__.py").read_text() == "a = 2\n"
    assert (other / "zoomsr" / "net.py").read_text() == "b = 3\n\n\nc = 4"


def test_a_module_of_the_users_own_is_code_too(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("mynets")
    module.__file__ = str(tmp_path / "mynets.py")
    (tmp_path / "mynets.py").write_text("class Tiny: ...\n")
    monkeypatch.setitem(sys.modules, "mynets", module)
    nets = [{"_target_": "mynets.Tiny"}, {"_target_": "torch.nn.ReLU"}, {"_target_": "pathlib.Path"}]
    code, changes = code_now({"model": {"nets": nets}})
    assert set(code) == {"commit", "files", "changes", "mynets"}
    assert changes == "--- /dev/null\n+++ b/mynets.py\n@@ -0,0 +1 @@\n+class Tiny: ...\n"


def test_without_a_checkout_the_files_are_known(package: Path) -> None:
    (package.parent / ".git").rename(package.parent / "git")
    _forget()
    code, changes = code_now({})
    assert (code["commit"], changes) == (None, "")
    assert len(code["files"]) == 64


def test_changes_of_a_later_start_have_a_file_of_their_own(tmp_path: Path) -> None:
    for changes in ("first", "second", "second"):
        record(tmp_path, {"code": {"changes": changes}}, changes=changes)
    assert (tmp_path / "changes.diff").read_text() == "first"
    assert (tmp_path / "changes_2.diff").read_text() == "second"
    assert sorted(path.name for path in tmp_path.glob("changes*")) == ["changes.diff", "changes_2.diff"]
