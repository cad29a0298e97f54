"""Pairs per second, from the disk to a batch in hand: ``make bench-data``, or with ``PHOTOS=FOLDER`` on your own."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image

from experiments.benchmarks.harness import note, publish, timed, turns
from experiments.benchmarks.loading.rivals import SIDE, SubImages, WholePng, batches, cut_sub_images, fill_lmdb
from experiments.report import Value
from zoomsr.data.loader import PatchStage, ThreadLoader
from zoomsr.data.packed.packing import Photo, open_pairs
from zoomsr.data.packed.store import PixelStore, index_of, layout
from zoomsr.data.patches import PatchKey, PatchSampler, RandomPatches
from zoomsr.data.sources.photographs import sample
from zoomsr.hardware.processor import n_cores
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.pixels import crop_to_multiple, to_float

HERE = Path(__file__).parent
BATCH = 16


def main(
    photos: Annotated[Path | None, typer.Option(help="photographs of about 2040 px; default: the sample's")] = None,
    out: Annotated[Path, typer.Option(help="folder for the csv files, and with a README to bring up to date")] = HERE,
) -> None:
    """Measure everything in one run; write results.csv and facts.csv, and bring the README up to date."""
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as name:
        folder = Path(name)
        note("writing photographs of 2040 px")
        hr, lr = write_photographs(folder, photos)
        facts = {"photographs": len(hr), **building(folder, hr, lr)}
        rates = loading(folder, hr, lr)
        facts |= {"open 800 images (ms)": opening(folder), "patch": SIDE, **cold(folder)}
    naive, limit = next(iter(rates.values())), rates["copy of the rows, the machine's limit"]
    rows = [
        {"way": way, "pairs_per_s": rate, "times_whole_png": rate / naive, "of_row_copy": rate / limit}
        for way, rate in rates.items()
    ]
    publish(out, facts, results=rows)


def write_photographs(folder: Path, photos: Path | None) -> tuple[list[Path], list[Path]]:
    """8 pictures of 2040 px, hr and lr as PNG; the sample's are resized to it."""
    source = sorted(photos.iterdir()) if photos else [photo.path for photo in sample().train + sample().val]
    hr, lr = [], []
    for number, path in zip(range(8), cycle(source), strict=False):
        picture = Image.open(path).convert("RGB")
        if not photos:
            picture = picture.resize((2040, 1356), Image.Resampling.LANCZOS)
        pixels = crop_to_multiple(torch.from_numpy(np.array(picture)).permute(2, 0, 1), 2)
        for kind, paths, content in (("HR", hr, pixels), ("LR", lr, Bicubic(2).down(pixels))):
            (folder / kind).mkdir(exist_ok=True)
            paths.append(folder / kind / f"{number:04d}.png")
            Image.fromarray(content.permute(1, 2, 0).numpy()).save(paths[-1])
    return hr, lr


def building(folder: Path, hr: list[Path], lr: list[Path]) -> dict[str, Value]:
    """Seconds and bytes to get ready, and the decoder's own speed."""
    os.sync()  # the PNG files are on the disk before anything is timed
    photos = [Photo(path.stem, path) for path in hr]

    def decoded(path: Path) -> int:
        return np.asarray(Image.open(path).convert("RGB")).size  # and let go

    with ThreadPoolExecutor(n_cores()) as pool:
        ways = {
            "alone": lambda: [decoded(path) for path in hr],
            "together": lambda: list(pool.map(decoded, hr)),
            "packing": lambda: open_pairs(photos, folder=Path(tempfile.mkdtemp(dir=folder))),  # each time anew
        }
        times = {way: statistics.median(values) for way, values in turns(ways, rounds=3).items()}
    note("packing lr; cutting sub-images into LMDB")
    open_pairs(photos, folder=folder / "packed")
    pack_lr = timed(lambda: open_pairs(photos, folder=folder / "packed", degradation=Bicubic(2)))
    cut = timed(lambda: cut_sub_images(hr, lr, folder / "sub"))
    fill = timed(lambda: fill_lmdb(folder / "sub", folder / "lmdb"))
    return {
        "packing hr, share of the decoder's speed times cores": times["alone"] / n_cores() / times["packing"],
        "packing hr, share of the decoder's speed on all cores": times["together"] / times["packing"],
        "store: seconds": times["packing"] + pack_lr,
        "store: bytes": size_of(folder / "packed"),
        "sub-images and LMDB: seconds": cut + fill,
        "sub-images and LMDB: bytes": size_of(folder / "sub") + size_of(folder / "lmdb"),
    }


