"""Copying, converting, moving and filling."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from flambeau import dispatch, dtypes, modes
from flambeau.autograd.grad_mode import MODE
from flambeau.device import device as Device
from flambeau.kind import kind_of
from flambeau.layout import (
    Layout,
    channels_last_order,
    contiguous_strides,
    strides_in_order,
)
from flambeau.memory_format import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    memory_format,
    preserve_format,
)
from flambeau.promotion import number
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor, from_storage


def _copy_rule(self: Tensor, src: Tensor, non_blocking: bool = False) -> Plan:
    if src._kind.device is not self._kind.device:
        src = dispatch.move(src, kind_of(self._kind.device, self.dtype))
    if src.shape != self.shape:
        src = from_storage(src._kind, src.storage_(), src.layout_().expand(self.shape))
    return Plan((src,), (Result(self.shape, self.dtype),))


def _copy_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make(3, 4)), name="same")
    yield Sample((make(3, 4), make(4)), name="broadcast")
    yield Sample((make(3, 4), make(4, 3).t()), name="transposed")
    yield Sample((make(3, 4), make.index(5, 3, 4)), name="converted")
    yield Sample((make(0, 4), make(4)), name="empty")


copy = primitive(
    "copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor",
    doc="The elements of ``src`` in the shape, dtype and device of ``self``.",
    rule=_copy_rule, dtypes="all", inplace=True, out=False, namespaces=("_internal",),
    aliases=(), derivatives={"src": lambda g: g}, samples=_copy_samples,
)
_copy_recorded = copy.op.inplace_function  # type: ignore[attr-defined]


def is_plain_target(t: Tensor) -> bool:
    """Whether a tensor may be written to directly: no mode, no history, no overlap in it."""
    if modes.is_watched(t):
        return False
    base = t._base
    if MODE.enabled and (t._requires_grad or (base is not None and base._requires_grad)):
        return False
    layout = t._layout
    return layout is None or layout.is_contiguous or not layout.overlaps_itself()


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Overwrite the elements with those of ``src``, converted and broadcast."""
    if (
        isinstance(src, Tensor) and src._kind.device is self._kind.device
        and is_plain_target(self) and not (MODE.enabled and src.requires_grad)
        and src.shape == self.shape and _lie_apart(src, self)
    ):
        dispatch.raw_copy(self, src)
        self._storage.version += 1  # type: ignore[union-attr]
        return self
    return _copy_recorded(self, src, non_blocking)  # type: ignore[no-any-return]


