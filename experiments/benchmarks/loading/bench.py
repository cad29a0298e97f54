"""Pairs per second, from the disk to a batch in hand: ``make bench-data``, or with ``PHOTOS=FOLDER`` on your own."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image

from experiments import tables
from experiments.benchmarks.loading.rivals import SIDE, SubImages, WholePng, batches, cut_sub_images, fill_lmdb
from experiments.progress import each, note
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.data.loader import ThreadLoader
from zoomsr.data.packed.packing import Photo, open_pairs
from zoomsr.data.packed.store import PixelStore, index_of, layout
from zoomsr.data.patches import PatchKey, PatchSampler, RandomPatches
from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.pixels import crop_to_multiple, to_float
from zoomsr.runs.run import versions

HERE = Path(__file__).parent
BATCH = 16


def main(
    photos: Annotated[Path | None, typer.Option(help="photographs of about 2040 px; default: the sample's")] = None,
) -> None:
    """Measure everything in one run; write results.csv and facts.csv, and bring the README up to date."""
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as name:
        folder = Path(name)
        note("writing photographs of 2040 px")
        hr, lr = write_photographs(folder, photos)
        results = {"machine": machine(), "photographs": len(hr), **building(folder, hr, lr), **loading(folder, hr, lr)}
        results |= {"cold": cold(folder), "open 800 images (ms)": opening(folder), "versions": versions()}
    write_rows(HERE / "results.csv", rows(results["pairs per second"]))
    write_facts(HERE / "facts.csv", facts(results))
    tables.write(HERE / "README.md")


def write_photographs(folder: Path, photos: Path | None) -> tuple[list[Path], list[Path]]:
    """8 pictures of 2040 px, hr and lr as PNG; the sample's are enlarged to that size."""
    source = sorted(photos.iterdir()) if photos else [photo.path for photo in sample().train + sample().val]
    hr, lr = [], []
    for number, path in zip(range(8), cycle(source), strict=False):
        picture = Image.open(path).convert("RGB")
        if not photos:
            picture = picture.resize((2040, 1356), Image.Resampling.LANCZOS)
        pixels = crop_to_multiple(torch.from_numpy(np.array(picture)).permute(2, 0, 1), 2)
        small = Bicubic(2).down(pixels)
        for kind, paths, content in (("HR", hr, pixels), ("LR", lr, small)):
            (folder / kind).mkdir(exist_ok=True)
            paths.append(folder / kind / f"{number:04d}.png")
            Image.fromarray(content.permute(1, 2, 0).numpy()).save(paths[-1])
    return hr, lr


def building(folder: Path, hr: list[Path], lr: list[Path]) -> dict[str, Any]:
    """Seconds and bytes to get ready, and the decoder's own speed."""
    os.sync()  # the PNG files are on the disk before anything is timed
    photos = [Photo(path.stem, path) for path in hr]
    alone, together, packing = [], [], []
    n_cores = len(os.sched_getaffinity(0))
    for name in each(("first", "second", "packed"), "decoding and packing"):
        alone.append(seconds(lambda: [decoded(path) for path in hr]) / n_cores)
        with ThreadPoolExecutor(n_cores) as pool:
            together.append(seconds(lambda pool=pool: list(pool.map(decoded, hr))))
        packing.append(seconds(lambda name=name: open_pairs(photos, folder=folder / name)))
    note("packing lr; cutting sub-images into LMDB")
    pack_hr = statistics.median(packing)
    pack_lr = seconds(lambda: open_pairs(photos, folder=folder / "packed", degradation=Bicubic(2)))
    cut = seconds(lambda: cut_sub_images(hr, lr, folder / "sub"))
    fill = seconds(lambda: fill_lmdb(folder / "sub", folder / "lmdb"))
    return {
        "packing hr, share of the decoder's speed times cores": statistics.median(alone) / pack_hr,
        "packing hr, share of the decoder's speed on all cores": statistics.median(together) / pack_hr,
        "store: seconds": pack_hr + pack_lr,
        "store: bytes": size_of(folder / "packed"),
        "sub-images and LMDB: seconds": cut + fill,
        "sub-images and LMDB: bytes": size_of(folder / "sub") + size_of(folder / "lmdb"),
    }


def decoded(path: Path) -> int:
    """Decode, and let go."""
    return np.asarray(Image.open(path).convert("RGB")).size


