"""Exchange with NumPy, other array libraries, pickle and copy."""

from __future__ import annotations

import weakref
from typing import Any, Final

import numpy as np

from flambeau import dispatch, dtypes
from flambeau.device import CPU, device
from flambeau.dtypes import dtype as DType
from flambeau.kind import kind_of
from flambeau.layout import Layout
from flambeau.storage import Storage
from flambeau.tensor import Tensor, from_native, from_storage


def host_array(t: Tensor) -> np.ndarray[Any, Any]:
    """The elements as a NumPy array, copied from the device if it is not the CPU."""
    if t._kind.device is not CPU:
        t = dispatch.move(t, kind_of(CPU, t.dtype))
    array = t.native()
    return array if isinstance(array, np.ndarray) else np.asarray(array)


def item(t: Tensor) -> Any:
    """The value of a tensor of one element.

    Raises:
        RuntimeError: for another number of elements.
    """
    if t.numel() != 1:
        raise RuntimeError(
            f"a Tensor with {t.numel()} elements cannot be converted to Scalar")
    return host_array(t).item()


def to_numpy(t: Tensor, force: bool = False) -> np.ndarray[Any, Any]:
    """A NumPy array over a CPU tensor's memory.

    Raises:
        RuntimeError: if the tensor requires a gradient.
        TypeError: if it is not on the CPU.
    """
    if force:
        return host_array(t)
    if t.requires_grad:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    if t._kind.device is not CPU:
        raise TypeError(
            f"can't convert {t.device} device type tensor to numpy. Use Tensor.cpu() to copy the "
            "tensor to host memory first.")
    t.storage_()
    array: np.ndarray[Any, Any] = t.native()
    return array.view()


def as_array(t: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
    """What ``numpy.asarray`` is given."""
    array = to_numpy(t)
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


# ---- DLPack ------------------------------------------------------------------------------------
_DEVICE_TYPES: Final = {"cpu": 1, "cuda": 2, "opencl": 4}


def dlpack_device(t: Tensor) -> tuple[int, int]:
    """The device as DLPack numbers it."""
    number = _DEVICE_TYPES.get(t.device.type)
    if number is None:
        raise BufferError(f"DLPack has no number for the device {t.device}")
    return number, t.device.index or 0


def to_dlpack(t: Tensor, **kwargs: Any) -> Any:
    """A DLPack capsule over the tensor's memory, made by its backend's array library."""
    if t.requires_grad:
        raise BufferError(
            "Can't export tensors that require gradient, use tensor.detach()")
    t.storage_()
    native = t.native()
    if not hasattr(native, "__dlpack__"):
        raise BufferError(f"the backend of {t.device} does not export DLPack")
    if t._kind.device is CPU:
        kwargs.pop("stream", None)
        if not native.flags.writeable:
            native = native.copy()
    return native.__dlpack__(**kwargs)


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array; a copy if it is on another device."""
    from flambeau.construct import from_numpy

    if isinstance(ext_tensor, Tensor):
        return ext_tensor.detach()
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"from_dlpack() expects an object with __dlpack__, got {type(ext_tensor).__name__}")
    number = ext_tensor.__dlpack_device__()[0]
    if number not in (1, 3):
        raise BufferError(
            f"from_dlpack(): device type {number} is not the CPU; copy the array to the host first")
    result = from_numpy(np.from_dlpack(ext_tensor))
    return result.to(device=device, copy=bool(copy))


# ---- copy and pickle ---------------------------------------------------------------------------
def deepcopy(t: Tensor, memo: dict[int, Any]) -> Tensor:
    """A copy of a leaf; tensors that share a storage share one again.

    Raises:
        RuntimeError: for a tensor that is no leaf.
    """
    if id(t) in memo:
        copied: Tensor = memo[id(t)]
        return copied
    if not t.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment. If you were attempting to deepcopy a module, this may be "
            "because of a tensor attribute that is not a leaf: use detach() on it.")
    storage = t.storage_()
    target = memo.get(id(storage))
    if target is None:
        target = Storage.allocate(storage.device, storage.backend, storage.nbytes)
        if storage.nbytes:
            storage.backend.copy_device(
                target.buffer, 0, storage.buffer, 0, storage.nbytes, storage.device.index or 0)
        memo[id(storage)] = target
    result = from_storage(t._kind, target, t.layout_())
    if type(t) is not Tensor:
        result = result.as_subclass(type(t))
    memo[id(t)] = result
    result._requires_grad = t._requires_grad
    if t._grad is not None:
        result._grad = deepcopy(t._grad, memo)
    if t.__dict__:
        import copy

        result.__dict__.update(copy.deepcopy(t.__dict__, memo))
    return result


def reduce_tensor(t: Tensor) -> tuple[Any, ...]:
    """How a tensor is pickled: its storage as bytes, its layout, its dtype."""
    if not t.is_leaf and t.requires_grad:
        raise RuntimeError(
            "Cannot pickle a tensor that requires grad and is not a leaf; use detach() first.")
    layout = t.layout_()
    state = t.__dict__ or None
    shared = SharedBytes(t.storage_())
    return (
        rebuild,
        (type(t), shared, t.dtype, tuple(layout.shape), layout.strides, layout.offset,
         t.requires_grad, str(t.device)),
        state,
    )


class SharedBytes:
    """A storage in a pickle: tensors that share it find it again through pickle's own memo."""

    def __new__(cls, storage: Any) -> Any:
        """The one stand-in of a storage."""
        # One object per storage, alive as long as somebody (pickle's memo) holds it.
        reference = _pickled.get(storage)
        held = reference() if reference is not None else None
        if held is None:
            held = object.__new__(cls)
            held.storage = storage
            _pickled[storage] = weakref.ref(held)
        return held

    __slots__ = ("__weakref__", "storage")
    storage: Any

    def __reduce__(self) -> tuple[Any, ...]:
        s = self.storage
        data = bytes(s.backend.copy_out(s.buffer, 0, s.nbytes, s.device.index or 0))
        return (_Loaded, (data, str(s.device)))


_pickled: Final[weakref.WeakKeyDictionary[Any, Any]] = weakref.WeakKeyDictionary()


class _Loaded:
    """The bytes of a pickled storage; becomes a storage on first use."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data, self._where = data, device(where)
        self._storage: Any = None

    def storage_(self) -> Any:
        """The storage on the device that it came from."""
        if self._storage is None:
            kind = kind_of(self._where, dtypes.uint8)
            made = Storage.allocate(kind.device, kind.backend, len(self._data))
            if self._data:
                kind.backend.copy_in(
                    made.buffer, 0, memoryview(self._data), kind.device.index or 0)
            self._storage = made
        return self._storage


def rebuild(
    cls: type[Any], loaded: _Loaded, what: DType, shape: tuple[int, ...],
    strides: tuple[int, ...], offset: int, requires_grad: bool, where: str,
) -> Any:
    """Make a tensor again from what :func:`reduce_tensor` gave."""
    kind = kind_of(where, what)
    t = from_storage(kind, loaded.storage_(), Layout.of(shape, strides, offset))
    t._requires_grad = requires_grad
    return t if cls is Tensor else t.as_subclass(cls)


def from_buffer(
    buffer: Any, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A one-dimensional CPU tensor over an object with the buffer protocol."""
    array = np.frombuffer(buffer, dtype.numpy, count, offset)
    result = from_native(kind_of(CPU, dtype), array)
    return result.requires_grad_() if requires_grad else result
