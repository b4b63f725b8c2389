"""New tensors of random numbers.

Numbers are drawn on the host and moved to the device of the tensor: a seed gives the same ones
everywhere, those of PyTorch's CPU generator.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flambeau import dispatch, dtypes, modes, random, rng
from flambeau.device import CPU, META
from flambeau.kind import Kind, kind_of
from flambeau.layout import Layout, strides_in_order
from flambeau.ops.create import _like, _shape, creation_kind, finish, sizes_of
from flambeau.storage import Storage
from flambeau.tensor import Tensor, from_native, from_storage

Sampler = Callable[..., np.ndarray[Any, Any]]
"""``sampler(generator, shape, dtype_name, *arguments)``: a function of :mod:`flambeau.rng`."""


# ---- drawing -----------------------------------------------------------------------------------
def source(generator: Any, name: str) -> rng.Generator:
    """The generator to draw from: the one given, or the default one.

    Raises:
        TypeError: naming the op, if it is no generator.
    """
    if generator is None:
        return random.default_generator
    if not isinstance(generator, rng.Generator):
        raise TypeError(
            f"{name}(): argument 'generator' must be flambeau.Generator, "
            f"not {type(generator).__name__}"
        )
    return generator


def place(kind: Kind, values: np.ndarray[Any, Any], layout: Layout | None = None) -> Tensor:
    """A tensor of values drawn on the host.

    Args:
        layout: of a dense tensor whose elements ``values`` holds in the order of its memory; None
            if ``values`` has the tensor's shape, row-major.
    """
    host = kind if kind.device is CPU else kind_of(CPU, kind.dtype)
    if layout is None or layout.is_contiguous:
        made = from_native(host, values if layout is None else values.reshape(layout.shape))
    else:
        _, buffer, nbytes, _ = host.backend.adopt(values)
        made = from_storage(host, Storage(CPU, host.backend, buffer, nbytes), layout)
    return made if host is kind else dispatch.move(made, kind)


def draw(
    kind: Kind, shape: tuple[int, ...], sampler: Sampler, generator: Any, name: str,
    *arguments: Any,
) -> Tensor:
    """A row-major tensor of random numbers; none are drawn for the meta device."""
    if modes.ACTIVE:
        return modes.drawn(  # type: ignore[no-any-return]
            shape, lambda size: _draw(kind, size, sampler, generator, name, arguments))
    return _draw(kind, shape, sampler, generator, name, arguments)


def _draw(
    kind: Kind, shape: tuple[int, ...], sampler: Sampler, generator: Any, name: str,
    arguments: tuple[Any, ...],
) -> Tensor:
    if kind.device is META:
        return dispatch.empty(kind, Layout.contiguous(shape))
    values = sampler(source(generator, name), shape, kind.dtype.name, *arguments)
    return from_native(kind, values) if kind.device is CPU else place(kind, values)


def draw_like(
    kind: Kind, layout: Layout, sampler: Sampler, generator: Any, name: str, *arguments: Any,
    **named: Any,
) -> Tensor:
    """A dense tensor of random numbers, drawn in the order of the memory of a layout."""
    layout = in_memory_order(layout)
    if modes.ACTIVE:
        return modes.drawn(  # type: ignore[no-any-return]
            layout.shape, lambda size: _draw_in_order(
                kind, layout if tuple(size) == tuple(layout.shape) else Layout.contiguous(size),
                sampler, generator, name, arguments, named))
    return _draw_in_order(kind, layout, sampler, generator, name, arguments, named)


def _draw_in_order(
    kind: Kind, layout: Layout, sampler: Sampler, generator: Any, name: str,
    arguments: tuple[Any, ...], named: dict[str, Any],
) -> Tensor:
    if kind.device is META:
        return dispatch.empty(kind, layout)
    values = sampler(
        source(generator, name), (layout.numel,), kind.dtype.name, *arguments, **named)
    return place(kind, values, layout)


def in_memory_order(layout: Layout) -> Layout:
    """The dense layout with the same order of elements in memory."""
    if layout.is_contiguous:
        return Layout.contiguous(layout.shape)
    if layout.is_dense():
        return Layout.of(layout.shape, layout.strides)
    return Layout.of(layout.shape, strides_in_order(layout.shape, layout.order()))


def _kind_of(dtype: dtypes.dtype | None, device: Any, out: Tensor | None) -> Kind:
    """The kind of a new tensor: that of ``out`` if there is one."""
    return creation_kind(dtype, device) if out is None else out._kind


# ---- of a size ---------------------------------------------------------------------------------
def rand(
    *shape: Any, size: Any = None, generator: random.Generator | None = None,
    out: Tensor | None = None, dtype: dtypes.dtype | None = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """Numbers uniform in [0, 1), of a floating or complex dtype."""
    kind = _kind_of(dtype, device, out)
    result = draw(kind, _shape("rand", shape, size), rng.uniform, generator, "rand")
    return finish(result, requires_grad, out, "rand", dtype)


def randn(
    *shape: Any, size: Any = None, generator: random.Generator | None = None,
    out: Tensor | None = None, dtype: dtypes.dtype | None = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """Normal numbers of mean 0 and variance 1, of a floating or complex dtype."""
    kind = _kind_of(dtype, device, out)
    result = draw(kind, _shape("randn", shape, size), rng.normal, generator, "randn")
    return finish(result, requires_grad, out, "randn", dtype)


def randint(
    *bounds: Any, low: int = 0, high: int | None = None, size: Any = None,
    generator: random.Generator | None = None, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """Integers uniform in [low, high), int64 unless a dtype is given.

    ``randint(high, size)`` or ``randint(low, high, size)``, or by these names.
    """
    if bounds and size is None:
        *bounds, size = bounds  # type: ignore[assignment]
    if not isinstance(size, (tuple, list)):
        raise TypeError("randint() expects (high, size) or (low, high, size), size a tuple of ints")
    low, high = _bounds("randint", bounds, low, high)
    what = dtypes.int64 if dtype is None and out is None else dtype
    kind = _kind_of(what, device, out)
    shape = sizes_of("randint", tuple(size))
    result = draw(kind, shape, rng.random_, generator, "randint", low, high)
    return finish(result, requires_grad, out, "randint", dtype)


def _bounds(name: str, given: Sequence[Any], low: Any, high: Any) -> tuple[int, int]:
    """``low`` and ``high`` given as ``(high,)``, as ``(low, high)``, or by these names."""
    if len(given) == 1:
        low, high = (low, given[0]) if high is None else (given[0], high)
    elif len(given) == 2:
        low, high = given
    if high is None or len(given) > 2:
        raise TypeError(f"{name}() expects the bounds as (high) or as (low, high)")
    return bound(name, "low", low), bound(name, "high", high)


def bound(name: str, argument: str, value: Any) -> int:
    """An integer bound.

    Raises:
        TypeError: naming the op and the argument.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name}(): argument '{argument}' must be int, not {type(value).__name__}"
        ) from None


