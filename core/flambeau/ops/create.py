"""New tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from flambeau import dispatch, dtypes, modes
from flambeau.autograd.grad_mode import no_grad
from flambeau.construct import as_dtype
from flambeau.device import CPU, defaults, get_default_device
from flambeau.device import device as Device
from flambeau.dtypes import Default
from flambeau.errors import LayoutError
from flambeau.fields import TensorFields
from flambeau.kind import Kind, kind_of
from flambeau.layout import Layout, strides_in_order
from flambeau.ops.facts import strided
from flambeau.ops.memory import checked_number, layout_in
from flambeau.promotion import number
from flambeau.registry import OPS, Plan, Result, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


# ---- arguments ---------------------------------------------------------------------------------
def creation_kind(dtype: Any, device: Any) -> Kind:
    """The kind of a new tensor: defaults filled in, Python types as dtypes."""
    if dtype is None:
        dtype = dtypes.get_default_dtype()
    elif dtype.__class__ is not dtypes.dtype:
        dtype = as_dtype("empty", dtype)
    return kind_of(get_default_device() if device is None else device, dtype)


def sizes_of(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape given as separate numbers or as one sequence.

    Raises:
        TypeError: if a size is no integer.
        RuntimeError: if a size is negative.
    """
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    for n in size:
        if n.__class__ is not int:
            if isinstance(n, bool) or not hasattr(n, "__index__"):
                raise TypeError(
                    f"{name}(): argument 'size' must be tuple of ints, but found element of type "
                    f"{type(n).__name__}"
                )
            size = tuple(map(int, size))
            break
    for n in size:
        if n < 0:
            raise RuntimeError(
                f"{name}(): Trying to create tensor with negative dimension {n}: {list(size)}")
    return size


