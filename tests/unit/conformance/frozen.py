"""A tiny array library without mutation, lazy on demand, and a backend over it.

Arrays are NumPy's, marked read-only: whoever writes to one is found out.  A lazy array is a
function that has not been called yet.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flambeau.backend import Capabilities, dtypes
from flambeau.backend import dtype as DType
from flambeau.backend.functional import ArrayLibrary, FunctionalBackend, FunctionTable, within

HELD = frozenset({
    dtypes.bool, dtypes.uint8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.float32,
    dtypes.complex64,
})  # fmt: skip


class Frozen:
    """An array that cannot be changed; its values are computed when somebody looks."""

    computed = 0
    """How many arrays have been computed, in all."""

    def __init__(self, make: Callable[[], Any], shape: Sequence[int], what: Any) -> None:
        self._make: Callable[[], Any] | None = make
        self.shape, self.dtype = tuple(shape), np.dtype(what)
        self._values: Any = None

    @property
    def is_computed(self) -> bool:
        return self._make is None

    @property
    def values(self) -> np.ndarray[Any, Any]:
        if self._make is not None:
            values = np.asarray(self._make())
            assert values.shape == self.shape and values.dtype == self.dtype
            self._values, self._make = values.view(), None
            self._values.flags.writeable = False
            Frozen.computed += 1
        return self._values  # type: ignore[no-any-return]

    def item(self) -> Any:
        return self.values.item()


def frozen(values: Any) -> Frozen:
    """An array that is computed already."""
    values = np.asarray(values)
    made = Frozen(lambda: values, values.shape, values.dtype)
    assert made.values is not None
    return made


def lazily(function: Callable[..., Any], *inputs: Any, **attributes: Any) -> Frozen:
    """A function of arrays, put off.  Shape and dtype are found by a trial on zeros."""
    trial = _run(function, [np.zeros(x.shape, x.dtype) if isinstance(x, Frozen) else x
                            for x in inputs], attributes)
    return Frozen(
        lambda: _run(function, [x.values if isinstance(x, Frozen) else x for x in inputs],
                     attributes),
        trial.shape, trial.dtype)


def _run(function: Callable[..., Any], inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(function(*inputs, **attributes))


def eagerly(function: Callable[..., Any], *inputs: Any, **attributes: Any) -> Frozen:
    """A function of arrays, at once."""
    values = [x.values if isinstance(x, Frozen) else x for x in inputs]
    return frozen(_run(function, values, attributes))


class FrozenArrays(ArrayLibrary):
    """What the adapter asks for, by NumPy."""

    def __init__(self, call: Callable[..., Frozen] = eagerly) -> None:
        self.call = call
        self.is_deferred = call is lazily  # type: ignore[misc]
        self.waited = 0

    def from_host(self, values: Any) -> Frozen:
        return frozen(values.copy())

    def to_host(self, array: Frozen) -> Any:
        return np.ascontiguousarray(array.values)

    def dtype_of(self, array: Frozen) -> DType:
        return dtypes.from_numpy_dtype(array.dtype)

    def full(self, shape: Sequence[int], what: DType, value: Any) -> Frozen:
        return frozen(np.full(shape, value, what.numpy))

    def reshape(self, array: Frozen, shape: Sequence[int]) -> Frozen:
        return self.call(np.reshape, array, tuple(shape))

    def transpose(self, array: Frozen, axes: Sequence[int]) -> Frozen:
        return self.call(np.transpose, array, tuple(axes))

    def broadcast(self, array: Frozen, shape: Sequence[int]) -> Frozen:
        return self.call(np.broadcast_to, array, tuple(shape))

    def convert(self, array: Frozen, what: DType) -> Frozen:
        return self.call(lambda x: x.astype(what.numpy), array)

    def slice(self, array: Frozen, part: tuple[slice, ...]) -> Frozen:
        return self.call(lambda x: x[part], array)

    def update(self, array: Frozen, part: tuple[slice, ...], values: Frozen) -> Frozen:
        return self.call(_replaced, array, part, values)

    def take(self, flat: Frozen, places: Frozen) -> Frozen:
        return self.call(np.take, flat, places)

    def put(self, flat: Frozen, places: Frozen, values: Frozen) -> Frozen:
        return self.call(_replaced, flat, places, values)

    def bitcast(self, flat: Frozen, what: DType) -> Frozen:
        if what.is_complex:  # as some libraries cannot
            return super().bitcast(flat, what)
        return self.call(lambda x: x.view(what.numpy), flat)

    def start(self, arrays: list[Any]) -> None:
        for array in arrays:
            array.values  # noqa: B018  computes

    def wait(self, arrays: list[Any]) -> None:
        self.waited += 1
        self.start(arrays)


def _replaced(x: Any, where: Any, values: Any) -> Any:
    result = x.copy()
    result[where] = values
    return result


# ---- kernels -----------------------------------------------------------------------------------
def _accumulate(x: Any) -> Any:
    return x.astype(np.int64) if x.dtype.kind in "biu" else x


def _mesh(index: Any, dim: int) -> tuple[Any, ...]:
    places = list(np.indices(index.shape, sparse=True))
    places[dim] = index
    return tuple(places)


def _gather(x: Any, index: Any, dim: int) -> Any:
    x, shape, index = np.atleast_1d(x), index.shape, np.atleast_1d(index)
    return x[_mesh(index, dim)].reshape(shape) if index.size else np.empty(shape, x.dtype)


def _scattered(at: Callable[..., None]) -> Callable[..., Any]:
    def scatter(x: Any, index: Any, src: Any, dim: int) -> Any:
        result, index = np.array(x, ndmin=1), np.atleast_1d(index)
        if index.size:
            at(result, _mesh(index, dim), src)
        return result.reshape(x.shape)

    return scatter


def _sorted(x: Any, dim: int, descending: bool) -> Any:
    if not x.ndim:
        return np.zeros((), np.int64)
    order = np.argsort(np.flip(x, dim) if descending else x, axis=dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(order, dim) if descending else order


def _power(a: Any, b: Any) -> Any:
    return np.power(a, np.maximum(b, 0)) if np.asarray(a).dtype.kind in "iu" else np.power(a, b)


PLAIN: dict[str, Callable[..., Any]] = {
    "neg": np.negative, "abs": np.abs, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "sign": lambda x: np.where(x != x, 0, np.sign(x)).astype(x.dtype), "sin": np.sin,
    "cos": np.cos, "tanh": np.tanh, "log1p": np.log1p, "expm1": np.expm1, "floor": np.floor,
    "round_half_even": lambda x: x if x.dtype.kind in "iu" else np.rint(x),
    "erf": np.vectorize(math.erf, otypes=["f4"]), "add": np.add, "sub": np.subtract,
    "mul": np.multiply, "true_divide": np.true_divide, "pow": _power, "maximum": np.maximum,
    "minimum": np.minimum, "remainder": np.remainder, "atan2": np.arctan2, "eq": np.equal,
    "lt": np.less, "le": np.less_equal, "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor, "select_where": np.where,
    "matmul": np.matmul,
    "sum": lambda x, dim, keepdim: np.sum(_accumulate(x), axis=dim, keepdims=keepdim),
    "prod": lambda x, dim, keepdim: np.prod(_accumulate(x), axis=dim, keepdims=keepdim),
    "amax": lambda x, dim, keepdim: np.max(x, axis=dim, keepdims=keepdim),
    "amin": lambda x, dim, keepdim: np.min(x, axis=dim, keepdims=keepdim),
    "argmax": lambda x, dim, keepdim: np.argmax(x, axis=dim, keepdims=keepdim),
    "argmin": lambda x, dim, keepdim: np.argmin(x, axis=dim, keepdims=keepdim),
    "cumsum": lambda x, dim: np.cumsum(x, axis=dim, dtype=x.dtype) if x.ndim else x,
}  # fmt: skip


def _floats(x: Any) -> Any:
    """NumPy makes doubles of some numbers; this device has none."""
    return x.astype(np.float32) if x.dtype == np.float64 else x


def table_of(library: FrozenArrays) -> FunctionTable:
    """All required kernels over a library."""
    table = FunctionTable(library)

    def plain(function: Callable[..., Any]) -> Callable[..., Frozen]:
        return lambda *inputs, **attributes: library.call(
            lambda *x, **a: _floats(np.asarray(function(*x, **a))), *inputs, **attributes)

    table.add(**{name: plain(function) for name, function in PLAIN.items()})

    def indexed(function: Callable[..., Any]) -> Callable[..., Frozen]:
        def kernel(x: Frozen, index: Frozen, *rest: Any, dim: int) -> Frozen:
            if math.prod(index.shape):
                size = x.shape[dim] if x.shape else 1
                bounds = (library.call(f, index) for f in (np.min, np.max))
                table.runtime.later(within(size, dim), *bounds)
                index = library.call(lambda i: np.clip(i, 0, size - 1), index)
            return library.call(lambda x, i, *r: function(x, i, *r, dim=dim), x, index, *rest)

        return kernel

    table.add(
        gather=indexed(_gather), scatter_elements=indexed(_scattered(_assign)),
        scatter_add=indexed(_scattered(np.add.at)))

    @table.function("sort_stable")
    def sort_stable(x: Frozen, **attributes: Any) -> tuple[Frozen, Frozen]:
        order = library.call(lambda x: _sorted(x, **attributes), x)
        if not x.shape:
            return x, order
        dim = attributes["dim"]
        return library.call(lambda x, o: np.take_along_axis(x, o, dim), x, order), order

    @table.constructor("arange_steps")
    def arange_steps(shape: Sequence[int], what: DType, start: Any, step: Any) -> Frozen:
        return frozen((start + np.arange(shape[0]) * step).astype(what.numpy))

    return table


def _assign(target: Any, places: Any, values: Any) -> None:
    target[places] = values


def backend_of(name: str, library: FrozenArrays | None = None) -> FunctionalBackend:
    """A backend of its own device type over a library."""
    table = table_of(library or FrozenArrays())

    class FrozenBackend(FunctionalBackend):
        kernels = table

        def device_count(self) -> int:
            return 2

        def capabilities(self, index: int) -> Capabilities:
            return Capabilities(
                dtypes=HELD, deterministic=True, asynchronous=table.runtime.is_deferred,
                total_memory=1 << 32)

        def device_info(self, index: int) -> dict[str, str]:
            return {"name": "frozen arrays"}

    FrozenBackend.name = name
    return FrozenBackend()
