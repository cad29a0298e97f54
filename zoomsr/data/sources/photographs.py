"""Photographs for training and validation: the sample, DIV2K, or any folder."""

from __future__ import annotations

import importlib.util
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from zoomsr.data.packed.inventory import HR_INDEX
from zoomsr.data.packed.packing import Pairs, Photo, open_pairs
from zoomsr.data.patches import Patches, RandomPatches, per_stage
from zoomsr.imaging.degradations import Degradation
from zoomsr.imaging.files import SUFFIXES
from zoomsr.imaging.listing import pictures_in

TRAIN, VAL = "train", "val"
"""Folders of a packed set."""


class Attribution(NamedTuple):
    """Where one photograph of a set comes from, and under which licence.

    ``split`` says whether it is trained on (``train``) or validates (``val``).
    """

    file: str
    source: str
    licence: str
    split: str


def licences_of(attributions: Sequence[Attribution]) -> dict[str, int]:
    """Number of photographs under each licence, the most frequent one first."""
    return dict(Counter(one.licence for one in attributions).most_common())


class Source(Protocol):
    """Where training patches and validation images come from."""

    @property
    def name(self) -> str:
        """Of the set."""

    @property
    def val(self) -> tuple[Photo, ...]:
        """The validation images."""

    @property
    def n_train(self) -> int:
        """Number of training images."""

    @property
    def attributions(self) -> tuple[Attribution, ...]:
        """Of every training and validation image; empty for a set without a manifest."""

    def describe(self) -> str:
        """What is trained and validated on, in words."""

    def patches(self, *, patch: int, degradation: Degradation, pack_lr: bool, per_image: int, seed: int) -> Patches:
        """Training patches; see ``zoomsr.data.patches.RandomPatches``."""

    def validation(self, degradation: Degradation) -> Pairs:
        """The validation images, packed."""


@dataclass(frozen=True)
class Photographs:
    """A data set of photographs, see ``Source``; training and validation images never overlap.

    Attributes:
        name: of the set.
        train: training images.
        val: validation images.
        packed: the folder of the packed stores; None for the cache.
        attributions: see ``Source``.

    Raises:
        ValueError: either part is empty, or a file is in both.
    """

    name: str
    train: tuple[Photo, ...]
    val: tuple[Photo, ...]
    packed: Path | None = None
    attributions: tuple[Attribution, ...] = ()

    def __post_init__(self) -> None:
        for part, photos in (("training", self.train), ("validation", self.val)):
            if not photos:
                raise ValueError(f"{self.name}: no photograph for {part}")
        both = {photo.path.resolve() for photo in self.train} & {photo.path.resolve() for photo in self.val}
        if both:
            raise ValueError(f"{self.name}: {min(both)} is both trained and validated on")

    @property
    def n_train(self) -> int:
        """See ``Source``; a photograph and its smaller copies are one."""
        return len({photo.path for photo in self.train})

    def describe(self) -> str:
        """See ``Source``."""
        copies = len(self.train) - self.n_train
        also = f" and {copies} smaller copies" if copies else ""
        return f"{self.n_train} photographs{also} to train on, {len(self.val)} for validation"

    def patches(
        self, *, patch: int, degradation: Degradation, pack_lr: bool, per_image: int, seed: int
    ) -> RandomPatches:
        """See ``Source``; the photographs are packed first, where they are not yet."""
        pairs = self.pairs(TRAIN, degradation if pack_lr else None)
        return RandomPatches(pairs, patch=patch, scale=degradation.scale, per_image=per_image, seed=seed)

    def validation(self, degradation: Degradation) -> Pairs:
        """See ``Source``."""
        return self.pairs(VAL, degradation)

    def pairs(self, split: str, degradation: Degradation | None) -> Pairs:
        """The packed photographs of a split, ``train`` or ``val``; see ``zoomsr.data.packed.packing.open_pairs``."""
        photos = {TRAIN: self.train, VAL: self.val}[split]
        return open_pairs(photos, folder=self.packed and self.packed / split, degradation=degradation)


# scikit-image's wheel (data/README.txt there) and matplotlib's; see the table of sources and licences in the README.
# The stereo pair motorcycle_left / motorcycle_right shows one scene, so both are training images.
_SAMPLE_TRAIN = (
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/motorcycle_right.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/retina.jpg"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/ihc.png"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
_SAMPLE_VAL = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
)


def sample() -> Photographs:
    """Ten photographs that scikit-image and matplotlib ship in their wheels: 7 for training, 3 for validation.

    Nothing is downloaded, so the first command works on a fresh machine.
    """
    return Photographs("sample", _shipped(_SAMPLE_TRAIN), _shipped(_SAMPLE_VAL))


def _shipped(files: Sequence[tuple[str, str]]) -> tuple[Photo, ...]:
    photos = []
    for package, name in files:
        spec = importlib.util.find_spec(package)  # finds the folder without importing the package
        if spec is None or spec.origin is None or not (path := Path(spec.origin).parent / name).is_file():
            raise ValueError(f"{package} ships no {name}: install {package} again, or use data=folder data.root=FOLDER")
        photos.append(Photo(path.stem, path))
    return tuple(photos)


