"""A folder of odd pictures that the outside world has sent: each is enlarged, or refused in one line that names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from _support.zooming import Zoom

from zoomsr.imaging import files
from zoomsr.imaging.photo import Photograph

CASES = sorted(Path(os.environ["ZOOMSR_CASES"]).iterdir()) if "ZOOMSR_CASES" in os.environ else []


@pytest.mark.skipif(not CASES, reason="set ZOOMSR_CASES to a folder of odd pictures")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_right_or_one_line(zoom: Zoom, tmp_path: Path, path: Path) -> None:
    try:
        height, width = Photograph.read(path).size
    except ValueError as error:
        assert str(error).startswith(f"{path} ")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
        assert f"error: {path} " in zoom(path, "-m", "bicubic", "-o", "out.png", code=1)
        with pytest.raises(ValueError, match=path.name):
            files.read(path)
        assert not (tmp_path / "out.png").exists()
        return
    assert "error" not in zoom(path, "-m", "bicubic", "-o", "out.png")
    assert Photograph.read(tmp_path / "out.png").size == (2 * height, 2 * width)
    assert files.size(path) == files.read(path).shape[1:] == (height, width)
