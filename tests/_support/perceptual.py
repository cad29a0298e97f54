"""Copies of photographs, and parts of copies, found by their content.

Windows of many sizes are compared by their low DCT coefficients (after Zauner, "Implementation and Benchmarking of
Perceptual Image Hash Functions", 2010, with coefficients instead of their signs); the most alike are then compared
pixel by pixel. Mirrored and rotated copies are not found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32  # pixels of a window after shrinking
COEFFICIENTS = 8  # DCT coefficients along each axis
FLAT = 40.0  # norm of the weighted coefficients, in grey levels, below which a window shows nothing
ALIKE = 0.75  # correlation of fine detail from which pictures share a part

_CANDIDATES = 5  # pairs of windows whose detail is compared, per picture
_FINE = 72  # pixels of the shorter side of a shared part when detail is compared
_MARGIN = 8  # pixels by which it may lie off, each way
_ZOOMS = (0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08)  # by which its size may be off

DENSE = tuple(2 ** (-step / 4) for step in range(7))
"""Sides of windows, in short sides of the picture: 1 to 0.35."""

SPARSE = tuple(2 ** (-step / 2) for step in range(4))


class Windows(NamedTuple):
    """Windows of one picture: descriptors (n, 63) of norm 1, and boxes (n, 3): top, left and side in pixels."""

    descriptors: Tensor
    boxes: Tensor


def luma(pixels: Tensor) -> Tensor:
    """uint8 (3, H, W) to float (H, W) in grey levels."""
    return torch.einsum("chw,c->hw", pixels.float(), torch.tensor([0.299, 0.587, 0.114]))


def windows(picture: Tensor, *, sides: Sequence[float], stride: float) -> Windows:
    """Square windows of a picture (H, W); ``stride`` is in sides of a window."""
    descriptors, boxes = [], []
    step = max(1, round(stride * SIDE))
    for side in sides:
        shrink = SIDE / (side * min(picture.shape))
        height, width = (max(SIDE, round(extent * shrink)) for extent in picture.shape)
        small = _resized(picture, height, width)
        cut = small.unfold(0, SIDE, step).unfold(1, SIDE, step)
        top, left = torch.meshgrid(torch.arange(cut.shape[0]), torch.arange(cut.shape[1]), indexing="ij")
        found = _dct(cut).flatten(0, 1)
        norm = found.norm(dim=1)
        box = torch.stack([top * step / shrink, left * step / shrink, torch.full_like(top, SIDE) / shrink], -1)
        descriptors.append((found / norm[:, None].clamp(min=1e-6))[norm > FLAT])
        boxes.append(box.flatten(0, 1)[norm > FLAT])
    return Windows(torch.cat(descriptors), torch.cat(boxes))


def _dct(patches: Tensor) -> Tensor:
    """The low coefficients (..., 63), weighted by frequency, for the spectrum of photographs falls by it."""
    place, order = torch.arange(SIDE) + 0.5, torch.arange(COEFFICIENTS)
    basis = torch.cos(math.pi / SIDE * place[:, None] * order) / math.sqrt(SIDE / 2)
    frequency = torch.hypot(order[:, None].float(), order[None].float())
    return ((basis.T @ patches @ basis) * frequency).flatten(-2)[..., 1:]


class Originals:
    """Pictures whose copies are looked for.

    Args:
        pictures: name to luma (H, W).
    """

    def __init__(self, pictures: Mapping[str, Tensor]) -> None:
        self._pictures = pictures
        found = {name: windows(picture, sides=SPARSE, stride=0.4) for name, picture in pictures.items()}
        self._owners = [name for name, one in found.items() for _ in one.boxes]
        self._descriptors = torch.cat([one.descriptors for one in found.values()])
        self._boxes = torch.cat([one.boxes for one in found.values()])

    def alike(self, picture: Tensor) -> dict[str, float]:
        """Correlation of the detail that a picture (H, W) shares with its nearest originals, the highest of each."""
        own = windows(picture, sides=DENSE, stride=3 / SIDE)
        if not len(own.boxes):
            return {}
        cosines, nearest = (self._descriptors @ own.descriptors.T).max(1)
        best: dict[str, float] = {}
        for row in cosines.topk(min(_CANDIDATES, len(cosines))).indices.tolist():
            name, box = self._owners[row], own.boxes[nearest[row]].tolist()
            found = correlation(picture, box, self._pictures[name], self._boxes[row].tolist())
            best[name] = max(found, best.get(name, 0.0))
        return best


def correlation(picture: Tensor, box: Sequence[float], other: Tensor, other_box: Sequence[float]) -> float:
    """Of the fine detail of what two pictures share if two windows show the same: 1 for a copy, about 0 for others.

    The windows say where and how large ``other`` lies in ``picture``; small errors of that are tried.
    """
    ratio = box[2] / other_box[2]  # pixels of picture in one of other
    origin = [place - ratio * theirs for place, theirs in zip(box[:2], other_box[:2], strict=True)]
    first = [max(0.0, -one / ratio) for one in origin]  # of the shared part, in pixels of other
    last = [
        min(theirs, (mine - one) / ratio) for theirs, mine, one in zip(other.shape, picture.shape, origin, strict=True)
    ]
    grid = _FINE / min(end - start for start, end in zip(first, last, strict=True))
    inner = _detail(
        _sampled(other, grid, *((start, end) for start, end in zip(first, last, strict=True)), zooms=(1.0,))
    )
    inner = inner[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    inner = inner - inner.mean()
    places = [(ratio * start + one, ratio * end + one) for start, end, one in zip(first, last, origin, strict=True)]
    outer = _detail(_sampled(picture, grid / ratio, *places, zooms=_ZOOMS))
    mean, square = (F.conv2d(one, torch.ones_like(inner)) for one in (outer, outer**2))
    spread = (square - mean**2 / inner.numel()).clamp(min=1e-6).sqrt() * inner.norm().clamp(min=1e-6)
    return float((F.conv2d(outer, inner) / spread).max())


def _detail(pictures: Tensor) -> Tensor:
    """(N, 1, H, W) without what a 9x9 mean keeps."""
    return pictures - F.avg_pool2d(F.pad(pictures, (4, 4, 4, 4), mode="replicate"), 9, stride=1)


def _sampled(
    picture: Tensor, grid: float, rows: tuple[float, float], columns: tuple[float, float], *, zooms: Sequence[float]
) -> Tensor:
    """What lies between rows and columns, given in pixels, at ``grid`` samples a pixel, enlarged around its centre."""
    small = _resized(picture, *(max(1, round(side * grid)) for side in picture.shape))
    axes = []
    for (start, end), side, samples in zip((rows, columns), picture.shape, small.shape, strict=True):
        offsets = torch.arange(round((end - start) * grid)) + 0.5 - (end - start) * grid / 2
        centre = (start + end) / 2 / side * samples
        axes.append((centre + offsets * torch.tensor(zooms)[:, None]) / samples * 2 - 1)  # from -1 to 1, edge to edge
    shape = (len(zooms), axes[0].shape[1], axes[1].shape[1])
    places = torch.stack([axes[1][:, None].expand(shape), axes[0][..., None].expand(shape)], -1)
    source = small.expand(len(zooms), 1, *small.shape)
    return F.grid_sample(source, places, mode="bilinear", padding_mode="border", align_corners=False)


def _resized(picture: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(picture[None, None], (height, width), mode="bilinear", antialias=True)[0, 0]
