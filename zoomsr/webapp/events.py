"""The steps of the page as Gradio calls them. A visitor's mistake becomes one line on the page."""

from __future__ import annotations

import html
import re
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any, cast

import gradio as gr
from torch import nn

from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.inference.certificate import certificate_of, certify
from zoomsr.inference.choice import CLEAN_NET, JPEG_NET
from zoomsr.inference.upscaler import Upscaler
from zoomsr.webapp import steps
from zoomsr.webapp.opened import SCALES, SIDE, Opened, opened
from zoomsr.webapp.results import View, found, numbers, side_by_side, under_slider
from zoomsr.webapp.steps import Nets, Upscaled
from zoomsr.webapp.work import cancellable, in_thread

_QUALITY = 95  # of JPEG and WebP, as in ``zoom``; the page writes PNG


class Page:
    """Each method is a step; what it returns goes to the outputs that ``zoomsr.webapp.blocks`` names.

    Args:
        nets: on offer.
        folder: for what is downloaded.
    """

    def __init__(self, nets: Nets, folder: Path) -> None:
        self.nets = nets
        self.folder = folder
        self.examples = [photo.path for photo in sample().val]

    def open(self, path: str | None) -> list[Any]:
        """A photograph that was dropped."""
        return self._open(None if path is None else Path(path))

    def paste(self, path: str) -> list[Any]:
        """A photograph from the clipboard; none is shown as dropped any more."""
        return [*self._open(Path(path)), None]

    def example(self, event: gr.SelectData) -> list[Any]:
        """One of the examples; likewise."""
        return [*self._open(self.examples[int(event.index)]), None]

    def click(self, photograph: Opened | None, test: bool, scale: int, event: gr.SelectData) -> list[Any]:
        """The crop around a click."""
        if photograph is None:
            return [gr.skip()] * 4
        x, y = steps.at_click(photograph, *event.index)
        side = _side(photograph, test, scale)
        return self.move(photograph, x - side / 2, y - side / 2, test, scale)

    def move(self, photograph: Opened | None, left: float, top: float, test: bool, scale: int) -> list[Any]:
        """The crop with another corner, or of another size, and what will be made of it."""
        if photograph is None:
            return [gr.skip()] * 4
        box = _box(photograph, left, top, test, scale)
        height, width = photograph.size
        corner = [
            gr.Slider(maximum=max(1, most), value=value, interactive=most > 0)
            for most, value in ((width - box.width, box.left), (height - box.height, box.top))
        ]
        return [steps.framed(photograph, box), *corner, _plan(photograph, box, test, scale)]

    def shrink(
        self, photograph: Opened | None, left: float, top: float, test: bool, scale: int, is_wanted: bool
    ) -> list[Any]:
        """The photograph shrunk by as much as loses nothing, or as it is; the crop keeps its middle."""
        if photograph is None:
            return [gr.skip()] * 6
        smaller = photograph.shrunk_by((photograph.findings.soft or 1.0) if is_wanted else 1.0)
        test = test and smaller.has_truth
        ratio, half = photograph.factor / smaller.factor, _side(photograph, test, scale) / 2
        x, y = ((corner + half) * ratio - _side(smaller, test, scale) / 2 for corner in (left, top))
        kept = gr.Checkbox(value=test, interactive=smaller.has_truth)
        return [smaller, *self.move(smaller, x, y, test, scale), kept]

    def choose(self, photograph: Opened | None, test: bool, names: list[str]) -> Any:
        """The nets, with the one that suits the photograph in place of the other, unless the visitor wants neither."""
        if photograph is None:
            return gr.CheckboxGroup(info="")
        compression = photograph.compression(is_shrunk=test)
        if compression.net not in self.nets.names or not {CLEAN_NET, JPEG_NET} & {*names}:
            return gr.CheckboxGroup(info="")
        wanted = {*names} - {CLEAN_NET, JPEG_NET} | {compression.net}
        why = f"{compression.net} was chosen for this photograph: {compression.evidence}"
        return gr.CheckboxGroup(value=[name for name in self.nets.names if name in wanted], info=why)

    async def upscale(
        self,
        photograph: Opened | None,
        left: float,
        top: float,
        test: bool,
        scale: int,
        names: list[str],
        strength: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio learns that the function wants one
    ) -> list[Any]:
        """The crop by every net that is chosen."""
        try:
            if photograph is None or not names:
                raise ValueError("choose a photograph first" if photograph is None else "choose at least one net")
            quality = photograph.compression(is_shrunk=test).quality
            open_net = partial(self.nets.open, scale=scale, quality=quality, strength=strength)
            chosen = [open_net(name) for name in self.nets.names if name in {"bicubic", *names}]
            box = _box(photograph, left, top, test, scale)
            return await in_thread(partial(self._upscale, photograph, box, test, scale, chosen, progress))
        except ValueError as error:
            text = html.escape(" ".join(str(error).split()))
            raise gr.Error(text, duration=20, print_exception=False) from None

    def compare(self, views: list[View] | None, name: str) -> str:
        """Bicubic and another under the slider; bicubic alone goes with the crop as it is. None: forgotten by now."""
        by_name = {view.name: view for view in views or ()}
        before = "nearest" if name == "bicubic" else "bicubic"
        return under_slider(by_name[before], by_name[name]) if name in by_name else ""

    def _upscale(
        self,
        photograph: Opened,
        box: CropBox,
        test: bool,
        scale: int,
        nets: list[Upscaler],
        progress: gr.Progress,
        cancelled: threading.Event,
    ) -> list[Any]:
        whole = photograph.read()
        lr, hr = steps.with_ground_truth(whole, box, scale) if test else (whole.cropped(box), None)
        results: list[Upscaled] = []
        for number, net in enumerate(nets):
            progress((number, len(nets)), desc=net.name, unit="nets")
            with cancellable(cast(nn.Module, net.net), cancelled):
                results.append(steps.upscaled(lr, net, scale))
        scores = [] if hr is None else [steps.score(one.photograph, hr, scale) for one in results]
        captions = [f"{score.psnr_y:.2f} dB" for score in scores] or [""] * len(results)
        views = [View.of("nearest", steps.nearest(lr, scale), hr=hr)]
        for one, caption in zip(results, captions, strict=True):
            views.append(View.of_net(one, caption=caption, hr=hr))
        if hr is not None:
            views.append(View.of("ground truth", hr))
        kept = [self._kept(f"{one.name}-{photograph.path.stem}-x{scale}.png", one.photograph) for one in results]
        is_in_file = hr is None and photograph.factor == 1
        certificates = self._certified(photograph, box, scale, nets, kept) if is_in_file else []
        shown = [view.name for view in views if view.name not in ("nearest", "bicubic")] or ["bicubic"]
        return [
            views,
            gr.Column(visible=True),
            gr.Radio(choices=shown, value=shown[0], visible=len(shown) > 1),
            self.compare(views, shown[0]),
            numbers(results, scores, scale),
            side_by_side(views),
            [str(path) for path in (*kept, *certificates)],
        ]

    def _certified(
        self, photograph: Opened, box: CropBox, scale: int, nets: list[Upscaler], kept: list[Path]
    ) -> list[Path]:
        """A certificate beside each result; of bicubic there is nothing to prove."""
        proven = [(path, net) for path, net in zip(kept, nets, strict=True) if net.weights is not None]
        for path, net in proven:
            certify(photograph.path, path, net, box=box, scale=scale, quality=_QUALITY)
        return [certificate_of(path) for path, _ in proven]

    def _open(self, path: Path | None) -> list[Any]:
        nothing = [None, None, gr.skip(), gr.skip(), "", gr.skip(), gr.Checkbox(visible=False)]
        if path is None:
            return [*nothing, "", gr.skip()]
        try:
            photograph = opened(path)
        except ValueError as error:
            return [*nothing, f'<span role="alert">{html.escape(str(error))}</span>', gr.Column(visible=False)]
        height, width = photograph.size
        crop = self.move(photograph, (width - SIDE) / 2, (height - SIDE) / 2, False, SCALES[0])
        test = gr.Checkbox(value=False, interactive=photograph.has_truth)
        soft = photograph.findings.soft or 1.0
        shrink = gr.Checkbox(value=False, visible=soft > 1, label=f"shrink by {soft:g} first")
        return [photograph, *crop, test, shrink, found(photograph), gr.Column(visible=False)]

    def _kept(self, name: str, result: Photograph) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.folder)) / re.sub(r"[^\w.-]+", "-", name)
        result.write(path)
        return path


def _box(photograph: Opened, left: float, top: float, test: bool, scale: int) -> CropBox:
    side = _side(photograph, test, scale)
    return steps.snapped(left, top, size=photograph.size, side=side, grid=scale if test else 1)


def _plan(photograph: Opened, box: CropBox, test: bool, scale: int) -> str:
    """What will be done: ``512x512 pixels, shrunk to 256x256, become 512x512``."""
    before = _times(box, photograph.factor)
    lr = box if not test else CropBox(0, 0, box.width // scale, box.height // scale)
    shrinking = "" if before == _times(lr, 1) else f", shrunk to {_times(lr, 1)},"
    return f"{before} pixels{shrinking} become {_times(lr, scale)}"


def _times(box: CropBox, factor: float) -> str:
    return f"{round(box.width * factor)}x{round(box.height * factor)}"


def _side(photograph: Opened, test: bool, scale: int) -> int:
    """Of the crop; one that is made smaller first is a multiple of the scale, also in a small photograph."""
    return scale * min(SIDE, min(photograph.size) // scale) if test else SIDE
