"""Names of trained nets, and the files that they stand for. No file of weights is opened, and torch is not imported."""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
from pathlib import Path

from zoomsr.runs.layout import BEST_CKPT, CHECKPOINTS, LAST_CKPT, best_checkpoint

ONNX_SUFFIX = ".onnx"
SPANDREL_EXTRA = "pip install zoomsr[spandrel], beside a torchvision that fits your torch"

WEIGHTS_DIR = Path(__file__).parent
"""The pretrained nets: ``NAME.safetensors``, with its card ``NAME.json``."""


def pretrained_nets() -> list[str]:
    """Names of the nets that come with the package."""
    return sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


def is_address(net: str) -> bool:
    """Whether a net is named by an address on a network."""
    return "://" in net


def weights_file(net: str, scale: int | None = None) -> Path | None:
    """The file of a name, a path, a run's directory or an address; None for ``bicubic``, which has none.

    A name is a net of the package, whatever lies in the working directory; a path has a separator or a suffix.

    Args:
        net: the name, path or address; see ``fetched``.
        scale: that is wanted: ``unet`` at 3 is ``unet_x3`` where the package has it, else ``unet``. None: as named.

    Raises:
        ValueError: no weights of that name; the nearest names, or how to make them. An address that is not fetched.
    """
    if net == "bicubic":
        return None
    names = pretrained_nets()
    if net in names:
        at_scale = f"{net}_x{scale}"
        return WEIGHTS_DIR / f"{at_scale if at_scale in names else net}.safetensors"
    if is_address(net):
        from zoomsr.downloads.nets import fetched  # httpx, which nothing else needs

        return fetched(net)
    path = Path(net)
    if path.suffix or "/" in net or os.sep in net or net in (".", ".."):
        return best_checkpoint(path) if path.is_dir() else path
    if path.exists():
        raise ValueError(f"no net is called {net}; the {'folder' if path.is_dir() else 'file'} here is ./{net}")
    near = difflib.get_close_matches(net, names, n=3)
    if near:
        raise ValueError(f"no net is called {net}; the nearest: {', '.join(near)}")
    raise ValueError(
        f"there are no weights of {net} (there are: {', '.join(['bicubic', *names])}): "
        f"python -m zoomsr.train model={net} makes a run, whose folder can be named instead"
    )


def existing_weights(net: str, scale: int | None = None) -> Path | None:
    """As ``weights_file``, of a file that is there.

    Raises:
        ValueError: no weights of that name, or no such file.
    """
    path = weights_file(net, scale)
    if path is not None:
        require_file(path)
    return path


def require_file(path: Path) -> None:
    """Raise ValueError where there is no such file of weights, or what reads it is not installed."""
    if not path.is_file():
        raise ValueError(
            f"there is no file {path}: a run keeps {BEST_CKPT} and {LAST_CKPT} in its {CHECKPOINTS} folder"
        )
    if path.suffix == ONNX_SUFFIX:
        missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
        if missing:
            raise ValueError(f"{path} needs an extra ({', '.join(missing)}): pip install zoomsr[export]")


def has_spandrel() -> bool:
    """Whether spandrel and torchvision, which it needs, are installed; nothing is imported."""
    return all(importlib.util.find_spec(name) is not None for name in ("spandrel", "torchvision"))


def require_spandrel() -> None:
    """Raises ValueError, with what to do, where spandrel or torchvision is missing."""
    if not has_spandrel():
        raise ValueError(f"model=spandrel needs an extra: {SPANDREL_EXTRA}")


def scale_on_card(net: str) -> int | None:
    """The scale of a net, as its card says; None where only its weights can tell, and of ``bicubic``."""
    path = weights_file(net)
    card = None if path is None else path.with_suffix(".json")
    if path is None or card is None or path.suffix != ".safetensors" or not card.is_file():
        return None
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None  # opening the weights says what is wrong with it
    scale = content.get("scale") if isinstance(content, dict) else None
    return scale if isinstance(scale, int) else None
