"""The recipe of ``zoomsr.prepare div2k``: fetch, check, unpack and pack what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoomsr.cli.console import decimal, say
from zoomsr.cli.progress import download_bar, progress_bar
from zoomsr.data.div2k.archives import DIV2K, Archive, check, unpack
from zoomsr.data.div2k.download import fetch
from zoomsr.data.packed.inventory import HR_INDEX
from zoomsr.data.packed.packing import Photo, lr_index, open_pairs, pack_photos
from zoomsr.data.sources.photographs import TRAIN, VAL, Photographs, div2k
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
        path = self._zip(archive)
        with progress_bar() as progress:
            task = progress.add_task(f"unpacking {archive.name}", total=len(archive.members))
            unpack(path, archive, self.root, progress=lambda done: progress.update(task, completed=done))
        return self.root

    def _zip(self, archive: Archive) -> Path:
        if self.offline is None:
            say({"fetching": f"{archive.name}, {decimal(archive.size)}, into {self.root}"})
            with download_bar() as progress:
                task = progress.add_task(archive.name, total=archive.size)
                return fetch(
                    archive,
                    self.root,
                    mirrors=self.mirrors,
                    progress=lambda done: progress.update(task, completed=done),
                )
        path = self.offline / archive.name
        if not path.is_file():
            inside = Path(archive.members[0]).parent
            raise ValueError(f"{self.offline} holds neither {archive.name} nor all of {inside}/")
        check(path, archive)
        return path
