"""Photographs whose licences a manifest states, and how they are carried along."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _support.tiny import TINY, TINY_NET, composed, photograph
from PIL import Image

from zoomsr.data.sources.manifest import photos
from zoomsr.data.sources.photographs import Attribution, Photographs, licences_of
from zoomsr.inference.release import Origin
from zoomsr.runs.run import Run

ROWS = [
    ("free/a.png", "Commons, by A", "CC BY 4.0"),
    ("free/b.png", "Commons, by B", "CC0 1.0"),
    ("free/c.png", "Commons, by C", "CC0 1.0"),
    ("free/more/d.png", "Commons, by D", "CC0 1.0"),
    ("research/e.png", "a benchmark", "research only"),
]
VAL = ["free/c.png"]


def _write(root: Path, rows: list[tuple[str, ...]], *, columns: str = "file,source,licence") -> None:
    with (root / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns.split(","), *rows])


@pytest.fixture
def licensed(tmp_path: Path) -> Path:
    """Five 48x64 photographs in two parts, ``free`` and ``research``, with their manifest."""
    root = tmp_path / "licensed"
    for number, (file, *_) in enumerate(ROWS):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(48, 64, seed=number)).save(root / file)
    _write(root, ROWS)
    return root


def _trained(source: Photographs) -> list[str]:
    return [photo.name for photo in source.train]


@pytest.mark.parametrize(
    ("parts", "trained"),
    [
        (["free"], ["free/a.png", "free/b.png", "free/more/d.png"]),
        (["research"], ["research/e.png"]),
        (["free", "research"], ["free/a.png", "free/b.png", "free/more/d.png", "research/e.png"]),
        (None, ["free/a.png", "free/b.png", "free/more/d.png", "research/e.png"]),
    ],
)
def test_parts_are_trained_on_and_the_validation_images_stay(
    licensed: Path, parts: list[str] | None, trained: list[str]
) -> None:
    source = photos(str(licensed), val=VAL, parts=parts)
    assert source.name == "licensed"
    assert _trained(source) == trained
    assert [(photo.name, photo.path) for photo in source.val] == [("free/c.png", licensed / "free/c.png")]


def test_every_used_photograph_is_attributed_once(licensed: Path) -> None:
    source = photos(str(licensed), val=VAL, parts=["free"], scale_augmentation=[0.8, 0.6])
    assert (len(source.train), source.n_train) == (9, 3)
    assert source.attributions == (
        Attribution("free/a.png", "Commons, by A", "CC BY 4.0", "train"),
        Attribution("free/b.png", "Commons, by B", "CC0 1.0", "train"),
        Attribution("free/more/d.png", "Commons, by D", "CC0 1.0", "train"),
        Attribution("free/c.png", "Commons, by C", "CC0 1.0", "val"),
    )
    assert list(licences_of(source.attributions).items()) == [("CC0 1.0", 3), ("CC BY 4.0", 1)]


def test_photographs_left_out_are_not_attributed(licensed: Path) -> None:
    Image.fromarray(photograph(30, 64)).save(licensed / "free/a.png")
    source = photos(str(licensed), val=VAL, parts=["free"], min_side=48)
    assert [one.file for one in source.attributions] == ["free/b.png", "free/more/d.png", "free/c.png"]
    few, more = (photos(str(licensed), val=VAL, n_train=count) for count in (1, 2))
    assert [one.file for one in few.attributions] == [*_trained(few), "free/c.png"]
    assert set(_trained(few)) < set(_trained(more))


def test_a_manifest_from_a_spreadsheet_with_further_columns_is_read(licensed: Path) -> None:
    rows = [("640x480", *row) for row in ROWS]
    _write(licensed, rows, columns="\ufeffsize,file,source,licence")
    assert photos(str(licensed), val=VAL).n_train == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"parts": ["free", "fre"]}, r"data\.parts=\[free,fre\]: the parts of .*photos\.csv are \[free,research\]"),
        ({"parts": "free"}, r"data\.parts=free: the parts of .*photos\.csv are \[free,research\]"),
        ({"val": ["c.png"]}, r"data\.val has c\.png, which .*photos\.csv does not list: data\.val=\[FILE,\.\.\.\]"),
        ({"val": []}, "licensed: no photograph for validation"),
        ({"n_train": 5}, r"data\.n_train=5: .* has 4 photographs to train on"),
    ],
)
def test_mistakes_are_named(licensed: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        photos(str(licensed), **{"val": VAL, **arguments})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,source\n", r"photos\.csv has no column licence: it needs file, source, licence"),
        ("", r"photos\.csv has no column file"),
        ("file,source,licence\na.png,by A,\n", r"photos\.csv, line 2: licence is empty"),
        ("file,source,licence\na.png,by A\n", r"photos\.csv, line 2: licence is empty"),
        ("file,source,licence\na.png,by A,CC0\na.png,by B,CC0\n", r"photos\.csv, line 3: a\.png is listed twice"),
        (b"file,source,licence\na.png,by \xe9,CC0\n", r"photos\.csv is no csv in UTF-8: 'utf-8' codec can't decode"),
    ],
)
def test_a_damaged_manifest_is_refused(licensed: Path, text: str | bytes, said: str) -> None:
    (licensed / "photos.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=said):
        photos(str(licensed), val=VAL)


def test_missing_files_are_named(licensed: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no photos\.csv \(columns file, source, licence\): data\.root=FOLDER"):
        photos(str(tmp_path / "nowhere"), val=VAL)
    shutil.rmtree(licensed / "research")
    assert photos(str(licensed), val=VAL, parts=["free"]).n_train == 3
    (licensed / "free/c.png").unlink()
    with pytest.raises(ValueError, match=r"lacks 2 of 5 photographs that photos\.csv lists, the first free/c\.png"):
        photos(str(licensed), val=VAL)


def test_twenty_validation_images_are_fixed() -> None:
    files = composed("data=photos").data.val
    assert len(set(files)) == 20
    assert all(re.fullmatch(r"free/[\w-]+\.webp", file) for file in files)


@pytest.mark.slow
def test_a_run_and_its_card_attribute_the_photographs(
    licensed: Path, tmp_path: Path, command: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["data=photos", f"data.root={licensed}", f"data.val=[{VAL[0]}]", "trainer.max_epochs=1"]
    command(
        *TINY[1:-1], *TINY_NET, *chosen, "callbacks=checkpoints", "logger=none", f"hydra.run.dir={tmp_path / 'run'}"
    )
    data = Run.read(tmp_path / "run").results["data"]
    assert (data["name"], data["n_train"], data["n_val"]) == ("licensed", 3, 1)
    assert data["licences"] == {"CC0 1.0": 3, "CC BY 4.0": 1}
    assert len(data["photographs"]) == 4
    assert data["photographs"][0] == {
        "file": "free/a.png",
        "source": "Commons, by A",
        "licence": "CC BY 4.0",
        "split": "train",
    }
    assert Origin.of(tmp_path / "run" / "checkpoints" / "best.ckpt").data == data
    assert Origin.of(tmp_path / "run" / "downloads" / "other.pth") == Origin()  # no weights of this run
    assert re.search(r"^licences +3 CC0 1\.0, 1 CC BY 4\.0$", capsys.readouterr().out, re.MULTILINE)
