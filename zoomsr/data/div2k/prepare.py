"""The recipe of ``zoomsr.prepare div2k``: fetch, check, unpack and pack what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoomsr.data.div2k.archives import DIV2K
from zoomsr.data.packed.inventory import HR_INDEX
from zoomsr.data.packed.packing import Photo, lr_index, open_pairs, pack_photos
from zoomsr.data.sources.photographs import TRAIN, VAL, Photographs, div2k
from zoomsr.downloads.archives import Archive, check, unpack
from zoomsr.downloads.http import fetch
from zoomsr.imaging.degradations import Bicubic


@dataclass(frozen=True)
class Preparation:
    """DIV2K in ``root``; steps that are done are not repeated.

    Attributes:
        root: gets the zips, their photographs, and ``packed/``.
        scale: of lr.
        hr_only: leave the published lr alone: our own bicubic makes the same pixels, a gigabyte less to fetch.
        offline: a folder with zips, or with their unpacked folders, instead of the network.
        mirrors: addresses of folders with the zips, tried in turn.
    """

    root: Path
    scale: int
    hr_only: bool
    offline: Path | None
    mirrors: Sequence[str]

    def run(self) -> Photographs:
        """Fetch, check, unpack and pack.

        Raises:
            ValueError: what stopped it, and what to do; a second run resumes from there.
        """
        degradation = Bicubic(self.scale)
        for split in (TRAIN, VAL):
            packed = self.root / "packed" / split
            if not (packed / HR_INDEX).is_file():
                open_pairs(self._photos(split, scale=1), folder=packed)
            index = lr_index(packed, degradation)
            if not self.hr_only and index is not None and not index.is_file():
                pack_photos(self._photos(split, scale=self.scale), index, degradation=degradation)
            open_pairs((), folder=packed, degradation=degradation)
        return div2k(str(self.root))

    def _photos(self, split: str, *, scale: int) -> list[Photo]:
        """The files of one archive, fetched and unpacked where they are missing, under the names of their hr."""
        archive = DIV2K[split, scale]
        folder = self._folder(archive)
        paths = [folder / member for member in archive.members]
        return [Photo(path.stem.removesuffix(f"x{scale}"), path) for path in paths]

    def _folder(self, archive: Archive) -> Path:
        """Where the archive's members lie."""
        folders = [self.root] if self.offline is None else [self.root, self.offline]
        for folder in folders:
            if all((folder / member).is_file() for member in archive.members):
                return folder
        unpack(self._zip(archive), archive, self.root)
        return self.root

    def _zip(self, archive: Archive) -> Path:
        path = (self.offline or self.root) / archive.name
        if path.is_file():
            check(path, archive)
        elif self.offline is None:
            urls = [f"{mirror.rstrip('/')}/{archive.name}" for mirror in self.mirrors]
            ways = "--mirror URL or --offline DIR"
            fetch(path, urls, sha256=archive.sha256, size=archive.size, other_ways=ways, attempts=5)
        else:
            inside = Path(archive.members[0]).parent
            raise ValueError(f"{self.offline} holds neither {archive.name} nor all of {inside}/")
        return path
