"""The page in the browser, in Gradio: choose a photograph, click on a crop, see it upscaled by every net.

It asks no other machine for anything, and gives away no file but those that were made for it.
"""

from __future__ import annotations

import threading
from pathlib import Path

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware

from zoomsr.cli.console import say
from zoomsr.inference.targets import INPUT_SUFFIXES
from zoomsr.webapp.events import Page
from zoomsr.webapp.gate import Gate
from zoomsr.webapp.opened import MAX_BYTES, MAX_PIXELS, SCALES, SIDE
from zoomsr.webapp.steps import Nets

MAX_WAITING = 8
"""Requests in the queue; more are turned away. One is worked on at a time."""

_KEPT_SECONDS = 3600
_VISITORS = 32  # whose last photograph is remembered

_VIEWER = Path(__file__).with_name("viewer.js").read_text(encoding="utf-8")
# A picture in the clipboard goes to the hidden button, which uploads it; for an HTML that is always there.
_PASTE = """
document.addEventListener("paste", (event) => {
    const picture = [...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"));
    const input = document.querySelector("#paste input");
    if (!picture || !input) return;
    event.preventDefault();
    const files = new DataTransfer();
    files.items.add(picture);
    input.files = files.files;
    input.dispatchEvent(new Event("change", {bubbles: true}));
});
"""
# Messages vanish with the visitor's next action; for an HTML that is always there.
_DISMISS = """
const dismiss = (event) => {
    if (event.target.closest("[data-testid^=toast]")) return;
    document.querySelectorAll("[data-testid=toast-close]").forEach((button) => button.click());
};
["click", "change", "drop"].forEach((kind) => document.addEventListener(kind, dismiss, true));
"""
_SHOW_RESULTS = """() => {
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    requestAnimationFrame(() => document.getElementById("results").scrollIntoView({behavior}));
}"""


def build(nets: Nets, *, folder: Path) -> gr.Blocks:
    """The page.

    Args:
        nets: on offer.
        folder: for what is downloaded, inside of Gradio's.
    """
    page = Page(nets, folder)
    one = {"concurrency_id": "page", "concurrency_limit": 1, "api_visibility": "private"}
    quiet = {**one, "show_progress": "hidden", "trigger_mode": "always_last"}
    with gr.Blocks(title="zoomsr", analytics_enabled=False, delete_cache=(60, _KEPT_SECONDS)) as blocks:
        gr.Markdown("# Digital zoom\nA crop of a photograph, enlarged by every net.", elem_id="title")
        photograph, views = gr.State(time_to_live=_KEPT_SECONDS), gr.State(time_to_live=_KEPT_SECONDS)
        with gr.Row():
            upload, pasted, examples, status, shrink = _source(page)
            picture, left, top = _crop()
        names, scale, strength, test, plan, button, cancel, progress = _choice(nets)
        column, shown, slider, table, row, files = _results()
        crop = [picture, left, top, plan]
        opening = [photograph, *crop, test, shrink, status, column]
        corner = [photograph, left, top, test, scale]
        opened = [chosen(page.open, upload, opening, **one) for chosen in (upload.upload, upload.clear)]
        opened.append(pasted.upload(page.paste, pasted, [*opening, upload], **one))
        opened.append(examples.select(page.example, None, [*opening, upload], **one))
        opened.append(shrink.input(page.shrink, [*corner, shrink], [photograph, *crop, test], **quiet))
        picture.select(page.click, [photograph, test, scale], crop, **quiet)
        moved = [control.input(page.move, corner, crop, **quiet) for control in (left, top, scale, test)]
        for event in (*opened, moved[-1]):
            event.then(page.choose, [photograph, test, names], names, **quiet)
        shown.input(page.compare, [views, shown], slider, **quiet)
        results = [views, column, shown, slider, table, row, files]
        work = button.click(page.upscale, [*corner, names, strength], results, show_progress_on=progress, **one)
        work.success(None, js=_SHOW_RESULTS)
        cancel.click(None, cancels=work)
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
        # Of fonts that every system has: Gradio's own are fetched from Google.
        theme=gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css_paths=[Path(__file__).with_name(name) for name in ("page.css", "compare.css")],
        app_kwargs={"middleware": [gate]},
    )
    say({"page": f"{address}  (Ctrl-C ends it)"})
    try:
        threading.Event().wait()
    finally:
        blocks.close(verbose=False)


