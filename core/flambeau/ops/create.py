"""New tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dispatch
from flambeau import dtypes
from flambeau.autograd.grad_mode import no_grad
from flambeau.device import device as Device
from flambeau.device import CPU, defaults
from flambeau.kind import Kind, kinds, kind_of
from flambeau.layout import Layout
from flambeau.promotion import contiguous_like, number
from flambeau.registry import Plan, Result, primitive
from flambeau.samples import Make, Sample, sample
from flambeau.tensor import Tensor, from_native


def creation_kind(dtype: dtypes.dtype | None, device: Any) -> Kind:
    """The kind of a new tensor: defaults filled in."""
    # Every factory comes through here: the defaults are read without a call.
    if device is None:
        device = defaults.stack[-1] if defaults.stack else CPU
    what = dtypes.Default.floating if dtype is None else dtype
    return kinds.get((device, what)) or kind_of(device, what)


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


def finish(result: Tensor, requires_grad: bool, out: Tensor | None, name: str) -> Tensor:
    """Apply what all factory functions take: ``requires_grad`` and ``out``."""
    if out is not None:
        if out.shape != result.shape:
            from flambeau.registry import OPS

            dispatch.resize_out(OPS["fill"], out, result)
        out.detach().copy_(result)
        return out
    return result.requires_grad_() if requires_grad else result


def empty(
    *size: Any, dtype: dtypes.dtype | None = None, device: Any = None, out: Tensor | None = None,
    requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """An uninitialised tensor."""
    shape = sizes_of("empty", size)
    result = dispatch.empty(creation_kind(dtype, device), Layout.contiguous(shape))
    if memory_format is not None:
        from flambeau.ops.memory import layout_in

        wanted = layout_in(result, memory_format)
        if wanted is not None:
            result = dispatch.empty(result._kind, wanted)
    return finish(result, requires_grad, out, "empty")


def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: dtypes.dtype | None = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor with strides given."""
    result = dispatch.empty(creation_kind(dtype, device), Layout.of(tuple(size), tuple(stride)))
    return finish(result, requires_grad, None, "empty_strided")


