from pathlib import Path

import pytest
import torch
from conftest import photograph
from PIL import Image

from zoomsr.data.datamodule import PairsDataModule, _turned
from zoomsr.data.pairs import FixedPatches, PatchKey, PatchSampler, RandomPatches
from zoomsr.data.sources import Photo, folder
from zoomsr.data.store import PixelStore
from zoomsr.degradations import Bicubic


@pytest.fixture
def store(tmp_path: Path) -> PixelStore:
    photos = []
    for number, size in enumerate([(40, 50), (37, 61), (64, 33)]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(photograph(*size, seed=number)).save(path)
        photos.append(Photo(f"photo {number}", path))
    return PixelStore(photos)


def _patches(store: PixelStore, *, seed: int = 1) -> RandomPatches:
    return RandomPatches(store, patch=16, scale=2, per_image=20, seed=seed)


def test_a_patch_is_a_function_of_seed_epoch_and_index(store: PixelStore) -> None:
    one, again = _patches(store), _patches(store)
    [again[PatchKey(9, number)] for number in (5, 3)]  # what was read before does not matter
    assert torch.equal(one[PatchKey(2, 7)]["hr"], again[PatchKey(2, 7)]["hr"])
    others = [one[PatchKey(3, 7)], one[PatchKey(2, 10)], _patches(store, seed=2)[PatchKey(2, 7)]]
    assert all(not torch.equal(one[PatchKey(2, 7)]["hr"], other["hr"]) for other in others)


def test_patches_lie_on_the_scales_grid_and_reach_every_edge(store: PixelStore) -> None:
    patches = RandomPatches(store, patch=16, scale=2, per_image=400, seed=0)
    tops, lefts = set(), set()
    whole = store.read(0)
    windows = whole.unfold(1, 16, 1).unfold(2, 16, 1).permute(1, 2, 0, 3, 4)
    for number in range(0, len(patches), 3):
        hit = (windows == patches[PatchKey(0, number)]["hr"]).flatten(2).all(2).nonzero()
        tops.add(int(hit[0, 0]))
        lefts.add(int(hit[0, 1]))
    assert tops == set(range(0, 25, 2))
    assert lefts == set(range(0, 35, 2))


def test_all_turns_are_drawn(store: PixelStore) -> None:
    patches = _patches(store)
    assert {patches[PatchKey(0, number)]["turn"] for number in range(60)} == set(range(8))


def test_turns_are_the_eight_of_the_square() -> None:
    picture = torch.arange(9).reshape(1, 3, 3)
    turned = _turned(picture.expand(8, 1, 3, 3), torch.arange(8))
    expected = [torch.rot90(side, k, (1, 2)) for side in (picture, picture.flip(2)) for k in range(4)]
    assert {tuple(t.flatten().tolist()) for t in turned} == {tuple(e.flatten().tolist()) for e in expected}
    assert torch.equal(turned[0], picture)


def test_fixed_patches_are_the_centre_or_all_of_it(store: PixelStore) -> None:
    centre = FixedPatches(store, patch=20, scale=2)[0]
    assert torch.equal(centre["hr"], store.read(0)[:, 10:30, 15:35])
    assert centre["name"] == "photo 0"
    assert FixedPatches(store, patch=None, scale=2)[1]["hr"].shape == (3, 36, 60)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_an_epoch_without_overlap(world_size: int) -> None:
    samplers = [PatchSampler(12, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    for sampler in samplers:
        sampler.set_epoch(4)
    shares = [list(sampler) for sampler in samplers]
    assert {len(share) for share in shares} == {12 // world_size}
    assert sorted(key.number for share in shares for key in share) == list(range(12))
    assert {key.epoch for share in shares for key in share} == {4}


def test_epochs_have_different_orders() -> None:
    sampler = PatchSampler(50, seed=1)
    first = [key.number for key in sampler]
    sampler.set_epoch(1)
    assert [key.number for key in sampler] != first


def test_small_photograph_is_named_with_its_size(store: PixelStore) -> None:
    with pytest.raises(ValueError, match=r"2\.png is 33x64, smaller than the training patch \(data\.patch\) of 34x34"):
        RandomPatches(store, patch=34, scale=2, per_image=1, seed=0)
    with pytest.raises(ValueError, match="patch 15 must be a multiple of the scale 2"):
        RandomPatches(store, patch=15, scale=2, per_image=1, seed=0)


def test_store_forgets_old_pixels_when_its_cache_is_full(tmp_path: Path, store: PixelStore) -> None:
    photos = [Photo(str(n), tmp_path / f"{n}.png") for n in range(3)]
    small = PixelStore(photos, cache_bytes=7000)  # room for one of about 6,000 bytes
    for number in (0, 1, 2, 0):
        assert torch.equal(small.read(number), store.read(number))
        assert len(small._cache) == 1


def _data(photos: Path, *, workers: int = 0) -> PairsDataModule:
    return PairsDataModule(
        source=folder(str(photos)),
        degradation=Bicubic(2),
        patch=16,
        batch_size=4,
        patches_per_image=4,
        num_workers=workers,
    )


def test_workers_do_not_change_the_patches(photos: Path) -> None:
    alone, helped = (list(_data(photos, workers=n).train_dataloader()) for n in (0, 2))
    assert len(alone) == len(helped) == 5
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one["hr"], other["hr"])
        assert torch.equal(one["turn"], other["turn"])


def test_held_out_lr_is_the_8_bit_file(photos: Path) -> None:
    batch = _data(photos).held_out(0)
    levels = batch["lr"] * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert batch["lr"].shape == (1, 3, 24, 32)
    assert batch["hr"].shape == (1, 3, 48, 64)


def test_an_epoch_shorter_than_a_batch_is_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"5 patches, fewer than data\.batch_size 64"):
        PairsDataModule(
            source=folder(str(photos)), degradation=Bicubic(2), patch=16, batch_size=64, patches_per_image=1
        )
