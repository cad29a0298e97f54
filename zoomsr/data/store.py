"""The pixels of a set of photographs, as uint8, addressed by number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor

from zoomsr import image
from zoomsr.data.sources import Photo


class PixelStore:
    """Decodes photographs on demand and keeps the last used ones, up to a number of bytes.

    Args:
        photos: the photographs; sizes are read from the headers at once, pixels when asked for.
        cache_bytes: how much decoded pixels may take, in each process that reads.

    Raises:
        ValueError: a file is no image, or (when read) damaged.
    """

    def __init__(self, photos: Sequence[Photo], *, cache_bytes: int = 2**30) -> None:
        self.names = [photo.name for photo in photos]
        self.sizes = [image.size(photo.path) for photo in photos]
        self._paths = [photo.path for photo in photos]
        self._cache: OrderedDict[int, Tensor] = OrderedDict()
        self._cache_bytes = cache_bytes

    def __len__(self) -> int:
        return len(self.names)

    def require(self, side: int, purpose: str) -> None:
        """Raises ValueError, naming file and size, where a photograph has a side shorter than ``side`` pixels."""
        for path, (height, width) in zip(self._paths, self.sizes, strict=True):
            if min(height, width) < side:
                raise ValueError(f"{path} is {width}x{height}, smaller than {purpose} of {side}x{side}")

    def read(self, number: int) -> Tensor:
        """The whole photograph, uint8 (3, H, W)."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        pixels = image.read(self._paths[number])
        if tuple(pixels.shape[1:]) != self.sizes[number]:
            raise ValueError(f"{self._paths[number]} is not the size that its header said: it changed, or is damaged")
        self._cache[number] = pixels
        while len(self._cache) > 1 and sum(kept.numel() for kept in self._cache.values()) > self._cache_bytes:
            self._cache.popitem(last=False)
        return pixels

    def crop(self, number: int, *, top: int, left: int, height: int, width: int) -> Tensor:
        """A part of a photograph, uint8 (3, height, width), as a copy of its own."""
        return self.read(number)[:, top : top + height, left : left + width].clone()
