"""Whether scores may be compared: the same images, the same degradation, the same protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoomsr.report.entries import BICUBIC, Entry, read_entries

ScoresByImage = Mapping[str, Mapping[str, float]]
"""Image to its metrics."""

_TOLERANCE = 0.01
"""dB by which bicubic's scores may differ: processors round differently."""


@dataclass(frozen=True)
class MeasuredSet:
    """A set of images as one metrics.json measured it.

    Attributes:
        name: of the set.
        degradation: that made lr.
        scale: by which lr is smaller.
        protocols: name to what it rounds.
        bicubic: protocol to bicubic's scores.
        recognised: which published set it is, in words; empty where no evaluation has said it.
    """

    name: str
    degradation: str
    scale: int
    protocols: Mapping[str, Mapping[str, Any]]
    bicubic: Mapping[str, ScoresByImage]
    recognised: str = ""

    def difference(self, other: MeasuredSet) -> str | None:
        """The first thing that makes scores incomparable, or None."""
        for what in ("scale", "degradation"):
            if (mine := getattr(self, what)) != (theirs := getattr(other, what)):
                return f"{what} {mine} and {theirs}"
        for protocol in self.protocols.keys() & other.protocols.keys():
            if self.protocols[protocol] != other.protocols[protocol]:
                return f"protocol {protocol} {_flags(self.protocols[protocol])} and {_flags(other.protocols[protocol])}"
        for protocol in self.bicubic.keys() & other.bicubic.keys():
            if found := _other_images(self.bicubic[protocol], other.bicubic[protocol]):
                return f"{self.name}: {found}"
        return None


def sets_of(results: Mapping[str, Any]) -> list[MeasuredSet]:
    """The sets of a metrics.json."""
    return [
        MeasuredSet(
            name=name,
            degradation=results["degradation"],
            scale=results["scale"],
            protocols={protocol: results["protocols"][protocol] for protocol in nets[BICUBIC]},
            bicubic={protocol: scores["images"] for protocol, scores in nets[BICUBIC].items()},
            recognised=results["data"].get("recognised", {}).get(name, ""),
        )
        for name, nets in results["sets"].items()
    ]


def read_comparable(paths: Sequence[Path], *, mixed: bool) -> list[Entry]:
    """Read runs, folders of runs, sweeps and evaluations that can be compared.

    Args:
        paths: of them.
        mixed: whether sets that differ, or were measured differently, may have tables of their own.

    Raises:
        ValueError: nothing to compare, or runs that cannot be compared.
    """
    entries = read_entries(paths)
    if all(entry.results is None and not entry.epochs for entry in entries):
        raise ValueError(f"no run has metrics yet: {', '.join(str(entry.place) for entry in entries)}")
    if not mixed:
        require_alike(entries)
    return entries


def require_alike(entries: Sequence[Entry]) -> None:
    """Compare everything that has scores with the first.

    Raises:
        ValueError: two that were not measured alike; it names both, and what differs.
    """
    scored = [(entry.place, entry.results) for entry in entries if entry.results is not None]
    for place, results in scored[1:]:
        if found := _difference(scored[0][1], results):
            advice = "--mixed reports each set in a table of its own"
            raise ValueError(f"{scored[0][0]} and {place} were not measured alike: {found}; {advice}")


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    if one["sets"].keys() != other["sets"].keys():
        return f"sets {', '.join(one['sets'])} and {', '.join(other['sets'])}"
    theirs = {measured.name: measured for measured in sets_of(other)}
    for measured in sets_of(one):
        if found := measured.difference(theirs[measured.name]):
            return found
    if one["protocols"].keys() != other["protocols"].keys():
        return f"protocols {', '.join(one['protocols'])} and {', '.join(other['protocols'])}"
    if one["data"]["hash"] != other["data"]["hash"]:
        hashes = f"{one['data']['hash'][:12]} and {other['data']['hash'][:12]}"
        return f"data hash {hashes}, of the training and validation images"
    return None


def _other_images(mine: ScoresByImage, theirs: ScoresByImage) -> str | None:
    if mine.keys() != theirs.keys():
        (name, *_) = sorted(mine.keys() ^ theirs.keys())
        return f"{len(mine)} and {len(theirs)} images, {name} in one of them alone"
    for image, row in mine.items():
        if abs(row["psnr_y"] - theirs[image]["psnr_y"]) > _TOLERANCE:
            return f"bicubic on {image} {row['psnr_y']:.2f} dB and {theirs[image]['psnr_y']:.2f} dB"
    return None


def _flags(protocol: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in protocol.items() if key != "name")
