"""Photographs with known licences: a folder whose ``photos.csv`` says where each one comes from."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from zoomsr.data.packed.packing import Photo
from zoomsr.data.sources.photographs import TRAIN, VAL, Attribution, Photographs, to_train_on

MANIFEST = "photos.csv"
"""In the set's folder; its columns may be more than ``COLUMNS``."""

COLUMNS = ("file", "source", "licence")

Row = Mapping[str, str]
"""Column to cell."""


def photos(
    root: str,
    *,
    val: Sequence[str],
    parts: Sequence[str] | None = None,
    n_train: int | None = None,
    min_side: int | Sequence[int] = 1,
    scale_augmentation: Sequence[float] = (),
) -> Photographs:
    """The photographs of a manifest.

    Args:
        root: the folder with ``photos.csv``; the column ``file`` is relative to it, with slashes.
        val: the validation images, by ``file``, of any part; all others of ``parts`` are for training.
        parts: train on these: a part is the first folder of ``file``; None for all photographs.
        n_train: see ``zoomsr.data.sources.photographs.folder``.
        min_side: see there.
        scale_augmentation: see there.

    Raises:
        ValueError: there is no manifest, it is damaged, a photograph is missing, a validation image is not in it, a
            part does not exist, or nothing is left to train on.
    """
    rows = read_manifest(Path(root))
    held = sorted(set(val))
    if absent := [file for file in held if file not in rows]:
        advice = "data.val=[FILE,...] names validation images by the column file"
        raise ValueError(f"data.val has {absent[0]}, which {Path(root) / MANIFEST} does not list: {advice}")
    others = sorted(set(_of_parts(rows, parts, root=root)).difference(held))
    _require_files(Path(root), [*others, *held])
    train = to_train_on(
        [Photo(file, Path(root) / file) for file in random.Random(0).sample(others, len(others))],
        root=root,
        n_train=n_train,
        min_side=min_side,
        scale_augmentation=scale_augmentation,
    )
    trained = [photo.name for photo in train if photo.shrink == 1]
    return Photographs(
        Path(root).name,
        train,
        tuple(Photo(file, Path(root) / file) for file in held),
        attributions=tuple(
            Attribution(file, rows[file]["source"], rows[file]["licence"], split)
            for split, files in ((TRAIN, trained), (VAL, held))
            for file in files
        ),
    )


def read_manifest(root: Path) -> dict[str, Row]:
    """The rows of a set's manifest, by file.

    Raises:
        ValueError: there is none, it is no csv, it lacks a column or a cell, or lists a file twice.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"{root} has no {MANIFEST} (columns {', '.join(COLUMNS)}): data.root=FOLDER names a set with one; "
            "data=folder needs none"
        )
    rows: dict[str, Row] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin a csv with a BOM
            reader = csv.DictReader(file)
            if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
                raise ValueError(f"{path} has no column {missing[0]}: it needs {', '.join(COLUMNS)}")
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                if empty := [column for column in COLUMNS if not (row[column] or "").strip()]:
                    raise ValueError(f"{place}: {empty[0]} is empty; every photograph needs {', '.join(COLUMNS)}")
                if row["file"] in rows:
                    raise ValueError(f"{place}: {row['file']} is listed twice")
                rows[row["file"]] = row
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no csv in UTF-8: {error}") from error
    return rows


def part_of(file: str) -> str:
    """The first folder of a photograph's path; the empty text where it lies in none."""
    return file.rpartition("/")[0].partition("/")[0]


def _of_parts(rows: Iterable[str], parts: Sequence[str] | None, *, root: str) -> list[str]:
    if parts is None:
        return list(rows)
    found = sorted({part_of(file) for file in rows} - {""})
    if not set(parts) <= set(found):
        named = parts if isinstance(parts, str) else f"[{','.join(parts)}]"
        raise ValueError(f"data.parts={named}: the parts of {Path(root) / MANIFEST} are [{','.join(found)}]")
    return [file for file in rows if part_of(file) in parts]


def _require_files(root: Path, files: Sequence[str]) -> None:
    missing = sorted(file for file in files if not (root / file).is_file())
    if missing:
        raise ValueError(
            f"{root} lacks {len(missing)} of {len(files)} photographs that {MANIFEST} lists, the first {missing[0]}"
        )
