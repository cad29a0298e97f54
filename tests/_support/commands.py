"""A typer command, run in this process."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import typer
from typer.testing import CliRunner


def said_by(app: typer.Typer, arguments: Iterable[object], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> str:
    """All that a command prints, with its line breaks, after checking its exit code."""
    capsys.readouterr()
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    captured = capsys.readouterr()
    text = result.output + captured.out + captured.err
    assert result.exit_code == code, text
    return text
