"""PyTorch's older names of typed storages: ``FloatStorage`` and its like.

Each stands for a dtype: it makes a :class:`TypedStorage` and answers ``isinstance``.
"""

from __future__ import annotations

from typing import Any, Final

from flambeau import dtypes
from flambeau.dtypes import dtype as DType
from flambeau.storages.typed import TypedStorage
from flambeau.storages.untyped import UntypedStorage

_DTYPES: Final[dict[str, DType]] = {
    "DoubleStorage": dtypes.float64, "FloatStorage": dtypes.float32,
    "HalfStorage": dtypes.float16, "BFloat16Storage": dtypes.bfloat16,
    "LongStorage": dtypes.int64, "IntStorage": dtypes.int32, "ShortStorage": dtypes.int16,
    "CharStorage": dtypes.int8, "ByteStorage": dtypes.uint8, "BoolStorage": dtypes.bool,
    "ComplexDoubleStorage": dtypes.complex128, "ComplexFloatStorage": dtypes.complex64,
}


class _OfDtype(type):
    """Instances are typed storages of the class's dtype."""

    dtype: DType

    def __instancecheck__(cls, instance: object) -> bool:
        if cls is LegacyStorage:
            return isinstance(instance, TypedStorage)
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype

    def __call__(cls, *args: Any, wrap_storage: UntypedStorage | None = None) -> TypedStorage:
        """A typed storage of the dtype."""
        return TypedStorage(*args, dtype=cls.dtype, wrap_storage=wrap_storage)


class LegacyStorage(metaclass=_OfDtype):
    """What the older classes derive from."""

    from_file: Any = TypedStorage.__dict__["from_file"]
    from_buffer: Any = TypedStorage.__dict__["from_buffer"]


def _make(name: str) -> Any:
    members = {"dtype": _DTYPES[name], "__module__": "flambeau", "is_cuda": False,
               "__doc__": f"Typed storages of {_DTYPES[name].name}."}
    return _OfDtype(name, (LegacyStorage,), members)


DoubleStorage: Final = _make("DoubleStorage")
FloatStorage: Final = _make("FloatStorage")
HalfStorage: Final = _make("HalfStorage")
BFloat16Storage: Final = _make("BFloat16Storage")
LongStorage: Final = _make("LongStorage")
IntStorage: Final = _make("IntStorage")
ShortStorage: Final = _make("ShortStorage")
CharStorage: Final = _make("CharStorage")
ByteStorage: Final = _make("ByteStorage")
BoolStorage: Final = _make("BoolStorage")
ComplexDoubleStorage: Final = _make("ComplexDoubleStorage")
ComplexFloatStorage: Final = _make("ComplexFloatStorage")
Storage: Final = FloatStorage

_CLASSES: Final[dict[DType, Any]] = {_DTYPES[name]: globals()[name] for name in _DTYPES}


def class_of(what: DType) -> Any:
    """The class that stands for a dtype; UntypedStorage for the dtypes that have none."""
    return _CLASSES.get(what, UntypedStorage)


def class_named(name: Any) -> Any:
    """The class of a name as ``"flambeau.FloatStorage"`` (``torch.`` is as good), or itself.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(name, type) and issubclass(name, LegacyStorage):
        return name
    found = _DTYPES.get(str(name).rpartition(".")[2])
    if found is None:
        raise ValueError(f"invalid type: '{name}'")
    return _CLASSES[found]