def _permutation(
    generator: rng.Generator, shape: tuple[int, ...], dtype_name: str
) -> np.ndarray[Any, Any]:
    return rng.randperm(generator, shape[0], dtype_name)


def randperm(
    n: int, *, generator: random.Generator | None = None, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """The integers from 0 to ``n - 1`` in random order, int64 unless a dtype is given."""
    sizes = sizes_of("randperm", (bound("randperm", "n", n),))
    what = dtypes.int64 if dtype is None and out is None else dtype
    kind = _kind_of(what, device, out)
    result = draw(kind, sizes, _permutation, generator, "randperm")
    return finish(result, requires_grad, out, "randperm", dtype)


# ---- like another tensor -----------------------------------------------------------------------
def _like_arguments(
    name: str, input: Any, dtype: dtypes.dtype | None, device: Any, memory_format: Any
) -> tuple[Kind, Layout]:
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return _like(input, dtype, device, memory_format)


def rand_like(
    input: Tensor, *, generator: random.Generator | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None, pin_memory: bool = False,
) -> Tensor:
    """Numbers uniform in [0, 1), in the shape and memory order of another tensor."""
    kind, held = _like_arguments("rand_like", input, dtype, device, memory_format)
    result = draw_like(kind, held, rng.uniform, generator, "rand_like")
    return finish(result, requires_grad, None, "rand_like")


def randn_like(
    input: Tensor, *, generator: random.Generator | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None, pin_memory: bool = False,
) -> Tensor:
    """Standard normal numbers, in the shape and memory order of another tensor."""
    kind, held = _like_arguments("randn_like", input, dtype, device, memory_format)
    result = draw_like(
        kind, held, rng.normal, generator, "randn_like", contiguous=held.is_contiguous)
    return finish(result, requires_grad, None, "randn_like")


def randint_like(
    input: Tensor, *bounds: Any, low: Any = 0, high: Any = None,
    generator: random.Generator | None = None, dtype: dtypes.dtype | None = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: Any = None, pin_memory: bool = False,
) -> Tensor:
    """Integers uniform in [low, high), in the shape, dtype and memory order of another tensor.

    ``randint_like(input, high)`` or ``randint_like(input, low, high)``, or by these names.
    """
    low, high = _bounds("randint_like", bounds, low, high)
    kind, held = _like_arguments("randint_like", input, dtype, device, memory_format)
    result = draw_like(kind, held, rng.random_, generator, "randint_like", low, high)
    return finish(result, requires_grad, None, "randint_like")
