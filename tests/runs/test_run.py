"""Versions, and the commit of a checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import zoomsr
from zoomsr.runs.provenance import commit
from zoomsr.runs.run import versions


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit() -> str | None:
    commit.cache_clear()
    return versions().get("commit")


def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "zoomsr"
    package.mkdir()
    (package / "__init__.py").write_text("a = 1\n")
    monkeypatch.setattr(zoomsr, "__file__", str(package / "__init__.py"))
    assert _commit() is None  # no checkout
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs")
    assert _commit() is None  # of another project
    _git(tmp_path, "add", "zoomsr")
    _git(tmp_path, "commit", "-q", "-m", "ours")
    head = _git(tmp_path, "rev-parse", "HEAD")
    (package / "new.py").touch()
    assert _commit() == head
    (package / "__init__.py").write_text("a = 2\n")
    assert _commit() == f"{head} with changes"
    commit.cache_clear()
