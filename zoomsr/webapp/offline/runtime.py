"""ONNX Runtime Web, by which the page runs the net: fetched from npm once, or taken from a file."""

from __future__ import annotations

import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from zoomsr.downloads.archives import Archive, check
from zoomsr.downloads.http import fetch
from zoomsr.runs.files import cache_folder

VERSION = "1.30.0"

# npm states its sha512: q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==
PACKAGE = Archive(
    f"onnxruntime-web-{VERSION}.tgz",
    33106585,
    "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    ("package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"),
)
"""npm's package, and what is used of it: the script for WebAssembly on processors, and the program itself."""


@dataclass(frozen=True)
class WebRuntime:
    """What goes into a page.

    Attributes:
        script: JavaScript that ends with ``const ort``, for a worker.
        program: WebAssembly with SIMD.
    """

    script: str
    program: bytes

    @staticmethod
    def find(file: Path | None) -> WebRuntime:
        """From npm's package.

        Args:
            file: a copy of it; None for the one in the user's cache, which is fetched if it is not there.

        Raises:
            ValueError: it is missing or altered, or cannot be fetched.
        """
        if file is not None:
            check(file, PACKAGE)
        with tarfile.open(file or fetched()) as package:
            script, program = (_member(package, name) for name in PACKAGE.members)
        return WebRuntime(_as_classic(script.decode()), program)


def fetched() -> Path:
    """The package in the user's cache.

    Raises:
        ValueError: it is not there, and npm cannot be reached or sends another file.
    """
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    return fetch(
        cache_folder() / "onnxruntime-web" / PACKAGE.name,
        [f"{registry}/onnxruntime-web/-/{PACKAGE.name}"],
        sha256=PACKAGE.sha256,
        size=PACKAGE.size,
        other_ways=f"--runtime FILE, which `npm pack onnxruntime-web@{VERSION}` writes on any computer",
    )


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    assert file is not None, name  # the package has passed its check
    return file.read()


def _as_classic(module: str) -> str:
    """A module's text as that of a classic script: a browser starts no other in the worker of a page from disk.

    The names that it exports, ``export{a as Tensor}``, become those of an object.
    """

    def as_object(found: re.Match[str]) -> str:
        names = (one.partition(" as ") for one in found[1].split(","))
        return f"const ort={{{','.join(f'{public or own}:{own}' for own, _, public in names)}}};"

    script, count = re.subn(r"export\{([^}]*)\};", as_object, module)
    assert count == 1, count
    script = script.replace("import.meta.url", "self.location.href")
    return re.sub(r"//# sourceMappingURL=.*", "", script).strip()
