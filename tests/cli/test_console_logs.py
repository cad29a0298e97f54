"""Log records of the layers below the commands appear as the commands' own lines."""

from __future__ import annotations

import logging

import pytest

from zoomsr.cli.console import CONSOLE, band_table, said_logs, say, score_table


def test_records_are_said_once_and_only_within(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)  # Hydra, in another test, leaves the root at INFO
    logger = logging.getLogger("zoomsr.data.packed.packing")
    before = logging.getLogger("zoomsr").level
    with said_logs():
        logger.info("packing %d photographs [x] into %s", 3, "/cache")
        logger.warning("last.ckpt is damaged")
        logger.debug("not shown")
    logger.info("too late")
    assert capsys.readouterr().out == "packing  3 photographs [x] into /cache\nwarning  last.ckpt is damaged\n"
    assert caplog.text == ""  # not by the root's handlers too, such as Hydra's
    root = logging.getLogger("zoomsr")
    assert (root.level, root.propagate, root.handlers) == (before, True, [])


def test_tables_show_names_with_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    scores = dict.fromkeys(("psnr_y", "psnr_rgb", "ssim_y", "ssim_rgb", "mae", "error_band_1"), 1.0)
    for table in (score_table("[a]", {"x=[b,c]": scores}), band_table("[a]", {"x=[b,c]": scores})):
        CONSOLE.print(table)
        said = capsys.readouterr().out
        assert said.startswith("[a] ")
        assert "x=[b,c]" in said


def test_what_a_terminal_would_obey_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    say({"file": "a\x1b[31m\rb\x9b\u202e"})
    assert capsys.readouterr().out == "file     a\\x1b[31m\\rb\\x9b\\u202e\n"
