"""What happens on the page, step by step, as Gradio calls it."""

from __future__ import annotations

import html
import re
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any, cast

import gradio as gr
from PIL import Image
from torch import nn

from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.inference.upscaler import Upscaler
from zoomsr.webapp import results as html_of
from zoomsr.webapp import steps
from zoomsr.webapp.results import Panel, data_address
from zoomsr.webapp.steps import SCALE, SIDE, Nets, Opened, Upscaled
from zoomsr.webapp.work import cancellable, in_thread

_BASELINES = ("nearest", "bicubic")


class Page:
    """What happens on the page, each step as Gradio calls it. Mistakes become a line on the page.

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

    def example(self, event: gr.SelectData) -> list[Any]:
        """One of the examples."""
        return self._open(self.examples[int(event.index)])

    def click(self, photograph: Opened | None, test: bool, event: gr.SelectData) -> list[Any]:
        """The area around a click."""
        if photograph is None:
            return [gr.skip()] * 3
        x, y = steps.at_click(photograph, *event.index)
        side = _side(test)
        return self._area(photograph, x - side / 2, y - side / 2, test)

    def move(self, photograph: Opened | None, left: float, top: float, test: bool) -> list[Any]:
        """The area with another corner, or of another size."""
        return [gr.skip()] * 3 if photograph is None else self._area(photograph, left, top, test)

    async def enlarge(
        self,
        photograph: Opened | None,
        left: float,
        top: float,
        test: bool,
        names: list[str],
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio learns that the function wants one
    ) -> list[Any]:
        """The area by every net that is chosen."""
        if photograph is None:
            raise _mistake("choose a photograph first")
        if not names:
            raise _mistake("choose at least one net")
        try:
            chosen = [self.nets.open(name) for name in self.nets.names if name in {"bicubic", *names}]
            box = _box(photograph, left, top, test)
            return await in_thread(partial(self._enlarge, photograph, box, test, chosen, progress))
        except ValueError as error:
            raise _mistake(error) from None

    def _enlarge(
        self,
        photograph: Opened,
        box: CropBox,
        test: bool,
        nets: list[Upscaler],
        progress: gr.Progress,
        cancelled: threading.Event,
    ) -> list[Any]:
        whole = photograph.read()
        area, truth = steps.with_ground_truth(whole, box) if test else (whole.cropped(box), None)
        results: list[Upscaled] = []
        for number, net in enumerate(nets):
            progress((number, len(nets)), desc=net.name, unit="nets")
            with cancellable(cast(nn.Module, net.net), cancelled):
                results += steps.upscaled(area, [net])
        files = [self._kept(photograph.path.stem, one) for one in results]
        scores = [] if truth is None else [steps.score(one.photograph, truth) for one in results]
        captions = [f"{value.psnr_y:.2f} dB" for value in scores] or [""] * len(results)
        panels = [_panel("nearest", steps.nearest(area), truth=truth)]
        panels += [
            _panel(one.name, one.photograph, caption=caption, truth=truth)
            for one, caption in zip(results, captions, strict=True)
        ]
        if truth is not None:
            panels.append(_panel("truth", truth))
        shown = [panel.name for panel in panels if panel.name not in ("nearest", "bicubic")] or ["bicubic"]
        return [
            panels,
            gr.Column(visible=True),
            gr.Radio(choices=shown, value=shown[0], visible=len(shown) > 1),
            self.compare(panels, shown[0]),
            html_of.numbers(results, scores),
            html_of.side_by_side(panels),
            files,
        ]

    def compare(self, panels: list[Panel], name: str) -> str:
        """Bicubic and another under the slider; bicubic alone goes with the area as it is."""
        by_name = {panel.name: panel for panel in panels}
        before = _BASELINES[name != "bicubic"]
        return html_of.under_slider(by_name[before], by_name[name]) if name in by_name else ""

    def _open(self, path: Path | None) -> list[Any]:
        if path is None:
            return [None, None, gr.skip(), gr.skip(), gr.skip(), "", gr.skip()]
        try:
            photograph = steps.opened(path)
        except ValueError as error:
            status = f'<span role="alert">{html.escape(str(error))}</span>'
            return [None, None, gr.skip(), gr.skip(), gr.skip(), status, gr.Column(visible=False)]
        height, width = photograph.size
        picture, left, top = self._area(photograph, (width - SIDE) / 2, (height - SIDE) / 2, False)
        test = gr.Checkbox(value=False, interactive=photograph.has_truth)
        status = ", ".join([f"<b>{html.escape(path.name)}</b>: {width}x{height} pixels", *photograph.notes])
        return [photograph, picture, left, top, test, status, gr.Column(visible=False)]

    def _area(self, photograph: Opened, left: float, top: float, test: bool) -> list[Any]:
        box = _box(photograph, left, top, test)
        height, width = photograph.size
        corner = [
            gr.Slider(maximum=max(1, most), value=value, interactive=most > 0)
            for most, value in ((width - box.width, box.left), (height - box.height, box.top))
        ]
        return [steps.framed(photograph, box), *corner]

    def _kept(self, stem: str, result: Upscaled) -> str:
        name = re.sub(r"[^\w.-]+", "-", f"{result.name}-{stem}-x{SCALE}.png")
        path = Path(tempfile.mkdtemp(dir=self.folder)) / name
        result.photograph.write(path)
        return str(path)


def _side(test: bool) -> int:
    return SCALE * SIDE if test else SIDE


def _box(photograph: Opened, left: float, top: float, test: bool) -> CropBox:
    return steps.snapped(left, top, size=photograph.size, side=_side(test), grid=SCALE if test else 1)


def _panel(name: str, shown: Photograph, *, caption: str = "", truth: Photograph | None = None) -> Panel:
    height, width = shown.size
    error = None if truth is None else data_address(Image.fromarray(steps.error_map(shown, truth)))
    return Panel(name, data_address(shown.picture()), width, height, f"{width}x{height} {caption}".strip(), error)


def _mistake(message: object) -> gr.Error:
    """Of the visitor: told in one line, and the page stays as it is."""
    text = html.escape(" ".join(str(message).split()))
    return gr.Error(text, duration=20, print_exception=False)
