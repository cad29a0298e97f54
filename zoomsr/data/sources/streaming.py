"""Photographs too many for one machine: patches streamed from litdata's chunks in a folder, on S3 or on Google's cloud.

litdata (Lightning AI) stores the chunks, fetches them and bounds the cache; which patches are cut is decided here, as
for packed photographs: a function of (seed, epoch, index). An extra: ``pip install zoomsr[streaming]``.
"""

from __future__ import annotations

import hashlib
import importlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoomsr.data.packed.packing import Pairs, Photo, open_pairs
from zoomsr.data.packed.store import UInt8Array
from zoomsr.data.patches import Patches, PatchKey, PatchSampler, PatchSpec
from zoomsr.data.sources.photographs import images, sample
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Degradation
from zoomsr.runs.files import require_new

if TYPE_CHECKING:
    from types import ModuleType

WINDOW = 64
"""Images that are shuffled among themselves: what has to be in the cache at once."""


def write_stream(
    photos: Sequence[Photo], target: Path, *, chunk_bytes: int = 2**26, advance: Callable[[], object] = lambda: None
) -> None:
    """Write photographs in litdata's format, uint8 pixels, to be copied to where they are streamed from.

    Args:
        photos: the photographs.
        target: a new folder.
        chunk_bytes: size of a chunk.
        advance: called after each photograph.

    Raises:
        ValueError: the folder is not empty, an image is damaged, or the extra is missing.
    """
    writer_of = _litdata("litdata.streaming.writer").BinaryWriter
    require_new(target)
    target.mkdir(parents=True, exist_ok=True)
    writer = writer_of(str(target), chunk_bytes=chunk_bytes)
    for number, photo in enumerate(photos):
        writer.add_item(number, {"name": photo.name, "pixels": files.read(photo.path).numpy()})
        advance()
    writer.done()
    writer.merge(1)


@dataclass(frozen=True)
class Stream:
    """A set written by ``write_stream``, wherever it is now; see ``zoomsr.data.sources.photographs.Source``.

    Attributes:
        url: a folder, ``s3://...`` or ``gs://...``.
        val_root: a folder of validation images; None for the sample's.
        cache_bytes: of the disk, for chunks that were fetched.
        storage_options: for the cloud, such as ``{"endpoint_url": ...}``.
    """

    url: str | None
    val_root: str | None = None
    cache_bytes: int = 50 * 2**30
    storage_options: dict[str, Any] | None = None
    name = "stream"
    attributions = ()

    @property
    def val(self) -> tuple[Photo, ...]:
        """See ``Source``."""
        return sample().val if self.val_root is None else images(Path(self.val_root))

    @property
    def n_train(self) -> int:
        """See ``Source``."""
        return len(self._open())

    def describe(self) -> str:
        """See ``Source``."""
        return f"{self.n_train} photographs streamed from {self.url}, {len(self.val)} for validation"

    def patches(
        self, *, patch: int, degradation: Degradation, pack_lr: bool, per_image: int, seed: int
    ) -> StreamedPatches:
        """Patches as they come; lr is made on the device."""
        return StreamedPatches(
            self._open(), url=self.url, patch=patch, scale=degradation.scale, per_image=per_image, seed=seed
        )

    def validation(self, degradation: Degradation) -> Pairs:
        """See ``Source``."""
        return open_pairs(self.val, degradation=degradation)

    def _open(self) -> Any:
        dataset = _litdata("litdata").StreamingDataset
        if self.url is None:
            raise ValueError("data=streaming needs data.url=URL: a folder, s3://... or gs://...")
        if "://" not in self.url and not (Path(self.url) / "index.json").is_file():
            advice = f"python -m zoomsr.prepare stream PHOTOS {self.url} writes one"
            raise ValueError(f"{self.url} holds no stream: {advice}")
        options = self.storage_options or {}
        try:
            return dataset(self.url, shuffle=False, max_cache_size=self.cache_bytes, storage_options=options)
        except (RuntimeError, OSError, ValueError) as error:
            raise ValueError(f"{self.url} cannot be streamed: {str(error).splitlines()[0]}") from error


class StreamedPatches(Patches):
    """The patches of ``RandomPatches`` on the same photographs, ``WINDOW`` images at a time.

    Raises:
        ValueError: the patch is no multiple of the scale; a photograph is smaller than it (when it is read).
    """

    def __init__(self, dataset: Any, *, url: str | None, patch: int, scale: int, per_image: int, seed: int) -> None:
        digest = hashlib.sha256(f"{url} {len(dataset)}".encode()).hexdigest()
        super().__init__(len(dataset) * per_image, patch=patch, scale=scale, seed=seed, source_hash=digest)
        self._dataset = dataset
        self._per_image = per_image
        self._lock = threading.Lock()  # litdata's reader is for one thread
        self._recent: OrderedDict[int, tuple[UInt8Array, str]] = OrderedDict()

    def sampler(self, *, rank: int, world_size: int) -> PatchSampler:
        """Windows of the rank's images in a fresh order for each epoch, and the patches of each window likewise."""
        return _WindowSampler(len(self._dataset), self._per_image, seed=self.seed, rank=rank, world_size=world_size)

    def spec(self, key: PatchKey) -> PatchSpec:
        """``top`` and ``left`` are draws: sizes are known when the image is read."""
        for_top, for_left, for_augmentation, seed = self.draws(key)
        image = key.number % len(self._dataset)
        return PatchSpec(image, for_top, for_left, for_augmentation % 8, seed >> 2, f"image {image}", key.number)

    def fill(self, spec: PatchSpec, hr: UInt8Array, lr: UInt8Array | None) -> None:
        """See ``Patches``."""
        with self._lock:
            if spec.image not in self._recent:
                item = self._dataset[spec.image]
                self._recent[spec.image] = item["pixels"], item["name"]
                if len(self._recent) > WINDOW:
                    self._recent.popitem(last=False)
            pixels, name = self._recent[spec.image]
        height, width = pixels.shape[1:]
        if min(height, width) < self.patch:
            what = f"the training patch (data.patch) of {self.patch}"
            raise ValueError(f"{name} is {width}x{height}, smaller than {what}")
        top = spec.top % ((height - self.patch) // self.scale + 1) * self.scale
        left = spec.left % ((width - self.patch) // self.scale + 1) * self.scale
        np.copyto(hr, pixels[:, top : top + self.patch, left : left + self.patch])


class _WindowSampler(PatchSampler):
    """Every rank has a part of the images of its own, the same in each epoch, so that each machine caches its part."""

    def __init__(self, n_images: int, per_image: int, *, seed: int, rank: int, world_size: int) -> None:
        part = n_images // world_size
        super().__init__(part * per_image, seed=seed, rank=rank)
        self._n_images = n_images
        self._per_image = per_image
        self._images = range(rank * part, (rank + 1) * part)

    def __iter__(self) -> Iterator[PatchKey]:
        return islice(self._keys(), self.first, None)

    def _keys(self) -> Iterator[PatchKey]:
        generator = self.generator()
        for window in generator.permutation(-(-len(self._images) // WINDOW)):
            images = np.array(self._images[window * WINDOW : (window + 1) * WINDOW])
            patches = images[:, None] + self._n_images * np.arange(self._per_image)
            for number in generator.permutation(patches.flatten()):
                yield PatchKey(self.drawn(self.epoch), int(number))


def _litdata(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError("data=streaming needs an extra: pip install zoomsr[streaming]") from error
