"""The bytes that tensors lie in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from flambeau import dtypes, package_name
from flambeau.construct import from_numpy
from flambeau.device import CPU, device
from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.storage import Storage
from flambeau.storages import memory
from flambeau.storages.conversions import Conversions
from flambeau.tensor import Tensor


class UntypedStorage(Conversions):
    """The bytes that a tensor lies in, shared by its views.

    Args:
        data: a number of bytes, which are left uninitialised, or their values.
        device: where they are to be.
    """

    __slots__ = ("_filename", "_storage")
    _storage: Storage
    _filename: str | None

    def __init__(self, data: int | Sequence[int] = 0, *, device: Any = None) -> None:
        where = CPU if device is None else Device(device)
        if isinstance(data, int):
            self._storage = memory.allocate(data, where)
        else:
            array = np.array([int(v) & 0xFF for v in data], np.uint8)
            self._storage = from_numpy(array).to(where).storage_()
        self._filename = None

    @classmethod
    def over(cls, storage: Storage, filename: str | None = None) -> UntypedStorage:
        """The bytes of memory that is there already."""
        made = object.__new__(cls)
        made._storage, made._filename = storage, filename
        return made

    @classmethod
    def from_buffer(
        cls, buffer: Any, byte_order: str | None = None, *, count: int = -1, offset: int = 0,
        dtype: DType | None = None,
    ) -> UntypedStorage:
        """A copy of the bytes of an object, in this machine's order of bytes.

        Args:
            byte_order: ``"little"``, ``"big"`` or ``"native"``: that of the object's elements.
            count: number of elements, -1 for all.
            offset: bytes to skip.
            dtype: of the elements; bytes if None.

        Raises:
            ValueError: for another order, or bytes that are no whole elements.
        """
        size = 1 if dtype is None else dtype.itemsize
        if byte_order not in ("little", "big", "native", None):
            raise ValueError(
                f"invalid byte_order '{byte_order}' (expected 'big', 'little', or 'native')")
        data = memoryview(buffer).cast("B")[offset:]
        if count < 0 and len(data) % size:
            raise ValueError(
                f"buffer size ({len(data)}) must be a multiple of element size ({size})")
        if count * size > len(data):
            raise ValueError(f"buffer has only {len(data)} bytes after offset {offset}, but "
                             f"{count * size} were asked for")
        data = data if count < 0 else data[: count * size]
        made = cls.over(from_numpy(np.frombuffer(data, np.uint8).copy()).storage_())
        if byte_order not in (sys.byteorder, "native", None):
            made.byteswap(dtypes.uint8 if dtype is None else dtype)
        return made

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """The bytes of a file; with ``shared``, writes go to it."""
        from flambeau.storages.mapped import map_file

        return cls.over(map_file(filename, shared, nbytes), str(filename))

    # ---- facts ---------------------------------------------------------------------------
    @property
    def device(self) -> device:
        """Where the bytes are."""
        return self._storage.device

    @property
    def filename(self) -> str | None:
        """The file that the memory is, if it was made from one."""
        return self._filename

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def nbytes(self) -> int:
        """Number of bytes."""
        return self._storage.nbytes

    size = __len__ = nbytes

    def element_size(self) -> int:
        """1."""
        return 1

    def untyped(self) -> UntypedStorage:
        """Itself."""
        return self

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The name of the class; with the name of a typed class, the bytes converted to that."""
        if dtype is None:
            return f"{package_name.shown}.storage.UntypedStorage"
        from flambeau.storages.legacy import class_named

        return self._converted(class_named(dtype).dtype)

    # ---- elements ------------------------------------------------------------------------
    def _elements(self) -> Tensor:
        return memory.elements(self._storage, dtypes.uint8)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            if self.device is not CPU:
                raise RuntimeError(f"slices of storages share memory, which {self.device} cannot")
            start, stop, step = index.indices(self.nbytes())
            if step != 1:
                raise RuntimeError(f"Trying to slice with a step of {step}, but only a step of 1 "
                                   "is supported")
            whole = self._elements().native()
            return UntypedStorage.over(from_numpy(whole[start : max(start, stop)]).storage_())
        return int(self._elements()[self._checked(index)].item())

    def __setitem__(self, index: Any, value: int) -> None:
        self._elements()[index if isinstance(index, slice) else self._checked(index)] = value

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def tolist(self) -> list[int]:
        """The bytes."""
        return list(bytes(memory.host_bytes(self._storage)))

    def byteswap(self, dtype: DType) -> None:
        """Reverse the bytes of each element of a dtype (of each half of a complex one)."""
        size = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
        if size > 1 and self.nbytes():
            rows = self._elements()[: self.nbytes() // size * size].view(-1, size)
            rows.copy_(rows.flip(1))

    # ---- memory --------------------------------------------------------------------------
    def new(self) -> UntypedStorage:
        """An empty storage on the same device."""
        return UntypedStorage(device=self.device)

    def resize_(self, size: int) -> UntypedStorage:
        """Give it another number of bytes; what fits is kept."""
        memory.resize(self._storage, size)
        return self

    def _like(self, values: Tensor) -> UntypedStorage:
        return UntypedStorage.over(values.storage_())

    # ---- Python --------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and (
            other._storage is self._storage or (
                other._storage.buffer is self._storage.buffer
                and self._storage.buffer is not None))

    def __hash__(self) -> int:
        return hash(id(self._storage.buffer))

    def __deepcopy__(self, memo: dict[int, Any]) -> UntypedStorage:
        if id(self) not in memo:
            copied = memory.elements(self._storage, dtypes.uint8).clone().storage_()
            # Tensors that are copied in the same pass find it, and share it again.
            memo[id(self)] = UntypedStorage.over(memo.setdefault(id(self._storage), copied))
        found: UntypedStorage = memo[id(self)]
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        from flambeau.interop import SharedBytes

        return _from_pickle, (SharedBytes(self._storage),)

    def __repr__(self) -> str:
        has_data = self.device.type != "meta"
        values = "".join(f" {v}\n" for v in self) if has_data else "...\n"
        return (f"{values}[{package_name.shown}.storage.UntypedStorage(device={self.device}) of "
                f"size {len(self)}]")


def _from_pickle(loaded: Any) -> UntypedStorage:
    return UntypedStorage.over(loaded.storage_())