def _lie_apart(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have no memory in common, as far as their outer bounds tell."""
    if a.storage_() is not b.storage_():
        return True
    x, y = a.layout_(), b.layout_()
    if a._kind.dtype.itemsize != b._kind.dtype.itemsize:
        return False
    return x.span() <= y.offset or y.span() <= x.offset


copy.op.inplace_function = copy_  # type: ignore[attr-defined]


def _to_copy_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), dtype=dtypes.float64)
    yield sample(make(3, 4).t())
    yield sample(make.index(5, 3), dtype=dtypes.float32)


@composite(
    "to_copy(Tensor self, *, dtype? dtype=None, device? device=None, "
    "memory_format? memory_format=None) -> Tensor",
    namespaces=("_internal",), method=False, derivatives={"self": lambda g: g}, template="unary",
    samples=_to_copy_samples, dtypes="all", out=False,
)
def to_copy(
    self: Tensor, dtype: Any = None, device: Any = None, memory_format: Any = None
) -> Tensor:
    """A copy with another dtype, on another device, or in another memory order."""
    kind = kind_of(
        self._kind.device if device is None else device, self.dtype if dtype is None else dtype
    )
    return dispatch.convert(self, kind, layout_in(self.shape, memory_format))


def layout_in(shape: Sequence[int], wanted: memory_format | None) -> Layout | None:
    """The layout of a new tensor in a memory format; None to keep the order that there is.

    Raises:
        RuntimeError: for a format of another number of dimensions.
    """
    if wanted is None or wanted is preserve_format:
        return None
    if wanted is contiguous_format:
        return Layout.contiguous(shape)
    need = 4 if wanted is channels_last else 5
    if len(shape) != need:
        raise RuntimeError(f"required rank {need} tensor to use {wanted!r} format")
    return Layout.of(shape, strides_in_order(shape, channels_last_order(need)))


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy that gradients flow through; dense memory orders are kept."""
    result: Tensor = to_copy(input, memory_format=memory_format)
    return result


def detach(input: Tensor) -> Tensor:
    """The same memory without history."""
    return input.detach()


def detach_(input: Tensor) -> Tensor:
    """Forget the history, in place."""
    return input.detach_()


def detach_copy(input: Tensor) -> Tensor:
    """A copy without history."""
    return clone(input.detach())


def contiguous(self: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """The tensor itself if its memory is in the order asked for, else a copy."""
    if is_contiguous(self, memory_format):
        return self
    result: Tensor = to_copy(self, memory_format=memory_format)
    return result


def is_contiguous(self: Tensor, memory_format: memory_format = contiguous_format) -> bool:
    """Whether the elements lie in memory in the order of a memory format."""
    layout = self.layout_()
    if memory_format is contiguous_format:
        return layout.is_contiguous
    if memory_format is channels_last:
        return layout.ndim == 4 and layout.is_channels_last()
    if memory_format is channels_last_3d:
        return layout.ndim == 5 and layout.is_channels_last()
    raise ValueError("preserve memory format is unsupported by the contiguous operator")


_DTYPE_WORDS = ("dtype", "device", "non_blocking", "copy", "memory_format")


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor on another device or of another dtype; itself if nothing would change.

    ``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(other)``, each followed by
    ``non_blocking=False, copy=False`` and the keyword ``memory_format``.
    """
    where, what, copied, wanted = parse_to(args, kwargs)
    kind = kind_of(self._kind.device if where is None else where, what or self.dtype)
    keep = wanted is None or wanted is preserve_format or is_contiguous(self, wanted)
    if kind is self._kind and not copied and keep:
        return self
    if wanted is None and kind.device is self._kind.device and _is_unrecorded(self):
        return dispatch.convert(self, kind)
    result: Tensor = to_copy(self, dtype=kind.dtype, device=kind.device, memory_format=wanted)
    return result


def _is_unrecorded(t: Tensor) -> bool:
    """Whether no mode, no class and no gradient has to know of a conversion."""
    return not (modes.is_watched(t) or (MODE.enabled and t.requires_grad))


def parse_to(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Device | None, dtypes.dtype | None, bool, memory_format | None]:
    """The device, dtype, ``copy`` and memory format of a call of ``to``."""
    where: Any = kwargs.get("device")
    what: Any = kwargs.get("dtype")
    unknown = set(kwargs) - {*_DTYPE_WORDS, "other"}
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument '{unknown.pop()}'")
    rest = list(args)
    first = rest[0] if rest else kwargs.get("other")
    if isinstance(first, Tensor):
        where, what = first.device, first.dtype
        rest = rest[1:]
    elif rest and isinstance(first, (dtypes.dtype, type)):
        what, rest = first, rest[1:]
    elif rest and (first is None or isinstance(first, (str, Device))):
        where, rest = first, rest[1:]
        if rest and (rest[0] is None or isinstance(rest[0], dtypes.dtype)):
            what, rest = rest[0], rest[1:]
    elif rest:
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({type(first).__name__}); "
            "expected to(dtype), to(device), to(device, dtype) or to(other)"
        )
    copied = kwargs.get("copy", rest[1] if len(rest) > 1 else False)
    if isinstance(what, type):
        from flambeau.construct import as_dtype

        what = as_dtype("to", what)
    return None if where is None else Device(where), what, bool(copied), kwargs.get("memory_format")


@functools.cache
def _limits(what: dtypes.dtype) -> tuple[float, float]:
    """The least and the greatest number that a dtype takes."""
    if what.category == 1:
        limits = dtypes.iinfo(what)
        # An unsigned type takes the negatives that wrap around, as C does.
        return limits.min if what.is_signed else -limits.max, limits.max
    largest = dtypes.finfo(what).max
    return -largest, largest


def checked_number(value: Any, to: dtypes.dtype) -> Any:
    """A number as a value of a dtype, refused if the dtype cannot hold it.

    Raises:
        RuntimeError: for an overflow, or a complex number that is not real.
    """
    if isinstance(value, Tensor):
        value = value.item()
    if to.category == 0 or to.category == 3:
        return number(value, to)
    real = value.real if isinstance(value, complex) else value
    low, high = _limits(to)
    if (not low <= real <= high and (to.category == 1 or isfinite(real))) or (
        real is not value and value.imag
    ):
        raise RuntimeError(f"value cannot be converted to type {to.name} without overflow")
    return number(real, to)


def _fill_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 1.5)
    yield sample(make(), 2)
    yield sample(make(0, 2), 2)


def _fill_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "0-dimension", make(3), make(3))
    yield error(RuntimeError, "without overflow", make.index(2, 3).byte(), 300)


def _fill_rule(self: Tensor, value: Any) -> Plan:
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            "fill_ only supports 0-dimension value tensor but got tensor with "
            f"{value.ndim} dimensions."
        )
    result = Result(self.shape, self.dtype)
    return Plan((), (result,), {"value": checked_number(value, self.dtype)}, self.device)


fill = primitive(
    "fill(Tensor self, Operand value) -> Tensor",
    doc="A tensor like ``self`` with every element set to a number.",
    rule=_fill_rule, inplace=True, out=False, dtypes="all",
    derivatives={"value": lambda g: g.sum()}, samples=_fill_samples, errors=_fill_errors,
)


_fill_recorded = fill.op.inplace_function  # type: ignore[attr-defined]


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to a number."""
    if value.__class__ in (float, int, bool) and is_plain_target(self):
        dispatch.fill(self, checked_number(value, self._kind.dtype))
        self.storage_().version += 1
        return self
    return _fill_recorded(self, value)  # type: ignore[no-any-return]


fill.op.inplace_function = fill_  # type: ignore[attr-defined]


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0, in place."""
    if is_plain_target(self):
        dispatch.fill(self, number(0, self._kind.dtype))
        self.storage_().version += 1
        return self
    result: Tensor = self.fill_(0)
    return result


def resize_(self: Tensor, *shape: Any, memory_format: Any = None) -> Tensor:
    """Change the shape in place; new elements are uninitialised."""
    if self._requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    sizes = tuple(
        shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)
    wanted = layout_in(sizes, memory_format)
    dispatch.resize(self, sizes)
    if wanted is not None:
        self._layout = Layout.of(sizes, wanted.strides, self.storage_offset())
    return self


def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """Take the shape of another tensor, in place; new elements are uninitialised."""
    return resize_(self, the_template.shape, memory_format=memory_format)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor with the dtype and device of another."""
    return to(self, other)


def set_(
    self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None,
    stride: Any = (),
) -> Tensor:
    """Make this tensor refer to other memory, in place.

    Args:
        source: a tensor, whose memory, shape and strides are taken; a storage; nothing for an
            empty tensor.
        storage_offset: elements to skip in the storage.
        size: the shape; all that follows in the storage as a vector, if left out.
        stride: in elements; row-major, if left out.

    Raises:
        RuntimeError: for another dtype, or if the storage is too small.
    """
    if source is None:
        source, size = self.new_empty(0), (0,)
    if isinstance(source, Tensor):
        if source.dtype is not self.dtype:
            raise RuntimeError(
                f"Could not set tensor of type {source.dtype} to a tensor of type {self.dtype}")
        storage, layout = source.storage_(), source.layout_()
        if size is not None:
            layout = _part_of(storage, self.dtype, storage_offset, size, stride)
    else:
        held = getattr(source, "dtype", self.dtype)
        if held is not self.dtype:
            raise RuntimeError(
                f"Expected a Storage of type {self.dtype} or an UntypedStorage, but got type "
                f"{held} for argument 1 'storage'")
        storage = source._storage
        if size is None:
            size = (max(0, storage.nbytes // self.itemsize - storage_offset),)
        layout = _part_of(storage, self.dtype, storage_offset, size, stride)
    self._storage, self._layout, self._native = storage, layout, None
    self._kind = kind_of(storage.device, self.dtype)
    return self


def _part_of(storage: Any, what: dtypes.dtype, offset: int, size: Any, stride: Any) -> Layout:
    """The layout of a part of a storage, which grows if it is too small, as PyTorch's does."""
    shape = (size,) if isinstance(size, int) else tuple(size)
    strides = tuple(stride) or contiguous_strides(shape)
    if len(strides) != len(shape) or offset < 0 or any(n < 0 for n in (*shape, *strides)):
        raise RuntimeError(
            f"set_(): storage_offset {offset}, size {list(shape)} and stride {list(strides)} "
            "must be non-negative and of one length")
    layout = Layout.of(shape, strides, offset)
    needed = layout.span() * what.itemsize if layout.numel else 0
    if needed > storage.nbytes:
        from flambeau.storages.memory import resize

        resize(storage, needed)
    return layout


def _conversion(what: dtypes.dtype) -> Any:
    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        kind = self._kind
        if memory_format is None and kind.dtype is not what and _is_unrecorded(self):
            return dispatch.convert(self, kind_of(kind.device, what))
        return to(self, what, memory_format=memory_format)

    convert.__doc__ = f"The tensor as {what.name}."
    return convert


for _word, _what in {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16, "long": dtypes.int64, "int": dtypes.int32,
    "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool,
    "cfloat": dtypes.complex64, "chalf": dtypes.complex32, "cdouble": dtypes.complex128,
}.items():
    setattr(Tensor, _word, _conversion(_what))


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor on the CPU."""
    return to(self, "cpu", memory_format=memory_format)


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """The tensor on a CUDA device."""
    place = "cuda" if device is None else (f"cuda:{device}" if isinstance(device, int) else device)
    return to(self, place)


for _method in (
    clone, contiguous, copy_, cpu, cuda, fill_, is_contiguous, resize_, resize_as_, set_, to,
    type_as, zero_,
):
    setattr(Tensor, _method.__name__, _method)
