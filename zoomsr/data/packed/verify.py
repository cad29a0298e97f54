"""Checks of packed sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zoomsr.data.packed.inventory import HR_INDEX
from zoomsr.data.packed.packing import Pairs
from zoomsr.data.packed.store import PixelStore
from zoomsr.imaging.pixels import crop_to_multiple, luma, to_float
from zoomsr.imaging.resize import downscale

MAX_SHIFT = 0.1
"""Lr pixels. A wrong crop shows as 0.5 or more, another resampling of the same centres as less than 0.05."""
_WINDOW = 512  # the part of a photograph, in lr pixels, on which alignment is measured
_THUMBNAIL = 16
_SAME = 2.0  # grey levels between two thumbnails, rms


class Finding(NamedTuple):
    """One check: its name, what was found, and whether it passed."""

    check: str
    found: str
    fine: bool


def contents(folder: Path) -> str:
    """What a folder holds, in words."""
    try:
        pairs = list(_stores(folder))
    except ValueError as error:
        return f"damaged: {error}"
    lr = ", ".join(sorted(pair.lr.degradation or "" for pair in pairs if pair.lr is not None))
    return f"{len(pairs[0].hr)} photographs, lr {lr or 'none'}"


def verify_folders(places: Sequence[Path], *, advance: Callable[[], object]) -> list[tuple[str, Finding]]:
    """Check packed sets, and siblings ``train`` and ``val`` against each other.

    Args:
        places: folders of packed photographs.
        advance: called for each image, for a progress bar.

    Returns:
        Folder and finding.
    """
    findings: list[tuple[str, Finding]] = []
    for place in places:
        label = "/".join(place.parts[-2:])
        try:
            for pairs in _stores(place):
                findings += [(label, finding) for finding in check_pairs(pairs, advance=advance)]
        except ValueError as error:
            findings.append((label, Finding("store", str(error), fine=False)))
    for place in places:
        is_sound = all(finding.fine for _, finding in findings)
        if place.name == "train" and (val := place.with_name("val")) in places and is_sound:
            both = (PixelStore(folder / HR_INDEX) for folder in (place, val))
            findings.append(("/".join(place.parts[-3:-1]), check_separation(*both)))
    return findings


def check_pairs(pairs: Pairs, *, advance: Callable[[], object]) -> list[Finding]:
    """Check every image of a packed split.

    Args:
        pairs: hr, and lr where there is one.
        advance: called for each image, for a progress bar.

    Returns:
        Pixels intact; and with lr: names, sizes, and the sub-pixel shift between lr and hr.
    """
    findings = [_intact(f"{kind} pixels", store, advance) for kind, store in pairs._asdict().items() if store]
    if pairs.lr is None or not all(finding.fine for finding in findings):
        return findings
    scale = pairs.lr.scale
    if pairs.hr.names != pairs.lr.names:
        odd = sorted(set(pairs.hr.names) ^ set(pairs.lr.names))
        counts = f"{len(pairs.hr)} hr and {len(pairs.lr)} lr images"
        return [*findings, Finding("lr names", f"{counts}, {', '.join(odd[:3])} in one only", fine=False)]
    findings.append(Finding("lr names", f"{len(pairs.lr)}, those of hr", fine=True))
    sizes = zip(pairs.hr.names, pairs.hr.sizes, pairs.lr.sizes, strict=True)
    wrong = [name for name, hr, lr in sizes if (hr[0] // scale, hr[1] // scale) != lr]
    if wrong:
        return [*findings, Finding("lr sizes", f"{_first(wrong)} not 1/{scale} of hr", fine=False)]
    findings.append(Finding("lr sizes", f"1/{scale} of hr", fine=True))
    return [*findings, _aligned(pairs.hr, pairs.lr)]


def check_separation(train: PixelStore, val: PixelStore) -> Finding:
    """Whether a validation image, as a thumbnail, equals a training image."""
    distance = torch.cdist(_thumbnails(val), _thumbnails(train)) / _THUMBNAIL
    pairs = [f"{val.names[v]} = {train.names[t]}" for v, t in (distance < _SAME).nonzero().tolist()]
    found = f"{_first(pairs)} in both" if pairs else "none"
    return Finding("validation images among the training images", found, fine=not pairs)


def shift(lr: Tensor, reference: Tensor) -> tuple[float, float]:
    """How far lr lies off a reference of the same size, (down, right) in pixels, to first order.

    Least squares for lr(x) = reference(x - d): d solves sum(g g^T) d = -sum(g (lr - reference)) with the gradient g of
    the reference (Lucas & Kanade, IJCAI 1981). Good up to about a pixel.

    Args:
        lr: (1, H, W) luma.
        reference: the same.
    """
    inner = reference[..., 1:-1, 1:-1]
    down = (reference[..., 2:, 1:-1] - reference[..., :-2, 1:-1]).flatten() / 2
    right = (reference[..., 1:-1, 2:] - reference[..., 1:-1, :-2]).flatten() / 2
    gradient = torch.stack([down, right]).double()
    difference = (lr[..., 1:-1, 1:-1] - inner).flatten().double()
    weak = 1e-9 * torch.eye(2, dtype=torch.float64)  # an empty sky has no gradient, and no visible shift
    solved = torch.linalg.solve(gradient @ gradient.T + weak, -gradient @ difference)
    return float(solved[0]), float(solved[1])


def _stores(folder: Path) -> Iterator[Pairs]:
    """The photographs of a folder with each lr that is packed beside them; once alone where there is none."""
    hr = PixelStore(folder / HR_INDEX)
    indices = sorted(folder.glob("lr_*.json"))
    if not indices:
        yield Pairs(hr, None)
    for index in indices:
        yield Pairs(hr, PixelStore(index))


def _aligned(hr: PixelStore, lr: PixelStore) -> Finding:
    scale = lr.scale

    def measure(number: int) -> float:
        small = lr.read(number)[..., :_WINDOW, :_WINDOW]
        whole = crop_to_multiple(hr.read(number)[..., : _WINDOW * scale, : _WINDOW * scale], scale)
        down, right = shift(luma(to_float(small)), luma(downscale(to_float(whole), scale)))
        return max(abs(down), abs(right))

    with ThreadPoolExecutor() as pool:
        shifts = list(pool.map(measure, range(len(hr))))
    wrong = [name for name, off in zip(hr.names, shifts, strict=True) if off > MAX_SHIFT]
    if wrong:
        return Finding("alignment", f"{_first(wrong)} shifted, by up to {max(shifts):.2f} lr pixels", fine=False)
    return Finding("alignment", f"shifts up to {max(shifts):.3f} lr pixels", fine=True)


def _intact(check: str, store: PixelStore, advance: Callable[[], object]) -> Finding:
    broken = []
    for number, name in enumerate(store.names):
        if not store.is_intact(number):
            broken.append(name)
        advance()
    return Finding(check, f"{_first(broken)} altered" if broken else f"{len(store)} intact", fine=not broken)


def _thumbnails(store: PixelStore) -> Tensor:
    """(n, 256) grey levels."""

    def small(number: int) -> Tensor:
        grey = luma(to_float(store.read(number))) * 255
        return F.adaptive_avg_pool2d(grey, _THUMBNAIL).flatten()

    with ThreadPoolExecutor() as pool:
        return torch.stack(list(pool.map(small, range(len(store)))))


def _first(names: Sequence[str]) -> str:
    """Three of them, and how many more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
