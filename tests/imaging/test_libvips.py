"""libvips as it must be set up, and what becomes of the failures of decoders."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging import files
from zoomsr.imaging.libvips import libvips, reading, writing
from zoomsr.imaging.photo import Photograph

FAULTS = [
    *(KeyError("6"), IndexError("list index"), TypeError("Missing dimensions"), AttributeError("x"), RuntimeError("y")),
    *(
        NotImplementedError("z"),
        SyntaxError("broken"),
        Image.DecompressionBombError("bomb"),
        OSError("no"),
    ),
    *(ValueError("not named"), EOFError(), ZeroDivisionError("0")),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_whatever_a_decoder_raises_is_one_line_that_names_the_file(fault: Exception) -> None:
    for context, words in ((reading, "a.png is damaged or truncated: "), (writing, "a.png cannot be written: ")):
        with pytest.raises(ValueError, match=f"^{words}.+$") as error, context(Path("a.png")):
            raise fault
        assert error.value.__cause__ is fault


def test_no_memory_is_no_damage() -> None:
    with (
        pytest.raises(ValueError, match=r"^a\.png cannot be read: it needs more memory than there is$"),
        reading(Path("a.png")),
    ):
        raise MemoryError


def test_what_the_system_says_is_not_damage(tmp_path: Path) -> None:
    for read in (Photograph.read, files.read, files.size, files.is_grey):
        with pytest.raises(ValueError, match=r"none\.png cannot be read: No such file or directory$"):
            read(tmp_path / "none.png")


def test_a_picture_that_changes_is_read_anew(tmp_path: Path) -> None:
    for seed in (0, 1):
        Image.fromarray(photograph(8, 9, seed=seed)).save(tmp_path / "a.tif")
        assert np.array_equal(Photograph.read(tmp_path / "a.tif").pixels, photograph(8, 9, seed=seed))


@pytest.mark.parametrize("name", ["a[page=1].tif", "a b'\"ü\n日本.tif", os.fsdecode(b"gr\xfcn.tif")])
def test_a_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    Image.fromarray(photograph(8, 9)).save(tmp_path / "plain.tif")
    (tmp_path / name).write_bytes((tmp_path / "plain.tif").read_bytes())
    found = Photograph.read(tmp_path / name)
    assert np.array_equal(found.pixels, photograph(8, 9))
    found.write(tmp_path / name, overwrite=True)
    assert np.array_equal(Photograph.read(tmp_path / name).pixels, photograph(8, 9))


def test_what_runs_programs_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')
    with pytest.raises(ValueError, match=r"a\.png is not an image"):
        Photograph.read(tmp_path / "a.png")


def test_a_forked_process_is_told_instead_of_waiting_for_ever(tmp_path: Path) -> None:
    Image.fromarray(photograph(8, 9)).save(tmp_path / "a.tif")
    Image.fromarray(photograph(8, 9)).save(tmp_path / "a.png")
    Photograph.read(tmp_path / "a.tif")  # here libvips starts
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(tmp_path, sender))
    child.start()
    child.join(20)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0
    plain, refusal = receiver.recv()
    assert np.array_equal(plain, photograph(8, 9).transpose(2, 0, 1))  # the training's fast path is Pillow's
    assert "start processes by spawn" in refusal
    assert libvips()


def _in_child(folder: Path, sender: object) -> None:
    try:
        Photograph.read(folder / "a.tif")
    except RuntimeError as error:
        sender.send((files.read(folder / "a.png").numpy(), str(error)))  # type: ignore[attr-defined]
