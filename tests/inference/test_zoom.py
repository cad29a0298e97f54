"""``zoomsr.zoom`` on files, good and bad."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import Image
from rich.console import Console

import zoomsr.cli.console
import zoomsr.pretrained.weights
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.resize import resize


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photograph(40, 60)).save(path)
    return path


def _pixels(path: Path) -> np.ndarray:
    return Photograph.read(path).interleaved


def _bicubic(pixels: np.ndarray, scale: int = 2) -> np.ndarray:
    floats = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    larger = resize(floats, (scale * pixels.shape[0], scale * pixels.shape[1])).clamp(0, 1) * 255 + 0.5
    return np.asarray(larger.floor().to(torch.uint8).permute(1, 2, 0))


def test_a_photograph_becomes_twice_as_large_beside_itself(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    assert re.search(r"bicubic photo-x2\.png 120x80", zoom(photo, "--model", "bicubic"))
    assert np.array_equal(_pixels(tmp_path / "photo-x2.png"), _bicubic(photograph(40, 60)))


def test_an_area_of_it_four_times(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    zoom(photo, "-m", "bicubic", "--box", "10,5,16,8", "--scale", "4", "-o", "area.png")
    assert np.array_equal(_pixels(tmp_path / "area.png"), _bicubic(photograph(40, 60)[5:13, 10:26], 4))


def test_a_trained_net_by_name_and_by_file(zoom: Zoom, photo: Path, weights: Path, tmp_path: Path) -> None:
    zoom(photo, "-m", "srcnn", "-o", "name.png")
    zoom(photo, "-m", weights / "srcnn.safetensors", "-o", "file.png", "--tile", "16")
    zoom(photo, "-m", "srcnn", "-o", "ensemble.png", "--self-ensemble")
    zoom(photo, "-m", "bicubic", "-o", "bicubic.png")
    by_name, by_file, ensemble, bicubic = (
        _pixels(tmp_path / f"{name}.png").astype(int) for name in ("name", "file", "ensemble", "bicubic")
    )
    assert np.abs(by_name - by_file).max() <= 1  # a tile's sums may be of another order
    assert np.abs(by_name - bicubic).max() > 10
    assert np.abs(by_name - ensemble).max() > 1


def test_transparency_is_enlarged_by_bicubic(zoom: Zoom, tmp_path: Path) -> None:
    rgba = np.dstack([photograph(20, 30), photograph(20, 30, seed=1)[..., 0]])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    zoom("a.png", "-m", "srcnn")
    found = _pixels(tmp_path / "a-x2.png")
    assert np.array_equal(found[..., 3:], _bicubic(rgba[..., 3:]))


def test_sixteen_bits_and_grey_stay(zoom: Zoom, tmp_path: Path) -> None:
    pixels = photograph(20, 30).astype(np.uint16) * 257 + 3
    Photograph(pixels).write(tmp_path / "deep.png")
    Photograph(pixels[..., :1]).write(tmp_path / "grey.tif")
    zoom("deep.png", "grey.tif", "-m", "srcnn", "-o", "out")
    deep, grey = (Photograph.read(tmp_path / "out" / f"{name}-x2.png").pixels for name in ("deep", "grey"))
    assert (deep.dtype, deep.shape) == (np.uint16, (40, 60, 3))
    assert (grey.dtype, grey.shape) == (np.uint16, (40, 60, 1))
    assert (deep % 257 != 3).mean() > 0.5  # between the levels of 8 bits


@pytest.mark.parametrize("size", [(1, 1), (3, 5000), (2, 3)])
def test_extreme_sizes(zoom: Zoom, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.fromarray(photograph(*size)).save(tmp_path / "a.png")
    zoom("a.png", "-m", "srcnn")
    assert _pixels(tmp_path / "a-x2.png").shape == (2 * size[0], 2 * size[1], 3)


def test_folders_patterns_and_names_that_meet(zoom: Zoom, tmp_path: Path) -> None:
    (tmp_path / "trip" / "day 2").mkdir(parents=True)
    for name in ("a.png", "a.bmp", "b 'q\" ü 日.png", "day 2/a.png"):
        Image.fromarray(photograph(8, 9)).save(tmp_path / "trip" / name)
    (tmp_path / "trip" / "notes.txt").write_text("no photograph")
    zoom("trip", "-m", "bicubic")
    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "trip-x2").rglob("*.png")) == [
        "trip-x2/a-bmp-x2.png",
        "trip-x2/a-png-x2.png",
        "trip-x2/b 'q\" ü 日-x2.png",
        "trip-x2/day 2/a-x2.png",
    ]
    zoom("trip/*.png", "-m", "bicubic", "-o", "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-x2.png", "b 'q\" ü 日-x2.png"]


def test_of_many_the_broken_ones_are_listed_and_the_others_done(zoom: Zoom, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(200):
        Image.fromarray(photograph(4, 5)).save(tmp_path / "many" / f"{number:03}.png")
    for number in (7, 80, 199):
        (tmp_path / "many" / f"{number:03}.png").write_bytes(b"\x89PNG broken")
    text = zoom("many", "-m", "bicubic", code=3)
    assert "197 of 200 photographs, 3 failed" in text
    assert [name for name in ("007", "080", "199") if f"error: many/{name}.png is not an image" in text] == [
        *("007", "080", "199")
    ]
    assert len(list((tmp_path / "many-x2").iterdir())) == 197


@pytest.mark.parametrize("stage", ["read", "write"])
@pytest.mark.parametrize(
    "fault", [KeyError("6"), TypeError("Missing dimensions"), MemoryError("5 GiB"), SyntaxError("no")]
)
def test_whatever_one_photograph_raises_the_others_are_done(
    zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, stage: str
) -> None:
    for name in "abc":
        Image.fromarray(photograph(4, 5)).save(tmp_path / f"{name}.png")
    sound = getattr(Photograph, stage)

    def odd(*arguments: object, **options: object) -> object:
        if any(isinstance(one, Path) and one.name.startswith("b") for one in arguments):
            raise fault
        return sound(*arguments, **options)

    monkeypatch.setattr(Photograph, stage, staticmethod(odd) if stage == "read" else odd)
    text = zoom("a.png", "b.png", "c.png", "-m", "bicubic", "-o", "out", code=1)
    assert (
        f"2 of 3 photographs, 1 failed error: b.png: {type(fault).__name__}: {fault} (ZOOMSR_DEBUG=1 shows where)"
        in text
    )
    for name in "ac":
        assert np.array_equal(_pixels(tmp_path / "out" / f"{name}-x2.png"), _bicubic(photograph(4, 5)))
    assert zoom("b.png", "-m", "bicubic", code=1).startswith(f"error: b.png: {type(fault).__name__}: {fault}")


def test_for_debugging_a_failure_has_its_traceback(
    zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    monkeypatch.setenv("ZOOMSR_DEBUG", "1")
    with pytest.raises(AssertionError, match="Traceback"):
        zoom("text.png", "-m", "bicubic", code=1)


def test_a_name_of_any_bytes_is_printed(zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode(b"gr\xfcn.png")
    try:
        Image.fromarray(photograph(4, 5)).save(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    for encoding in ("utf-8", "ascii"):
        screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(zoomsr.cli.console, "CONSOLE", Console(file=screen))
        zoom(name, "-m", "bicubic", "--overwrite")
        screen.seek(0)
        assert screen.read() == "bicubic  gr\\udcfcn-x2.png  10x8\n"


def test_mistakes_are_one_line_and_leave_no_file(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    before = sorted(tmp_path.rglob("*"))
    for arguments, words in {
        (photo, "-m", "bicubic", "--box", "50,0,20,10"): "photo.png: box 50,0,20,10 is not inside the picture",
        (photo, "-m", "bicubic", "--box", "0,0,0,10"): "photo.png: box 0,0,0,10 is empty",
        (photo, "-m", "bicubic", "--box", "1,2,3"): "--box 1,2,3 is not X,Y,W,H",
        (photo, "-m", "bicubic", "--scale", "0"): "--scale 0 is no size: give a number above 0",
        (photo, "-m", "bicubic", "--scale", "2", "--width", "90"): "--scale and --width both say how large",
        (photo, "-m", "srcn"): "no net is called srcn; the nearest: srcnn",
        (photo, "-m", "unet"): "there are no weights of unet (there are: bicubic, srcnn): python",
        (photo, "-m", "bicubic", "-m", "srcnn"): "--model bicubic --model srcnn: several nets go with --compare",
        (photo, "-m", "none.ckpt"): "there is no file none.ckpt",
        ("nowhere.png", "-m", "bicubic"): "there is no photograph nowhere.png",
        ("", "-m", "bicubic"): "an empty name is no photograph and no place for one",
        (photo, "-m", "bicubic", "-o", ""): "an empty name is no photograph and no place for one",
        ("text.png", "-m", "bicubic"): "text.png is not an image",
        (photo, "-m", "bicubic", "-o", "text.png"): "text.png is there already: --overwrite replaces it",
        (photo, "-m", "bicubic", "-o", photo, "--overwrite"): "photo.png is a photograph that is to be enlarged",
        (photo, "text.png", "-m", "bicubic", "-o", "one.png"): "-o one.png is one file, for 2 photographs",
        (photo, "-m", "bicubic", "--device", "cuda:77"): "device=cuda:77 cannot be used here",
        (photo, "-m", "bicubic", "--precision", "8"): "precision 8 is none of auto, 32, bf16",
        (photo, "-m", "bicubic", "--truth", photo): "--truth goes with --compare",
    }.items():
        assert f"error: {words}" in zoom(*arguments, code=1).replace(f"{tmp_path}/", ""), arguments
        assert sorted(tmp_path.rglob("*")) == before, arguments


def test_a_checkpoint_that_would_run_code_is_refused(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "pwned"),))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    assert "could run code: not opened" in zoom(photo, "-m", tmp_path / "evil.ckpt", code=1)
    assert not (tmp_path / "pwned").exists()


SIGNALLING = """
import signal
from zoomsr.engines import tiling
from zoomsr.zoom import app

