"""Tensors from Python data, NumPy arrays, and other libraries' arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flambeau import dtypes
from flambeau.autograd.grad_mode import no_grad
from flambeau.device import CPU, get_default_device
from flambeau.dtypes import dtype as DType
from flambeau.kind import kind_of
from flambeau.tensor import Tensor, from_native


def tensor(
    data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor holding a copy of the data: numbers, nested sequences, arrays, tensors.

    Raises:
        ValueError: if nested sequences have different lengths.
        TypeError: for elements that are no numbers.
    """
    if isinstance(data, Tensor):
        _warn_copy()
        result = data.detach().to(device=device, dtype=dtype, copy=True)
    else:
        array = _host_array(data, dtype)
        result = _place(array, device)
    return result.requires_grad_() if requires_grad else result


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """A tensor that shares the data's memory where dtype and device allow, else a copy."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)  # type: ignore[no-any-return]
    if isinstance(data, np.ndarray):
        return from_numpy(data).to(device=device or get_default_device(), dtype=dtype)  # type: ignore[no-any-return]
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A CPU tensor over the memory of a NumPy array.

    Raises:
        TypeError: if it is no array, or of a dtype that tensors cannot hold.
        ValueError: for negative strides, which tensors do not have.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    kind = kind_of(CPU, dtypes.from_numpy_dtype(ndarray.dtype))
    if not ndarray.dtype.isnative:
        raise ValueError("given numpy array has byte order different from the native byte order.")
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    if any(s % ndarray.itemsize for s in ndarray.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. "
            "Copy the numpy array to reallocate the memory."
        )
    return from_native(kind, ndarray)


def _place(array: np.ndarray[Any, Any], device: Any) -> Tensor:
    result = from_numpy(array)
    where = get_default_device() if device is None else device
    return result.to(where)  # type: ignore[no-any-return]


def _host_array(data: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """A fresh array of the data, with PyTorch's choice of dtype."""
    if isinstance(data, (np.ndarray, np.generic)):
        what = dtype or dtypes.from_numpy_dtype(data.dtype)
        return _cast_array(np.array(data, copy=True), what)
    if hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        return _host_array(np.asarray(data), dtype)
    if not isinstance(data, (list, tuple, range)):
        if not isinstance(data, (bool, int, float, complex)):
            raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
        what = dtype or dtypes.of_scalar(data)
        return _from_numbers(data, what)
    flat, shape = _flatten(data)
    what = dtype or _common_type(flat)
    return _from_numbers(flat, what).reshape(shape)


def _from_numbers(values: Any, what: DType) -> np.ndarray[Any, Any]:
    try:
        return np.array(values, dtype=what.numpy)
    except OverflowError as error:
        if what.category == 1:
            raise RuntimeError(
                f"value cannot be converted to type {what.name} without overflow"
            ) from error
        raise
    except (TypeError, ValueError) as error:
        raise TypeError(f"cannot convert the data to {what!r}: {error}") from error


def _cast_array(array: np.ndarray[Any, Any], what: DType) -> np.ndarray[Any, Any]:
    if array.dtype == what.numpy:
        return array
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return array.astype(what.numpy)


def _flatten(data: Sequence[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """The numbers of a nested sequence in order, and its shape."""
    if not data:
        return [], (0,)
    first = data[0]
    if isinstance(first, (Tensor, np.ndarray)) and first.ndim:
        parts = [d.detach().tolist() if isinstance(d, Tensor) else d.tolist() for d in data]
        flat, shape = _flatten(parts)
        if isinstance(first, np.ndarray):
            return [first.dtype.type(v) for v in flat], shape
        return [_Typed(v, first.dtype) for v in flat] if flat else [], shape
    if not isinstance(first, (list, tuple, range)):
        for i, item in enumerate(data):
            if isinstance(item, (list, tuple)):
                raise TypeError(
                    f"not a sequence at dim 0 but a {type(item).__name__} (item {i})")
            if isinstance(item, str) or item is None:
                raise TypeError(f"new(): invalid data type '{type(item).__name__}'")
        return [d.item() if isinstance(d, Tensor) else d for d in data], (len(data),)
    flat, shape = [], None
    for i, item in enumerate(data):
        if not isinstance(item, (list, tuple, range)):
            raise TypeError(f"not a sequence: item {i} is a {type(item).__name__}")
        inner, inner_shape = _flatten(item)
        if shape is not None and inner_shape != shape:
            raise ValueError(
                f"expected sequence of length {shape[0]} at dim 1 (got {inner_shape[0]})")
        flat += inner
        shape = inner_shape
    assert shape is not None
    return flat, (len(data), *shape)


class _Typed(float):
    """A number that remembers the dtype of the tensor it came from."""

    dtype: DType

    def __new__(cls, value: Any, dtype: DType) -> Any:
        if dtype.category != 2:
            return value
        self = super().__new__(cls, value)
        self.dtype = dtype
        return self


def _common_type(flat: list[Any]) -> DType:
    if not flat:
        return dtypes.get_default_dtype()
    if isinstance(flat[0], np.generic):
        return dtypes.from_numpy_dtype(flat[0].dtype)
    if isinstance(flat[0], _Typed):
        return flat[0].dtype
    kinds = {type(v) for v in flat}
    for kind in kinds:
        if not issubclass(kind, (bool, int, float, complex, np.generic)):
            raise TypeError(f"new(): invalid data type '{kind.__name__}'")
    best = max(kinds, key=lambda k: dtypes.of_scalar(k()).category)
    return dtypes.of_scalar(best())


def _warn_copy() -> None:
    import warnings

    warnings.warn(
        "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() "
        "or sourceTensor.detach().clone().requires_grad_(True), rather than "
        "flambeau.tensor(sourceTensor).",
        UserWarning,
        stacklevel=3,
    )


def legacy_tensor(*args: Any, device: Any = None) -> Tensor:
    """What calling ``Tensor(...)`` gives: sizes make an uninitialised tensor, data a copy."""
    from flambeau.ops.create import empty

    if len(args) == 1 and isinstance(args[0], Tensor):
        with no_grad():
            return args[0].detach()
    if len(args) == 1 and not isinstance(args[0], int):
        data = args[0]
        if type(data).__name__ == "Size":
            return empty(*data, device=device)
        return tensor(data, dtype=dtypes.get_default_dtype(), device=device)
    return empty(*(args or (0,)), device=device)


def is_tensor(obj: Any) -> bool:
    """Whether an object is a tensor."""
    return isinstance(obj, Tensor)