def loading(folder: Path, hr: list[Path], lr: list[Path]) -> dict[str, float]:
    """Pairs per second of every way, in turns: what a training loop has in hand."""
    pairs = open_pairs([Photo(path.stem, path) for path in hr], folder=folder / "packed", degradation=Bicubic(2))
    patches = RandomPatches(pairs, patch=SIDE, scale=2, per_image=10_000, seed=0)
    sub_images = SubImages(folder / "lmdb")
    ways: dict[str, tuple[Iterator[Any], int, int]] = {
        "whole PNG by Pillow": (batches(WholePng(hr, lr), batch_size=2, workers=0), 2, 1),
        "sub-images in LMDB, a worker process": (batches(sub_images, batch_size=BATCH, workers=1), BATCH, 4),
        "copy of the rows, the machine's limit": (row_copies(patches), BATCH, 60),
        "store: uint8 batch": (gathered(patches), BATCH, 60),
        "store: as float": (({k: to_float(b[k]) for k in ("hr", "lr")} for b in gathered(patches)), BATCH, 10),
    }
    rivals = {way: partial(take, stream, count) for way, (stream, _, count) in ways.items()}
    times = turns(rivals, rounds=7)
    return {way: size * count / statistics.median(times[way]) for way, (_, size, count) in ways.items()}


def take(stream: Iterator[Any], count: int) -> None:
    """Take so many batches and let go of each, as a training loop does."""
    for _ in range(count):
        next(stream)


def gathered(patches: RandomPatches) -> Iterator[dict[str, Any]]:
    """The product's own loader, whose patches are augmented."""
    yield from ThreadLoader([PatchStage(patches, BATCH)], PatchSampler(len(patches), seed=0))


def row_copies(patches: RandomPatches) -> Iterator[dict[str, Any]]:
    """The same rows into one buffer, with all places drawn beforehand: what no loader can beat on one core."""
    places = [patches.spec(PatchKey(0, number)) for number in range(4096)]
    hr = np.empty((BATCH, 3, SIDE, SIDE), np.uint8)
    lr = np.empty((BATCH, 3, SIDE // 2, SIDE // 2), np.uint8)
    for start in cycle(range(0, len(places), BATCH)):
        for number, place in enumerate(places[start : start + BATCH]):
            patches.fill(place, hr[number], lr[number])
        yield {"hr": hr}


def cold(folder: Path) -> dict[str, Value]:
    """Pairs from the disk itself: bytes read over the bytes of their rows, and ms each with and without prefetching."""
    note("patches from the disk itself")
    index, out = folder / "packed" / "hr.json", np.empty((3, SIDE, SIDE), np.uint8)
    draw, times = np.random.default_rng(0), {True: [], False: []}
    n_read = n_rows = 0
    for trial in range(24):
        store = PixelStore(index)
        store.verify()  # its checksums: once for each image and process
        forget(index.with_suffix(".u8"))
        number, prefetches = int(draw.integers(len(store))), trial % 2 == 1
        height, width = store.sizes[number]
        top, left = (int(draw.integers(side - SIDE)) for side in (height, width))
        before, start = disk_bytes(), time.perf_counter()
        if prefetches:
            store.prefetch(number, top=top, height=SIDE)
        store.copy_patch(out, number, top=top, left=left)
        times[prefetches].append(time.perf_counter() - start)
        if prefetches:
            n_read, n_rows = n_read + disk_bytes() - before, n_rows + 3 * SIDE * width
    return {
        "bytes read over bytes of the rows": n_read / n_rows,
        "ms a patch, prefetched": statistics.median(times[True]) * 1e3,
        "ms a patch, by page faults": statistics.median(times[False]) * 1e3,
    }


def forget(path: Path) -> None:
    """Have the system drop the file from memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_bytes() -> int:
    """What this process has had read from the disk."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["read_bytes"])


def opening(folder: Path) -> float:
    """Ms to open a store of 800 images of 2040x1356 (a sparse file)."""
    path = folder / "big.json"
    images = layout([(f"{number:04d}", (1356, 2040)) for number in range(800)])
    path.write_text(json.dumps(index_of(images, source_hash="", degradation=None, scale=1)))
    with path.with_suffix(".u8").open("wb") as file:
        file.truncate(sum(stored.n_bytes for stored in images))
    return 1e3 * statistics.median(timed(lambda: PixelStore(path)) for _ in range(9))


def size_of(folder: Path) -> int:
    """Bytes on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    typer.run(main)
