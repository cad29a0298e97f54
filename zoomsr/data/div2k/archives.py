"""The published zips of DIV2K: names, sizes, check sums and members."""

from __future__ import annotations

from collections.abc import Mapping

from zoomsr.downloads.archives import Archive

DIV2K_MIRROR = "http://data.vision.ee.ethz.ch/cvl/DIV2K/"  # plain http: files are trusted for their sha256 alone


def _div2k(split: str, scale: int, size: int, sha256: str) -> Archive:
    folder = f"DIV2K_{split}_HR" if scale == 1 else f"DIV2K_{split}_LR_bicubic/X{scale}"
    ending = ".png" if scale == 1 else f"x{scale}.png"
    first, last = (1, 800) if split == "train" else (801, 900)
    members = tuple(f"{folder}/{number:04d}{ending}" for number in range(first, last + 1))
    return Archive(f"{folder.replace('/', '_')}.zip", size, sha256, members)


DIV2K: Mapping[tuple[str, int], Archive] = {
    ("train", 1): _div2k("train", 1, 3530603713, "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"),
    ("train", 2): _div2k("train", 2, 925390592, "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850"),
    ("train", 3): _div2k("train", 3, 427847282, "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a"),
    ("train", 4): _div2k("train", 4, 246914039, "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a"),
    ("val", 1): _div2k("valid", 1, 448993893, "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"),
    ("val", 2): _div2k("valid", 2, 117763600, "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57"),
    ("val", 3): _div2k("valid", 3, 54513392, "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3"),
    ("val", 4): _div2k("valid", 4, 31505881, "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553"),
}
"""(split, scale) to its archive: 1 for hr, 2 to 4 for the published bicubic lr; see ``photographs.div2k``."""
