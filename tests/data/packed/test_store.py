"""The packed format: what is in it, what opens it, what refuses it."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from zoomsr.data.loader import PatchStage, ResidentLoader, ThreadLoader
from zoomsr.data.packed.packing import Pairs, Photo, open_pairs, pack_photos
from zoomsr.data.packed.store import PixelStore, index_of, layout
from zoomsr.data.patches import FixedPatches, PatchSampler, RandomPatches
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Bicubic
from zoomsr.runs.files import cache_folder
from zoomsr.runs.run import Run


@pytest.fixture
def store(odd_photos: list[Photo], tmp_path: Path) -> PixelStore:
    pack_photos(odd_photos, tmp_path / "packed" / "hr.json")
    return PixelStore(tmp_path / "packed" / "hr.json")


def test_pixels_are_those_of_the_files(store: PixelStore, odd_photos: list[Photo]) -> None:
    assert store.names == ["photo 0", "photo 1", "photo 2"]
    assert store.sizes == [(40, 50), (37, 61), (64, 33)]
    assert store.n_bytes == 3 * (40 * 50 + 37 * 61 + 64 * 33)
    for number, photo in enumerate(odd_photos):
        assert torch.equal(store.read(number), files.read(photo.path))


def test_plain_numpy_reads_it(store: PixelStore, odd_photos: list[Photo]) -> None:
    index = json.loads(store.path.read_text())
    for entry, photo in zip(index["images"], odd_photos, strict=True):
        shape = (3, entry["height"], entry["width"])
        pixels = np.memmap(store.path.with_suffix(".u8"), "uint8", "r", entry["offset"], shape)
        assert np.array_equal(pixels, files.read(photo.path).numpy())


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
    expected = torch.cat([store.read(number).flatten() for number in range(len(store))])
    assert torch.equal(store.on(torch.device("cpu")), expected)


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


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_one_flipped_bit_is_noticed_when_its_image_is_first_read(store: PixelStore, part: float) -> None:
    flipped = store.images[1]
    _flip(store.path.with_suffix(".u8"), flipped.offset + int(part * flipped.n_bytes))
    advice = rf"hr\.u8: photo 1 is not what was packed: python -m zoomsr\.prepare clear {store.path.parent}"
    reads = [
        lambda: store.read(1),
        lambda: store.copy_patch(np.empty((3, 4, 4), np.uint8), 1, top=0, left=0),
        lambda: store.on(torch.device("cpu")),
        lambda: store.verify(),
        lambda: FixedPatches(Pairs(store, None), patch=None, scale=2),
    ]
    for read in reads:
        with pytest.raises(ValueError, match=advice):
            read()
    assert [store.is_intact(number) for number in range(3)] == [True, False, True]
    assert torch.equal(PixelStore(store.path).read(2), store.read(2))


def test_a_loader_stops_at_altered_pixels(store: PixelStore) -> None:
    _flip(store.path.with_suffix(".u8"), store.images[2].offset)
    patches, sampler = (
        RandomPatches(Pairs(store, None), patch=8, scale=2, per_image=4, seed=0),
        PatchSampler(12, seed=0),
    )
    with pytest.raises(ValueError, match="photo 2 is not what was packed"):
        list(ThreadLoader([PatchStage(patches, 2)], sampler))
    with pytest.raises(ValueError, match="photo 2 is not what was packed"):
        ResidentLoader([PatchStage(patches, 2)], sampler, pairs=patches.pairs, device=torch.device("cpu"))


@pytest.mark.parametrize("kind", ["hr", "lr"])
def test_a_training_stops_at_altered_pixels_with_one_line(
    train: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    train("trainer.max_epochs=1")
    packed = sorted((tmp_path / "cache" / "packed").glob(f"*/{kind}*.u8"), key=lambda path: path.stat().st_size)
    for path, when in zip(packed, ("held out", "trained on"), strict=True):  # one of them is held out
        _flip(path, 100)
        with pytest.raises(SystemExit) as stop:
            train("trainer.max_epochs=1")
        assert stop.value.code == 1, when
        error = capsys.readouterr().err.splitlines()[-1]
        assert re.search(
            rf"^error: {path}: \S+ is not what was packed: python -m zoomsr\.prepare clear {path.parent}", error
        )
        _flip(path, 100)


def test_an_image_is_checked_once(store: PixelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    is_intact = PixelStore.is_intact
    monkeypatch.setattr(PixelStore, "is_intact", lambda self, n: (checked.append(n), is_intact(self, n))[1])
    for _ in range(3):
        store.copy_patch(np.empty((3, 4, 4), np.uint8), 1, top=0, left=0)
        store.read(0)
    store.verify()
    assert checked == [1, 0, 2]


@pytest.mark.parametrize(
    "change",
    [
        *({"offset": value} for value in (-1, 1, 10**12, "0", 0.0, None, {"_target_": "os.mkdir", "path": "owned"})),
        *({"height": value} for value in (0, -40, "40", 40.0, True, [40])),
        *({"crc32": value} for value in (None, "1", [])),
        *({"name": value} for value in (None, 7, ["x"])),
        {"more": 1},
    ],
    ids=str,
)
def test_a_forged_index_is_one_line(store: PixelStore, change: dict[str, object], tmp_path: Path) -> None:
    content = json.loads(store.path.read_text())
    content["images"][0].update(change)
    content.pop("sha256")
    images = content.pop("images")
    forged = index_of([], source_hash="", degradation=None, scale=1) | {"images": images}
    store.path.write_text(json.dumps(_signed(forged)))
    with pytest.raises(ValueError, match=rf"^{store.path} is damaged.*prepare clear {store.path.parent} removes it"):
        PixelStore(store.path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "change",
    [
        *({"images": value} for value in ([], None, {}, "abc", [None], [[]], 7)),
        *({"scale": value} for value in (0, None, "2", 2.0)),
        {"source_hash": ["${oc.env:HOME}"]},
        {"degradation": {"_target_": "os.mkdir"}},
    ],
    ids=str,
)
def test_an_index_of_wrong_types_is_one_line(store: PixelStore, change: dict[str, object]) -> None:
    store.path.write_text(json.dumps(_signed(json.loads(store.path.read_text()) | change)))
    with pytest.raises(ValueError, match=rf"^{store.path} is damaged"):
        PixelStore(store.path)


@pytest.mark.parametrize("text", ["[" * 100_000, "7", "null", "[1]", "{}", "\udcff"])
def test_an_index_that_is_none_is_one_line(store: PixelStore, text: str) -> None:
    store.path.write_text(text, errors="surrogateescape")
    with pytest.raises(ValueError, match=rf"^{store.path} is "):
        PixelStore(store.path)


def _signed(content: dict[str, object]) -> dict[str, object]:
    """A forger can compute the check sum too."""
    content.pop("sha256", None)
    return content | {"sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def test_lr_of_other_photographs_is_refused(odd_photos: list[Photo], tmp_path: Path) -> None:
    pairs = open_pairs(odd_photos, folder=tmp_path / "set", degradation=Bicubic(2))
    assert pairs.lr is not None
    lr = pairs.lr.path
    other = open_pairs(odd_photos[:2], folder=tmp_path / "other", degradation=Bicubic(2))
    for suffix in (".json", ".u8"):
        lr.with_suffix(suffix).write_bytes((tmp_path / "other" / f"{lr.stem}{suffix}").read_bytes())
    with pytest.raises(ValueError, match=rf"{lr} does not hold the lr of hr\.json: python -m zoomsr\.prepare clear"):
        open_pairs(odd_photos, folder=tmp_path / "set", degradation=Bicubic(2))
    assert other.lr is not None


@pytest.mark.parametrize("key", ["../../elsewhere", "", "0123456789abcdeg", "\udcff"])
def test_a_forged_note_of_the_cache_leads_nowhere(odd_photos: list[Photo], key: str) -> None:
    expected = open_pairs(odd_photos).hr.path
    (note,) = (cache_folder() / "seen").iterdir()
    note.write_text(key, errors="surrogateescape")
    assert open_pairs(odd_photos).hr.path == expected
    assert note.read_text() == expected.parent.name