def loading(folder: Path, hr: list[Path], lr: list[Path]) -> dict[str, Any]:
    """Pairs per second of every way, in turns: what a training loop has in hand."""
    pairs = open_pairs([Photo(path.stem, path) for path in hr], folder=folder / "packed", degradation=Bicubic(2))
    patches = RandomPatches(pairs, patch=SIDE, scale=2, per_image=10_000, seed=0)
    sub_images = SubImages(folder / "lmdb")
    ways: dict[str, tuple[Iterator[Any], int]] = {
        "whole PNG by Pillow": (batches(WholePng(hr, lr), batch_size=2, workers=0), 1),
        "sub-images in LMDB, a worker process": (batches(sub_images, batch_size=BATCH, workers=1), 4),
        "copy of the rows, the machine's limit": (row_copies(patches), 60),
        "store: uint8 batch": (gathered(patches), 60),
        "store: as float": ((as_float(batch) for batch in gathered(patches)), 10),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in each(range(7), "loading, round"):
        for way, (stream, count) in ways.items():
            n_pairs = len(next(stream)["hr"])
            start = time.perf_counter()
            for _ in range(count):
                next(stream)  # and let go of it, as a training loop does
            rates[way].append(n_pairs * count / (time.perf_counter() - start))
    return {"pairs per second": {way: statistics.median(values) for way, values in rates.items()}}


def gathered(patches: RandomPatches) -> Iterator[dict[str, Any]]:
    """The product's own loader, whose patches are augmented."""
    sampler = PatchSampler(len(patches), seed=0)
    yield from ThreadLoader(patches, sampler, batch_size=BATCH)


def row_copies(patches: RandomPatches) -> Iterator[dict[str, Any]]:
    """The same rows into one buffer, with all places drawn beforehand: what no loader can beat on one core."""
    places = [patches.place(PatchKey(0, number)) for number in range(4096)]
    hr = np.empty((BATCH, 3, SIDE, SIDE), np.uint8)
    lr = np.empty((BATCH, 3, SIDE // 2, SIDE // 2), np.uint8)
    for start in cycle(range(0, len(places), BATCH)):
        for number, place in enumerate(places[start : start + BATCH]):
            patches.fill(place, hr[number], lr[number])
        yield {"hr": hr}


def as_float(batch: dict[str, Any]) -> dict[str, Any]:
    """All that happens before the net."""
    return {key: to_float(batch[key]) for key in ("hr", "lr")}


def cold(folder: Path) -> dict[str, float]:
    """Pairs from the disk itself: bytes read over the bytes of their rows, and ms each with and without prefetching."""
    index = folder / "packed" / "hr.json"
    out = np.empty((3, SIDE, SIDE), np.uint8)
    draw = np.random.default_rng(0)
    times: dict[bool, list[float]] = {True: [], False: []}
    n_read = n_rows = 0
    note("patches from the disk itself")
    for trial in range(24):
        store = PixelStore(index)
        store.verify()  # its check sums: once for each image and process
        forget(index.with_suffix(".u8"))
        number = int(draw.integers(len(store)))
        height, width = store.sizes[number]
        top, left = (int(draw.integers(side - SIDE)) for side in (height, width))
        before, start = disk_bytes(), time.perf_counter()
        if trial % 2:
            store.prefetch(number, top=top, height=SIDE)
        store.copy_patch(out, number, top=top, left=left)
        times[bool(trial % 2)].append(time.perf_counter() - start)
        if trial % 2:
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
    return statistics.median(seconds(lambda: PixelStore(path)) for _ in range(9)) * 1e3


def seconds(task: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def size_of(folder: Path) -> int:
    """Bytes on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def rows(rates: dict[str, float]) -> list[dict[str, Value]]:
    """Every way beside the slowest and the machine's limit."""
    naive, limit = next(iter(rates.values())), rates["copy of the rows, the machine's limit"]
    return [
        {"way": way, "pairs_per_s": rate, "times_whole_png": rate / naive, "of_row_copy": rate / limit}
        for way, rate in rates.items()
    ]


def facts(results: dict[str, Any]) -> dict[str, Value]:
    """What stands beside the rates."""
    rest = {name: value for name, value in results.items() if not isinstance(value, dict)}
    return {**rest, "patch": SIDE, **results["cold"], **results["versions"]}


if __name__ == "__main__":
    typer.run(main)
