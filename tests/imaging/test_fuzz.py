"""Thousands of damaged pictures: each is read, or refused in one line that names it, in bounded time and memory."""

from __future__ import annotations

import importlib.util
import io
import multiprocessing
import random
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from _support.dng import write_dng
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging import files
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.upscaler import NetOptions, Upscaler

N_PICTURES = 2_000
MAX_SECONDS = 20.0
MAX_BYTES = 2 * 2**30


def _originals(folder: Path) -> dict[str, bytes]:
    """A small picture in ten formats, and in those of the extra whose libraries are there, by suffix."""
    eight = photograph(40, 48)
    deep = eight.astype(np.uint16) * 257
    options = {
        "a.png": {"format": "PNG"},
        "a.jpg": {"format": "JPEG", "exif": _exif()},
        "a.webp": {"format": "WEBP"},
        "a.bmp": {"format": "BMP"},
        "a.gif": {"format": "GIF"},
        "a.ppm": {"format": "PPM"},
        "lzw.tif": {"format": "TIFF", "compression": "tiff_lzw"},
    }
    files = {}
    for name, how in options.items():
        file = io.BytesIO()
        Image.fromarray(eight).save(file, **how)
        files[name] = file.getvalue()
    for name, pixels in (("deep.tif", deep), ("grey.tif", deep[..., 0])):
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, compression="zlib")
        files[name] = file.getvalue()
    file = io.BytesIO()
    Image.fromarray(deep[..., 0]).save(file, "PNG")
    files["deep.png"] = file.getvalue()
    for name, module in {"a.heic": "pillow_heif", "a.jxl": "pyjpegxl", "a.dng": "rawpy"}.items():
        if importlib.util.find_spec(module):
            if module == "rawpy":
                write_dng(folder / name, eight / 255, neutral=(0.5, 1.0, 0.6))
            else:
                Photograph(eight, exif=_exif()).write(folder / name)
            files[name] = (folder / name).read_bytes()
            (folder / name).unlink()
    return files


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    return exif.tobytes()


def _damaged(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, numbers of the header replaced, cut off, or a part doubled."""
    altered = bytearray(data)
    kind = rng.randrange(4)
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        at = rng.randrange(min(200, len(altered) - 4))
        altered[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"])
    elif kind == 2:
        del altered[rng.randrange(len(altered)) :]
    else:
        start = rng.randrange(len(altered))
        altered[start:start] = altered[start : start + rng.randint(1, 64)]
    return bytes(altered)


def _try_all(folder: Path, progress: multiprocessing.SimpleQueue[str]) -> None:
    """In a process of its own, which a decoder of another language might take down."""
    rng, upscaler = random.Random(16), Upscaler.open("bicubic", how=NetOptions(device="cpu"))
    names = list(originals := _originals(folder))
    for number in range(N_PICTURES):
        name = names[number % len(names)]
        path = folder / f"{number}-{name}"
        path.write_bytes(_damaged(originals[name], rng))
        progress.put(f"began {path.name}")
        began = time.monotonic()
        for what in (Photograph.read, files.read):
            try:
                read = what(path)
                if isinstance(read, Photograph) and max(read.size) < 200 and number % 5 == 0:
                    upscaler.upscale(read).write(folder / f"{number}-x2.png")
            except ValueError as error:
                if path.name not in str(error):
                    progress.put(f"wrong {path.name} is not named: {error}")
            except Exception as error:
                progress.put(f"wrong {path.name}: {type(error).__name__}: {error}")
        if (seconds := time.monotonic() - began) > MAX_SECONDS:
            progress.put(f"wrong {path.name} took {seconds:.0f} s")
        path.unlink()
        (folder / f"{number}-x2.png").unlink(missing_ok=True)
    progress.put(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}")


@pytest.mark.slow
def test_a_damaged_picture_is_read_or_refused_in_one_line_that_names_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    progress = context.SimpleQueue()
    process = context.Process(target=_try_all, args=(tmp_path, progress))
    process.start()
    heard: list[str] = []
    while process.is_alive() or not progress.empty():
        while not progress.empty():
            heard.append(progress.get())
        time.sleep(0.05)
    process.join()
    assert process.exitcode == 0, f"the process ended with {process.exitcode} at {heard[-1:]}"
    assert [line for line in heard if line.startswith("wrong")] == []
    assert len([line for line in heard if line.startswith("began")]) == N_PICTURES
    assert int(heard[-1].removeprefix("peak ")) < MAX_BYTES
    assert list(tmp_path.iterdir()) == []
