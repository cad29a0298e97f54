"""Test sets recognised by their pixels: a list of each in ``known_sets/``, further lists as files of the user."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.pixels import crop_to_multiple
from zoomsr.runs.files import write_text

SHIPPED = Path(__file__).parent / "known_sets"
"""Set5, Set14, B100 and Urban100 as Huang et al. (CVPR 2015, github.com/jbhuang0604/SelfExSR) crop them for a scale."""

UNKNOWN = "not a known test set"
_MAX_NAMED = 3
"""Files that are named where pictures differ."""


@dataclass(frozen=True)
class KnownSet:
    """A published test set, or one crop of it.

    Attributes:
        name: of the set.
        version: which crop, in words; empty where there is but one.
        digests: ``pixel_digest`` of each picture, and how many pictures have it.
    """

    name: str
    version: str
    digests: Mapping[str, int]

    @property
    def size(self) -> int:
        """How many pictures it has."""
        return sum(self.digests.values())

    def found(self, digests: Sequence[str]) -> int:
        """How many of these pictures belong to it, each of its own pictures counted once."""
        return sum((Counter(digests) & Counter(self.digests)).values())


def pixel_digest(pixels: Tensor, *, grey: bool) -> str:
    """sha256 of decoded pixels, the same for every lossless format.

    Args:
        pixels: uint8 (3, H, W).
        grey: the file has one channel: its H x W bytes are taken, and else H x W x 3 in the order R, G, B. Protocol
            ``classic`` measures a grey file by its own Y, so that it is another picture than the same one in RGB.
    """
    array = pixels.numpy()
    return hashlib.sha256((array[0] if grey else array.transpose(1, 2, 0)).tobytes()).hexdigest()


def known_sets(lists: Sequence[str] = ()) -> list[KnownSet]:
    """Those of the package, then those of further csv files, or folders of them; a list is named like its file.

    A list has the columns ``picture`` and ``sha256``, and ``version`` where the set exists in several crops.

    Raises:
        ValueError: no such file, no csv file in a folder, or a file that is no list.
    """
    paths = sorted(SHIPPED.glob("*.csv"))
    for given in map(Path, lists):
        found = sorted(given.glob("*.csv")) if given.is_dir() else [given]
        if not found or not found[0].is_file():
            raise ValueError(f"known_sets={given} is no csv file and no folder of them")
        paths += found
    return [one for path in paths for one in _read(path)]


def write_list(folder: Path, out: Path) -> None:
    """Write the list of a folder of pictures, for ``known_sets=``.

    Raises:
        ValueError: no images, or a damaged one.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "sha256"))
    for path, _ in Benchmark.find(folder, scale=1).files:
        writer.writerow((path.stem, pixel_digest(files.read(path), grey=files.is_grey(path))))
    write_text(out, text.getvalue())


def recognised(benchmark: Benchmark, known: Sequence[KnownSet]) -> str:
    """Which published set a folder holds, by its pixels alone: ``Set14, complete, the SelfExSR crop for x2``.

    Pictures are compared as they are measured, cut to multiples of the scale, and as they are stored. LR files are
    compared with our bicubic, which is MATLAB's.

    Raises:
        ValueError: a damaged file.
    """
    measured: dict[str, str] = {}
    stored: dict[str, str] = {}
    inexact = 0
    for path, lr in benchmark.files:
        pixels, grey = files.read(path), files.is_grey(path)
        stored[path.stem] = pixel_digest(pixels, grey=grey)
        hr = crop_to_multiple(pixels, benchmark.scale)
        measured[path.stem] = pixel_digest(hr, grey=grey)
        inexact += lr is not None and not torch.equal(files.read(lr), Bicubic(benchmark.scale).down(hr))
    verdict = _verdict(measured, stored, known, scale=benchmark.scale)
    if not benchmark.has_lr:
        return verdict
    count = "all" if not inexact else f"{len(stored) - inexact} of {len(stored)}"
    return f"{verdict}; {count} LR files are exactly MATLAB's bicubic"


def _verdict(measured: Mapping[str, str], stored: Mapping[str, str], known: Sequence[KnownSet], *, scale: int) -> str:
    """The words for a folder, by the digests of its pictures."""
    counts = [(one.found(list(measured.values())), one.found(list(stored.values()))) for one in known]
    place = max(range(len(known)), key=lambda number: (max(counts[number]), counts[number][0]), default=None)
    if place is None or not max(counts[place]):
        return UNKNOWN
    best, as_measured, count = known[place], counts[place][0], max(counts[place])
    digests, size = measured if as_measured == count else stored, best.size
    # Some pictures are the same in several crops: then none is named, unless the set is complete.
    alike = sum(one.name == best.name and max(pair) == count for one, pair in zip(known, counts, strict=True))
    crop = f", {best.version}" if best.version and (alike == 1 or count == size) else ""
    crop += f", cut to multiples of {scale}" if as_measured < count else ""
    if count == len(digests):
        return f"{best.name}, complete{crop}" if count == size else f"{best.name}: {count} of {size} pictures{crop}"
    others, left = [name for name, digest in digests.items() if digest not in best.digests], len(digests) - count
    named = f" ({', '.join(others)})" if 0 < len(others) <= _MAX_NAMED else ""
    if len(digests) == size:
        return f"not the published {best.name}: {left} of {size} pictures differ{named}{crop}"
    return f"{count} of {size} pictures of {best.name}{crop}, and {left} more{named}"


def _read(path: Path) -> Iterator[KnownSet]:
    """The versions of one csv file."""
    form = "a list has the columns picture and sha256, and version where there are several"
    with path.open(newline="", encoding="utf-8") as file:
        try:
            rows = list(csv.DictReader(file))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is damaged: {error}; {form}") from None
    if not rows:
        raise ValueError(f"{path} is empty: {form}")
    versions: dict[str, Counter[str]] = {}
    for line, row in enumerate(rows, 2):
        digest = row.get("sha256") or ""
        if "picture" not in row or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError(f"{path}, line {line}: {digest[:80]!r} is no sha256; {form}")
        versions.setdefault(row.get("version") or "", Counter())[digest] += 1
    return (KnownSet(path.stem, version, digests) for version, digests in versions.items())
