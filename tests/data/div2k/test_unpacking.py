import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _support.zips import ARCHIVE, DATA, MEMBERS, ONE, THREE, TWO, fill_disk, leave, zipped

from zoomsr.data.div2k import unpacking
from zoomsr.data.div2k.archives import DIV2K
from zoomsr.data.div2k.unpacking import unpack


def spread(folder: Path, data: bytes = DATA, *, largest: int = 20_000) -> list[int]:
    """Unpack a zip into ``folder / "out"``, hold the members against the originals, and return the progress."""
    heard: list[int] = []
    unpack(leave(folder, data, "set.zip"), ARCHIVE, folder / "out", progress=heard.append, largest=largest)
    assert files_in(folder / "out") == MEMBERS
    return heard


def files_in(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def declared(name: str, offset: int, value: int, *, form: str = "<I", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The zip with a field of a member's entry in the central directory replaced; the CRC is at 16, the size at 24."""
    data = bytearray(zipped(MEMBERS, method=method))
    place = data.rindex(name.encode()) - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    struct.pack_into(form, data, place + offset, value)
    return bytes(data)


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_unpacking_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    folders = {entry("SET/", stat.S_IFDIR | 0o755): b"", entry("SET/X2/", 0): b""}
    data = zipped({**folders, entry(ONE, stat.S_IFREG | 0o644): MEMBERS[ONE], TWO: MEMBERS[TWO], THREE: MEMBERS[THREE]})
    assert spread(tmp_path, data) == [0, 1, 2, 3]
    before = [(tmp_path / "out" / name).stat().st_mtime_ns for name in MEMBERS]
    assert spread(tmp_path, data) == [3]
    assert [(tmp_path / "out" / name).stat().st_mtime_ns for name in MEMBERS] == before


def test_unpacking_goes_on_after_an_interruption(tmp_path: Path) -> None:
    def interrupt(done: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(leave(tmp_path, DATA, "set.zip"), ARCHIVE, tmp_path / "out", progress=interrupt)
    assert files_in(tmp_path / "out") == {ONE: MEMBERS[ONE]}
    leave(tmp_path / "out" / "SET" / "X2", b"short", Path(TWO).name)
    leave(tmp_path / "out" / "SET" / "X2", b"left by a crash", f".{Path(THREE).name}.0123abcd.part")
    before = (tmp_path / "out" / ONE).stat().st_mtime_ns
    assert spread(tmp_path) == [1, 2, 3]
    assert (tmp_path / "out" / ONE).stat().st_mtime_ns == before


@pytest.mark.filterwarnings("ignore:Duplicate name")  # what one of them is about
@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("../evil.png", "leads outside"),
        ("SET/../SET/evil.png", "leads outside"),
        ("/tmp/evil.png", "leads outside"),
        ("C:/evil.png", "leads outside"),
        ("C:evil.png", "leads outside"),
        ("SET\\evil.png", "leads outside"),
        ("../evil/", "leads outside"),
        (entry("SET/link.png", stat.S_IFLNK | 0o777), "is a link"),
        (entry("SET/link/", stat.S_IFLNK | 0o777), "is a link"),
        (entry("SET/pipe", stat.S_IFIFO | 0o644), "is a link, or no file at all"),
        ("SET/X2/0004x2.png", "is not expected"),
        (entry(ONE, 0), "is not expected, or twice in it"),
    ],
)
def test_names_that_are_not_published_are_refused(tmp_path: Path, more: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"set\.zip is not unpacked: '.* {problem}"):
        spread(tmp_path, zipped({**MEMBERS, more: b"../../evil"}))
    assert set(files_in(tmp_path)) == {"set.zip"}


def test_a_missing_member_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"'{TWO}' is missing \(names like it: 2\)"):
        spread(tmp_path, zipped({ONE: MEMBERS[ONE]}))
    assert set(files_in(tmp_path)) == {"set.zip"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (declared(THREE, 24, 20_001), "has 20001 bytes, at most 20000 are allowed"),
        (declared(THREE, 8, 1, form="<H"), "is encrypted"),
        (declared(THREE, 10, zipfile.ZIP_LZMA, form="<H"), "is encrypted, or packed in another way"),
    ],
    ids=["too-large", "encrypted", "lzma"],
)
def test_members_that_say_something_else_are_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"'{THREE}' {problem}"):
        spread(tmp_path, data)
    assert set(files_in(tmp_path)) == {"set.zip"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("offset", "value"), [(24, 100), (24, 19_999), (24, 20_001), (16, 0xBAD)])
