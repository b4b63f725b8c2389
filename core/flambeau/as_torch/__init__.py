"""Programs written for PyTorch, run unmodified: ``import torch`` gives flambeau.

``python -m flambeau.as_torch train.py --epochs 3`` runs a script so, ``python -m flambeau.as_torch
-m package.module`` a module; :func:`install` does it for the process that calls it, before its
first ``import torch``.

Every submodule and every public name of torch 2.13 can be imported.  What flambeau has is the
same object (``torch.Tensor is flambeau.Tensor``); what it lacks stands there as a name that raises
``NotImplementedError`` when it is called.  ``torchvision`` is :mod:`flambeau.vision` likewise.

Environment:
    ``FLAMBEAU_DEVICE=opencl``: new tensors are made on this device if none is named.
    ``FLAMBEAU_MAP=cuda=opencl,mps=cpu``: what programs mean by the left name is the right device.
"""

from __future__ import annotations

import os
import sys

from flambeau.as_torch import children
from flambeau.as_torch.finder import Finder

__all__ = ["install", "is_installed", "uninstall"]

_finder: Finder | None = None


def install(device: str | None = None, device_map: dict[str, str] | None = None) -> None:
    """Let ``import torch`` and ``import torchvision`` give flambeau, in this process and the
    processes that ``multiprocessing`` starts from it.

    Args:
        device: where new tensors are made if the program names no device; ``None`` leaves it to
            the environment variable ``FLAMBEAU_DEVICE``, and that to the CPU.
        device_map: devices that a program asks for, and those that it gets: ``{"cuda": "opencl"}``.
            ``torch.cuda.is_available()`` is true of a mapped device that is there.  ``None`` leaves
            it to ``FLAMBEAU_MAP``.

    Raises:
        RuntimeError: if PyTorch itself has been imported in this process.
        ValueError: if ``FLAMBEAU_MAP`` is not a list like ``cuda=opencl,mps=cpu``.
    """
    global _finder
    import flambeau
    from flambeau import package_name
    from flambeau.device import aliases

    if _finder is None:
        _refuse_if_imported()
    chosen = device if device is not None else os.environ.get("FLAMBEAU_DEVICE")
    given = device_map
    if given is None:
        given = read_map(os.environ.get("FLAMBEAU_MAP", ""), "FLAMBEAU_MAP")
    aliases.clear()
    aliases.update(given)
    if chosen:
        flambeau.set_default_device(chosen)
    if _finder is None:
        _finder = Finder()
        sys.meta_path.insert(0, _finder)
        package_name.shown = "torch"
    children.prepare(chosen, given)


def uninstall() -> None:
    """Undo :func:`install`; objects that programs hold stay as they are."""
    global _finder
    import flambeau
    from flambeau import package_name
    from flambeau.device import aliases

    if _finder is None:
        return
    sys.meta_path.remove(_finder)
    _finder.forget()
    _finder = None
    package_name.shown = "flambeau"
    aliases.clear()
    flambeau.set_default_device(None)
    children.restore()


def is_installed() -> bool:
    """Whether ``import torch`` gives flambeau in this process."""
    return _finder is not None


def _refuse_if_imported() -> None:
    for name in ("torch", "torchvision"):
        if name in sys.modules:
            raise RuntimeError(
                f"{name} has been imported already: call flambeau.as_torch.install() before the "
                f"first import of {name}, or run the program by `python -m flambeau.as_torch`")


def read_map(text: str, source: str) -> dict[str, str]:
    """A map of devices as ``install`` takes it.

    Args:
        text: ``cuda=opencl,mps=cpu``.
        source: where it came from, for the message.

    Raises:
        ValueError: if the text is no such list.
    """
    pairs = [part.split("=") for part in text.split(",") if part.strip()]
    if any(len(pair) != 2 or not all(word.strip() for word in pair) for pair in pairs):
        raise ValueError(f"{source}={text!r} is not a list like cuda=opencl,mps=cpu")
    return {asked.strip(): given.strip() for asked, given in pairs}
