"""``python -m zoomsr.zoom photo.jpg``: a photograph, or a crop of it, two, three or four times as large."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.malloc import give_back_early

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

ModelOption = Annotated[
    list[str] | None, typer.Option("--model", "-m", help="unet, vdsr, srcnn, ircnn, bicubic, or a file of weights")
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
InspectOption = Annotated[
    bool, typer.Option("--inspect", help="say what is in each photograph and what will be done; nothing is written")
]


@app.command()
def zoom(
    files: Annotated[list[str], typer.Argument(help="photographs, folders, or patterns such as 'trip/*.jpg'")],
    box: Annotated[str | None, typer.Option(help="X,Y,W,H: a crop, in pixels of the upright picture")] = None,
    model: ModelOption = None,
    out: OutOption = None,
    scale: Annotated[int | None, typer.Option(help="2, 3 or 4; 8: the x2 net runs three times")] = None,
    compare: CompareOption = False,
    truth: Annotated[Path | None, typer.Option(help="with --compare: the same at full size, for the PSNR")] = None,
    self_ensemble: SelfEnsembleOption = False,
    exact: Annotated[bool, typer.Option("--exact", help="tiles with the net's whole receptive field")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, 32 or bf16; auto never changes a pixel by over 1/255")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, torch, openvino, onnx; auto: the fastest that is there")] = "auto",
    tile: Annotated[int | None, typer.Option(help="pixels on a side that are run at once", min=1)] = None,
    quality: Annotated[int, typer.Option(help="of JPEG and WebP", min=1, max=100)] = 95,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing files")] = False,
    inspect: InspectOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="with --inspect: as JSON")] = False,
) -> None:
    """Upscale photographs, or a crop of one, by a trained net.

    Keeps transparency, 16 bit, colour profile, resolution and EXIF. PNG, JPEG, WebP and TIFF, by the output's suffix.
    """
    with one_line_errors():
        give_back_early()
        from zoomsr.inference.batch import Options, parse_box, run  # heavy
        from zoomsr.inference.upscaler import Upscaler

        if truth is not None and not compare:
            raise ValueError("--truth goes with --compare")
        if as_json and not inspect:
            raise ValueError("--json goes with --inspect")
        open_net = partial(Upscaler.open, device=device, precision=precision, engine=engine, tile=tile)
        open_net = partial(open_net, exact=exact, self_ensemble=self_ensemble)
        crop = None if box is None else parse_box(box)
        options = Options(model or ["unet"], open_net, crop, scale, out, quality, overwrite)
        if inspect:
            from zoomsr.inference.inspection import inspect as inspect_all

            inspect_all(files, options, as_json=as_json)
        elif compare:
            from zoomsr.inference.side_by_side import draw

            draw(files, options, ground_truth=truth)
        else:
            run(files, options)


if __name__ == "__main__":
    app()
