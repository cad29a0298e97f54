"""What ``zoom`` writes beside an enlargement when it is asked to: its certificate, and a map of added detail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoomsr.cli.console import say
from zoomsr.imaging.photo import CropBox
from zoomsr.inference.disk import require_free
from zoomsr.inference.pre_shrink import PreShrink
from zoomsr.inference.targets import Task
from zoomsr.runs.files import short

if TYPE_CHECKING:
    from zoomsr.inference.route import Route


@dataclass(frozen=True)
class Proof:
    """What to write.

    Attributes:
        certificate: whether ``NAME-x2.json`` is.
        map: the file of the map, or None.
    """

    certificate: bool = False
    map: Path | None = None

    def require_one_map(self, tasks: Sequence[Task], *, overwrite: bool) -> None:
        """Raise ValueError where ``map`` is no free file for one photograph's map."""
        if self.map is None:
            return
        if self.map.suffix.lower() != ".png":
            raise ValueError(f"--map {self.map} is no PNG: give FILE.png")
        if len(tasks) > 1:
            raise ValueError(f"--map {self.map} is one file, for {len(tasks)} photographs: give one photograph")
        if self.map.resolve() in {path.resolve() for task in tasks for path in task}:
            raise ValueError(f"--map {self.map} is the photograph itself or its enlargement: give another name")
        require_free(self.map, overwrite=overwrite, option="--map")

    def require(self, task: Task, route: Route, *, pre_shrink: PreShrink, overwrite: bool) -> None:
        """Raise ValueError, before the net runs, where the result will not be one to prove anything of."""
        if not self.certificate and self.map is None:
            return
        from zoomsr.inference.certificate import certificate_of, require_readable  # torch, as the net

        exact = (route.scale * route.source[0], route.scale * route.source[1])
        if route.upscaler is None or route.size != exact or pre_shrink.factor != 1:
            raise ValueError(f"{task.source}: --certify and --map go with a net's whole scale, without --pre-shrink")
        require_readable(route.source, route.scale, task.target)
        if self.certificate:
            require_free(certificate_of(task.target), overwrite=overwrite)

    def write(self, task: Task, route: Route, *, box: CropBox | None, quality: int, overwrite: bool) -> None:
        """Write and say it, once the enlargement is written."""
        from zoomsr.inference.certificate import MAP_RANGE, certificate_of, certify, write_map  # torch, as above

        if self.certificate and route.upscaler is not None:
            largest, mean = certify(*task, route.upscaler, box=box, scale=route.scale, quality=quality)
            error = f"shrunk again it differs by at most {largest:.2f} grey levels, {mean:.3f} on average"
            say({"certificate": f"{short(certificate_of(task.target))}  {error}"})
        if self.map is not None:
            write_map(*task, self.map, box=box, factor=route.scale, overwrite=overwrite)
            say({"map": f"{short(self.map)}  black to white: 0 to {MAP_RANGE:.0f} grey levels of detail over bicubic"})