def test_members_that_lie_are_refused(tmp_path: Path, method: int, offset: int, value: int) -> None:
    with pytest.raises(ValueError, match=rf"set\.zip is a damaged zip \(.*{THREE}.*\): remove it and fetch it again"):
        spread(tmp_path, declared(THREE, offset, value, method=method), largest=20_001)
    assert set(files_in(tmp_path / "out")) == {ONE, TWO}


def test_a_bomb_writes_hardly_more_than_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(unpacking, "CHUNK", 10_000)
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("a bomb got its name"))
    monkeypatch.setattr(Path, "unlink", lambda path, **_: written.append(path.stat().st_size if path.exists() else 0))
    data = bytearray(zipped({ONE: b"a" * 10**7, TWO: b"", THREE: b""}))
    place = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, place + 16, zlib.crc32(b"a" * 100))
    struct.pack_into("<I", data, place + 24, 100)
    with pytest.raises(ValueError, match="does not have the 100 bytes it declares"):
        spread(tmp_path, bytes(data))
    assert written == [10_000]


@pytest.mark.parametrize(
    "damaged",
    [
        *(DATA[:size] for size in (0, 30_000, len(DATA) - 100, len(DATA) - 1)),
        DATA[30_000:],
        zipped({"ü": b""}).replace("ü".encode(), b"\xff\xff"),
    ],
    ids=["empty", "half", "without-most-of-its-end", "without-its-end", "without-its-beginning", "names-not-utf-8"],
)
def test_a_damaged_zip_is_named_in_one_line(tmp_path: Path, damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"^\S*set\.zip is a damaged zip \(.*\): remove it and fetch it again$"):
        spread(tmp_path, damaged)
    assert set(files_in(tmp_path)) == {"set.zip"}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    for name in ("out", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "SET").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads outside"):
        spread(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_space_is_counted_before_the_first_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(tmp_path, DATA, "set.zip")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=59_999))
    with pytest.raises(ValueError, match=r"0\.00 GB free, set\.zip needs 0\.00 GB more"):
        spread(tmp_path)
    assert files_in(tmp_path / "out") == {}
    leave(tmp_path / "out" / "SET" / "X2", MEMBERS[TWO], Path(TWO).name)
    assert spread(tmp_path) == [1, 2, 3]


def test_a_disk_that_fills_up_leaves_whole_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        fill_disk(patched, room=5000)
        with pytest.raises(ValueError, match=r"the disk is full, .*set\.zip is not done: free some"):
            spread(tmp_path)
    assert files_in(tmp_path / "out") == {}
    assert spread(tmp_path) == [0, 1, 2, 3]


def test_div2k_is_as_published() -> None:
    sizes = {("train", 1): 3530603713, ("train", 2): 925390592, ("train", 3): 427847282, ("train", 4): 246914039}
    sizes |= {("val", 1): 448993893, ("val", 2): 117763600, ("val", 3): 54513392, ("val", 4): 31505881}
    assert {key: archive.size for key, archive in DIV2K.items()} == sizes
    assert {split: len(DIV2K[split, scale].members) for split, scale in DIV2K} == {"train": 800, "val": 100}
    assert len({archive.sha256 for archive in DIV2K.values()}) == 8
    assert all(len(bytes.fromhex(archive.sha256)) == 32 for archive in DIV2K.values())


@pytest.mark.parametrize(
    ("key", "name", "first", "last"),
    [
        (("train", 1), "DIV2K_train_HR.zip", "DIV2K_train_HR/0001.png", "DIV2K_train_HR/0800.png"),
        (("val", 1), "DIV2K_valid_HR.zip", "DIV2K_valid_HR/0801.png", "DIV2K_valid_HR/0900.png"),
        (
            ("train", 2),
            "DIV2K_train_LR_bicubic_X2.zip",
            "DIV2K_train_LR_bicubic/X2/0001x2.png",
            "DIV2K_train_LR_bicubic/X2/0800x2.png",
        ),
        (
            ("val", 4),
            "DIV2K_valid_LR_bicubic_X4.zip",
            "DIV2K_valid_LR_bicubic/X4/0801x4.png",
            "DIV2K_valid_LR_bicubic/X4/0900x4.png",
        ),
    ],
)
def test_div2k_names(key: tuple[str, int], name: str, first: str, last: str) -> None:
    members = DIV2K[key].members
    assert (DIV2K[key].name, members[0], members[-1]) == (name, first, last)
