"""What storages of bytes and of elements have in common."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from flambeau import dtypes
from flambeau.device import CPU
from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.storages import memory

if TYPE_CHECKING:
    from flambeau.storage import Storage
    from flambeau.storages.typed import TypedStorage
    from flambeau.tensor import Tensor


class Conversions(ABC):
    """A storage, whatever its elements are."""

    __slots__ = ()
    _storage: Storage

    @abstractmethod
    def _elements(self) -> Tensor:
        """A vector over the memory."""

    @abstractmethod
    def _like(self, values: Tensor) -> Self:
        """A storage of this kind over the memory of a vector."""

    # ---- facts ---------------------------------------------------------------------------
    def data_ptr(self) -> builtins.int:
        """The address of the first byte."""
        return memory.address(self._storage)

    def get_device(self) -> builtins.int:
        """The index of the device; -1 on the CPU."""
        where = self._storage.device
        return -1 if where is CPU else where.index or 0

    @property
    def is_cuda(self) -> builtins.bool:
        """Whether the memory is on a CUDA device."""
        return self._storage.device.type == "cuda"

    @property
    def is_hpu(self) -> builtins.bool:
        """Whether the memory is on an HPU."""
        return self._storage.device.type == "hpu"

    @property
    def is_sparse(self) -> builtins.bool:
        """False."""
        return False

    is_sparse_csr = is_sparse

    def resizable(self) -> builtins.bool:
        """Whether the size can change."""
        return True

    def is_shared(self) -> builtins.bool:
        """Whether forked processes see each other's writes."""
        return memory.is_shared(self._storage)

    def is_pinned(self, device: Any = None) -> builtins.bool:
        """Whether the memory is page-locked; no backend needs it yet."""
        return False

    def _checked(self, index: builtins.int) -> builtins.int:
        size = self._elements().numel()
        if not -size <= index < size:
            raise IndexError(f"index {index} out of range for storage of size {size}")
        return index

    # ---- values --------------------------------------------------------------------------
    def fill_(self, value: Any) -> Self:
        """Set all elements."""
        self._elements().fill_(value)
        return self

    def copy_(self, source: Any, non_blocking: builtins.bool | None = None) -> Self:
        """Take over the elements of another storage of as many, converted.

        Raises:
            RuntimeError: if it has another size.
        """
        given, own = source._elements(), self._elements()
        if given.numel() != own.numel():
            raise RuntimeError(f"size does not match, self was {own.numel()} elements but src was "
                               f"{given.numel()} elements")
        own.copy_(given)
        return self

    def clone(self) -> Self:
        """A copy."""
        return self._like(self._elements().clone())

    __copy__ = clone

    # ---- places --------------------------------------------------------------------------
    def to(self, *, device: Any, non_blocking: builtins.bool = False) -> Self:
        """The same on another device; itself if it is there."""
        where = Device(device)
        if where is self._storage.device:
            return self
        return self._like(self._elements().to(where))

    def cpu(self) -> Self:
        """The same on the CPU."""
        return self.to(device=CPU)

    def cuda(self, device: Any = None, non_blocking: builtins.bool = False) -> Self:
        """The same on a CUDA device."""
        return self.to(device=f"cuda:{device}" if isinstance(device, int) else device or "cuda")

    def share_memory_(self) -> Self:
        """Move the bytes to memory that forked processes share; nothing on other devices."""
        memory.share(self._storage)
        return self

    def pin_memory(self, device: Any = None) -> Self:
        """Itself: no backend needs page-locked memory yet."""
        return self

    # ---- dtypes --------------------------------------------------------------------------
    def _converted(self, what: DType) -> TypedStorage:
        """A new storage of the elements in a dtype; itself if it has that."""
        from flambeau.storages.typed import TypedStorage

        if isinstance(self, TypedStorage) and self.dtype is what:
            return self
        return TypedStorage.over(self._elements().to(what, copy=True).storage_(), what)

    def double(self) -> TypedStorage:
        """The elements as float64."""
        return self._converted(dtypes.float64)

    def float(self) -> TypedStorage:
        """The elements as float32."""
        return self._converted(dtypes.float32)

    def half(self) -> TypedStorage:
        """The elements as float16."""
        return self._converted(dtypes.float16)

    def bfloat16(self) -> TypedStorage:
        """The elements as bfloat16."""
        return self._converted(dtypes.bfloat16)

    def long(self) -> TypedStorage:
        """The elements as int64."""
        return self._converted(dtypes.int64)

    def int(self) -> TypedStorage:
        """The elements as int32."""
        return self._converted(dtypes.int32)

    def short(self) -> TypedStorage:
        """The elements as int16."""
        return self._converted(dtypes.int16)

    def char(self) -> TypedStorage:
        """The elements as int8."""
        return self._converted(dtypes.int8)

    def byte(self) -> TypedStorage:
        """The elements as uint8."""
        return self._converted(dtypes.uint8)

    def bool(self) -> TypedStorage:
        """The elements as bool."""
        return self._converted(dtypes.bool)

    def complex_float(self) -> TypedStorage:
        """The elements as complex64."""
        return self._converted(dtypes.complex64)

    def complex_double(self) -> TypedStorage:
        """The elements as complex128."""
        return self._converted(dtypes.complex128)
