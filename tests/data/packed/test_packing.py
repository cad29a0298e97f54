"""Packing: by content, once, whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from _support.tiny import photograph
from filelock import FileLock
from PIL import Image

from zoomsr.data.packed import packing
from zoomsr.data.packed.packing import Photo, content_hash, lr_index, open_pairs, pack_photos
from zoomsr.data.packed.store import PixelStore
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Bicubic, Box, GaussianNoise
from zoomsr.imaging.pixels import crop_to_multiple
from zoomsr.imaging.resize import downscale
from zoomsr.runs.files import cache_folder


def test_lr_is_the_8_bit_file_of_the_degradation(odd_photos: list[Photo]) -> None:
    pairs = open_pairs(odd_photos, degradation=Bicubic(2))
    assert pairs.lr is not None
    assert pairs.lr.degradation == "Bicubic(scale=2)"
    for number, photo in enumerate(odd_photos):
        assert torch.equal(pairs.lr.read(number), downscale(crop_to_multiple(files.read(photo.path), 2), 2))


def test_each_degradation_has_lr_of_its_own_beside_the_one_hr(odd_photos: list[Photo]) -> None:
    bicubic, box, coarse = (open_pairs(odd_photos, degradation=d) for d in (Bicubic(2), Box(2), Bicubic(3)))
    assert bicubic.hr.path == box.hr.path == coarse.hr.path
    paths = {pairs.lr.path for pairs in (bicubic, box, coarse) if pairs.lr is not None}
    assert len(paths) == 3


def test_what_is_drawn_anew_is_not_packed(odd_photos: list[Photo], tmp_path: Path) -> None:
    class Unnamed(Bicubic):
        __repr__ = object.__repr__

    assert open_pairs(odd_photos, degradation=GaussianNoise(0.1)).lr is None
    assert lr_index(tmp_path, Unnamed(2)) is None


def test_the_second_time_nothing_is_packed(
    odd_photos: list[Photo], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO", "zoomsr")
    first = open_pairs(odd_photos, degradation=Bicubic(2))
    assert "packing 3 photographs, 19.1 kB, into" in caplog.text
    caplog.clear()
    again = open_pairs(odd_photos, degradation=Bicubic(2))
    assert caplog.text == ""
    assert capsys.readouterr().out == ""  # the data layer prints nothing
    assert again.hr.path == first.hr.path


def test_a_long_packing_logs_how_far_it_is(
    odd_photos: list[Photo], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_PROGRESS_S", 0)
    caplog.set_level("INFO", "zoomsr")
    open_pairs(odd_photos)
    assert [text for text in caplog.messages if "done" in text] == [f"packing {n} of 3 done" for n in (1, 2, 3)]


def test_cache_goes_by_content(odd_photos: list[Photo], tmp_path: Path) -> None:
    first = open_pairs(odd_photos).hr.path
    (tmp_path / "moved").mkdir()
    moved = [Photo(photo.name, Path(shutil.copy(photo.path, tmp_path / "moved"))) for photo in odd_photos]
    assert open_pairs(moved).hr.path == first
    Image.fromarray(photograph(40, 50, seed=9)).save(odd_photos[0].path)
    assert open_pairs(odd_photos).hr.path != first
    assert content_hash(odd_photos) != content_hash(moved)


def test_packed_pixels_need_no_files(odd_photos: list[Photo], tmp_path: Path) -> None:
    expected = open_pairs(odd_photos, folder=tmp_path / "set", degradation=Bicubic(2)).hr.read(0)
    for photo in odd_photos:
        photo.path.unlink()
    assert torch.equal(open_pairs(odd_photos, folder=tmp_path / "set", degradation=Bicubic(2)).hr.read(0), expected)


def test_every_kind_of_file_becomes_8_bit_rgb(tmp_path: Path) -> None:
    pixels = photograph(20, 24)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(pixels[..., 0].astype("uint16") * 257).save(tmp_path / "sixteen.png")
    photos = [Photo(name, tmp_path / f"{name}.png") for name in ("grey", "sixteen")]
    for number in range(2):
        stored = open_pairs(photos).hr.read(number)
        assert torch.equal(stored, torch.from_numpy(pixels[..., 0]).expand(3, -1, -1))


def test_a_damaged_photograph_is_named_and_leaves_nothing(odd_photos: list[Photo], tmp_path: Path) -> None:
    odd_photos[1].path.write_bytes(odd_photos[1].path.read_bytes()[:900])
    with pytest.raises(ValueError, match=r"odd1\.png is damaged or truncated"):
        open_pairs(odd_photos, folder=tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".lock"]


def test_full_disk_is_said_before_it_starts_and_while_it_packs(
    odd_photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5, 5))
        with pytest.raises(ValueError, match=r"has 5 bytes free, packing needs 19\.1 kB: free some"):
            open_pairs(odd_photos, folder=tmp_path / "set")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(ValueError, match=r"the disk is full, .*set is not complete: free some"):
            open_pairs(odd_photos, folder=tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".lock"]
    assert len(open_pairs(odd_photos, folder=tmp_path / "set").hr) == 3


def test_short_writes_are_finished(odd_photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: write(file, data[:1000], offset))
    store = open_pairs(odd_photos, folder=tmp_path / "set").hr
    assert all(torch.equal(store.read(n), files.read(photo.path)) for n, photo in enumerate(odd_photos))


def test_a_cache_that_cannot_be_written_says_what_to_set(
    odd_photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system", "/readonly/zoomsr")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(ValueError, match=r"/readonly/zoomsr cannot be written: ZOOMSR_CACHE=FOLDER"):
            open_pairs(odd_photos)
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        monkeypatch.setenv("ZOOMSR_CACHE", str(tmp_path / place))
        with pytest.raises(ValueError, match=rf"{tmp_path}/file\S* cannot be written: ZOOMSR_CACHE=FOLDER"):
            open_pairs(odd_photos)
    monkeypatch.delenv("ZOOMSR_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: _raise(RuntimeError("Could not determine home directory.")))
    with pytest.raises(ValueError, match="this user has no home directory: ZOOMSR_CACHE=FOLDER"):
        open_pairs(odd_photos)


def _raise(error: Exception) -> Path:
    raise error


def test_a_cache_that_can_only_be_read_serves_what_is_packed(
    odd_photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = open_pairs(odd_photos, degradation=Bicubic(2)).hr.path
    for photo in odd_photos:
        os.utime(photo.path, (0, 0))  # copied anew: nothing but their content says which they are
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", lambda *_, **__: _raise(PermissionError(errno.EROFS, "Read-only", str(packed))))
        assert open_pairs(odd_photos, degradation=Bicubic(2)).hr.path == packed
        with pytest.raises(ValueError, match="cannot be written: ZOOMSR_CACHE=FOLDER"):
            open_pairs(odd_photos, degradation=Box(2))


def test_a_killed_packing_leaves_no_store_and_the_next_one_packs(odd_photos: list[Photo], tmp_path: Path) -> None:
    slow = "\n".join(
        [
            "import sys, time; from pathlib import Path",
            "from zoomsr.imaging import files; from zoomsr.data.packed import packing",
            "read = files.read",
            "files.read = lambda path: (time.sleep(60) if '2' in path.name else None, read(path))[1]",
            "photos = [packing.Photo(f'photo {n}', Path(f'odd{n}.png')) for n in range(3)]",
            "packing.open_pairs(photos, folder=Path('set'))",
        ]
    )
    process = subprocess.Popen([sys.executable, "-c", slow], cwd=tmp_path, stdout=subprocess.DEVNULL)
    while not any(path.stat().st_size for path in (tmp_path / "set").glob(".hr.u8.*.part")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "set" / "hr.json").exists()
    store = open_pairs(odd_photos, folder=tmp_path / "set").hr
    assert all(torch.equal(store.read(n), files.read(photo.path)) for n, photo in enumerate(odd_photos))
    assert not list((tmp_path / "set").glob(".*.part"))


def test_two_at_once_pack_once(
    odd_photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "zoomsr")
    packed: list[Path] = []
    pack = packing.pack_photos
    monkeypatch.setattr(packing, "pack_photos", lambda photos, index: (packed.append(index), pack(photos, index)))
    (tmp_path / "set").mkdir()
    lock = FileLock(tmp_path / "set" / ".lock")
    with lock:
        second = threading.Thread(target=open_pairs, args=(odd_photos,), kwargs={"folder": tmp_path / "set"})
        second.start()
        while "waiting for another process" not in caplog.text:
            assert second.is_alive()
            time.sleep(0.01)
        assert packed == []
        pack(odd_photos, tmp_path / "set" / "hr.json")
    second.join()
    assert packed == []
    assert len(PixelStore(tmp_path / "set" / "hr.json")) == 3


def test_published_lr_files_can_be_packed(odd_photos: list[Photo], tmp_path: Path) -> None:
    index = lr_index(tmp_path, Bicubic(2))
    assert index is not None
    pack_photos(odd_photos, index, degradation=Bicubic(2))
    assert PixelStore(index).degradation == "Bicubic(scale=2)"


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("ZOOMSR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/zoomsr")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "zoomsr"
