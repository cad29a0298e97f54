"""``python -m zoomsr.zoom photo.jpg``: a photograph, or a crop of it, two, three or four times as large."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.native import share_cores_and_memory
from zoomsr.cli.options import OwnNetsOption, TrustOption

if TYPE_CHECKING:
    from zoomsr.inference.options import Options
    from zoomsr.inference.proof import Proof
    from zoomsr.inference.upscaler import NetOptions

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

ModelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", help="unet, vdsr, srcnn, ircnn, bicubic, or a file: weights, ONNX; default: see above"
    ),
]
OutOption = Annotated[
    str | None,
    typer.Option("--out", "-o", help="a file, or a folder (trip/) for many; default: photo-x2.png beside it"),
]
CompareOption = Annotated[
    bool, typer.Option("--compare", help="one picture: the crop, nearest, bicubic, and each --model")
]
SelfEnsembleOption = Annotated[
    bool, typer.Option("--self-ensemble", help="mean over eight flips and rotations: better, in 8 times the time")
]
QualityInOption = Annotated[
    float | None, typer.Option(help="JPEG quality that photographs have, 100 for none; else their own", min=1, max=100)
]
StrengthOption = Annotated[float, typer.Option(help="0 is bicubic, 1 the net", min=0, max=1)]
BackProjectionOption = Annotated[
    int | None, typer.Option(help="steps to what shrinks to the input; default: 2, of JPEGs 0", min=0)
]
InspectOption = Annotated[
    bool, typer.Option("--inspect", help="say what is in each photograph and what will be done; nothing is written")
]

_HELP = """Upscale photographs, or a crop of one, by a trained net.

A photograph gets the net unet, one that is or was a JPEG unet_photo, which is told the quality that is found in it.
Transparency, 16 bit, colour profile, resolution, EXIF and XMP stay.
PNG, JPEG, WebP, AVIF, TIFF, HEIC and JPEG XL are written, by --format or the output's suffix.
GIF, BMP, PNM and camera raw are read. HEIC, JPEG XL and raw need the extra "formats".
The exit code is the number of photographs that failed, 100 at most; 130 after Ctrl-C.
"""


@app.command(help=_HELP)
def zoom(
    files: Annotated[list[str], typer.Argument(help="photographs, folders, or patterns such as 'trip/*.jpg'")],
    box: Annotated[str | None, typer.Option(help="X,Y,W,H: a crop, in pixels of the upright picture")] = None,
    model: ModelOption = None,
    net: OwnNetsOption = None,
    trust: TrustOption = False,
    out: OutOption = None,
    scale: Annotated[float | None, typer.Option(help="of each side: 2, 1.5, 6; the net's own if not given")] = None,
    width: Annotated[int | None, typer.Option(help="in pixels; with --height: at most")] = None,
    height: Annotated[int | None, typer.Option(help="in pixels; with --width: at most")] = None,
    megapixels: Annotated[float | None, typer.Option(help="width times height, in millions")] = None,
    paper: Annotated[str | None, typer.Option("--print", help="40x30cm@300: fits a sheet, at dots per inch")] = None,
    compare: CompareOption = False,
    truth: Annotated[Path | None, typer.Option(help="with --compare: the same at full size, for the PSNR")] = None,
    self_ensemble: SelfEnsembleOption = False,
    exact: Annotated[bool, typer.Option("--exact", help="tiles with the net's whole receptive field")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, 32 or bf16; auto: at most 1/255 off, rarely 2/255")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, torch, openvino, onnx; auto: the fastest that is there")] = "auto",
    back_projection: BackProjectionOption = None,
    quality_in: QualityInOption = None,
    strength: StrengthOption = 1.0,
    tile: Annotated[int | None, typer.Option(help="pixels on a side that are run at once", min=1)] = None,
    kind: Annotated[str | None, typer.Option("--format", help="jpg, png, webp, avif, tiff, heic, jxl, of many")] = None,
    quality: Annotated[int, typer.Option(help="of JPEG, WebP, AVIF, HEIC, JPEG XL", min=1, max=100)] = 95,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing files")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="do only what is missing")] = False,
    pre_shrink: Annotated[str, typer.Option(help="shrink by so much first; auto: as far as it loses nothing")] = "1",
    certificate: Annotated[bool, typer.Option("--certify", help="NAME-x2.json: its error, shrunk again")] = False,
    map_file: Annotated[Path | None, typer.Option("--map", help="a PNG of where detail was added")] = None,
    inspect: InspectOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="with --inspect: as JSON")] = False,
) -> None:
    """Upscale photographs, or a crop of one, by a trained net; transparency, 16 bit, profile, EXIF and XMP stay."""
    with one_line_errors():
        share_cores_and_memory()
        from zoomsr.inference.options import Options, parse_box  # NumPy and Pillow
        from zoomsr.inference.pre_shrink import PreShrink
        from zoomsr.inference.sizes import parse_size
        from zoomsr.inference.targets import parse_format

        run = (device, precision, tile, exact, self_ensemble, engine, back_projection, strength)
        how = partial(_how, model or [], net or [], trust, run)
        crop, suffix = box if box is None else parse_box(box), kind if kind is None else parse_format(kind)
        size = parse_size(scale=scale, width=width, height=height, megapixels=megapixels, paper=paper)
        shrink, proof = PreShrink.parse(pre_shrink), _proof(certificate, map_file)
        options = Options(
            model or [], how, crop, size, out, quality, overwrite, skip_existing, suffix, shrink, proof, quality_in
        )
        _dispatch(files, options, inspect=inspect, as_json=as_json, compare=compare, truth=truth)


def _how(
    models: list[str],
    nets: list[str],
    trust: bool,
    run: tuple[str, str, int | None, bool, bool, str, int | None, float],
) -> NetOptions:
    from zoomsr.inference.upscaler import NetOptions  # torch, which is slow: all other mistakes are answered before
    from zoomsr.pretrained.own_nets import accepted

    return replace(NetOptions(*run), nets=accepted(models, nets=nets, trust=trust))


def _proof(certificate: bool, map_file: Path | None) -> Proof:
    from zoomsr.inference.proof import Proof  # as above

    return Proof(certificate, map_file)


def _dispatch(
    files: list[str], options: Options, *, inspect: bool, as_json: bool, compare: bool, truth: Path | None
) -> None:
    """Raises ValueError where two of them do not go together."""
    if truth is not None and not compare:
        raise ValueError("--truth goes with --compare")
    if as_json and not inspect:
        raise ValueError("--json goes with --inspect")
    if (inspect or compare) and (options.proof.certificate or options.proof.map is not None):
        raise ValueError("--certify and --map go with an enlargement, not with --compare or --inspect")
    if inspect and compare:
        raise ValueError("--inspect and --compare: give one of them")
    if options.pre_shrink.factor != 1 and compare:
        raise ValueError("--pre-shrink does not go with --compare")
    if inspect:
        options.require_one_net("--inspect takes one")
        with redirect_stdout(sys.stderr) if as_json else nullcontext():  # notes
            tasks = options.plan(files)
        from zoomsr.inference.inspection import inspect as print_inspection

        print_inspection(tasks, options, as_json=as_json)
    elif compare:
        task = options.plan_comparison(files)
        if truth is not None and not truth.is_file():
            raise ValueError(f"--truth {truth}: there is no such file")
        from zoomsr.inference.side_by_side import draw

        draw(task, options, ground_truth=truth)
    else:
        from zoomsr.inference.batch import run

        run(files, options)


if __name__ == "__main__":
    app()
