"""NumPy's universal functions as kernels.

A kernel of a primitive gets inputs of the dtype that the core computes in.  One that overrides
a composite gets the call's own arguments: it handles what NumPy promotes as PyTorch does, and
returns ``NotImplemented`` for the rest, so that the decomposition runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flambeau.backend import KernelTable, dtypes

Function = Callable[..., Any]


def out_form(ufunc: Function) -> Callable[..., None]:
    """The ``out`` form of a kernel from a function that takes ``out`` last."""
    if ufunc in (np.maximum, np.minimum):  # they want the keyword

        def extreme(out: Any, a: Any, b: Any) -> None:
            ufunc(a, b, out=out)

        return extreme
    if getattr(ufunc, "nin", 0) == 2:

        def binary(out: Any, a: Any, b: Any) -> None:
            if out.size == 1:  # NumPy takes one element for an overlap and copies: 0.8 us
                result = ufunc(a, b)
                if result.ndim > out.ndim:  # which an assignment would let pass
                    raise ValueError("the operands have more dimensions than the output")
                out[()] = result  # quicker than an ellipsis
            else:
                ufunc(a, b, out)

        return binary

    def kernel(out: Any, *inputs: Any) -> None:
        ufunc(*inputs, out)

    return kernel


def scaling(ufunc: Function) -> Callable[..., None]:
    """The ``out`` form of a product or quotient: 16-bit floats times a number in single precision.

    PyTorch keeps the number in single precision there and rounds the result once; NumPy would
    round the number first.
    """
    plain = out_form(ufunc)

    def kernel(out: Any, a: Any, b: Any) -> None:
        if out.itemsize == 2 and is_real(out) and (b.__class__ is float or b.__class__ is int):
            out[...] = ufunc(a.astype(np.float32), np.float32(b))
        else:
            plain(out, a, b)

    return kernel


def register(table: KernelTable, functions: Mapping[str, Function]) -> None:
    """Functions as kernels of primitives: called with ``out`` last, or without it."""
    for name, function in functions.items():
        table.register(name, fresh=function)(out_form(function))


def override(table: KernelTable, functions: Mapping[str, Function]) -> None:
    """Functions as fused kernels of composites."""
    for name, function in functions.items():
        table.register_fresh(name)(function)


def floats(x: Any) -> Any:
    """Integers and booleans in the default floating type, other arrays as they are."""
    return x.astype(dtypes.get_default_dtype().numpy) if x.dtype.kind in "biu" else x


def is_real(x: Any) -> bool:
    """Whether an array holds floating numbers (bfloat16 is of NumPy's kind V)."""
    return x.dtype.kind in "fV"


def unary(ufunc: Function) -> Function:
    """A function of one tensor that computes integers and booleans as floating numbers."""

    def kernel(x: Any) -> Any:
        return ufunc(floats(x))

    return kernel


def alike(a: Any, b: Any) -> bool:
    """Whether NumPy computes two operands in the dtype of the tensor among them."""
    try:
        return bool(a.dtype == b.dtype)
    except AttributeError:
        array, number = (a, b) if hasattr(a, "dtype") else (b, a)
        if not hasattr(array, "dtype"):
            return False  # two numbers: NumPy would compute in float64
        kind = array.dtype.kind
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return False
        return kind in "fc" or (kind in "iu" and isinstance(number, int) and _fits(number, array))


def _fits(number: int, array: Any) -> bool:
    limits = np.iinfo(array.dtype)
    return bool(limits.min <= number <= limits.max)


def binary(ufunc: Function, kinds: str = "biufcV") -> Function:
    """A function of two operands, for those of NumPy's kinds that need no promotion."""

    def kernel(a: Any, b: Any) -> Any:
        if not alike(a, b) or (a if hasattr(a, "dtype") else b).dtype.kind not in kinds:
            return NotImplemented
        return ufunc(a, b)

    return kernel


def swapped(function: Function) -> Function:
    """The function with its two operands exchanged."""

    def kernel(a: Any, b: Any) -> Any:
        return function(b, a)

    return kernel
