"""An interrupted enlargement of a picture that does not fit into memory is resumed, and ends as one that was not."""

from __future__ import annotations

import errno
import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _support.tiny import photograph
from _support.zooming import Zoom
from filelock import FileLock

from zoomsr.cli import progress
from zoomsr.cli.progress import PixelProgress
from zoomsr.engines import tiling
from zoomsr.engines.tiling import Region
from zoomsr.imaging.photo import Photograph
from zoomsr.inference import batch, out_of_core, unfinished, upscaler
from zoomsr.inference.targets import plan
from zoomsr.inference.unfinished import Layout, Unfinished, folder_of
from zoomsr.runs.layout import LOCK

_TILES = 25  # of 14x18 of 70x90 pixels: 4% each
_ARGUMENTS = ("a.tif", "-m", "srcnn", "-o", "b.tif", "--tile", "16")


@pytest.fixture
def whole(zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The result of an uninterrupted run, which is removed again; a record is written after each tile."""
    monkeypatch.setattr(batch, "MAX_PIXELS", 1000)
    monkeypatch.setattr(unfinished, "_SYNC_INTERVAL_S", 0.0)
    Photograph(photograph(70, 90)).write(tmp_path / "a.tif")
    with _at_tile(_TILES + 1, lambda: None) as run:
        zoom(*_ARGUMENTS)
    assert len(run) == _TILES
    assert not folder_of(Path("b.tif")).exists()
    result = Path("b.tif").read_bytes()
    Path("b.tif").unlink()
    return result


@contextmanager
def _at_tile(number: int, happens: Callable[[], object]) -> Iterator[list[Region]]:
    """Calls a function before the net runs on the tile of that number, from 1; gives the tiles that it ran on."""
    run: list[Region] = []
    sound = tiling._upscaled

    def upscaled(net: Any, source: Any, region: Region, *arguments: Any, **options: Any) -> Any:
        run.append(region)
        if len(run) == number:
            happens()
        return sound(net, source, region, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "_upscaled", upscaled)
        yield run


def _interrupt() -> None:
    raise KeyboardInterrupt


def _interrupted(zoom: Zoom, *, after: int, arguments: tuple[object, ...] = _ARGUMENTS) -> str:
    with _at_tile(after + 1, _interrupt):
        return zoom(*arguments, code=130)


@pytest.mark.parametrize("after", [1, 7, _TILES - 1])
def test_after_ctrl_c_the_same_command_does_the_rest(zoom: Zoom, whole: bytes, after: int) -> None:
    said = _interrupted(zoom, after=after)
    where = f"{4 * after}% are in b.tif.unfinished, and the same command resumes there"
    assert f"note b.tif is not finished: {where}" in said
    assert not Path("b.tif").exists()
    with _at_tile(0, _interrupt) as run:
        said = zoom(*_ARGUMENTS)
    assert len(run) == _TILES - after
    assert f"note b.tif is resumed: {4 * after}% were done" in said
    assert Path("b.tif").read_bytes() == whole
    assert sorted(path.name for path in Path().iterdir()) == ["a.tif", "b.tif", "weights"]


def test_interrupts_add_up(zoom: Zoom, whole: bytes) -> None:
    for after in (2, 3, 1):
        _interrupted(zoom, after=after)
    with _at_tile(0, _interrupt) as run:
        zoom(*_ARGUMENTS)
    assert len(run) == _TILES - 6
    assert Path("b.tif").read_bytes() == whole


def test_an_interrupt_while_the_file_is_encoded_costs_no_tile(
    zoom: Zoom, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(out_of_core, "write_tiff", lambda *_, **__: _interrupt())
        assert "b.tif is not finished: 100% are in b.tif.unfinished" in zoom(*_ARGUMENTS, code=130)
    with _at_tile(1, _interrupt) as run:
        zoom(*_ARGUMENTS)
    assert run == []
    assert Path("b.tif").read_bytes() == whole


@pytest.mark.parametrize("interval", [0.0, 3600.0])
def test_what_a_killed_process_leaves_is_resumed(
    zoom: Zoom, whole: bytes, monkeypatch: pytest.MonkeyPatch, interval: float
) -> None:
    monkeypatch.setattr(unfinished, "_SYNC_INTERVAL_S", interval)
    left = Path("left")  # as the disk is when the sixth tile is run, five minutes before the end
    with _at_tile(6, lambda: shutil.copytree(folder_of(Path("b.tif")), left)):
        zoom(*_ARGUMENTS)
    Path("b.tif").unlink()
    left.rename(folder_of(Path("b.tif")))
    part = Path(".b.tif.01234567.part")  # of a TIFF that was being written
    part.write_bytes(b"half of it")
    with _at_tile(0, _interrupt) as run:
        zoom(*_ARGUMENTS)
    assert len(run) == (_TILES - 5 if interval == 0 else _TILES)  # without a record, from the start
    assert Path("b.tif").read_bytes() == whole
    assert sorted(path.name for path in Path().iterdir()) == ["a.tif", "b.tif", "weights"]


def _other_input() -> None:
    Photograph(photograph(70, 90, seed=1)).write(Path("a.tif"), overwrite=True)


def _cut_pixels() -> None:
    with (folder_of(Path("b.tif")) / "pixels").open("r+b") as file:
        file.truncate(1000)


def _break_record() -> None:
    (folder_of(Path("b.tif")) / "record.json").write_text('{"made_by": {')


@pytest.mark.parametrize(
    ("change", "arguments", "named"),
    [
        (_other_input, (), "input"),
        (_cut_pixels, (), "truncated file of pixels"),
        (_break_record, (), "damaged record"),
        (lambda: None, ("--back-projection", "0"), "back_projection, halo"),
        (lambda: None, ("--tile", "12"), "tile"),
        (lambda: None, ("-m", "bicubic"), "net, back_projection, halo"),
    ],
)
def test_another_input_or_option_begins_anew(
    zoom: Zoom, whole: bytes, change: Callable[[], None], arguments: tuple[str, ...], named: str
) -> None:
    _interrupted(zoom, after=4)
    change()
    given = dict(zip(_ARGUMENTS[1::2], _ARGUMENTS[2::2], strict=True)) | dict(
        zip(arguments[::2], arguments[1::2], strict=True)
    )
    command = ["a.tif", *(word for pair in given.items() for word in pair)]
    said = zoom(*command)
    assert f"note b.tif is begun anew: b.tif.unfinished has another {named}" in said
    assert "is resumed" not in said
    resumed = Path("b.tif").read_bytes()
    zoom(*command, "--overwrite")
    assert Path("b.tif").read_bytes() == resumed


def test_a_tile_that_was_chosen_by_itself_is_kept(zoom: Zoom, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows the free memory, which is another one later; other tiles round some pixels otherwise."""
    automatic = _ARGUMENTS[:-2]
    monkeypatch.setattr(upscaler, "tile_for", lambda *_, **__: 16)
    _interrupted(zoom, after=4, arguments=automatic)
    monkeypatch.setattr(upscaler, "tile_for", lambda *_, **__: 12)
    with _at_tile(0, _interrupt) as run:
        assert "b.tif is resumed: 16%" in zoom(*automatic)
    assert len(run) == _TILES - 4
    assert Path("b.tif").read_bytes() == whole


def test_after_a_lack_of_memory_smaller_tiles_are_resumed(zoom: Zoom, whole: bytes) -> None:
    def lack() -> None:
        raise MemoryError("out of memory")

    with _at_tile(5, lack):
        zoom(*_ARGUMENTS)
    expected = Path("b.tif").read_bytes()
    Path("b.tif").unlink()
    with _at_tile(5, lack) as run, pytest.MonkeyPatch.context() as patch:
        sound = Unfinished.__setitem__

        def written(self: Unfinished, *arguments: Any) -> None:
            sound(self, *arguments)
            if len(run) == 8:  # three smaller ones are done
                raise KeyboardInterrupt

        patch.setattr(Unfinished, "__setitem__", written)
        zoom(*_ARGUMENTS, code=130)
    record = json.loads((folder_of(Path("b.tif")) / "record.json").read_text())
    assert len(record["done"]) == 7
    with _at_tile(1, lack) as rest:
        zoom(*_ARGUMENTS)
    assert Path("b.tif").read_bytes() == expected
    assert not {tuple(one) for one in record["done"]} & set(rest)


def test_nothing_done_leaves_nothing(zoom: Zoom, whole: bytes) -> None:
    assert "not finished:" not in _interrupted(zoom, after=0)
    assert sorted(path.name for path in Path().iterdir()) == ["a.tif", "weights"]


def test_what_is_kept_is_no_photograph_and_no_result(zoom: Zoom, whole: bytes) -> None:
    _interrupted(zoom, after=4)
    assert [task.source for task in plan(["."], None, ending=lambda: "-x2")] == [Path("a.tif")]
    assert "done 1 of 1 photographs" not in zoom("a.tif", "-m", "bicubic", "-o", "c.tif")
    assert "is resumed" in zoom(*_ARGUMENTS, "--skip-existing")
    assert "1 skipped" in zoom(*_ARGUMENTS, "--skip-existing")


def test_two_processes_do_not_write_into_one_file(zoom: Zoom, whole: bytes) -> None:
    _interrupted(zoom, after=4)
    with FileLock(folder_of(Path("b.tif")) / LOCK):
        assert "error: b.tif.unfinished is in use by " in zoom(*_ARGUMENTS, code=1)
    assert "is resumed" in zoom(*_ARGUMENTS)


def test_a_full_disk_keeps_what_is_done(zoom: Zoom, whole: bytes) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (45_000, limits[1]))  # of 75,600 bytes of raw pixels
    try:
        said = zoom(*_ARGUMENTS, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "error: b.tif cannot be written: File too large" in said
    assert "b.tif is not finished: 44% are in b.tif.unfinished" in said
    zoom(*_ARGUMENTS)
    assert Path("b.tif").read_bytes() == whole


def test_a_record_that_cannot_be_written_hides_no_error(
    zoom: Zoom, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Unfinished) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Unfinished, "sync", full)
    said = zoom(*_ARGUMENTS, code=1)
    assert said == "error: b.tif cannot be written: No space left on device"
    assert not folder_of(Path("b.tif")).exists()