def full(
    size: Any, fill_value: Any, *, out: Tensor | None = None, dtype: dtypes.dtype | None = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:
    """A tensor filled with a number, of the number's type if no dtype is given."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    what = dtypes.of_scalar(fill_value) if dtype is None else dtype
    kind = creation_kind(what, device)
    shape = sizes_of("full", size if isinstance(size, tuple) else (size,))
    return finish(
        dispatch.full(kind, shape, number(fill_value, what)), requires_grad, out, "full")


def _constant(name: str, value: int) -> Any:
    def make(
        *size: Any, dtype: dtypes.dtype | None = None, device: Any = None,
        out: Tensor | None = None, requires_grad: bool = False, layout: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:
        kind = creation_kind(dtype, device)
        result = None
        fresh = kind.backend.kernels.fresh.get("fill")
        if fresh is not None:  # the short way; whatever it refuses is looked at below
            try:
                shape = size[0] if size and size[0].__class__ is not int else size
                result = from_native(kind, fresh(shape, kind.dtype, value=value))
            except (TypeError, ValueError):
                pass
        if result is None:
            result = dispatch.full(kind, sizes_of(name, size), number(value, kind.dtype))
        if requires_grad or out is not None:
            return finish(result, requires_grad, out, name)
        return result

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor filled with {value}."
    return make


zeros = _constant("zeros", 0)
ones = _constant("ones", 1)


def _like(
    input: Tensor, dtype: dtypes.dtype | None, device: Any, memory_format: Any = None
) -> tuple[Kind, Layout]:
    from flambeau.ops.memory import layout_in

    kind = kind_of(
        input._kind.device if device is None else device, input.dtype if dtype is None else dtype)
    held = input.layout_()
    layout = layout_in(input, memory_format) or Layout.of(held.shape, contiguous_like(held))
    return kind, layout


def empty_like(
    input: Tensor, *, dtype: dtypes.dtype | None = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor of the shape and memory order of another."""
    result = dispatch.empty(*_like(input, dtype, device, memory_format))
    return finish(result, requires_grad, None, "empty_like")


def full_like(
    input: Tensor, fill_value: Any, *, dtype: dtypes.dtype | None = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of the shape and memory order of another, filled with a number."""
    kind, held = _like(input, dtype, device, memory_format)
    value = number(fill_value, kind.dtype)
    if held.is_contiguous:
        result = dispatch.full(kind, held.shape, value)
    else:
        result = dispatch.empty(kind, held)
        dispatch.fill(result, value)
    return finish(result, requires_grad, None, "full_like")


def zeros_like(input: Tensor, **options: Any) -> Tensor:
    """A tensor of the shape and memory order of another, filled with 0."""
    return full_like(input, 0, **options)


def ones_like(input: Tensor, **options: Any) -> Tensor:
    """A tensor of the shape and memory order of another, filled with 1."""
    return full_like(input, 1, **options)


def _new(self: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    return {"dtype": self.dtype, "device": self.device} | {
        k: v for k, v in options.items() if v is not None}


def new_empty(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """An uninitialised tensor of this one's dtype and device."""
    return empty(*size, **_new(self, options))


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


for _method in (new_empty, new_zeros, new_ones, new_full, new_tensor):
    setattr(Tensor, _method.__name__, _method)


def scalar_tensor(
    s: Any, *, dtype: dtypes.dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A 0-d tensor of a number."""
    result: Tensor = full((), s, dtype=dtype or dtypes.get_default_dtype(), device=device,
                          requires_grad=requires_grad)
    return result


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


_arange = primitive(
    "arange_steps(Scalar start, Scalar step, int count, dtype dtype, device device) -> Tensor",
    doc="``start + i * step`` for i from 0 to ``count - 1``.",
    rule=_range_rule, formula="start + i * step", namespaces=("_internal",), dtypes="none",
    samples=_range_samples,
)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:
    """Numbers from ``start`` (0 if only one is given) up to ``end``, which is left out."""
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if not all(math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if dtype is None:
        whole = all(isinstance(v, int) for v in (start, end, step))
        dtype = dtypes.int64 if whole else dtypes.get_default_dtype()
    count = max(0, math.ceil((end - start) / step))
    kind = creation_kind(dtype, device)
    result = _arange(number(start, dtype), number(step, dtype), count, dtype, kind.device)
    return finish(result, requires_grad, out, "arange")


def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None,
    dtype: dtypes.dtype | None = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    kind = creation_kind(dtype, device)
    compute = dtypes.float64 if kind.dtype.category < 2 else kind.dtype
    where_ = {"dtype": compute, "device": device}
    if steps == 1:
        return finish(full((1,), start, dtype=kind.dtype, device=device), requires_grad, out, "")
    with no_grad():
        step = (end - start) / (steps - 1) if steps else 0
        half = steps // 2
        # From both ends, so that the last value is exactly `end`.
        from flambeau.ops.join import cat

        up = arange(0, half, **where_) * step + start
        down = end - arange(steps - half - 1, -1, -1, **where_) * step if steps else up
        result = cat([up, down]).to(kind.dtype)
    return finish(result, requires_grad, out, "linspace")


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, **options: Any
) -> Tensor:
    """``base`` to the power of ``steps`` numbers evenly spaced from ``start`` to ``end``."""
    out, needs = options.pop("out", None), options.pop("requires_grad", False)
    with no_grad():
        powers = linspace(start, end, steps, **{**options, "dtype": dtypes.float64})
        result = (base**powers).to(options.get("dtype") or dtypes.get_default_dtype())
    return finish(result, needs, out, "logspace")


def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, dtype: dtypes.dtype | None = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:
    """A matrix with ones on the diagonal."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n must be greater or equal to 0, got {n if n < 0 else m}")
    result: Tensor = zeros((n, n if m is None else m), dtype=dtype, device=device)
    if result.numel():
        result.diagonal().fill_(1)
    return finish(result, requires_grad, out, "eye")
