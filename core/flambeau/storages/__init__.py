"""The memory of tensors as PyTorch shows it: as bytes, and as elements of one dtype."""

from __future__ import annotations

from flambeau.storages.legacy import (
    BFloat16Storage,
    BoolStorage,
    ByteStorage,
    CharStorage,
    ComplexDoubleStorage,
    ComplexFloatStorage,
    DoubleStorage,
    FloatStorage,
    HalfStorage,
    IntStorage,
    LegacyStorage,
    LongStorage,
    ShortStorage,
    Storage,
)
from flambeau.storages.mapped import from_file
from flambeau.storages.typed import TypedStorage
from flambeau.storages.untyped import UntypedStorage

__all__ = [
    "BFloat16Storage",
    "BoolStorage",
    "ByteStorage",
    "CharStorage",
    "ComplexDoubleStorage",
    "ComplexFloatStorage",
    "DoubleStorage",
    "FloatStorage",
    "HalfStorage",
    "IntStorage",
    "LegacyStorage",
    "LongStorage",
    "ShortStorage",
    "Storage",
    "TypedStorage",
    "UntypedStorage",
    "from_file",
]
