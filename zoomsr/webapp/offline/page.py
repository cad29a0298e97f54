"""The page as one file: its parts put together, and the net beside them."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from torch import nn

from zoomsr import __version__
from zoomsr.cli.console import say
from zoomsr.inference.export import built, facts_of
from zoomsr.inference.export_options import ExportOptions, Form
from zoomsr.inference.onnx_file import onnx_file
from zoomsr.inference.upscaler import NetOptions
from zoomsr.models import Net
from zoomsr.models.back_projection import ConvolvedBackProjection
from zoomsr.models.bicubic import Bicubic
from zoomsr.pretrained.names import weights_file
from zoomsr.runs.files import atomic_write, short
from zoomsr.webapp.offline.runtime import VERSION, WebRuntime
from zoomsr.webapp.results import View, under_slider

_HERE = Path(__file__).parent
_PROMISES = {
    "pixels": "8 bit, sRGB; other colour spaces are converted, 16 bit cut to 8, transparent parts put on white.",
    "metadata": "a photograph is turned upright as its EXIF says; the PNG has no metadata.",
    "privacy": "the page's content security policy forbids every connection; it works without a network.",
}


def write_page(model: str, out: Path, options: ExportOptions, *, overwrite: bool) -> None:
    """Write the page, of the net as ``zoomsr.zoom`` runs it: with back-projection, in the same tiles.

    Raises:
        ValueError: see ``zoomsr.inference.export.write`` and ``WebRuntime.find``.
    """
    options.require_ready(model, out, overwrite=overwrite)
    runtime = WebRuntime.find(options.runtime)
    content = page(model, options, runtime)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as file:
        file.write(content.encode())
    say({"exported": f"{short(out)}  {out.stat().st_size / 1e6:.1f} MB; it needs no network and no other file"})


def page(model: str, options: ExportOptions, runtime: WebRuntime) -> str:
    """The page's HTML.

    Args:
        model: a net's name or file.
        options: its JPEG quality and form.
        runtime: that runs it.

    Raises:
        ValueError: a net that cannot be exported, or gives other pixels then.
    """
    net, facts = _as_zoom_runs_it(model, options), facts_of(weights_file(model), options)
    graph = onnx_file(cast(nn.Module, net), Form(half=options.form.half, uint8=True), facts)
    bicubic = onnx_file(Bicubic(net.scale), Form(uint8=True), {})
    own = {name: _text(name) for name in ("tiles.js", "page.js", "worker.js", "page.css")}
    shared = {name: _text(f"../{name}") for name in ("viewer.js", "compare.css")}
    view = f"let showCompared;\n((element, watch) => {{\n{shared['viewer.js']}}})({_VIEWER_ARGUMENTS});\n"
    templates = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return templates.get_template("page.html.j2").render(
        scale=net.scale,
        grid=net.multiple_of,
        halo=net.halo,
        style=Markup(shared["compare.css"] + own["page.css"]),
        script=Markup(f'"use strict";\n{view}{own["tiles.js"]}{own["page.js"]}'),
        worker=Markup("\n".join([runtime.script, own["tiles.js"], own["worker.js"]])),
        packed={"wasm": _packed(runtime.program), "net": _packed(graph), "bicubic": _packed(bicubic)},
        compare=Markup(under_slider(View("bicubic", "", 1, 1), View(Path(model).stem, "", 1, 1))),
        about=_about(model, net, facts),
        hash_of=_hash_of,
    )


_VIEWER_ARGUMENTS = 'document.getElementById("compare"), (name, then) => { showCompared = then; }'


def _as_zoom_runs_it(model: str, options: ExportOptions) -> Net:
    source = weights_file(model)
    net = built(source, model, options)
    steps = 0 if source is None else NetOptions().steps(options.quality)
    return cast(Net, ConvolvedBackProjection(net, steps=steps).eval() if steps else net)


def _about(model: str, net: Net, facts: dict[str, str]) -> dict[str, str]:
    digest = facts.get("weights_sha256")
    weights = f"licence {facts['licence']}" + (f", sha256 {digest}" if digest else "")
    quality = facts.get("jpeg_quality")
    told = f", for photographs of JPEG quality {quality}" if quality else ""
    return {
        "net": f"{Path(model).stem}, x{net.scale}{told}: the pixels of python -m zoomsr.zoom, to one level of 255.",
        "weights": f"{weights}.",
        **_PROMISES,
        "made by": f"zoomsr {__version__} (MIT licence), with ONNX Runtime Web {VERSION} (Microsoft, MIT licence).",
    }


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _hash_of(text: str) -> str:
    """For the content security policy: it allows this text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