def test_a_record_is_written_after_the_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "_SYNC_INTERVAL_S", 3600.0)
    layout = Layout(height=4, width=6, pixel_bytes=3, scale=2)
    folder = folder_of(tmp_path / "b.tif")
    folder.mkdir()
    pixels = Unfinished(tmp_path / "b.tif", {"input": "a"}, tile=1, layout=layout)
    colours = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    pixels[0:2, 2:4] = colours[0:2, 2:4]
    assert pixels.done == {Region(0, 1, 1, 2)}
    assert pixels.share == pytest.approx(1 / 6)
    assert not (folder / "record.json").exists()
    pixels.finish()
    data = (folder / "pixels").read_bytes()
    assert len(data) == layout.end(Region(0, 1, 1, 2)) == (6 + 4) * 3
    assert data[6:12] == bytes(range(6, 12))
    assert data[24:30] == bytes(range(24, 30))
    assert Unfinished(tmp_path / "b.tif", {"input": "a"}, tile=9, layout=layout).tile == 1
    assert Unfinished(tmp_path / "b.tif", {"input": "b"}, tile=9, layout=layout).done == set()
    assert not (folder / "record.json").exists()  # before the pixels are overwritten


def test_a_long_name_has_a_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / f"{'ü' * 125}.tif")
    assert folder.name.endswith(".unfinished")
    folder.mkdir()


