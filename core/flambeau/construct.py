"""Tensors from Python data, NumPy arrays, and buffers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flambeau import dtypes
from flambeau.autograd.grad_mode import no_grad
from flambeau.device import CPU, get_default_device
from flambeau.dtypes import dtype as DType
from flambeau.kind import kind_of
from flambeau.tensor import Tensor, from_native

Array = np.ndarray[Any, Any]

_PYTHON_TYPES: Final[dict[Any, DType]] = {
    bool: dtypes.bool, int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}


def as_dtype(name: str, what: Any) -> DType:
    """A dtype given as such or as a Python type.

    Raises:
        TypeError: naming the function, if it is neither.
    """
    if isinstance(what, DType):
        return what
    found = _PYTHON_TYPES.get(what) if isinstance(what, type) else None
    if found is None:
        raise TypeError(
            f"{name}(): argument 'dtype' must be flambeau.dtype, not {type(what).__name__}")
    return found


# ---- copies ------------------------------------------------------------------------------------
def tensor(
    data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor holding a copy of the data: numbers, nested sequences, arrays, tensors.

    Raises:
        ValueError: if nested sequences have different lengths.
        TypeError: for elements that are no numbers.
        RuntimeError: if no dtype can be inferred, or the dtype cannot hold a value.
    """
    what = None if dtype is None else as_dtype("tensor", dtype)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone().requires_grad_(True), "
            "rather than flambeau.tensor(sourceTensor).", UserWarning, stacklevel=2)
        result: Tensor = data.detach().to(device=device, dtype=what, copy=True)
    else:
        result = _place(_host_array(data, what), device)
    return result.requires_grad_() if requires_grad else result


def _place(array: Array, device: Any) -> Tensor:
    result = from_native(kind_of(CPU, dtypes.from_numpy_dtype(array.dtype)), array)
    where = get_default_device() if device is None else device
    placed: Tensor = result if where is CPU else result.to(where)
    return placed


def _host_array(data: Any, what: DType | None) -> Array:
    """A fresh array of the data, with PyTorch's choice of dtype."""
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data, copy=True, order="K")
        return _converted(array, what or dtypes.from_numpy_dtype(data.dtype))
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        return _host_array(np.asarray(data), what)
    if data.__class__ in _PYTHON_TYPES or not _is_sequence(data):
        return _from_numbers([data], what or _common_type([data])).reshape(())
    flat, shape = _flatten(data)
    return _from_numbers(flat, what or _common_type(flat)).reshape(shape)


def _is_sequence(data: Any) -> bool:
    return isinstance(data, (list, tuple)) or (
        hasattr(data, "__len__") and hasattr(data, "__getitem__")
        and not isinstance(data, (Tensor, np.generic, dict, str, bytes)))


