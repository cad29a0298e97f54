"""Each kind of damage to a packed set is found, and nothing is found in a good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from PIL import Image

from zoomsr.data.packed.packing import Pairs, Photo, open_pairs, pack_photos
from zoomsr.data.packed.store import PixelStore
from zoomsr.data.packed.verify import check_pairs, check_separation, shift
from zoomsr.imaging.degradations import Bicubic, Box
from zoomsr.imaging.pixels import luma, to_float
from zoomsr.imaging.resize import downscale


def _photos(folder: Path, pictures: dict[str, np.ndarray]) -> list[Photo]:
    folder.mkdir(exist_ok=True)
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return [Photo(name, folder / f"{name}.png") for name in pictures]


@pytest.fixture
def pictures() -> dict[str, np.ndarray]:
    return {str(number): photograph(64, 80, seed=number) for number in range(3)}


def _pairs(tmp_path: Path, hr: dict[str, np.ndarray], lr: dict[str, np.ndarray]) -> Pairs:
    pack_photos(_photos(tmp_path / "h", hr), tmp_path / "hr.json")
    pack_photos(_photos(tmp_path / "l", lr), tmp_path / "lr.json", degradation=Bicubic(2))
    return Pairs(PixelStore(tmp_path / "hr.json"), PixelStore(tmp_path / "lr.json"))


def _small(picture: np.ndarray) -> np.ndarray:
    return downscale(torch.from_numpy(picture).permute(2, 0, 1), 2).permute(1, 2, 0).numpy()


def _wrong(pairs: Pairs) -> dict[str, str]:
    return {finding.check: finding.found for finding in check_pairs(pairs, advance=lambda: None) if not finding.fine}


@pytest.mark.parametrize("degradation", [Bicubic(2), Bicubic(3), Box(2)], ids=repr)
def test_a_good_set_is_found_good(tmp_path: Path, pictures: dict[str, np.ndarray], degradation: Bicubic | Box) -> None:
    pairs = open_pairs(_photos(tmp_path / "h", pictures), degradation=degradation)
    findings = check_pairs(pairs, advance=lambda: None)
    assert [finding.check for finding in findings] == ["hr pixels", "lr pixels", "lr names", "lr sizes", "alignment"]
    assert all(finding.fine for finding in findings), findings


@pytest.mark.parametrize(("rows", "columns"), [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_a_shift_by_one_hr_pixel_is_found(
    tmp_path: Path, pictures: dict[str, np.ndarray], rows: int, columns: int
) -> None:
    lr = {name: _small(picture) for name, picture in pictures.items()}
    lr["1"] = _small(np.roll(pictures["1"], (rows, columns), (0, 1)))
    assert list(_wrong(_pairs(tmp_path, pictures, lr))) == ["alignment"]
    found = shift(
        luma(to_float(torch.from_numpy(lr["1"]).permute(2, 0, 1))),
        luma(to_float(torch.from_numpy(_small(pictures["1"])).permute(2, 0, 1))),
    )
    assert found == pytest.approx((rows / 2, columns / 2), abs=0.15)


def test_other_names_counts_and_sizes_are_found(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    lr = {name: _small(picture) for name, picture in pictures.items()}
    fewer = {name: picture for name, picture in lr.items() if name != "2"}
    assert _wrong(_pairs(tmp_path, pictures, fewer)) == {"lr names": "3 hr and 2 lr images, 2 in one only"}
    renamed = {"x" if name == "2" else name: picture for name, picture in lr.items()}
    assert _wrong(_pairs(tmp_path, pictures, renamed)) == {"lr names": "3 hr and 3 lr images, 2, x in one only"}
    lr["0"] = lr["0"][:-1]
    assert _wrong(_pairs(tmp_path, pictures, lr)) == {"lr sizes": "0 not 1/2 of hr"}


def test_altered_pixels_are_found(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    pairs = _pairs(tmp_path, pictures, {name: _small(picture) for name, picture in pictures.items()})
    data = bytearray((tmp_path / "hr.u8").read_bytes())
    data[pairs.hr.images[1].offset + 5] ^= 1
    (tmp_path / "hr.u8").write_bytes(data)
    assert _wrong(pairs) == {"hr pixels": "1 altered"}


def test_a_photograph_in_both_parts_is_found(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    train = open_pairs(_photos(tmp_path / "h", pictures)).hr
    other = open_pairs(_photos(tmp_path / "v", {"new": photograph(64, 80, seed=9)})).hr
    assert check_separation(train, other).fine
    enlarged = np.asarray(Image.fromarray(pictures["2"]).resize((160, 128)))
    again = open_pairs(_photos(tmp_path / "w", {"new": photograph(64, 80, seed=9), "copy": enlarged})).hr
    finding = check_separation(train, again)
    assert (finding.fine, finding.found) == (False, "copy = 2 in both")
