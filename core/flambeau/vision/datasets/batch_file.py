"""The pickled batches of CIFAR, read without letting the pickle run anything.

A batch is a dict of text, numbers, lists and one uint8 array.  Pickles say how to rebuild an
array by naming functions of NumPy; here these names lead to stand-ins that take bytes and a shape
and nothing else, and every other name is refused.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np


class _Uint8:
    """Stands for ``numpy.dtype``."""

    def __init__(self, name: str, *options: object) -> None:
        if name.lstrip("|") != "u1":
            raise pickle.UnpicklingError(f"an array of dtype {name!r} where bytes are expected")

    def __setstate__(self, state: object) -> None:
        pass  # byte order and alignment: bytes have none


class _Array:
    """Stands for ``numpy.ndarray``."""

    value: np.ndarray[Any, np.dtype[np.uint8]]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, _, is_fortran, content = state
        raw = content.encode("latin1") if isinstance(content, str) else content
        array = np.frombuffer(raw, np.uint8)
        self.value = array.reshape(shape, order="F" if is_fortran else "C")


def _reconstruct(*placeholder: object) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Uint8,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which a batch of images does not need"
            ) from None


def read_batch_file(path: str | Path) -> dict[str, Any]:
    """The dict in a batch file, its arrays as uint8 NumPy arrays.

    Raises:
        RuntimeError: the file is damaged, or names anything that a batch does not need.
    """
    try:
        content = _Unpickler(io.BytesIO(Path(path).read_bytes()), encoding="latin1").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds {type(content).__name__}, not a dict")
        return {
            str(key): value.value if isinstance(value, _Array) else value
            for key, value in content.items()
        }
    except OSError:
        raise
    except Exception as error:
        raise RuntimeError(
            f"{path} was refused as a batch file: {error}. Delete it and run again with "
            "download=True"
        ) from error