def div2k(root: str) -> Photographs:
    """DIV2K: photographs 0001-0800 for training, 0801-0900 for validation.

    Agustsson & Timofte, "NTIRE 2017 Challenge on Single Image Super-Resolution: Dataset and Study", CVPRW 2017.
    For academic research only.

    Args:
        root: the folder that holds ``packed/`` (made by ``zoomsr.prepare``), or ``DIV2K_train_HR/`` and
            ``DIV2K_valid_HR/``.

    Raises:
        ValueError: a folder or a photograph is missing.
    """
    packed = Path(root) / "packed"
    return Photographs(
        "div2k",
        _numbered(Path(root) / "DIV2K_train_HR", range(1, 801), packed=packed / TRAIN),
        _numbered(Path(root) / "DIV2K_valid_HR", range(801, 901), packed=packed / VAL),
        packed=packed,
    )


def _numbered(directory: Path, numbers: range, *, packed: Path) -> tuple[Photo, ...]:
    photos = tuple(Photo(f"{number:04d}", directory / f"{number:04d}.png") for number in numbers)
    if (packed / HR_INDEX).is_file():
        return photos  # the files themselves are not needed any more
    missing = [photo.name for photo in photos if not photo.path.is_file()]
    if missing:
        raise ValueError(
            f"{directory} lacks {len(missing)} of {len(photos)} photographs, the first {missing[0]}.png: "
            f"python -m zoomsr.prepare div2k --root {directory.parent} brings and packs them"
        )
    return photos


def folder(
    root: str | None,
    *,
    val_root: str | None = None,
    val_fraction: float = 0.1,
    n_train: int | None = None,
    min_side: int | Sequence[int] = 1,
    scale_augmentation: Sequence[float] = (),
) -> Photographs:
    """All images below a folder, at any depth.

    Args:
        root: the folder to train on.
        val_root: a folder of validation images; without it a part of ``root`` is taken.
        val_fraction: that part, at least one image; always the same images for the same names.
        n_train: how many of the others to train on, drawn so that a larger number includes a smaller one; None for all.
        min_side: photographs with a shorter side in pixels are not trained on; of several, the largest counts.
        scale_augmentation: train on smaller copies of each photograph too, of these sizes, as 0.9 (of a side).

    Raises:
        ValueError: a folder is missing or empty, a fraction outside (0, 1), one image alone, an overlap, an ``n_train``
            that is more than there are, or no photograph as large as ``min_side``.
    """
    if root is None:
        raise ValueError("data=folder needs data.root=FOLDER, a folder with images at any depth")
    photos = images(Path(root))
    train = random.Random(0).sample(photos, len(photos))
    if val_root is not None:
        val = list(images(Path(val_root)))
    else:
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction {val_fraction} must lie between 0 and 1")
        if len(photos) < 2:
            raise ValueError(f"{root} has one image, and one is for validation: add images or set data.val_root=FOLDER")
        n_val = min(max(1, round(val_fraction * len(photos))), len(photos) - 1)
        train, val = train[n_val:], train[:n_val]
    chosen = to_train_on(train, root=root, n_train=n_train, min_side=min_side, scale_augmentation=scale_augmentation)
    return Photographs(Path(root).name, chosen, tuple(sorted(val)))


def to_train_on(
    photos: Sequence[Photo],
    *,
    root: str,
    n_train: int | None,
    min_side: int | Sequence[int],
    scale_augmentation: Sequence[float],
) -> tuple[Photo, ...]:
    """The first ``n_train`` photographs of a fixed order, with their smaller copies, by name; see ``folder``.

    Raises:
        ValueError: ``n_train`` is more than there are, or no photograph is as large as ``min_side``.
    """
    if n_train is not None and not 1 <= n_train <= len(photos):
        raise ValueError(f"data.n_train={n_train}: {root} has {len(photos)} photographs to train on")
    chosen = _with_copies(sorted(photos[:n_train]), scale_augmentation)
    if (side := max(per_stage(min_side))) > 1:  # else no header is read
        chosen = [photo for photo in chosen if min(photo.size) >= side]
    if not chosen:
        raise ValueError(f"data.min_side={side}: {root} has no photograph as large to train on")
    return tuple(chosen)


def _with_copies(photos: Sequence[Photo], shrinks: Sequence[float]) -> list[Photo]:
    for shrink in shrinks:
        if not 0 < shrink < 1:
            raise ValueError(f"data.scale_augmentation has {shrink}: a smaller copy's size lies between 0 and 1")
    copies = (Photo(f"{one.name} x{shrink}", one.path, shrink) for one in photos for shrink in shrinks)
    return [*photos, *copies]


def images(root: Path) -> tuple[Photo, ...]:
    """All images below a folder, at any depth, by name; see ``zoomsr.imaging.listing``.

    Raises:
        ValueError: no such folder, or none in it.
        OSError: a folder below it cannot be read.
    """
    return tuple(Photo(path.relative_to(root).as_posix(), path) for path in pictures_in(root, SUFFIXES))