def test_what_was_done_before_is_not_in_the_time_left() -> None:
    now, bar = [100.0], progress.pixel_bar()
    bar.get_time = lambda: now[0]
    shown = PixelProgress(bar, 1000)
    shown.describe("a.tif")
    shown.skip(600)
    assert bar.lines == ["a.tif  0%"]
    now[0] += 60
    shown.advance(100)
    assert bar.lines == ["a.tif  25%, about 3 min left"]
    shown.reach(1000)
    assert bar.lines == []


_KILLED = """
import os, signal
from zoomsr.engines import tiling
from zoomsr.inference import batch, unfinished
from zoomsr.zoom import app
batch.MAX_PIXELS, unfinished._SYNC_INTERVAL_S = 1000, 0.0
sound, calls = tiling._upscaled, []
def upscaled(*arguments, **options):
    calls.append(0)
    if len(calls) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return sound(*arguments, **options)
tiling._upscaled = upscaled
app()
"""


@pytest.mark.slow
def test_a_process_that_was_killed(zoom: Zoom, whole: bytes, tmp_path: Path) -> None:
    arguments = ["a.tif", "-m", "weights/srcnn.safetensors", *_ARGUMENTS[3:]]
    process = subprocess.run([sys.executable, "-c", _KILLED, *arguments], cwd=tmp_path, check=False)
    assert process.returncode == -signal.SIGKILL
    assert not Path("b.tif").exists()
    with _at_tile(0, _interrupt) as run:
        assert "is resumed: " in zoom(*arguments)
    assert len(run) == _TILES - 5
    assert Path("b.tif").read_bytes() == whole