def _source(page: Page) -> tuple[gr.File, gr.UploadButton, gr.Gallery, gr.HTML, gr.Checkbox]:
    with gr.Column(scale=2, min_width=300):
        gr.Markdown("## 1. Choose a photograph", elem_classes="step")
        kinds = ["image", *sorted(INPUT_SUFFIXES)]
        upload = gr.File(label="photograph", show_label=False, file_types=kinds, height=130)
        with gr.Column(elem_id="paste"):  # never shown
            pasted = gr.UploadButton()
        most = f"At most {MAX_BYTES >> 20} MB, {MAX_PIXELS // 10**6} megapixels"
        gr.Markdown(f"Or paste it (Ctrl+V). {most}.<br>Or an example:")
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
        status = gr.HTML(js_on_load=_PASTE)
        info = "it is larger than its detail; the net then adds detail where there is room for it"
        return upload, pasted, examples, status, gr.Checkbox(label="shrink first", info=info, visible=False)


def _crop() -> tuple[gr.Image, gr.Slider, gr.Slider]:
    with gr.Column(scale=3, min_width=300):
        gr.Markdown(f"## 2. Click on a crop of {SIDE}x{SIDE} pixels", elem_classes="step")
        picture = gr.Image(label="crop", show_label=False, interactive=False, buttons=[], elem_id="crop", format="jpeg")
        with gr.Row():  # for those who cannot click, or want a certain pixel
            left, top = (
                gr.Slider(0, 1, step=1, label=name, interactive=False, min_width=140) for name in ("left", "top")
            )
    return picture, left, top


def _choice(
    nets: Nets,
) -> tuple[gr.CheckboxGroup, gr.Radio, gr.Slider, gr.Checkbox, gr.HTML, gr.Button, gr.Button, gr.HTML]:
    gr.Markdown("## 3. Choose nets", elem_classes="step")
    names = gr.CheckboxGroup(nets.names, value=nets.chosen, label="nets")
    with gr.Row():
        scale = gr.Radio([(f"x{scale}", scale) for scale in SCALES], value=SCALES[0], label="scale", min_width=240)
        strength = gr.Slider(0, 1, 1, step=0.05, label="strength", info="0 is bicubic, 1 the net", min_width=240)
    info = "takes a larger crop and shrinks it first, so that dB and errors are known"
    test = gr.Checkbox(label="test against ground truth", info=info, interactive=False)
    plan, button = gr.HTML(elem_id="plan"), gr.Button("Enlarge", variant="primary")
    with gr.Column(elem_id="working"):  # shown by page.css while Gradio says that the work is pending
        progress, cancel = gr.HTML(elem_id="progress", js_on_load=_DISMISS), gr.Button("Cancel", elem_id="cancel")
    return names, scale, strength, test, plan, button, cancel, progress


def _results() -> tuple[gr.Column, gr.Radio, gr.HTML, gr.HTML, gr.HTML, gr.File]:
    with gr.Column(visible=False, elem_id="results") as column:
        gr.Markdown("## 4. Compare", elem_classes="step")
        shown, slider, table = gr.Radio([], label="bicubic and"), gr.HTML(js_on_load=_VIEWER), gr.HTML()
        gr.Markdown("**Side by side, 1:1**")
        row, files = gr.HTML(), gr.File(label="download", file_count="multiple", interactive=False, elem_id="files")
    return column, shown, slider, table, row, files


def _thumbnail(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((256, 256))
    return small
