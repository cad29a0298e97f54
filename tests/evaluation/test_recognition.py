"""Test sets recognised by their pixels: the words for whole sets, parts, changed pictures, crops and further lists."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _support.tiny import photograph
from PIL import Image

from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.recognition import SHIPPED, UNKNOWN, known_sets, recognised, write_list

NAMES = [f"img_{number}" for number in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of 21x20 pixels and a grey one."""
    root = tmp_path / "anything"
    root.mkdir()
    for number, name in enumerate(NAMES):
        pixels = photograph(20, 21, seed=number)
        Image.fromarray(pixels if number else pixels[..., 0]).save(root / f"{name}.png")
    return root


@pytest.fixture
def said(folder: Path, tmp_path: Path) -> Callable[..., str]:
    """What is said of a folder, with the list Four.csv of the fixture's pictures."""
    (tmp_path / "lists").mkdir()
    write_list(folder, tmp_path / "lists" / "Four.csv")

    def say(place: Path = folder, *, scale: int = 1) -> str:
        return recognised(Benchmark.find(place, scale=scale), known_sets([str(tmp_path / "lists")]))

    return say


def test_a_digest_is_that_of_the_rgb_bytes_and_of_the_grey_ones(folder: Path, tmp_path: Path) -> None:
    write_list(folder, tmp_path / "Four.csv")
    pixels = [photograph(20, 21)[..., 0], *(photograph(20, 21, seed=number) for number in (1, 2, 3))]
    digests = [hashlib.sha256(one.tobytes()).hexdigest() for one in pixels]
    lines = [f"{name},{digest}\n" for name, digest in zip(NAMES, digests, strict=True)]
    assert (tmp_path / "Four.csv").read_text() == "picture,sha256\n" + "".join(lines)


def test_a_set_is_known_by_its_pixels_whatever_it_and_its_files_are_called(
    said: Callable[..., str], folder: Path
) -> None:
    assert said() == "Four, complete"
    for number, name in enumerate(NAMES):
        Image.open(folder / f"{name}.png").save(folder / f"{9 - number}.bmp")
        (folder / f"{name}.png").unlink()
    assert said() == "Four, complete"
    (folder / "9.bmp").unlink()
    assert said() == "Four: 3 of 4 pictures"
    shutil.copy(folder / "8.bmp", folder / "copy.bmp")
    assert said() == "not the published Four: 1 of 4 pictures differ"


def test_a_changed_picture_is_named(said: Callable[..., str], folder: Path) -> None:
    with Image.open(folder / "img_2.png") as picture:
        picture.putpixel((0, 0), (1, 2, 3))
        picture.save(folder / "img_2.png")
    assert said() == "not the published Four: 1 of 4 pictures differ (img_2)"
    with Image.open(folder / "img_0.png") as picture:
        picture.convert("RGB").save(folder / "img_0.png")  # classic measures it otherwise than the grey file
    assert said() == "not the published Four: 2 of 4 pictures differ (img_0, img_2)"
    Image.fromarray(photograph(20, 20, seed=9)).save(folder / "more.png")
    assert said() == "2 of 4 pictures of Four, and 3 more (img_0, img_2, more)"


def test_what_no_list_holds_is_no_known_set(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "Set5").mkdir()
    Image.fromarray(photograph(20, 20, seed=7)).save(tmp_path / "Set5" / "img_001.png")
    assert said(tmp_path / "Set5") == UNKNOWN == "not a known test set"


