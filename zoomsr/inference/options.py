"""Options of ``zoomsr.zoom``, and what follows from them before a photograph is read; torch is not imported for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import CropBox
from zoomsr.inference.choice import JPEG_NET, Compression, OpenAt, open_for
from zoomsr.inference.disk import require_folder
from zoomsr.inference.pre_shrink import PreShrink
from zoomsr.inference.proof import Proof
from zoomsr.inference.route import OpenNet
from zoomsr.inference.sizes import OutputSize
from zoomsr.inference.targets import Task, plan
from zoomsr.pretrained.names import existing_weights, scale_on_card

if TYPE_CHECKING:
    from zoomsr.inference.upscaler import NetOptions, Upscaler


@dataclass(frozen=True)
class Options:
    """Options of the command line, see ``zoomsr.zoom``.

    Attributes:
        models: names of nets; none for the choice by each photograph's compression.
        how: says how nets are run, when the first one is opened.
        box: crop in pixels of the upright picture; None for all of it.
        size: of the enlargement; None for the net's own scale.
        out: file or folder; None for a name beside the photograph.
        quality: of the written file, 1 to 100, where its format loses any.
        overwrite: replace files that are there.
        skip_existing: leave photographs out whose enlargement is there.
        suffix: format of the written files; None for that of ``out``, or PNG.
        pre_shrink: by how much photographs are shrunk first.
        proof: what is written beside the enlargement of how faithful it is.
        quality_in: JPEG quality that the photographs have, 1 to 100, which is never compressed; None to find it.

    Raises:
        ValueError: existing files are to be both skipped and replaced.
    """

    models: Sequence[str]
    how: Callable[[], NetOptions]
    box: CropBox | None
    size: OutputSize | None
    out: str | None
    quality: int
    overwrite: bool
    skip_existing: bool = False
    suffix: str | None = None
    pre_shrink: PreShrink = field(default_factory=PreShrink)
    proof: Proof = field(default_factory=Proof)
    quality_in: float | None = None

    def __post_init__(self) -> None:
        if self.skip_existing and self.overwrite:
            raise ValueError("--skip-existing and --overwrite contradict each other: give one of them")

    def require_one_net(self, why: str) -> None:
        """Raise ValueError where several nets are named."""
        if len(self.models) > 1:
            raise ValueError(f"--model {' --model '.join(self.models)}: {why}")

    @property
    def whole_scale(self) -> int | None:
        """The scale of a comparison; None for the nets' own.

        Raises:
            ValueError: another size was asked for.
        """
        if self.size is not None and self.size.ending != f"-x{self.size.net_scale}":
            raise ValueError("--compare takes a whole --scale of at least 2, and no other size")
        return None if self.size is None else self.size.net_scale

    def plan(self, patterns: Sequence[str]) -> list[Task]:
        """Which photographs, and the file of each, see ``zoomsr.inference.targets.plan``.

        The nets that are named are looked for first, and one is opened only where nothing else tells its scale.
        """
        self._require_weights()
        return plan(patterns, self.out, ending=self._ending, suffix=self.suffix)

    def plan_comparison(self, patterns: Sequence[str]) -> Task:
        """The one photograph of a comparison, and its file.

        Raises:
            ValueError: several photographs, a size that is no whole scale, or a file that is there already.
        """
        if self.skip_existing:
            raise ValueError("--skip-existing does not go with --compare")
        _ = self.whole_scale
        self._require_weights()
        tasks = plan(patterns, self.out, ending=lambda: "-compared", suffix=self.suffix)
        if len(tasks) > 1:
            raise ValueError(f"--compare takes one photograph, not {len(tasks)}")
        self.require_free(tasks[0].target)
        return tasks[0]

    def _require_weights(self) -> None:
        for model in self.models:
            existing_weights(model, None if self.size is None else self.size.net_scale)

    def _ending(self) -> str:
        if self.size is not None:
            return self.size.ending
        scale = scale_on_card(self.models[0] if self.models else self._unseen.net)
        return f"-x{self.first_net().net.scale if scale is None else scale}"

    @property
    def _unseen(self) -> Compression:
        """Of photographs that are not read yet."""
        return Compression.told(NEVER_COMPRESSED if self.quality_in is None else self.quality_in)

    def compression(self, find: Callable[[], Compression], *, is_shrunk: bool) -> Compression:
        """Of a photograph, or as the user says; one that was shrunk first is as good as never compressed.

        Args:
            find: looks into the file, where nothing else says it.
            is_shrunk: whether the photograph was made smaller first.
        """
        if self.quality_in is not None:
            return Compression.told(self.quality_in)
        return Compression(NEVER_COMPRESSED, "shrunk first") if is_shrunk else find()

    @cached_property
    def open(self) -> OpenAt:
        """Opens a net by name for a scale and a JPEG quality, once."""
        from zoomsr.inference.upscaler import Upscaler  # torch

        how = self.how()
        return cache(lambda name, scale, quality: Upscaler.open(name, scale, how, quality=quality))

    def opener(self, compression: Compression) -> OpenNet:
        """Opens the nets for a photograph by scale."""
        model = self.models[0] if self.models else None
        return lambda scale: open_for(compression, self.open, model=model, scale=scale)

    def first_net(self) -> Upscaler:
        """The net for pictures that were never compressed, or the one that is named.

        Raises:
            ValueError: there is none, or ``quality_in`` is for one that is told none.
        """
        upscaler = self.opener(self._unseen)(None if self.size is None else self.size.net_scale)
        if self.quality_in is not None and self.models and upscaler.quality is None:
            raise ValueError(
                f"{upscaler.name} is told no JPEG quality: --quality-in goes with -m {JPEG_NET}, or without -m"
            )
        return upscaler

    def require_free(self, target: Path) -> None:
        """Raise ValueError where the target cannot be written, or exists and must not be replaced."""
        require_folder(target)
        if target.exists() and not self.overwrite:
            raise ValueError(f"{target} is there already: --overwrite replaces it, --skip-existing leaves it")


def parse_box(text: str) -> CropBox:
    """``X,Y,W,H`` in pixels.

    Raises:
        ValueError: not four whole numbers.
    """
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError:
        raise ValueError(f"--box {text} is not X,Y,W,H, four whole numbers of pixels") from None
    return CropBox(left, top, width, height)
