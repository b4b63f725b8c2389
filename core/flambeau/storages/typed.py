"""The memory of tensors as elements of a dtype."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes, package_name
from flambeau.construct import tensor
from flambeau.device import CPU, device
from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.storage import Storage
from flambeau.storages import memory
from flambeau.storages.conversions import Conversions
from flambeau.storages.untyped import UntypedStorage
from flambeau.tensor import Tensor


class TypedStorage(Conversions):
    """The memory of a tensor, seen as a flat array of one dtype.

    Args:
        args: nothing, a number of elements (left uninitialised), or their values.
        wrap_storage: memory to look at in place of new memory.
        dtype: of the elements; the default one if None.
        device: of new memory.
    """

    __slots__ = ("_storage", "dtype")
    dtype: DType

    def __init__(
        self, *args: Any, device: Any = None, dtype: DType | None = None,
        wrap_storage: UntypedStorage | None = None, _internal: bool = False,
    ) -> None:
        if wrap_storage is not None:
            if args or device is not None:
                raise RuntimeError("with wrap_storage, only the dtype can be given")
            if not isinstance(wrap_storage, UntypedStorage):
                raise TypeError("Argument 'wrap_storage' must be UntypedStorage, but got "
                                f"{type(wrap_storage).__name__}")
            if dtype is None:
                raise RuntimeError("Argument 'dtype' must be given with wrap_storage")
        if len(args) > 1:
            raise RuntimeError(
                f"a storage takes nothing, a size or a sequence, not {len(args)} arguments")
        self.dtype = dtypes.get_default_dtype() if dtype is None else dtype
        self._storage = (
            _storage_of(args, self.dtype, CPU if device is None else Device(device))
            if wrap_storage is None else wrap_storage._storage)

    @classmethod
    def over(cls, storage: Storage, what: DType) -> TypedStorage:
        """The elements of memory that is there already."""
        made = object.__new__(TypedStorage)
        made._storage, made.dtype = storage, what
        return made

    # ---- facts ---------------------------------------------------------------------------
    @property
    def device(self) -> device:
        """Where the elements are."""
        return self._storage.device

    @property
    def filename(self) -> str | None:
        """None: which file a memory is, its untyped storage knows."""
        return None

    def size(self) -> int:
        """Number of elements."""
        return self._storage.nbytes // self.dtype.itemsize

    __len__ = size

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def nbytes(self) -> int:
        """Number of bytes."""
        return self._storage.nbytes

    def element_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage.over(self._storage)

    def pickle_storage_type(self) -> str:
        """The name of the class of its dtype, as files have it."""
        from flambeau.storages.legacy import class_of

        name: str = class_of(self.dtype).__name__
        return name

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The name of the class of its dtype; with a class or a name, the elements as that."""
        from flambeau.storages.legacy import class_named, class_of

        if dtype is not None:
            return self._converted(class_named(dtype).dtype)
        place = "" if self.device is CPU else f"{self.device.type}."
        return f"{package_name.shown}.{place}{class_of(self.dtype).__name__}"

    # ---- elements ------------------------------------------------------------------------
    def _elements(self) -> Tensor:
        return memory.elements(self._storage, self.dtype)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        if not isinstance(index, int):
            raise RuntimeError(f"can't index a {type(self).__name__} with {type(index).__name__}")
        return self._elements()[self._checked(index)].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._elements()[index if isinstance(index, slice) else self._checked(index)] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        values: list[Any] = self._elements().tolist()
        return values

    # ---- memory --------------------------------------------------------------------------
    def resize_(self, size: int) -> TypedStorage:
        """Give it another number of elements; what fits is kept."""
        memory.resize(self._storage, size * self.dtype.itemsize)
        return self

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, size: int = 0) -> TypedStorage:
        """The elements of a file; with ``shared``, writes go to it.

        Args:
            size: number of elements, 0 for all.
        """
        from flambeau.storages.mapped import map_file

        what = getattr(cls, "dtype", None)
        what = what if isinstance(what, DType) else dtypes.get_default_dtype()
        return TypedStorage.over(map_file(filename, shared, size * what.itemsize), what)

    @classmethod
    def from_buffer(cls, *args: Any, dtype: DType | None = None, **kwargs: Any) -> TypedStorage:
        """A copy of the bytes of an object; see :meth:`UntypedStorage.from_buffer`."""
        given = getattr(cls, "dtype", None)
        what = dtype or (given if isinstance(given, DType) else dtypes.get_default_dtype())
        made = UntypedStorage.from_buffer(*args, dtype=what, **kwargs)
        return TypedStorage.over(made._storage, what)

    def _like(self, values: Tensor) -> TypedStorage:
        return TypedStorage.over(values.storage_(), self.dtype)

    # ---- Python --------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        return (isinstance(other, TypedStorage) and other.dtype is self.dtype
                and other.untyped() == self.untyped())

    def __hash__(self) -> int:
        return hash((self.untyped(), self.dtype.name))

    def __deepcopy__(self, memo: dict[int, Any]) -> TypedStorage:
        if id(self) not in memo:
            copied = self.untyped().__deepcopy__(memo)
            memo[id(self)] = TypedStorage.over(copied._storage, self.dtype)
        found: TypedStorage = memo[id(self)]
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        from flambeau.interop import SharedBytes

        return _from_pickle, (SharedBytes(self._storage), self.dtype)

    def __repr__(self) -> str:
        values = "".join(f" {v}\n" for v in self) if self.device.type != "meta" else "...\n"
        shown = package_name.shown
        return (f"{values}[{shown}.storage.TypedStorage(dtype={self.dtype!r}, "
                f"device={self.device}) of size {len(self)}]")


def _storage_of(args: tuple[Any, ...], what: DType, where: Device) -> Storage:
    """New memory for no elements, for a number of them, or with the values given."""
    if not args or isinstance(args[0], int):
        return memory.allocate((args[0] if args else 0) * what.itemsize, where)
    if not isinstance(args[0], (list, tuple)) and not hasattr(args[0], "__iter__"):
        raise TypeError(f"a storage is made of a sequence, not of {type(args[0]).__name__}")
    if isinstance(args[0], str):
        raise TypeError("new(): invalid data type 'str'")
    return tensor(list(args[0]), dtype=what, device=where).storage_()


def _from_pickle(loaded: Any, what: DType) -> TypedStorage:
    return TypedStorage.over(loaded.storage_(), what)
