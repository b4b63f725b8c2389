"""The kernels: every primitive of the core, and nothing more."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau.backend import KernelTable, Strided

kernels = KernelTable()
calls: Counter[str] = Counter()
"""How often each kernel ran: a test can see that this device did the work."""


def array(x: Any) -> Any:
    """A kernel's argument as an array over the device's memory; numbers as they are."""
    if not isinstance(x, Strided):
        return x
    what, layout = x.dtype.numpy, x.layout
    if not layout.numel:
        return np.empty(layout.shape, what)
    strides = tuple(s * what.itemsize for s in layout.strides)
    return np.ndarray(layout.shape, what, x.buffer, layout.offset * what.itemsize, strides)


def kernel(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register ``function(*inputs, **attributes) -> array`` as the kernel of an op."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(out: Any, *inputs: Any, **attributes: Any) -> None:
            calls[name] += 1
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = function(*map(array, inputs), **attributes)
                outs, results = (out, result) if isinstance(out, tuple) else ((out,), (result,))
                for o, r in zip(outs, results, strict=True):
                    np.copyto(array(o), r, casting="unsafe")

        kernels.register(name)(run)
        return function

    return register


for _name, _function in {
    "copy": lambda x: x, "neg": np.negative, "abs": np.abs, "exp": np.exp,
    "sign": lambda x: np.where(x != x, 0, np.sign(x)),
    "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "log1p": np.log1p, "expm1": np.expm1, "floor": np.floor,
    "round_half_even": lambda x: x if x.dtype.kind in "iu" else np.rint(x),
    "erf": np.vectorize(math.erf, otypes=[float]), "add": np.add, "sub": np.subtract,
    "mul": np.multiply, "true_divide": np.true_divide, "pow": np.power,
    "maximum": np.maximum, "minimum": np.minimum, "remainder": np.remainder,
    "atan2": np.arctan2, "eq": np.equal, "lt": np.less, "le": np.less_equal,
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "select_where": np.where, "matmul": np.matmul,
}.items():
    kernel(_name)(_function)


@kernels.register("fill")
def fill(out: Strided, value: Any) -> None:
    """Set every element."""
    calls["fill"] += 1
    array(out)[...] = value


@kernels.register("arange_steps")
def arange_steps(out: Strided, start: Any, step: Any) -> None:
    """``start + i * step``."""
    calls["arange_steps"] += 1
    array(out)[...] = start + np.arange(out.layout.numel) * step


def _accumulate(x: Any) -> Any:
    """Integers and booleans are summed as int64."""
    return x.astype(np.int64) if x.dtype.kind in "biu" else x


@kernel("sum")
def _sum(x: Any, dim: Any, keepdim: bool) -> Any:
    return np.sum(_accumulate(x), axis=dim, keepdims=keepdim)


@kernel("prod")
def _prod(x: Any, dim: Any, keepdim: bool) -> Any:
    return np.prod(_accumulate(x), axis=dim, keepdims=keepdim)


@kernel("amax")
def _amax(x: Any, dim: Any, keepdim: bool) -> Any:
    return np.max(x, axis=dim, keepdims=keepdim)


@kernel("amin")
def _amin(x: Any, dim: Any, keepdim: bool) -> Any:
    return np.min(x, axis=dim, keepdims=keepdim)


@kernel("argmax")
def _argmax(x: Any, dim: Any, keepdim: bool) -> Any:
    return np.argmax(x, axis=dim, keepdims=keepdim)


@kernel("argmin")
def _argmin(x: Any, dim: Any, keepdim: bool) -> Any:
    return np.argmin(x, axis=dim, keepdims=keepdim)


@kernel("cumsum")
def _cumsum(x: Any, dim: int) -> Any:
    return np.cumsum(x, axis=dim) if x.ndim else x


@kernel("sort_stable")
def _sort(x: Any, dim: int, descending: bool) -> Any:
    if not x.ndim:
        return x, 0
    flipped = np.flip(x, dim) if descending else x
    order = np.argsort(flipped, axis=dim, kind="stable")
    if descending:
        order = x.shape[dim] - 1 - np.flip(order, dim)
    return np.take_along_axis(x, order, dim), order


def _check(index: Any, size: int) -> None:
    if index.size and (index.min() < 0 or index.max() >= size):
        raise IndexError(f"index out of bounds for a dimension of size {size}")


def _mesh(index: Any, dim: int) -> tuple[Any, ...]:
    places = list(np.indices(index.shape, sparse=True))
    places[dim] = index
    return tuple(places)


@kernel("gather")
def _gather(x: Any, index: Any, dim: int) -> Any:
    x, shape, index = np.atleast_1d(x), index.shape, np.atleast_1d(index)
    _check(index, x.shape[dim])
    return x[_mesh(index, dim)].reshape(shape) if index.size else np.empty(shape, x.dtype)


@kernel("scatter_elements")
def _scatter(x: Any, index: Any, src: Any, dim: int) -> Any:
    result, index = np.array(x, ndmin=1), np.atleast_1d(index)
    _check(index, result.shape[dim])
    if index.size:
        result[_mesh(index, dim)] = src
    return result.reshape(x.shape)


@kernel("scatter_add")
def _scatter_add(x: Any, index: Any, src: Any, dim: int) -> Any:
    result, index = np.array(x, ndmin=1), np.atleast_1d(index)
    _check(index, result.shape[dim])
    if index.size:
        np.add.at(result, _mesh(index, dim), src)
    return result.reshape(x.shape)
