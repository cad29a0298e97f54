"""The page in the browser, in Gradio: choose a photograph, click on an area, see every net's enlargement of it.

It asks no other machine for anything, and gives away no file but those that were made for it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware

from zoomsr.cli.console import say
from zoomsr.webapp.events import Page
from zoomsr.webapp.gate import Gate
from zoomsr.webapp.scripts import DISMISS, MOVE_EDGE, SHOW_RESULTS
from zoomsr.webapp.steps import MAX_BYTES, MAX_PIXELS, SCALE, SIDE, Nets

MAX_WAITING = 8
"""Requests in the queue; more are turned away. One is worked on at a time."""

_KEPT_SECONDS = 3600
_VISITORS = 32  # whose last photograph is remembered

_Move = Callable[[str | Path | None], Awaitable[str | None]]


class _Source(NamedTuple):
    photograph: gr.State
    upload: gr.File
    examples: gr.Gallery
    status: gr.HTML


class _Area(NamedTuple):
    picture: gr.Image
    left: gr.Slider
    top: gr.Slider


class _Choice(NamedTuple):
    names: gr.CheckboxGroup
    test: gr.Checkbox
    button: gr.Button
    cancel: gr.Button
    progress: gr.HTML


class _Results(NamedTuple):
    panels: gr.State
    column: gr.Column
    shown: gr.Radio
    slider: gr.HTML
    table: gr.HTML
    row: gr.HTML
    files: gr.File


def build(nets: Nets, *, folder: Path) -> gr.Blocks:
    """The page.

    Args:
        nets: on offer.
        folder: for what is downloaded, inside of Gradio's.
    """
    page = Page(nets, folder)
    with gr.Blocks(title="zoomsr", analytics_enabled=False, delete_cache=(60, _KEPT_SECONDS)) as blocks:
        gr.Markdown("# Digital zoom\nAn area of a photograph, twice as large, by every net.", elem_id="title")
        with gr.Row():
            source, area = _source(page), _area()
        choice, results = _choice(nets), _results()
        _wire(page, source, area, choice, results)
    return blocks


def serve(nets: Nets, *, host: str, port: int, folder: Path) -> None:
    """Open the page, until Ctrl-C.

    Args:
        nets: on offer.
        host: address to listen at.
        port: to listen at.
        folder: Gradio's, see ``zoomsr.demo``; the one whose files can be asked for.

    Raises:
        OSError: the port is taken.
    """
    blocks = build(nets, folder=folder)
    blocks.queue(max_size=MAX_WAITING)
    actions = {number: len(one.inputs) for number, one in blocks.fns.items() if one.fn is not None}
    gate = Middleware(Gate, folder=str(folder), host=host, actions=actions)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        show_error=False,
        share=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=MAX_BYTES,
        max_threads=4,
        state_session_capacity=_VISITORS,
        theme=_theme(),
        css_paths=Path(__file__).with_name("page.css"),
        app_kwargs={"middleware": [gate]},
    )
    say({"page": f"{address}  (Ctrl-C ends it)"})
    try:
        threading.Event().wait()
    finally:
        blocks.close(verbose=False)


def _source(page: Page) -> _Source:
    with gr.Column(scale=2, min_width=300):
        gr.Markdown("## 1. Choose a photograph", elem_classes="step")
        upload = gr.File(label="photograph", show_label=False, file_types=["image"], height=130)
        upload.async_move_resource_to_block_cache = _files_only(upload.async_move_resource_to_block_cache)
        gr.Markdown(f"At most {MAX_BYTES >> 20} MB and {MAX_PIXELS // 10**6} megapixels. Or an example:")
        examples = gr.Gallery(
            [(_thumbnail(path), path.stem) for path in page.examples],
            label="examples",
            show_label=False,
            columns=3,
            height=150,
            allow_preview=False,
            interactive=False,
            buttons=[],
        )
        return _Source(gr.State(time_to_live=_KEPT_SECONDS), upload, examples, gr.HTML())


def _area() -> _Area:
    with gr.Column(scale=3, min_width=300):
        gr.Markdown(f"## 2. Click on an area of {SIDE}x{SIDE} pixels", elem_classes="step")
        picture = gr.Image(label="area", show_label=False, interactive=False, buttons=[], elem_id="area", format="jpeg")
        with gr.Row():  # for those who cannot click, or want a certain pixel
            sliders = [
                gr.Slider(0, 1, step=1, label=name, interactive=False, min_width=140) for name in ("left", "top")
            ]
    return _Area(picture, *sliders)


def _choice(nets: Nets) -> _Choice:
    gr.Markdown("## 3. Choose nets", elem_classes="step")
    names = gr.CheckboxGroup(nets.names, value=nets.chosen, label="nets")
    info = f"makes a {SCALE * SIDE}x{SCALE * SIDE} area smaller first, so that dB and errors are known"
    test = gr.Checkbox(label="test against truth", info=info, interactive=False)
    button = gr.Button("Enlarge", variant="primary")
    with gr.Column(elem_id="working"):  # shown by page.css while Gradio says that the work is pending
        progress, cancel = gr.HTML(elem_id="progress", js_on_load=DISMISS), gr.Button("Cancel", elem_id="cancel")
    return _Choice(names, test, button, cancel, progress)


def _results() -> _Results:
    with gr.Column(visible=False, elem_id="results") as column:
        gr.Markdown("## 4. Compare", elem_classes="step")
        shown, slider, table = gr.Radio([], label="bicubic and"), gr.HTML(js_on_load=MOVE_EDGE), gr.HTML()
        gr.Markdown("**Side by side, 1:1**")
        row, files = gr.HTML(), gr.File(label="download", file_count="multiple", interactive=False, elem_id="files")
    return _Results(gr.State(time_to_live=_KEPT_SECONDS), column, shown, slider, table, row, files)


def _wire(page: Page, source: _Source, area: _Area, choice: _Choice, results: _Results) -> None:
    opening = [source.photograph, *area, choice.test, source.status, results.column]
    corner = [source.photograph, area.left, area.top, choice.test]
    one = {"concurrency_id": "page", "concurrency_limit": 1, "api_visibility": "private"}
    quiet = {**one, "show_progress": "hidden", "trigger_mode": "always_last"}
    source.upload.change(page.open, source.upload, opening, **one)
    source.examples.select(page.example, None, opening, **one)
    area.picture.select(page.click, [source.photograph, choice.test], [*area], **quiet)
    for control in (area.left, area.top, choice.test):
        control.input(page.move, corner, [*area], **quiet)
    results.shown.input(page.compare, [results.panels, results.shown], results.slider, **quiet)
    inputs = [*corner, choice.names]
    work = choice.button.click(page.enlarge, inputs, [*results], show_progress_on=choice.progress, **one)
    work.success(None, js=SHOW_RESULTS)
    choice.cancel.click(None, cancels=work)


def _files_only(move: _Move) -> _Move:
    """Gradio would also fetch an address for the visitor, from this machine."""

    async def checked(file: str | Path | None) -> str | None:
        if file is not None and re.match(r"[a-z]+://", str(file), re.IGNORECASE):
            raise gr.Error("give a file, not an address", print_exception=False)
        return await move(file)

    return checked


def _theme() -> gr.themes.Base:
    """Of fonts that every system has: Gradio's own are fetched from Google."""
    return gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def _thumbnail(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((256, 256))
    return small