def _flatten(data: Sequence[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """The numbers of a nested sequence in order, and its shape.

    Raises:
        ValueError: naming the dimension at which lengths differ.
    """
    flat: list[Any] = list(data)
    shape = [len(flat)]
    while flat and flat[0].__class__ not in _PYTHON_TYPES and _is_sequence(flat[0]):
        length = len(flat[0])
        for item in flat:
            if not _is_sequence(item):
                raise TypeError(
                    f"not a sequence at dim {len(shape)}: {type(item).__name__} where other "
                    f"items have length {length}")
            if len(item) != length:
                raise ValueError(
                    f"expected sequence of length {length} at dim {len(shape)} "
                    f"(got {len(item)})")
        flat = [element for item in flat for element in item]
        shape.append(length)
    return flat, tuple(shape)


def _common_type(flat: list[Any]) -> DType:
    """The dtype that the types of all elements promote to.

    Raises:
        RuntimeError: for an element that is no number.
    """
    result: DType | None = None
    for kind in dict.fromkeys(map(_type_of, flat)):
        what = kind if isinstance(kind, DType) else dtypes.of_scalar(kind())
        result = what if result is None else dtypes.promote_types(result, what)
    return dtypes.get_default_dtype() if result is None else result


def _type_of(value: Any) -> Any:
    """A dtype for tensors and NumPy's numbers, a Python type for Python's."""
    cls = value.__class__
    if cls in _PYTHON_TYPES:
        return cls
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, np.generic):
        return dtypes.from_numpy_dtype(value.dtype)
    for kind in _PYTHON_TYPES:
        if isinstance(value, kind):
            return kind
    if isinstance(value, str):
        raise ValueError("too many dimensions 'str'")
    if _is_sequence(value):
        raise TypeError(f"'{cls.__name__}' object cannot be interpreted as a number")
    raise RuntimeError(f"Could not infer dtype of {cls.__name__}")


def _from_numbers(flat: list[Any], what: DType) -> Array:
    """A vector of numbers in a dtype.

    Raises:
        RuntimeError: if an integer type cannot hold a value.
        ValueError: for a tensor of several elements, or an integer beyond 64 bits.
        TypeError: for what is no number, or a complex number in a real dtype.
    """
    if any(isinstance(v, Tensor) for v in flat):
        flat = [_single(v) if isinstance(v, Tensor) else v for v in flat]
    if what.category == 1:
        return _integers(flat, what)
    try:
        if what.category == 0:
            return np.array([bool(v) for v in flat], np.bool_)
        if what.itemsize == 8:
            return np.array(flat, what.numpy)  # nothing that Python's floats could overflow
        with np.errstate(over="ignore"):
            return np.array(flat, what.numpy)
    except OverflowError as error:
        raise ValueError(f"cannot convert the data to {what!r}: {error}") from error
    except (TypeError, ValueError) as error:
        raise TypeError(f"cannot convert the data to {what!r}: {error}") from error


def _single(t: Tensor) -> Any:
    if t.numel() != 1:
        raise ValueError(
            f"only one element tensors can be converted to Python scalars, got shape "
            f"{list(t.shape)}; join tensors with flambeau.stack")
    return t.item()


def _integers(flat: list[Any], what: DType) -> Array:
    if what is dtypes.uint64:
        return _large_integers(flat)
    limits = dtypes.iinfo(what)
    # An unsigned type takes the negatives that wrap around, as C does.
    low = limits.min if what.is_signed else -limits.max
    try:
        # Floats are cut off; what is no integer of Python's is made one first.
        whole = [v if v.__class__ is int else int(v) for v in flat]
        wide = np.array(whole, np.int64)
    except (OverflowError, ValueError) as error:
        if any(isinstance(v, float) for v in flat):
            raise RuntimeError(
                f"value cannot be converted to type {what.name} without overflow") from error
        raise ValueError(f"Overflow when unpacking int64: {error}") from error
    except TypeError as error:
        raise TypeError(f"cannot convert the data to {what!r}: {error}") from error
    if wide.size and what.itemsize < 8 and (wide.min() < low or wide.max() > limits.max):
        raise RuntimeError(f"value cannot be converted to type {what.name} without overflow")
    return wide.astype(what.numpy)


def _large_integers(flat: list[Any]) -> Array:
    """Integers of 64 bits without a sign; negative ones wrap around.

    Raises:
        OverflowError: for a number of more bits.
    """
    whole = [int(v) for v in flat]
    if any(not -(1 << 63) <= v < 1 << 64 for v in whole):
        raise OverflowError("int too big to convert")
    return np.array([v & ((1 << 64) - 1) for v in whole], np.uint64)


def _converted(array: Array, what: DType) -> Array:
    if array.dtype == what.numpy:
        return array
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return array.astype(what.numpy)


# ---- without a copy ----------------------------------------------------------------------------
def from_numpy(ndarray: Array) -> Tensor:
    """A CPU tensor over the memory of a NumPy array.

    Raises:
        TypeError: if it is no array, or of a dtype that tensors cannot hold.
        ValueError: for strides or a byte order that tensors do not have.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    kind = kind_of(CPU, dtypes.from_numpy_dtype(ndarray.dtype))
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported.")
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)")
    if any(s % ndarray.itemsize for s in ndarray.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. "
            "Copy the numpy array to reallocate the memory.")
    return from_native(kind, ndarray)


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """A tensor that shares the data's memory where dtype and device allow, else a copy."""
    what = None if dtype is None else as_dtype("as_tensor", dtype)
    if isinstance(data, Tensor):
        moved: Tensor = data.to(device=device, dtype=what)
        return moved
    if isinstance(data, np.ndarray):
        shared: Tensor = from_numpy(data).to(device=device or get_default_device(), dtype=what)
        return shared
    return tensor(data, dtype=what, device=device)


def asarray(
    obj: Any, *, dtype: DType | None = None, device: Any = None, copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor from a tensor, an array, a buffer, a DLPack object, or Python data.

    Args:
        copy: True always copies, False never does, None only if it must.

    Raises:
        ValueError: if ``copy=False`` and the data cannot be shared.
    """
    shared = _shared(obj, dtype)
    if shared is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return tensor(obj, dtype=dtype, device=device, requires_grad=requires_grad)
    result: Tensor = shared.to(device=device, dtype=dtype, copy=bool(copy))
    if copy is False and result is not shared:
        raise ValueError(
            f"can't alias tensor with dtype '{shared.dtype.name}' on '{shared.device}' into dtype "
            f"'{(dtype or shared.dtype).name}' on '{device or shared.device}'.")
    if requires_grad:
        return result.detach().requires_grad_()
    return result.detach() if result.requires_grad else result


def _shared(obj: Any, dtype: DType | None) -> Tensor | None:
    """A tensor over the memory of an object that has any to share."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if isinstance(obj, (np.generic, list, tuple)):
        return None
    if hasattr(obj, "__dlpack__"):
        from flambeau.interop import from_dlpack

        return from_dlpack(obj)
    try:
        memoryview(obj)
    except TypeError:
        return None
    return frombuffer(obj, dtype=dtype or dtypes.get_default_dtype())


def frombuffer(
    buffer: Any, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A one-dimensional CPU tensor over an object with the buffer protocol.

    Args:
        count: number of elements, -1 for all that follow.
        offset: bytes to skip.

    Raises:
        ValueError: if the object has no buffer, or not that many bytes.
    """
    try:
        held = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    size = dtype.itemsize
    if not held or not count:
        raise ValueError(f"both buffer length ({held}) and count ({count}) must not be 0")
    if not 0 <= offset < held:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({held} bytes) minus 1")
    if count < 0 and (held - offset) % size:
        raise ValueError(
            f"buffer length ({held - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({size})")
    if count > 0 and offset + count * size > held:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) "
            f"must not be greater than actual buffer length ({held} bytes)")
    result = from_numpy(np.frombuffer(buffer, dtype.numpy, count, offset))
    return result.requires_grad_() if requires_grad else result


# ---- the class as a function -------------------------------------------------------------------
def legacy_tensor(*args: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """What calling ``Tensor(...)`` gives: sizes make an uninitialised tensor, data a copy.

    Raises:
        TypeError: for a single number that is no size.
    """
    from flambeau.layout import Size
    from flambeau.ops.create import empty

    what = dtypes.get_default_dtype() if dtype is None else dtype
    if len(args) != 1 or isinstance(args[0], (int, Size)):
        return empty(*(args or (0,)), dtype=what, device=device)
    data = args[0]
    if isinstance(data, Tensor):
        with no_grad():
            return data.detach()
    if not _is_sequence(data):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    return tensor(data, dtype=what, device=device)


def is_tensor(obj: Any) -> bool:
    """Whether an object is a tensor."""
    return isinstance(obj, Tensor)
