"""NumPy's archives of arrays: exchange with programs that know only NumPy."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from flambeau.construct import from_numpy
from flambeau.serialization.atomic import replaced
from flambeau.serialization.errors import CheckpointError
from flambeau.tensor import Tensor


def save_npz(tensors: Mapping[str, Tensor], filename: Any, compressed: bool = False) -> None:
    """Write tensors to an ``.npz`` file, which appears when it is whole.

    Args:
        tensors: by name.
        compressed: whether to compress them.

    Raises:
        TypeError: for a dtype that NumPy itself does not have, as bfloat16.
    """
    arrays: dict[str, Any] = {}
    for name, t in tensors.items():
        array = t.detach().cpu().numpy()
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{name!r} is of {t.dtype}, which NumPy files do not have; convert it")
        arrays[name] = array
    with replaced(filename) as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)


def load_npz(filename: Any, device: Any = "cpu") -> dict[str, Tensor]:
    """All arrays of an ``.npz`` file as tensors; arrays of objects, which run code, are refused.

    Raises:
        CheckpointError: if it is no such file.
        OSError: if it cannot be read.
    """
    try:
        with open(filename, "rb") as source:  # NumPy leaves it open when it is damaged
            found = np.load(source, allow_pickle=False)
            if not hasattr(found, "files"):
                raise CheckpointError(f"{filename!r} is a single array, no archive of arrays")
            return {name: from_numpy(found[name]).to(device) for name in found.files}
    except (ValueError, EOFError, TypeError, KeyError, AttributeError, zipfile.BadZipFile,
            zlib.error, SyntaxError, NotImplementedError) as error:
        raise CheckpointError(f"cannot load {filename!r}: {error}") from error
