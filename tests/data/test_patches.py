import numpy as np
import pytest
import torch

from zoomsr.data.packed.packing import Pairs, Photo, open_pairs
from zoomsr.data.packed.store import UInt8Array
from zoomsr.data.patches import FixedPatches, PatchKey, PatchSampler, RandomPatches
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.pixels import crop_to_multiple
from zoomsr.imaging.resize import downscale


@pytest.fixture
def pairs(odd_photos: list[Photo]) -> Pairs:
    return open_pairs(odd_photos, degradation=Bicubic(2))


def _patches(pairs: Pairs, *, seed: int = 1, per_image: int = 20) -> RandomPatches:
    return RandomPatches(pairs, patch=16, scale=2, per_image=per_image, seed=seed)


def _filled(patches: RandomPatches, epoch: int, number: int) -> tuple[UInt8Array, UInt8Array]:
    hr, lr = np.empty((3, 16, 16), np.uint8), np.empty((3, 8, 8), np.uint8)
    patches.fill(patches.spec(PatchKey(epoch, number)), hr, lr)
    return hr, lr


def test_a_patch_is_a_function_of_seed_epoch_and_index(pairs: Pairs) -> None:
    one, again = _patches(pairs), _patches(pairs)
    [_filled(again, 9, number) for number in (5, 3)]  # what was read before does not matter
    assert np.array_equal(_filled(one, 2, 7)[0], _filled(again, 2, 7)[0])
    others = [_filled(one, 3, 7), _filled(one, 2, 10), _filled(_patches(pairs, seed=2), 2, 7)]
    assert all(not np.array_equal(_filled(one, 2, 7)[0], other[0]) for other in others)


def test_patches_lie_on_the_scales_grid_and_reach_every_edge(pairs: Pairs) -> None:
    patches = _patches(pairs, per_image=400)
    places = [patches.spec(PatchKey(0, number)) for number in range(0, len(patches), 3)]
    assert {place.top for place in places} == set(range(0, 25, 2))
    assert {place.left for place in places} == set(range(0, 35, 2))
    whole = pairs.hr.read(0).numpy()
    for place in places[:20]:
        hr, _ = _filled(patches, 0, place.number)
        assert np.array_equal(hr, whole[:, place.top : place.top + 16, place.left : place.left + 16])


def test_lr_patch_is_cut_from_the_whole_lr_where_hr_is(pairs: Pairs, odd_photos: list[Photo]) -> None:
    patches = _patches(pairs)
    for number in range(6):
        place = patches.spec(PatchKey(4, number))
        whole = downscale(crop_to_multiple(files.read(odd_photos[place.image].path), 2), 2).numpy()
        top, left = place.top // 2, place.left // 2
        assert np.array_equal(_filled(patches, 4, number)[1], whole[:, top : top + 8, left : left + 8])


def test_all_augmentations_and_fresh_seeds_are_drawn(pairs: Pairs) -> None:
    places = [_patches(pairs).spec(PatchKey(0, number)) for number in range(60)]
    assert {place.augmentation for place in places} == set(range(8))
    assert len({place.seed for place in places}) == 60


def test_fixed_patches_are_the_centre_or_all_of_it(pairs: Pairs) -> None:
    centre = FixedPatches(pairs, patch=20, scale=2)[0]
    assert torch.equal(centre["hr"], pairs.hr.read(0)[:, 10:30, 14:34])
    assert torch.equal(centre["lr"], downscale(pairs.hr.read(0), 2)[:, 5:15, 7:17])
    assert centre["name"] == "photo 0"
    whole = FixedPatches(pairs, patch=None, scale=2)[1]
    assert (whole["hr"].shape, whole["lr"].shape) == ((3, 36, 60), (3, 18, 30))


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


def test_small_photograph_is_named_with_its_size(pairs: Pairs) -> None:
    message = r"photo 2 is 33x64, smaller than the training patch \(data\.patch\) of 34x34"
    with pytest.raises(ValueError, match=message):
        RandomPatches(pairs, patch=34, scale=2, per_image=1, seed=0)
    with pytest.raises(ValueError, match=r"data\.patch 15 must be a multiple of the scale 2"):
        RandomPatches(pairs, patch=15, scale=2, per_image=1, seed=0)
    with pytest.raises(ValueError, match=r"data\.val_patch 15 must be a multiple of the scale 2"):
        FixedPatches(pairs, patch=15, scale=2)
