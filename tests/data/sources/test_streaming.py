"""Streaming, from a folder and from an S3-compatible server; skips without the extra."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zoomsr.data.loader import PatchStage, ThreadLoader
from zoomsr.data.packed.packing import Photo, open_pairs
from zoomsr.data.packed.store import UInt8Array
from zoomsr.data.patches import PatchKey, RandomPatches
from zoomsr.data.sources import streaming
from zoomsr.data.sources.streaming import Stream, StreamedPatches, write_stream
from zoomsr.imaging.degradations import Bicubic


@pytest.fixture
def stream(odd_photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("litdata", reason="streaming is an extra: pip install zoomsr[streaming]")
    monkeypatch.setenv("HOME", str(tmp_path))  # of litdata's cache
    write_stream(odd_photos, tmp_path / "stream", chunk_bytes=10_000)
    assert len(list((tmp_path / "stream").glob("chunk-*"))) > 1
    return tmp_path / "stream"


def _patches(source: Stream, *, seed: int = 3) -> StreamedPatches:
    return source.patches(patch=16, degradation=Bicubic(2), pack_lr=True, per_image=8, seed=seed)


def _filled(patches: StreamedPatches | RandomPatches, epoch: int, number: int) -> UInt8Array:
    hr = np.empty((3, 16, 16), np.uint8)
    patches.fill(patches.spec(PatchKey(epoch, number)), hr, None)
    return hr


def test_patches_are_those_of_packed_photographs(stream: Path, odd_photos: list[Photo]) -> None:
    streamed = _patches(Stream(str(stream)))
    packed = RandomPatches(open_pairs(odd_photos), patch=16, scale=2, per_image=8, seed=3)
    assert len(streamed) == len(packed) == 24
    for epoch, number in ((0, 0), (0, 23), (2, 7)):
        assert np.array_equal(_filled(streamed, epoch, number), _filled(packed, epoch, number))


def test_any_list_of_images_can_be_streamed(odd_photos: list[Photo], monkeypatch: pytest.MonkeyPatch) -> None:
    """What litdata gives is a list, here without it."""
    monkeypatch.setattr(streaming, "WINDOW", 2)
    images = [{"name": photo.name, "pixels": photo.read().numpy()} for photo in odd_photos]
    streamed = StreamedPatches(images, url="anywhere", patch=16, scale=2, per_image=8, seed=3)
    packed = RandomPatches(open_pairs(odd_photos), patch=16, scale=2, per_image=8, seed=3)
    for epoch, number in ((0, 0), (0, 23), (2, 7)):
        assert np.array_equal(_filled(streamed, epoch, number), _filled(packed, epoch, number))
    loader = ThreadLoader([PatchStage(streamed, 5)], streamed.sampler(rank=0, world_size=1), threads=2)
    assert [len(batch["hr"]) for batch in loader] == [5, 5, 5, 5]
    with pytest.raises(ValueError, match=r"data\.patch 15 must be a multiple of the scale 2"):
        StreamedPatches(images, url="anywhere", patch=15, scale=2, per_image=8, seed=3)


def test_ranks_have_parts_of_their_own(stream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "WINDOW", 2)
    patches = _patches(Stream(str(stream)))
    alone = list(patches.sampler(rank=0, world_size=1))
    assert sorted(key.number for key in alone) == list(range(24))
    shares = [list(patches.sampler(rank=rank, world_size=3)) for rank in range(3)]
    assert [len(share) for share in shares] == [8, 8, 8]
    assert [{key.number % 3 for key in share} for share in shares] == [{0}, {1}, {2}]
    sampler = patches.sampler(rank=0, world_size=1)
    sampler.set_epoch(1)
    assert [key.number for key in sampler] != [key.number for key in alone]


def test_batches_come_by_threads(stream: Path) -> None:
    patches = _patches(Stream(str(stream)))
    first, second = (
        list(ThreadLoader([PatchStage(patches, 4)], patches.sampler(rank=0, world_size=1), threads=threads))
        for threads in (1, 3)
    )
    assert len(first) == 6
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one["hr"], other["hr"])


def test_an_s3_server_gives_the_same(stream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("moto.server", reason="moto[s3,server] plays the S3 server").ThreadedMotoServer
    boto3 = pytest.importorskip("boto3")
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    one = server(ip_address="127.0.0.1", port=0)
    one.start()
    host, port = one.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}"}
    try:
        client = boto3.client("s3", **options)
        client.create_bucket(Bucket="photos")
        for path in stream.iterdir():
            client.upload_file(str(path), "photos", f"set/{path.name}")
        there, here = _patches(Stream("s3://photos/set", storage_options=options)), _patches(Stream(str(stream)))
        for number in (0, 11, 23):
            assert np.array_equal(_filled(there, 0, number), _filled(here, 0, number))
    finally:
        one.stop()


def test_mistakes_are_one_clear_line(
    stream: Path, odd_photos: list[Photo], prepare: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"nowhere holds no stream: python -m zoomsr\.prepare stream PHOTOS nowhere"):
        Stream("nowhere").describe()
    with pytest.raises(ValueError, match=r"needs data\.url=URL"):
        Stream(None).describe()
    with pytest.raises(ValueError, match="stream is not empty: give a new folder"):
        write_stream(odd_photos, stream)
    large = Stream(str(stream)).patches(patch=36, degradation=Bicubic(2), pack_lr=True, per_image=1, seed=0)
    with pytest.raises(ValueError, match="photo 2 is 33x64, smaller than the training patch"):
        large.fill(large.spec(PatchKey(0, 2)), np.empty((3, 36, 36), np.uint8), None)


def test_the_extra_is_named_where_it_is_missing(odd_photos: list[Photo], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data=streaming needs an extra: pip install zoomsr\[streaming\]"):
        streaming._litdata("litdata_that_is_not_there")