run = tiling.run

def first(net, lr):
    print("first tile", flush=True)
    tiling.run = run
    return run(net, lr)

tiling.run = first
signal.signal(signal.SIGINT, signal.default_int_handler)
app()
"""
"""Runs the command and prints a line when the first tile begins."""


@pytest.mark.slow
def test_an_interrupt_leaves_no_file(photo: Path, tmp_path: Path) -> None:
    Image.fromarray(photograph(3000, 3000)).save(tmp_path / "large.bmp")
    command = [sys.executable, "-c", SIGNALLING, str(tmp_path / "large.bmp"), str(photo), "-m", "bicubic"]
    process = subprocess.Popen(
        [*command, "--tile", "16", "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(line == "first tile\n" for line in process.stdout)  # of 35,000; the disk's room is said before
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said[1]
    assert not list(tmp_path.glob("out/*"))


def test_compared_with_the_truth(zoom: Zoom, tmp_path: Path) -> None:
    Image.fromarray(photograph(64, 96)).save(tmp_path / "hr.png")
    Image.fromarray(photograph(64, 96)[::2, ::2]).save(tmp_path / "photo.png")
    box = ("--box", "10,4,24,24")
    text = zoom("photo.png", "--compare", "-m", "srcnn", *box, "--truth", "hr.png")
    assert "compared photo-compared.png" in text
    with Image.open(tmp_path / "photo-compared.png") as picture:
        assert min(picture.size) > 500
    zoom("photo.png", "--compare", "-m", "srcnn", "-m", "bicubic", "-o", "plain.jfif")
    assert min(Photograph.read(tmp_path / "plain.jfif").size) > 500
    wrong = zoom("photo.png", "--compare", "-m", "srcnn", *box, "--truth", "photo.png", "-o", "x.png", code=1)
    assert "photo.png is 48x32: the ground truth must be 2 times the photograph, or 48x48" in wrong


LIGHT = """
import sys
from zoomsr.zoom import app
try:
    app()
except SystemExit as end:
    heavy = {"lightning", "hydra", "tensorboard", "matplotlib", "torchmetrics"} & set(sys.modules)
    print("heavy:", sorted(heavy), end.code)
"""
"""Prints which heavy packages a run of the command has imported."""


def test_neither_training_nor_drawing_is_imported(photo: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIGHT, str(photo), "-m", "bicubic", "-o", str(tmp_path / "x.png")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "heavy: [] 0" in said


def test_help_needs_no_torch() -> None:
    code = LIGHT.replace('"lightning"', '"torch", "numpy", "lightning"')
    said = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True).stdout
    assert "heavy: [] 0" in said
    assert "--self-ensemble" in said
