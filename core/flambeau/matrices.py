"""What ops of matrices share: checks of shapes and dtypes, and the error of linear algebra."""

from __future__ import annotations

from typing import Any

from flambeau.dtypes import dtype
from flambeau.modes import every_sample
from flambeau.tensor import Tensor

NAMES = {
    "float16": "Half", "bfloat16": "BFloat16", "float32": "Float", "float64": "Double",
    "int8": "Char", "uint8": "Byte", "int16": "Short", "int32": "Int", "int64": "Long",
    "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}


class LinAlgError(RuntimeError):
    """A factorization that does not exist, or that did not converge."""


def check_matrix(name: str, x: Tensor, argument: str = "A") -> None:
    """Refuse what is no matrix or batch of them, or of a dtype that no library factorizes.

    Raises:
        RuntimeError: saying which.
    """
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor {argument} must have at least 2 dimensions.")
    check_dtype(name, x.dtype)


def check_dtype(name: str, what: dtype) -> None:
    """Refuse integers and 16-bit floats.

    Raises:
        RuntimeError: naming the dtype.
    """
    if what.category < 2:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{NAMES.get(what.name, what.name)}")
    if what.itemsize == 2:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {NAMES[what.name]}")


def check_square(name: str, x: Tensor, argument: str = "A") -> None:
    """Refuse what is no square matrix or batch of them.

    Raises:
        RuntimeError: saying how many rows and columns there are.
    """
    check_matrix(name, x, argument)
    rows, columns = x.shape[-2:]
    if rows != columns:
        raise RuntimeError(
            f"{name}: {argument} must be batches of square matrices, but they are {rows} by "
            f"{columns} matrices")


def first_failure(info: Tensor) -> tuple[int, int] | None:
    """Which matrix of a batch failed first, and the number that says where; None if none did."""
    info = every_sample(info)
    if not info.numel() or info.device.type == "meta":
        return None
    for i, value in enumerate(info.reshape(-1).tolist()):
        if value:
            return i, value
    return None


def in_batch(info: Tensor, at: int) -> str:
    """Words for one matrix of a batch."""
    return f"(Batch element {at}): " if info.ndim else ""


def identity(n: int, like: Tensor) -> Any:
    """The n by n identity of a tensor's dtype and device."""
    from flambeau.ops.create import eye

    return eye(n, dtype=like.dtype, device=like.device)
