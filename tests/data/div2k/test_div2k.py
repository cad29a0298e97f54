"""DIV2K from the zips to batches, with 900 tiny photographs in the real layout and a server on this machine."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from _support.http_server import Server, answer
from _support.tiny import photograph
from PIL import Image

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.data.div2k import prepare as div2k
from zoomsr.data.div2k.archives import DIV2K
from zoomsr.data.packed.packing import lr_index
from zoomsr.data.packed.store import PixelStore
from zoomsr.data.sources.photographs import div2k as source
from zoomsr.downloads.archives import Archive
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.resize import downscale

Prepare = Callable[..., str]


def _png(number: int, *, scale: int) -> bytes:
    hr = torch.from_numpy(photograph(20, 24, seed=number)).permute(2, 0, 1)
    pixels = hr if scale == 1 else downscale(hr, scale)
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four zips of x2; the same 40 pictures again and again."""
    folder = tmp_path_factory.mktemp("mirror")
    for scale in (1, 2):
        pictures = [_png(number, scale=scale) for number in range(40)]
        for split in ("train", "val"):
            archive = DIV2K[split, scale]
            with zipfile.ZipFile(folder / archive.name, "w") as file:
                for number, member in enumerate(archive.members):
                    file.writestr(member, pictures[20 + number % 20 if split == "val" else number % 20])
    return folder


@pytest.fixture
def published(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int], Archive]:
    """The table of archives, with the sizes and sums of the small ones."""
    table = {}
    for key, archive in DIV2K.items():
        if (path := mirror / archive.name).is_file():
            data = path.read_bytes()
            table[key] = replace(archive, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(div2k, "DIV2K", table)
    return table


@pytest.fixture
def address(mirror: Path, server: Server) -> str:
    """Of the zips on a server."""
    server.answers = {f"/{path.name}": [answer(path.read_bytes())] for path in mirror.iterdir()}
    return server.address


def test_everything_is_brought_once_and_trained_on(
    prepare: Prepare,
    published: dict[tuple[str, int], Archive],
    server: Server,
    address: str,
    tmp_path: Path,
) -> None:
    said = prepare("div2k", "--root", "set", "--mirror", address)
    assert server.asked == [f"/{published[key].name}" for key in (("train", 1), ("train", 2), ("val", 1), ("val", 2))]
    assert "python -m zoomsr.train data=div2k data.root=set" in said
    server.asked.clear()
    assert "fetching" not in prepare("div2k", "--root", "set", "--mirror", address)
    assert server.asked == []

    for folder in tmp_path.glob("set/DIV2K_*"):
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    photographs = source(str(tmp_path / "set"))
    assert (len(photographs.train), photographs.train[799].name, photographs.val[0].name) == (800, "0800", "0801")
    data = PairsDataModule(
        source=photographs, degradation=Bicubic(2), patch=16, batch_size=8, patches_per_image=1, val_patch=16
    )
    batch = next(iter(data.train_dataloader()))
    assert (batch["hr"].shape, batch["lr"].shape) == ((8, 3, 16, 16), (8, 3, 8, 8))
    assert data.validation_image(99)["name"] == ["0900"]


@pytest.mark.slow
def test_verify_passes_and_finds_what_is_in_both_parts(
    prepare: Prepare, published: dict[tuple[str, int], Archive], mirror: Path, tmp_path: Path
) -> None:
    prepare("div2k", "--root", "set", "--offline", str(mirror))
    assert "wrong" not in prepare("verify", "set")
    shutil.copytree(tmp_path / "set/packed/train", tmp_path / "set/packed/val", dirs_exist_ok=True)
    assert "in both │ wrong" in prepare("verify", "set", code=1)


def test_our_bicubic_makes_the_published_lr(
    prepare: Prepare, published: dict[tuple[str, int], Archive], server: Server, address: str, tmp_path: Path
) -> None:
    prepare("div2k", "--root", "both", "--mirror", address)
    server.asked.clear()
    prepare("div2k", "--root", "hr", "--mirror", address, "--only", "hr")
    assert server.asked == [f"/{published['train', 1].name}", f"/{published['val', 1].name}"]
    for split in ("train", "val"):
        theirs, ours = (lr_index(tmp_path / root / "packed" / split, Bicubic(2)) for root in ("both", "hr"))
        assert theirs is not None
        assert ours is not None
        assert theirs.with_suffix(".u8").read_bytes() == ours.with_suffix(".u8").read_bytes()


def test_folders_that_are_there_already_are_packed_in_place(
    prepare: Prepare, published: dict[tuple[str, int], Archive], mirror: Path, tmp_path: Path
) -> None:
    for path in mirror.iterdir():
        with zipfile.ZipFile(path) as file:
            file.extractall(tmp_path / "mine")
    prepare("div2k", "--root", "set", "--offline", "mine")
    assert sorted(path.name for path in (tmp_path / "set").iterdir() if path.name[0] != ".") == ["packed"]
    store = PixelStore(tmp_path / "set" / "packed" / "val" / "hr.json")
    assert torch.equal(store.read(3), files.read(tmp_path / "mine" / "DIV2K_valid_HR" / "0804.png"))


def test_an_interrupted_preparation_goes_on(
    prepare: Prepare, published: dict[tuple[str, int], Archive], server: Server, address: str, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    archive = published["train", 1]
    prepare("div2k", "--root", "set", "--mirror", f"{address}/nowhere", code=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(div2k, "unpack", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        prepare("div2k", "--root", "set", "--mirror", address, code=130)
    assert (tmp_path / "set" / archive.name).is_file()
    server.asked.clear()
    prepare("div2k", "--root", "set", "--mirror", address)
    assert f"/{archive.name}" not in server.asked


def test_what_is_missing_or_altered_offline_is_said(
    prepare: Prepare, published: dict[tuple[str, int], Archive], mirror: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    said = prepare("div2k", "--root", "set", "--offline", "empty", code=1)
    assert "error: empty holds neither DIV2K_train_HR.zip nor all of DIV2K_train_HR/" in said
    data = bytearray((mirror / "DIV2K_train_HR.zip").read_bytes())
    data[5000] ^= 1
    (tmp_path / "empty" / "DIV2K_train_HR.zip").write_bytes(data)
    said = prepare("div2k", "--root", "set", "--offline", "empty", code=1)
    assert "error: empty/DIV2K_train_HR.zip has sha256" in said


def test_without_any_of_it_the_source_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"python -m zoomsr\.prepare div2k --root {tmp_path} brings and packs them"):
        source(str(tmp_path))


def test_archives_and_members_have_their_published_names() -> None:
    hr, lr = DIV2K["val", 1], DIV2K["train", 2]
    assert (hr.name, len(hr.members), hr.members[0]) == ("DIV2K_valid_HR.zip", 100, "DIV2K_valid_HR/0801.png")
    assert (lr.name, len(lr.members)) == ("DIV2K_train_LR_bicubic_X2.zip", 800)
    assert lr.members[-1] == "DIV2K_train_LR_bicubic/X2/0800x2.png"
