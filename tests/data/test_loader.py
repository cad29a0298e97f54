"""Batches: the same patches whoever gathers them."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from zoomsr.data.buffers import RecycledBuffers
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.data.loader import PatchLoader, PatchStage, ResidentLoader, ThreadLoader, unaugmented
from zoomsr.data.packed.packing import Photo, open_pairs
from zoomsr.data.patches import PatchKey, PatchSampler, RandomPatches
from zoomsr.data.sources.photographs import folder
from zoomsr.imaging.degradations import Bicubic, GaussianNoise
from zoomsr.imaging.pixels import luma, to_float
from zoomsr.imaging.resize import downscale


@pytest.fixture
def patches(odd_photos: list[Photo]) -> RandomPatches:
    return RandomPatches(open_pairs(odd_photos, degradation=Bicubic(2)), patch=16, scale=2, per_image=10, seed=3)


def _hashes(batch: dict[str, Any]) -> list[str]:
    """One for each patch with all that belongs to it."""
    rows = zip(*(batch[key] for key in ("hr", "lr", "seed", "index")), batch["name"], strict=True)
    return [
        hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in tensors) + name.encode()).hexdigest()
        for *tensors, name in rows
    ]


def _epoch(patches: RandomPatches, *, threads: int = 1, rank: int = 0, world_size: int = 1) -> list[str]:
    sampler = PatchSampler(len(patches), seed=3, rank=rank, world_size=world_size)
    sampler.set_epoch(2)
    loader = ThreadLoader([PatchStage(patches, 3)], sampler, threads=threads)
    return [patch for batch in loader for patch in _hashes(batch)]


def _resident(patches: RandomPatches, sampler: PatchSampler, batch_size: int) -> ResidentLoader:
    return ResidentLoader([PatchStage(patches, batch_size)], sampler, pairs=patches.pairs, device=torch.device("cpu"))


def test_any_number_of_threads_gathers_the_same_batches(patches: RandomPatches) -> None:
    one = _epoch(patches)
    assert len(set(one)) == 30
    assert _epoch(patches, threads=2) == one
    assert _epoch(patches, threads=5) == one


def test_two_ranks_together_take_the_patches_of_one(patches: RandomPatches) -> None:
    both = [_epoch(patches, rank=rank, world_size=2) for rank in range(2)]
    assert len(both[0]) == len(both[1]) == 15
    assert set(both[0] + both[1]) == set(_epoch(patches))


def test_resident_pixels_give_the_same_batches(patches: RandomPatches) -> None:
    sampler = PatchSampler(len(patches), seed=3)
    sampler.set_epoch(2)
    loader = _resident(patches, sampler, 3)
    assert len(loader) == 10
    assert [patch for batch in loader for patch in _hashes(batch)] == _epoch(patches)


def test_resident_batches_are_cut_by_one_gather_of_each_kind(patches: RandomPatches) -> None:
    class Operations(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.names: list[str] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    found = {}
    for batch_size in (2, 15):
        loader = iter(_resident(patches, PatchSampler(30, seed=3), batch_size))
        with Operations() as operations:
            next(loader)
        found[batch_size] = operations.names
    assert found[2].count("index.Tensor") == 2  # hr and lr
    assert len(found[2]) == len(found[15]) < 30  # whatever the size of the batch


@pytest.mark.parametrize("is_resident", [False, True], ids=["threads", "resident"])
def test_patches_are_drawn_beside_the_training_and_not_in_it(
    patches: RandomPatches, monkeypatch: pytest.MonkeyPatch, is_resident: bool
) -> None:
    drawn, spec = [], patches.spec
    monkeypatch.setattr(patches, "spec", lambda key: (drawn.append(threading.current_thread()), spec(key))[1])
    sampler = PatchSampler(30, seed=0)
    loader = _resident(patches, sampler, 3) if is_resident else ThreadLoader([PatchStage(patches, 3)], sampler)
    batches = iter(loader)
    next(batches)
    batches.close()  # a training that stops early: threads end
    assert threading.main_thread() not in drawn
    assert all(not thread.is_alive() for thread in drawn)


def _stages(patches: RandomPatches) -> list[PatchStage]:
    return [PatchStage(patches.resized(side), size) for side, size in ((8, 7), (12, 3), (16, 4))]


@pytest.mark.parametrize("is_resident", [False, True], ids=["threads", "resident"])
def test_a_stage_is_chosen_when_an_epoch_begins(patches: RandomPatches, is_resident: bool) -> None:
    done, stages, sampler = [0.0], _stages(patches), PatchSampler(30, seed=3)
    loader = (
        ResidentLoader(stages, sampler, progress=lambda: done[0], pairs=patches.pairs, device=torch.device("cpu"))
        if is_resident
        else ThreadLoader(stages, sampler, progress=lambda: done[0], threads=2)
    )
    shapes = []
    for epoch in range(6):
        sampler.set_epoch(epoch)
        done[0] = epoch / 6
        for batch in loader:
            done[0] = 1.0  # within an epoch it does not matter
            assert batch["lr"].shape[2] * 2 == batch["hr"].shape[2]
            shapes.append((epoch, *batch["hr"].shape))
    assert len(loader) == 4  # batches of 7, the most, that 30 patches fill
    sizes = [(7, 8), (7, 8), (3, 12), (3, 12), (4, 16), (4, 16)]
    assert shapes == [(epoch, size, 3, side, side) for epoch, (size, side) in enumerate(sizes) for _ in range(4)]


def test_a_patch_of_another_side_is_the_same_draw(patches: RandomPatches) -> None:
    small = patches.resized(8)
    assert (small.patch, small.lr_patch, patches.patch, patches.lr_patch) == (8, 4, 16, 8)
    key = PatchKey(2, 5)
    assert small.draws(key) == patches.draws(key)
    height, width = patches.pairs.hr.sizes[5 % 3]
    spec = small.spec(key)
    assert (spec.top, spec.left) == tuple(
        draw % ((length - 8) // 2 + 1) * 2 for draw, length in zip(patches.draws(key), (height, width), strict=False)
    )
    with pytest.raises(ValueError, match=r"data\.patch 9 must be a multiple of the scale 2"):
        patches.resized(9)


def test_a_resume_keeps_the_stage_of_its_epoch(patches: RandomPatches) -> None:
    def at(progress: float) -> ThreadLoader:
        loader = ThreadLoader(_stages(patches), PatchSampler(30, seed=3), progress=lambda: progress)
        loader.sampler.set_epoch(1)
        return loader

    first, second = at(0.4), at(0.9)
    batches = iter(first)
    seen = [_hashes(next(batches)) for _ in range(2)]
    assert first.state_dict() == {"epoch": 1, "stage": 1, "patches": 6}
    second.load_state_dict(first.state_dict())
    rest = [_hashes(batch) for batch in second]
    assert seen + rest == [_hashes(batch) for batch in at(0.4)]
    second.sampler.set_epoch(2)
    assert next(iter(second))["hr"].shape == (4, 3, 16, 16)
    second.load_state_dict({"epoch": 2, "patches": 7})  # of an older version
    assert next(iter(second))["hr"].shape == (7, 3, 8, 8)


def test_an_incomplete_batch_is_dropped(patches: RandomPatches) -> None:
    loader = ThreadLoader([PatchStage(patches, 7)], PatchSampler(30, seed=0))
    batches = list(loader)
    assert len(batches) == len(loader) == 4
    assert {len(batch["hr"]) for batch in batches} == {7}


def test_buffers_are_used_again_but_never_under_a_reader() -> None:
    buffers = RecycledBuffers()
    first, _ = buffers.take((2, 3))
    view = first[1:].flatten()
    second, _ = buffers.take((2, 3))
    assert first.data_ptr() != second.data_ptr()
    address = first.data_ptr()
    del first
    assert buffers.take((2, 3))[0].data_ptr() not in (address, second.data_ptr())  # view still reads it
    del view
    assert buffers.take((2, 3))[0].data_ptr() == address
    assert buffers.take((3, 3))[0].shape == (3, 3)


def test_a_consumer_that_keeps_batches_finds_them_unchanged(patches: RandomPatches) -> None:
    loader = ThreadLoader([PatchStage(patches, 2)], PatchSampler(30, seed=0), threads=2)
    kept = list(loader)
    before = [_hashes(batch) for batch in kept]
    list(loader)
    assert [_hashes(batch) for batch in kept] == before


def test_an_error_in_a_thread_reaches_the_caller(patches: RandomPatches, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("the disk is gone")

    monkeypatch.setattr(patches, "fill", fail)
    with pytest.raises(ValueError, match="the disk is gone"):
        next(iter(ThreadLoader([PatchStage(patches, 2)], PatchSampler(30, seed=0))))
    with pytest.raises(ValueError, match=r"data\.threads 0"):
        ThreadLoader([PatchStage(patches, 2)], PatchSampler(30, seed=0), threads=0)


def test_waiting_is_counted(patches: RandomPatches, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    class Slow(PatchLoader):
        def batches(self) -> Any:
            for _ in range(2):
                clock[0] += 0.5
                yield {}

    loader = Slow([PatchStage(patches, 1)], PatchSampler(2, seed=0))
    for _ in loader:
        clock[0] += 10  # the training's own time
    assert len(loader) == 2
    assert loader.waited == 1


def test_augmentations_are_the_eight_of_the_square() -> None:
    picture, eight = np.arange(9, dtype=np.uint8).reshape(1, 3, 3), np.empty((8, 1, 3, 3), np.uint8)
    for augmentation, augmented in enumerate(eight):
        np.copyto(unaugmented(augmented, augmentation), picture)
    expected = [np.rot90(side, k, (1, 2)) for side in (picture, picture[..., ::-1]) for k in range(4)]
    assert {tuple(t.flatten().tolist()) for t in eight} == {tuple(e.flatten().tolist()) for e in expected}
    np.testing.assert_array_equal(eight[0], picture)
    np.testing.assert_array_equal(eight[6], picture[:, ::-1].swapaxes(1, 2))  # flipped first, then transposed


def _data(photos: Path, **settings: Any) -> PairsDataModule:
    settings = {"degradation": Bicubic(2), "patch": 16, "batch_size": 4, "patches_per_image": 4, **settings}
    return PairsDataModule(source=folder(str(photos)), **settings)


class _Training:
    """As much of a trainer as the data module asks."""

    training, global_rank, world_size, overfit_batches = True, 0, 1, 0.0

    class strategy:  # noqa: N801
        root_device = torch.device("cpu")


@pytest.mark.parametrize("pack_lr", [True, False])
def test_pairs_belong_together(photos: Path, pack_lr: bool) -> None:
    data = _data(photos, pack_lr=pack_lr)
    data.trainer = _Training()
    for raw in data.train_dataloader():
        batch = data.on_after_batch_transfer(raw, 0)
        assert batch["lr"].shape == (4, 3, 8, 8)
        remade = downscale(batch["hr"], 2)
        inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # a patch knows nothing beyond its border
        tolerance = 1.01 / 255 if pack_lr else 0  # rounded after each of two passes
        torch.testing.assert_close(batch["lr"][inner], remade[inner], atol=tolerance, rtol=0)


def test_noise_is_drawn_for_each_patch_whatever_its_batch(photos: Path) -> None:
    lrs = []
    for batch_size in (2, 4):
        data = _data(photos, degradation=GaussianNoise(0.1), batch_size=batch_size)
        data.trainer = _Training()
        batches = [data.on_after_batch_transfer(raw, 0) for raw in data.train_dataloader()]
        lrs.append(torch.cat([batch["lr"] for batch in batches])[:20])
    torch.testing.assert_close(*lrs, atol=0, rtol=0)


def test_y_alone_is_the_y_of_the_same_patches(photos: Path) -> None:
    colour, grey, noisy = (
        _data(photos, **settings)
        for settings in ({}, {"y_only": True}, {"y_only": True, "degradation": GaussianNoise(0.1)})
    )
    for data in (colour, grey, noisy):
        data.trainer = _Training()
    for batches in zip(*(data.train_dataloader() for data in (colour, grey, noisy)), strict=True):
        both, y, noise = (
            data.on_after_batch_transfer(raw, 0) for data, raw in zip((colour, grey, noisy), batches, strict=True)
        )
        for key in ("lr", "hr"):
            torch.testing.assert_close(y[key], luma(both[key]))
        assert (noise["lr"] - noise["hr"]).std() == pytest.approx(0.1, rel=0.1)  # not less, as that of a Y of noisy RGB
    assert colour.validation_image(0)["hr"].shape == grey.validation_image(0)["hr"].shape


def test_held_out_lr_is_the_8_bit_file(photos: Path) -> None:
    data = _data(photos)
    batch = data.validation_image(0)
    levels = batch["lr"] * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    expected = to_float(downscale((batch["hr"] * 255).round().to(torch.uint8), 2))
    torch.testing.assert_close(batch["lr"], expected, atol=0, rtol=0)
    assert batch["hr"].shape == (1, 3, 48, 64)


def test_bad_settings_are_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"5 patches per rank, fewer than data\.batch_size 64"):
        _data(photos, batch_size=64, patches_per_image=1)
    with pytest.raises(ValueError, match=r"data\.resident=moon must be auto, device or host"):
        _data(photos, resident="moon")
    with pytest.raises(
        ValueError, match=r"data\.patch=\[16, 32\] has 2 stages, and data\.batch_size=\[4, 3, 2\] 3: give"
    ):
        _data(photos, patch=[16, 32], batch_size=[4, 3, 2])
    with pytest.raises(ValueError, match=r"data\.patch 17 must be a multiple of the scale 2"):
        _data(photos, patch=[17, 32])
    with pytest.raises(ValueError, match=r"20 patches per rank, fewer than data\.batch_size 64"):
        _data(photos, batch_size=[4, 64])
    with pytest.raises(
        ValueError, match=r"data\.patch and data\.batch_size must be a number, or a list of at least one"
    ):
        _data(photos, patch=[])
    for size in (0, -2):
        with pytest.raises(ValueError, match=rf"data\.batch_size {size} must be at least 1"):
            _data(photos, batch_size=[4, size])
    for name in ("patch", "val_patch"):
        for side in (0, -4):
            with pytest.raises(ValueError, match=rf"data\.{name} {side} must be a multiple of the scale 2: .*=2"):
                _data(photos, **{name: side})


def test_a_rank_without_a_whole_batch_is_refused(photos: Path) -> None:
    data = _data(photos, batch_size=11)  # of 20 patches
    data.trainer = _Training()
    data.trainer.world_size = 2
    with pytest.raises(
        ValueError, match=r"10 patches per rank, fewer than data\.batch_size 11: raise data\.patches_per"
    ):
        data.train_dataloader()


def test_a_patch_is_named_where_it_lies_in_its_stage(photos: Path) -> None:
    data = _data(photos, patch=[8, 16])
    assert data.spec(1, 3).top == data._stages[0].patches.spec(PatchKey(1, 3)).top
    data.progress = lambda: 0.5
    data.trainer = _Training()
    (batch, *_) = data.train_dataloader()
    assert batch["hr"].shape == (4, 3, 16, 16)
    specs = [data._stages[1].patches.spec(PatchKey(1, number)) for number in range(20)]
    assert [data.spec(1, number) for number in range(20)] == specs


def test_digest_follows_the_bytes(photos: Path) -> None:
    before = _data(photos).digest
    assert before == _data(photos).digest
    (photos / "2.png").write_bytes((photos / "3.png").read_bytes())
    assert _data(photos).digest != before
