"""What ``zoomsr.export`` was asked for, and what stands in its way; torch is not imported."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.inference.disk import require_free
from zoomsr.pretrained.names import existing_weights, scale_on_card


@dataclass(frozen=True)
class Form:
    """The form of an ONNX file.

    Attributes:
        size: height and width of its one input, for programs that need a fixed shape; None for any batch and size.
        opset: version of ONNX's operators; None for torch's own.
        half: weights in float16; the net computes in float32 all the same.
        uint8: bytes in and out instead of floats on [0, 1].
    """

    size: tuple[int, int] | None = None
    opset: int | None = None
    half: bool = False
    uint8: bool = False


_TAKES = {
    ".onnx": {"quality", "size", "opset", "half", "uint8"},
    ".dtmodel": {"quality", "half"},  # darktable has one opset, float32 tensors, and sizes of its own
    ".pt2": {"quality"},
    ".html": {"quality", "half", "runtime"},
    ".safetensors": {"test"},
}
"""ExportOptions beside ``--licence`` and ``--overwrite``, by the suffix of the file."""


@dataclass(frozen=True)
class ExportOptions:
    """What was asked for beside the net and the file.

    Attributes:
        licence: of the weights; None for what their card says.
        tests: benchmark folders whose scores the card of a ``.safetensors`` gets.
        quality: JPEG quality that a net is told which takes one.
        form: of an ONNX file.
        runtime: npm's package of ONNX Runtime Web, for a page; None for the one in the cache or from npm.
        nets: classes of the user's own that the net's file may hold, see ``zoomsr.pretrained.own_nets``.
    """

    licence: str | None = None
    tests: Sequence[Path] = ()
    quality: float | None = None
    form: Form = field(default_factory=Form)
    runtime: Path | None = None
    nets: Container[str] = ()

    def require_fits(self, out: Path) -> None:
        """Raises ValueError: an unknown suffix, or an option that does nothing for this kind of file."""
        if out.suffix not in _TAKES:
            raise ValueError(f"-o {out} must end in {_listed([*_TAKES], 'or')}")
        given = {
            **{"test": bool(self.tests), "quality": self.quality is not None, "size": self.form.size is not None},
            **{"opset": self.form.opset is not None, "half": self.form.half, "uint8": self.form.uint8},
            "runtime": self.runtime is not None,
        }
        for name, is_given in given.items():
            if is_given and name not in _TAKES[out.suffix]:
                kinds = [suffix for suffix, names in _TAKES.items() if name in names]
                raise ValueError(f"--{name} goes with {_listed(kinds, 'and')}, and -o is {out}")

    def require_ready(self, model: str, out: Path, *, overwrite: bool) -> None:
        """Look for all that is needed, before torch is imported.

        Raises:
            ValueError: see ``require_fits``; a file that is there or cannot be written, no such net, or no images.
        """
        self.require_fits(out)
        for file in [out, out.with_suffix(".json")] if out.suffix == ".safetensors" else [out]:  # the card
            require_free(file, overwrite=overwrite)
        if existing_weights(model) is None and out.suffix in (".safetensors", ".dtmodel"):
            raise ValueError("bicubic has no weights: there is nothing to write")
        for folder in self.tests:
            Benchmark.find(folder, scale=scale_on_card(model) or 2, published_lr=False)


def _listed(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))