def _shape(name: str, shape: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """The shape given as positional numbers, as one sequence, or by the name ``size``.

    Raises:
        TypeError: if it is missing or given twice.
    """
    if size is not None:
        if shape:
            raise TypeError(f"{name}() got multiple values for argument 'size'")
        shape = (size,)
    elif not shape:
        raise TypeError(f"{name}() missing required argument 'size'; {name}(()) makes a scalar")
    return sizes_of(name, shape)


def finish(
    result: Tensor, requires_grad: bool, out: Tensor | None, name: str, dtype: Any = None
) -> Tensor:
    """Apply what all factory functions take: ``requires_grad`` and ``out``.

    Raises:
        RuntimeError: if a dtype was asked for that ``out`` does not have.
    """
    if out is None:
        return result.requires_grad_() if requires_grad else result
    if dtype is not None and dtype is not out.dtype:
        raise RuntimeError(
            f"{name}(): dtype {dtype!r} does not match dtype of out parameter ({out.dtype!r})")
    if out.shape != result.shape:
        dispatch.resize_out(OPS["fill"], out, result)
    out.detach().copy_(result)
    return out


_new_tensor: Final = TensorFields.__new__
_FEW: Final = 512  # elements
_WIDE: Final = (dtypes.float32, dtypes.float64)
_MODEST: Final = 1e38  # numbers that every wide dtype holds


# ---- of a size ---------------------------------------------------------------------------------
def empty(
    *shape: Any, size: Any = None, out: Tensor | None = None, dtype: dtypes.dtype | None = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """An uninitialised tensor."""
    if layout is not None and layout is not strided:
        return _sparse(_shape("empty", shape, size), layout, dtype, device, requires_grad)
    if device is None and size is None and out is None and memory_format is None:
        made = _small(shape, Default.floating if dtype is None else dtype)
        if made is not None:
            return made.requires_grad_() if requires_grad else made
    sizes = _shape("empty", shape, size)
    kind = creation_kind(dtype, device)
    held = Layout.contiguous(sizes)
    if memory_format is not None:
        held = layout_in(sizes, memory_format) or held
    return finish(dispatch.empty(kind, held), requires_grad, out, "empty", dtype)


def _sparse(
    shape: tuple[int, ...], layout: Any, dtype: Any, device: Any, requires_grad: bool
) -> Tensor:
    """A tensor of a sparse layout without values."""
    from flambeau.sparse import construct

    made: Tensor = construct.zeros(shape, layout, dtype, device, requires_grad)
    return made


def _small(shape: tuple[Any, ...], dtype: Any) -> Tensor | None:
    """A tensor of a few bytes: zeros cost less than memory without an array over it."""
    count = 1
    for n in shape[0] if len(shape) == 1 and shape[0].__class__ is tuple else shape:
        if n.__class__ is not int:
            return None
        count *= n
    return _filled(shape, dtype, 0) if count <= _FEW else None


def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: dtypes.dtype | None = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor with strides given, in elements.

    Raises:
        RuntimeError: if there are not as many strides as sizes, or one is negative.
    """
    shape, strides = sizes_of("empty_strided", (tuple(size),)), tuple(map(int, stride))
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(strides)})")
    if any(s < 0 for s in strides):
        raise RuntimeError(
            f"empty_strided: Negative strides are not supported, got {list(strides)}")
    result = dispatch.empty(creation_kind(dtype, device), Layout.of(shape, strides))
    return finish(result, requires_grad, None, "empty_strided")


def empty_permuted(
    size: Sequence[int], physical_layout: Sequence[int], *, dtype: dtypes.dtype | None = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """An uninitialised dense tensor, its dimensions given from the outermost in memory on.

    Raises:
        RuntimeError: if the order does not name every dimension once.
    """
    shape, order = sizes_of("empty_permuted", (tuple(size),)), list(physical_layout)
    if len(order) != len(shape):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; "
            f"i.e. len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}")
    if sorted(order) != list(range(len(shape))):
        raise RuntimeError(
            f"Dimension out of range or duplicate dim not allowed in physical_layout {order}")
    held = Layout.of(shape, strides_in_order(shape, order[::-1]))
    return finish(dispatch.empty(creation_kind(dtype, device), held), requires_grad, None, "")


def full(
    size: Any, fill_value: Any, *, out: Tensor | None = None, dtype: dtypes.dtype | None = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """A tensor filled with a number, of the number's type if no dtype is given."""
    if device is None and out is None and not requires_grad and size.__class__ is tuple and (
        fill_value.__class__ is float and -_MODEST < fill_value < _MODEST
    ):
        what = Default.floating if dtype is None else dtype
        made = _filled((size,), what, fill_value) if what in _WIDE else None
        if made is not None:
            return made
    if isinstance(size, int):
        raise TypeError("full(): argument 'size' (position 1) must be tuple of ints, not int")
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    kind = creation_kind(dtypes.of_scalar(fill_value) if dtype is None else dtype, device)
    result = dispatch.full(
        kind, sizes_of("full", (size,)), checked_number(fill_value, kind.dtype))
    return finish(result, requires_grad, out, "full", dtype)


_fill_kernels: dict[Any, tuple[Kind, Any]] = {}  # of the CPU, by dtype


def _filled(shape: tuple[Any, ...], dtype: Any, value: Any) -> Tensor | None:
    """A tensor on the CPU filled by its backend's own kernel, None where that needs more thought.

    Args:
        value: an integer that every dtype holds, or a number of the dtype's own type.
    """
    entry = _fill_kernels.get(dtype)
    if entry is None or defaults.stack or not shape:
        return None
    sizes = shape[0] if len(shape) == 1 and shape[0].__class__ is tuple else shape
    for n in sizes:
        if n.__class__ is not int or n < 0:
            return None
    kind, fresh = entry
    t = _new_tensor(Tensor)
    t._native, t._kind = fresh(sizes, dtype, value), kind
    t._storage = t._layout = t._base = t._fn = t._grad = t._extra = None
    t._requires_grad, t._seen = False, 0
    return t


def _remember_fill(kind: Kind) -> None:
    fresh = kind.backend.kernels.fresh.get("fill")
    if fresh is not None and kind.device is CPU:
        _fill_kernels[kind.dtype] = (kind, fresh)


def _constant(name: str, value: int) -> Any:
    numbers = {what: number(value, what) for what in (*dtypes.ALL, *dtypes.OPTIONAL)}

    def make(
        *shape: Any, size: Any = None, out: Tensor | None = None,
        dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False,
    ) -> Tensor:
        if device is None and size is None and out is None and not requires_grad and (
            layout is None
        ):
            # As in `_filled`, whose frame would be a tenth of the time.
            entry = _fill_kernels.get(Default.floating if dtype is None else dtype)
            if entry is not None and shape and not defaults.stack:
                sizes = shape[0] if len(shape) == 1 and shape[0].__class__ is tuple else shape
                for n in sizes:
                    if n.__class__ is not int or n < 0:
                        break
                else:
                    kind, fresh = entry
                    t = _new_tensor(Tensor)
                    t._native, t._kind = fresh(sizes, kind.dtype, value), kind
                    t._storage = t._layout = t._base = t._fn = t._grad = t._extra = None
                    t._requires_grad, t._seen = False, 0
                    return t
        if layout is not None and layout is not strided:
            if value:
                raise LayoutError(f"{name}: a tensor of layout {layout} cannot be filled")
            return _sparse(_shape(name, shape, size), layout, dtype, device, requires_grad)
        kind = creation_kind(dtype, device)
        _remember_fill(kind)
        result = dispatch.full(kind, _shape(name, shape, size), numbers[kind.dtype])
        return finish(result, requires_grad, out, name, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor filled with {value}."
    return make


zeros = _constant("zeros", 0)
ones = _constant("ones", 1)


def scalar_tensor(
    s: Any, *, dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """A 0-d tensor of a number."""
    what = dtypes.Default.floating if dtype is None else dtype
    return full((), s, dtype=what, device=device, requires_grad=requires_grad)


# ---- like another ------------------------------------------------------------------------------
def _like(
    input: Tensor, dtype: dtypes.dtype | None, device: Any, memory_format: Any = None
) -> tuple[Kind, Layout]:
    kind = kind_of(
        input._kind.device if device is None else device, input.dtype if dtype is None else dtype)
    wanted = None if memory_format is None else layout_in(input.shape, memory_format)
    return kind, wanted or in_memory_order(input.layout_())


def in_memory_order(layout: Layout) -> Layout:
    """The dense layout with the same order of elements in memory."""
    if layout.is_contiguous:
        return Layout.contiguous(layout.shape)
    if layout.is_dense():
        return Layout.of(layout.shape, layout.strides)
    return Layout.of(layout.shape, strides_in_order(layout.shape, _order(layout)))


def _order(layout: Layout) -> list[int]:
    """Dimensions from the innermost out; expanded ones go where they stand in the shape."""
    order: list[int] = []
    for d in range(layout.ndim - 1, -1, -1):
        at = len(order)
        stride = layout.strides[d]
        while at and stride and layout.shape[d] > 1 and (
            layout.strides[order[at - 1]] > stride > 0
        ):
            at -= 1
        order.insert(at, d)
    return order


def empty_like(
    input: Tensor, *, dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None, pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor of the shape and memory order of another."""
    if modes.ACTIVE and input.__class__ is not Tensor:
        made = modes.per_sample(input, empty_like, dtype=dtype, device=device)
        if made is not NotImplemented:
            return finish(made, requires_grad, None, "empty_like")
    try:
        result = dispatch.empty(*_like(input, dtype, device, memory_format))
    except LayoutError:
        return _sparse_like(
            input, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)
    return finish(result, requires_grad, None, "empty_like")


def _sparse_like(input: Any, **options: Any) -> Tensor:
    """A tensor without values of the layout and shape of a sparse one, or zeros of a nested one."""
    if input.is_nested:
        from flambeau.nested.construct import zeros_like as nested_zeros

        zeros: Tensor = nested_zeros(input, **options)
        return zeros
    from flambeau.sparse import construct

    made: Tensor = construct.zeros_like(input, **options)
    return made


def _filled_like(input: Tensor, value: int, options: dict[str, Any]) -> Tensor:
    if not options and not modes.ACTIVE:
        held = input.layout_()
        if held.is_contiguous:
            kind = input._kind
            return dispatch.full(kind, held.shape, number(value, kind.dtype))
    return full_like(input, value, **options)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: dtypes.dtype | None = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of the shape and memory order of another, filled with a number."""
    if modes.ACTIVE and input.__class__ is not Tensor:
        made = modes.per_sample(input, full_like, fill_value, dtype=dtype, device=device)
        if made is not NotImplemented:
            return finish(made, requires_grad, None, "full_like")
    kind, held = _like(input, dtype, device, memory_format)
    value = checked_number(fill_value, kind.dtype)
    if held.is_contiguous:
        result = dispatch.full(kind, held.shape, value)
    else:
        result = dispatch.empty(kind, held)
        dispatch.fill(result, value)
    return finish(result, requires_grad, None, "full_like")


def zeros_like(input: Tensor, **options: Any) -> Tensor:
    """A tensor of the shape and memory order of another, filled with 0."""
    try:
        return _filled_like(input, 0, options)
    except LayoutError:
        return _sparse_like(input, **options)


def ones_like(input: Tensor, **options: Any) -> Tensor:
    """A tensor of the shape and memory order of another, filled with 1."""
    return _filled_like(input, 1, options)


# ---- of the same dtype and device --------------------------------------------------------------
def _new(self: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    return {"dtype": self.dtype, "device": self.device} | {
        k: v for k, v in options.items() if v is not None}


def new_empty(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """An uninitialised tensor of this one's dtype and device."""
    return empty(*size, **_new(self, options))


def new_empty_strided(self: Tensor, size: Any, stride: Any, **options: Any) -> Tensor:
    """An uninitialised tensor with strides given, of this one's dtype and device."""
    return empty_strided(size, stride, **_new(self, options))


def new_zeros(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Zeros of this tensor's dtype and device."""
    result: Tensor = zeros(*size, **_new(self, options))
    return result


def new_ones(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Ones of this tensor's dtype and device."""
    result: Tensor = ones(*size, **_new(self, options))
    return result


def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """A filled tensor of this one's dtype and device."""
    return full(size, fill_value, **_new(self, options))


def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    """A tensor of the data given, of this one's dtype and device."""
    from flambeau.construct import tensor

    return tensor(data, **_new(self, options))


def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """``Tensor(...)`` in this one's dtype and device: sizes, or a sequence of data."""
    from flambeau.construct import legacy_tensor

    return legacy_tensor(*args, dtype=self.dtype, device=self.device if device is None else device)


for _method in (
    new, new_empty, new_empty_strided, new_full, new_ones, new_tensor, new_zeros,
):
    setattr(Tensor, _method.__name__, _method)


# ---- ranges ------------------------------------------------------------------------------------
def _range_rule(
    start: Any, step: Any, count: int, dtype: dtypes.dtype, device: Device
) -> Plan:
    return Plan(
        (), (Result((count,), dtype),), {"start": start, "step": step}, device)


def _range_samples(make: Make) -> Iterator[Sample]:
    place = make().device
    yield sample(0, 1, 5, dtypes.int64, place)
    yield sample(0.5, 0.25, 6, dtypes.float32, place)
    yield sample(5, -2, 3, dtypes.int64, place)
    yield sample(0, 1, 0, dtypes.float32, place)


def _range_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(TypeError, "must be int", 0, 1, 2.5, dtypes.int64, make().device)


_arange = primitive(
    "arange_steps(Scalar start, Scalar step, int count, dtype dtype, device device) -> Tensor",
    doc="``start + i * step`` for i from 0 to ``count - 1``.",
    rule=_range_rule, formula="start + i * step", namespaces=("_internal",), dtypes="none",
    samples=_range_samples, errors=_range_errors,
)


def _bound(name: str, argument: str, value: Any) -> Any:
    """A number, or the number in a tensor of one element.

    Raises:
        TypeError: naming the argument.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    if not isinstance(value, Tensor) and (
        isinstance(value, (int, float, complex)) or hasattr(value, "__float__")
    ):
        return value
    raise TypeError(
        f"{name}(): argument '{argument}' must be Number, not {type(value).__name__}")


def _check_range(start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not all(math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def arange(
    *bounds: Any, start: Any = None, end: Any = None, step: Any = None, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """Numbers from ``start`` up to ``end``, which is left out, ``step`` apart.

    ``arange(end)``, ``arange(start, end)``, ``arange(start, end, step)``, or by these names.
    """
    if len(bounds) == 1 and bounds[0].__class__ is int and bounds[0] >= 0 and (
        start is None and end is None and step is None and out is None and dtype is None
        and device is None and not (requires_grad or defaults.stack)
    ):
        counted: Tensor = _arange(0, 1, bounds[0], dtypes.int64, CPU)
        return counted
    start, end, step = _range_arguments(bounds, start, end, step)
    _check_range(start, end, step)
    if dtype is None:
        whole = all(isinstance(v, int) for v in (start, end, step))
        dtype = out.dtype if out is not None else (
            dtypes.int64 if whole else dtypes.get_default_dtype())
    kind = creation_kind(dtype, device)
    if kind.dtype.category in (0, 3):
        raise NotImplementedError(f"\"arange\" not implemented for '{kind.dtype.name}'")
    if kind.dtype is dtypes.int64:
        start, end, step = int(start), int(end), int(step)
        _check_range(start, end, step)
        count = max(0, -((start - end) // step))
    else:
        count = max(0, math.ceil((end - start) / step))
    result = _arange(
        number(start, kind.dtype), number(step, kind.dtype), count, kind.dtype, kind.device)
    return finish(result, requires_grad, out, "arange")


def _range_arguments(
    bounds: tuple[Any, ...], start: Any, end: Any, step: Any
) -> tuple[Any, Any, Any]:
    """Start, end and step, in whichever way they were given."""
    if len(bounds) == 1 and end is None:
        bounds = (0 if start is None else start, *bounds)
    elif len(bounds) == 1:
        bounds = (*bounds, end)
    elif not bounds and end is not None:
        bounds = (0 if start is None else start, end)
    if len(bounds) == 2:
        bounds = (*bounds, 1 if step is None else step)
    if len(bounds) != 3:
        raise TypeError("arange() expects (end), (start, end) or (start, end, step)")
    names = ("start", "end", "step")
    first, last, apart = (
        _bound("arange", n, v) for n, v in zip(names, bounds, strict=True))
    return first, last, apart


def range_(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """Numbers from ``start`` to ``end``, which is included; deprecated for ``arange``."""
    import warnings

    warnings.warn(
        "range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use arange, which produces values in "
        "[start, end).", UserWarning, stacklevel=2)
    if end is None:
        start, end = 0, start
    start, end, step = (
        _bound("range", n, v) for n, v in (("start", start), ("end", end), ("step", step)))
    _check_range(start, end, step)
    kind = creation_kind(dtype if dtype is not None or out is None else out.dtype, device)
    count = math.floor((end - start) / step) + 1
    result = _arange(
        number(start, kind.dtype), number(step, kind.dtype), count, kind.dtype, kind.device)
    return finish(result, requires_grad, out, "range")


def _end_point(name: str, word: str, value: Any) -> Any:
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got {word} with "
            f"{value.ndim} dimension(s).")
    return _bound(name, word, value)


def _check_steps(name: str, steps: Any) -> None:
    if isinstance(steps, float):
        raise TypeError(f"{name}(): argument 'steps' (position 3) must be int, not float")
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")


def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included."""
    _check_steps("linspace", steps)
    start, end = _end_point("linspace", "start", start), _end_point("linspace", "end", end)
    if dtype is None:
        dtype = dtypes.get_default_dtype() if out is None else out.dtype
        if isinstance(start, complex) or isinstance(end, complex):
            dtype = dtype.to_complex()
    kind = creation_kind(dtype, device)
    if kind.dtype.category == 1:
        start, end = int(start), int(end)
    if steps == 1:
        only = full((1,), number(start, kind.dtype), dtype=kind.dtype, device=device)
        return finish(only, requires_grad, out, "linspace")
    with no_grad():
        result = _spaced(start, end, steps, kind)
    return finish(result, requires_grad, out, "linspace")


def _spaced(start: Any, end: Any, steps: int, kind: Kind) -> Tensor:
    """Computed from both ends, so that the last value is exactly ``end``."""
    from flambeau.ops.join import cat

    what = kind.widest_real() if kind.dtype.category < 2 else kind.dtype
    real = what.to_real()
    step = (end - start) / (steps - 1) if steps else 0
    half = steps // 2
    up = arange(0, half, dtype=real, device=kind.device).to(what) * step + start
    back = arange(steps - half - 1, -1, -1, dtype=real, device=kind.device) if steps else up
    result: Tensor = cat([up, end - back.to(what) * step if steps else up]).to(kind.dtype)
    return result


def logspace(
    start: Any, end: Any, steps: int, base: Any = 10.0, *, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """``base`` to the power of ``steps`` numbers evenly spaced from ``start`` to ``end``."""
    _check_steps("logspace", steps)
    start, end = _end_point("logspace", "start", start), _end_point("logspace", "end", end)
    base = _end_point("logspace", "base", base)
    what = dtype or (dtypes.get_default_dtype() if out is None else out.dtype)
    is_complex = what.is_complex or any(isinstance(v, complex) for v in (start, end, base))
    if dtype is None and is_complex:
        what = what.to_complex()
    if what.category == 1:
        start, end = int(start), int(end)
    wide = creation_kind(what, device).widest_real()
    if is_complex:
        wide = wide.to_complex()
    with no_grad():
        powers = linspace(start, end, steps, dtype=wide, device=device)
        result = full((), base, dtype=wide, device=device).pow(powers).to(what)
    return finish(result, requires_grad, out, "logspace")


def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, dtype: dtypes.dtype | None = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """A matrix with ones on the diagonal."""
    for word, count in (("n", n), ("m", 0 if m is None else m)):
        if count < 0:
            raise RuntimeError(f"{word} must be greater or equal to 0, got {count}")
    result: Tensor = zeros((n, n if m is None else m), dtype=dtype, device=device)
    if result.numel():
        result.diagonal().fill_(1)
    return finish(result, requires_grad, out, "eye", dtype)
