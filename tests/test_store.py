"""The packed format: what is in it, what opens it, what refuses it."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from zoomsr import image
from zoomsr.data.packing import Photo, pack_photos
from zoomsr.data.store import PixelStore, index_of, layout


@pytest.fixture
def store(odd_photos: list[Photo], tmp_path: Path) -> PixelStore:
    pack_photos(odd_photos, tmp_path / "packed" / "hr.json")
    return PixelStore(tmp_path / "packed" / "hr.json")


def test_pixels_are_those_of_the_files(store: PixelStore, odd_photos: list[Photo]) -> None:
    assert store.names == ["photo 0", "photo 1", "photo 2"]
    assert store.sizes == [(40, 50), (37, 61), (64, 33)]
    assert store.n_bytes == 3 * (40 * 50 + 37 * 61 + 64 * 33)
    for number, photo in enumerate(odd_photos):
        assert torch.equal(store.read(number), image.read(photo.path))


def test_plain_numpy_reads_it(store: PixelStore, odd_photos: list[Photo]) -> None:
    index = json.loads(store.path.read_text())
    for entry, photo in zip(index["images"], odd_photos, strict=True):
        shape = (3, entry["height"], entry["width"])
        pixels = np.memmap(store.path.with_suffix(".u8"), "uint8", "r", entry["offset"], shape)
        assert np.array_equal(pixels, image.read(photo.path).numpy())


def test_a_patch_is_copied_from_its_place(store: PixelStore) -> None:
    out = np.empty((3, 5, 7), np.uint8)
    store.prefetch(1, top=30, height=5)
    store.copy_patch(out, 1, top=30, left=50)
    assert np.array_equal(out, store.read(1).numpy()[:, 30:35, 50:57])


def test_another_process_opens_the_files_again(store: PixelStore) -> None:
    dumped = pickle.dumps(store)
    assert len(dumped) < 1000
    assert torch.equal(pickle.loads(dumped).read(2), store.read(2))


def test_whole_store_moves_to_a_device(store: PixelStore) -> None:
    for number, pixels in enumerate(store.on(torch.device("cpu"))):
        assert torch.equal(pixels, store.read(number))


def test_opening_reads_no_pixel_and_memory_stays_flat(odd_photos: list[Photo], tmp_path: Path) -> None:
    """A sparse file of 8 GB stands for the pixels of 1000 images."""
    pack_photos(odd_photos[:1], tmp_path / "big" / "hr.json")
    path = tmp_path / "big" / "hr.json"
    images = layout([(str(number), (1356, 2040)) for number in range(1000)])
    path.write_text(json.dumps(index_of(images, source_hash="", degradation=None, scale=1)))
    os.truncate(path.with_suffix(".u8"), sum(stored.n_bytes for stored in images))
    before = _resident()
    store = PixelStore(path)
    assert _resident() - before < 5 * 2**20
    assert store.sizes[999] == (1356, 2040)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_is_not_whole_is_refused_with_what_to_do(store: PixelStore) -> None:
    index, data = store.path, store.path.with_suffix(".u8")
    good = index.read_text()
    advice = rf"python -m zoomsr\.prepare clear {index.parent}"
    for bad, message in [
        (
            good.replace('"version": 1', '"version": 9'),
            f"of format zoomsr pixels 9, expected zoomsr pixels 1.*{advice}",
        ),
        (good.replace("photo 1", "photo x"), f"was altered.*{advice}"),
        (good[:100], f"is damaged.*{advice}"),
    ]:
        index.write_text(bad)
        with pytest.raises(ValueError, match=message):
            PixelStore(index)
    index.write_text(good)
    os.truncate(data, 17_000)
    with pytest.raises(ValueError, match=rf"hr\.u8 holds 17,000 bytes of pixels, expected 19,107: {advice}"):
        PixelStore(index)
    data.unlink()
    with pytest.raises(ValueError, match="holds no bytes of pixels"):
        PixelStore(index)
    with pytest.raises(ValueError, match="there is no packed set"):
        PixelStore(index.parent / "none.json")
