"""Modules made ready for inference, and kept in files.  Nothing is compiled."""

from __future__ import annotations

import copy
import os
import pickle
import zipfile
from typing import IO, Any

from flambeau.nn import Module

_MODULE, _EXTRA, _PICKLE_VERSION = "module.pkl", "extra/", 4
File = str | os.PathLike[str] | IO[bytes]


def freeze(
    mod: Any, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True
) -> Any:
    """A copy of a module whose parameters take no gradient.

    Args:
        mod: a module in evaluation mode.
        preserved_attrs: names that must be there; all attributes stay as they are.
        optimize_numerics: accepted for PyTorch's sake.

    Raises:
        RuntimeError: for what is no module, or is in training mode, or lacks one of the names.
    """
    if not isinstance(mod, Module):
        raise RuntimeError(f"Freezing expects a module as input, not {type(mod).__name__}")
    if mod.training:
        raise RuntimeError(
            "Freezing module in training mode is not yet supported. Please run your module "
            "through .eval()"
        )
    for name in preserved_attrs or ():
        if not hasattr(mod, name):
            raise RuntimeError(f"unable to preserve '{name}': the module has no such attribute")
    return copy.deepcopy(mod).requires_grad_(False)


def optimize_for_inference(mod: Any, other_methods: list[str] | None = None) -> Any:
    """A frozen copy in evaluation mode.

    Args:
        other_methods: names of methods that are kept; all are.

    Raises:
        RuntimeError: for what is no module.
    """
    if not isinstance(mod, Module):
        raise RuntimeError(
            f"optimize_for_inference expects a module as input, not {type(mod).__name__}"
        )
    copied = copy.deepcopy(mod).eval()
    return freeze(copied, other_methods)


def save(m: Module, f: File, _extra_files: dict[str, Any] | None = None) -> None:
    """Write a module to a file: its pickle, which names its classes and does not hold their code.

    ``load`` needs the same classes to be importable; a ``state_dict`` does not.

    Args:
        f: a path, or a file open for writing bytes.
        _extra_files: texts or bytes to be kept beside it, by name.

    Raises:
        TypeError: for what is no module.
    """
    if not isinstance(m, Module):
        raise TypeError(f"save(): argument 'm' must be Module, not {type(m).__name__}")
    with zipfile.ZipFile(f, "w") as archive:
        archive.writestr(_MODULE, pickle.dumps(m, protocol=_PICKLE_VERSION))
        for name, content in (_extra_files or {}).items():
            archive.writestr(_EXTRA + name, content)


def load(
    f: File,
    map_location: Any = None,
    _extra_files: dict[str, Any] | None = None,
    _restore_shapes: bool = False,
) -> Any:
    """Read a module that ``save`` has written.

    A pickle can run any code: load only files that you trust.

    Args:
        f: a path, or a file open for reading bytes.
        map_location: the device that the module is moved to; without one it is where it was.
        _extra_files: names whose contents are to be put into this dictionary.

    Raises:
        ValueError: if there is no such file.
        RuntimeError: for a file that ``save`` has not written, such as TorchScript's: it holds
            code in a language that nothing here runs.
    """
    if isinstance(f, (str, os.PathLike)) and not os.path.exists(f):
        raise ValueError(f"The provided filename {f} does not exist")
    try:
        archive = zipfile.ZipFile(f)
    except zipfile.BadZipFile:
        raise RuntimeError(f"{f}: not a file that flambeau.jit.save has written") from None
    with archive:
        names = set(archive.namelist())
        if _MODULE not in names:
            raise RuntimeError(
                f"{f}: not a file that flambeau.jit.save has written; of TorchScript, load the "
                "state_dict in PyTorch and save that"
            )
        module = pickle.loads(archive.read(_MODULE))
        for name in _extra_files or ():
            assert _extra_files is not None
            if _EXTRA + name in names:
                _extra_files[name] = archive.read(_EXTRA + name)
    return module if map_location is None else module.to(map_location)