def test_a_crop_is_named_and_pictures_are_compared_as_they_are_measured(folder: Path, tmp_path: Path) -> None:
    rows = ["picture,version,sha256"]
    for scale in (2, 3):
        for path in sorted(folder.iterdir()):
            with Image.open(path) as picture:
                cut = picture.crop((0, 0, picture.width // scale * scale, picture.height // scale * scale))
            rows.append(f"{path.stem},the crop for x{scale},{hashlib.sha256(cut.tobytes()).hexdigest()}")
    (tmp_path / "Four.csv").write_text("\n".join(rows))
    known = known_sets([str(tmp_path / "Four.csv")])
    assert recognised(Benchmark.find(folder, scale=1), known) == UNKNOWN
    for scale in (2, 3):  # from 21x20: 20x20 and 21x18
        found = recognised(Benchmark.find(folder, scale=scale), known)
        assert found == f"Four, complete, the crop for x{scale}"
    for path in folder.iterdir():
        with Image.open(path) as picture:
            picture.crop((0, 0, 20, 20)).save(path)
    assert recognised(Benchmark.find(folder, scale=2), known) == "Four, complete, the crop for x2"
    assert (
        recognised(Benchmark.find(folder, scale=3), known) == "Four, complete, the crop for x2, cut to multiples of 3"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "known_sets=.*/Bad.csv is no csv file and no folder of them"),
        ("", "Bad.csv is empty: a list has the columns picture and sha256"),
        ("name,sha256\na,00\n", "Bad.csv, line 2: '00' is no sha256; a list has the columns picture"),
        (f"picture,sha256\na,{'0' * 64}\nb,{'g' * 64}\n", "Bad.csv, line 3: 'ggg.* is no sha256"),
        ("picture,md5\na,00\n", "Bad.csv, line 2: '' is no sha256"),
        ("\x00\udcff", "Bad.csv is damaged"),
    ],
)
def test_a_bad_list_is_one_clear_line(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "Bad.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        known_sets([str(tmp_path / "Bad.csv")])


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no csv file and no folder of them"):
        known_sets([str(tmp_path)])


def test_the_lists_of_the_package_hold_as_many_pictures_as_the_sets() -> None:
    sizes = {path.stem: [one.size for one in known_sets() if one.name == path.stem] for path in SHIPPED.glob("*.csv")}
    assert sizes == {"Set5": [5, 5], "Set14": [14, 14, 14], "B100": [100, 100], "Urban100": [100]}


def test_an_evaluation_says_it_and_keeps_it(
    evaluate: Callable[..., dict[str, Any]], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_list(folder, tmp_path / "Four.csv")
    (folder / "img_3.png").unlink()
    results = evaluate(f"data_dir={folder}", f"known_sets={tmp_path}/Four.csv")
    assert results["data"]["recognised"] == {"anything": "Four: 3 of 4 pictures, cut to multiples of 2"}
    Image.fromarray(photograph(20, 21, seed=3)).save(folder / "img_3.webp", lossless=True)
    results = evaluate(f"data_dir={folder}", f"known_sets=[{tmp_path}]")
    assert results["data"]["recognised"] == {"anything": "Four, complete, cut to multiples of 2"}
    assert evaluate(f"data_dir={folder}")["data"]["recognised"] == {"anything": UNKNOWN}
    assert re.search(
        r"^test set +anything: Four, complete, cut to multiples of 2$", capsys.readouterr().out, re.MULTILINE
    )
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", "known_sets=none.csv")
    assert "error: known_sets=none.csv is no csv file and no folder of them" in capsys.readouterr().err


def test_lr_files_are_held_against_bicubic(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "pairs"
    (root / "LRx2").mkdir(parents=True)
    shutil.copytree(folder, root / "HR")
    for name in NAMES:
        Image.new("RGB", (10, 10)).save(root / "LRx2" / f"{name}.png")
    found = recognised(Benchmark.find(root, scale=2), [])
    assert found == "not a known test set; 0 of 4 LR files are exactly MATLAB's bicubic"


def test_the_published_sets_are_recognised() -> None:
    root = Path(os.environ.get("ZOOMSR_BENCHMARKS", "."))
    if not (root / "Set14" / "HR").is_dir():
        pytest.skip("ZOOMSR_BENCHMARKS names no folder with Set5 and Set14")
    exact = "; all LR files are exactly MATLAB's bicubic"
    known = known_sets()
    assert recognised(Benchmark.find(root / "Set5", scale=2), known) == f"Set5, complete{exact}"
    crop = "Set14, complete, the SelfExSR crop for x"
    assert recognised(Benchmark.find(root / "Set14", scale=2), known) == f"{crop}2{exact}"
    assert recognised(Benchmark.find(root / "Set14", scale=3), known) == f"{crop}3"
    assert recognised(Benchmark.find(root / "Set14" / "HR", scale=4), known) == f"{crop}4"
