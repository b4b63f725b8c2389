"""Element types and PyTorch's promotion rules."""

from __future__ import annotations

import builtins
from typing import Any, Final

import numpy as np

from flambeau import package_name


class dtype:
    """An element type.  There is one instance per type; compare with ``is`` or ``==``."""

    __slots__ = (
        "aliases", "category", "index", "is_complex", "is_floating_point", "is_signed", "itemsize",
        "name", "numpy",
    )

    name: str
    itemsize: int
    is_floating_point: builtins.bool
    is_complex: builtins.bool
    is_signed: builtins.bool
    category: int  # 0 bool, 1 integer, 2 floating, 3 complex: the order of promotion
    index: int
    numpy: np.dtype[Any]
    """The NumPy dtype of the same bits (bfloat16 comes from ``ml_dtypes``)."""

    def __init__(self, name: str, itemsize: int, category: int, *aliases: str) -> None:
        self.name, self.itemsize, self.category, self.aliases = name, itemsize, category, aliases
        self.is_floating_point = category == 2
        self.is_complex = category == 3
        self.is_signed = category > 1 or (category == 1 and name[0] != "u")
        self.index = len(ALL)
        if name != "bfloat16":  # see __getattr__
            self.numpy = np.dtype(name)
        ALL.append(self)

    def __getattr__(self, name: str) -> np.dtype[Any]:
        """``numpy`` of bfloat16, which is not looked up before it is needed."""
        if name != "numpy":
            raise AttributeError(f"'dtype' object has no attribute {name!r}")
        self.numpy = _bfloat16()
        return self.numpy

    def to_complex(self) -> dtype:
        """The complex type that holds this floating type."""
        return self if self.is_complex else {float64: complex128}.get(self, complex64)

    def to_real(self) -> dtype:
        """The floating type of the parts of a complex type."""
        return _REAL_OF.get(self, self)

    def __repr__(self) -> str:
        return f"{package_name.shown}.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    def __copy__(self) -> dtype:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> dtype:
        return self


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(
            "bfloat16 on the host needs the package ml_dtypes: pip install ml_dtypes"
        ) from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


ALL: Final[list[dtype]] = []

# (names as in PyTorch; `bool`, `float` ... deliberately shadow builtins in this namespace)
bool = dtype("bool", 1, 0)
uint8 = dtype("uint8", 1, 1)
int8 = dtype("int8", 1, 1)
int16 = dtype("int16", 2, 1, "short")
int32 = dtype("int32", 4, 1, "int")
int64 = dtype("int64", 8, 1, "long")
float16 = dtype("float16", 2, 2, "half")
bfloat16 = dtype("bfloat16", 2, 2)
float32 = dtype("float32", 4, 2, "float")
float64 = dtype("float64", 8, 2, "double")
complex64 = dtype("complex64", 8, 3, "cfloat")
complex128 = dtype("complex128", 16, 3, "cdouble")

BY_NAME: Final = {name: d for d in ALL for name in (d.name, *d.aliases)}
FLOATING: Final = (float16, bfloat16, float32, float64)
INTEGRAL: Final = (uint8, int8, int16, int32, int64)
COMPLEX: Final = (complex64, complex128)
_REAL_OF = {complex64: float32, complex128: float64}


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category != b.category:
        low, high = sorted((a, b), key=lambda d: d.category)
        if high.is_complex and low is float64:
            return complex128
        return high
    if a.is_floating_point and a.itemsize == b.itemsize == 2:
        return float32
    if uint8 in (a, b) and int8 in (a, b):
        return int16
    return a if a.itemsize > b.itemsize else b


_TABLE = [[_promote(a, b) for b in ALL] for a in ALL]


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type to which both can be converted, as PyTorch defines it."""
    return _TABLE[type1.index][type2.index]


def can_cast(from_: dtype, to: dtype) -> builtins.bool:
    """Whether PyTorch allows an implicit conversion, as of an ``out=`` argument."""
    if from_.category == 1 and to.category == 1:
        return to.is_signed or not from_.is_signed
    return from_.category <= to.category


class Default:
    """The floating type of new tensors from Python numbers."""

    floating: dtype = float32


def get_default_dtype() -> dtype:
    """The floating type given to Python floats; ``float32`` unless set otherwise."""
    return Default.floating


def set_default_dtype(d: dtype) -> None:
    """Set the floating type given to Python floats."""
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d!r}")
    Default.floating = d


def of_scalar(value: Any) -> dtype:
    """The type that a Python or NumPy number has when it becomes a tensor of its own."""
    if isinstance(value, (builtins.bool, np.bool_)):
        return bool
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return Default.floating
    return Default.floating.to_complex()


def from_numpy_dtype(d: np.dtype[Any]) -> dtype:
    """The dtype of a NumPy dtype.

    Raises:
        TypeError: for a type that tensors cannot hold.
    """
    known = _OF_NUMPY.get(d)
    if known is not None:
        return known
    found = BY_NAME.get(d.name)
    if found is None or (found.name != d.name):
        held = ", ".join(t.name for t in ALL)
        raise TypeError(f"can't convert np.ndarray of type {d}. The supported types are: {held}.")
    _OF_NUMPY[d] = found
    return found


_OF_NUMPY: Final[dict[np.dtype[Any], dtype]] = {}  # those met: NumPy makes the name anew each time


def result_type(operands: list[tuple[dtype | None, int, Any]]) -> dtype:
    """PyTorch's result type of mixed operands.

    Args:
        operands: ``(dtype, number of dimensions, None)`` of a tensor or ``(None, 0, value)`` of a
            Python number.  Tensors with dimensions go before 0-d tensors, which go before
            numbers: a lower group only matters when its category is higher.
    """
    groups: list[dtype | None] = [None, None, None]
    for d, ndim, value in operands:
        rank = 2 if d is None else (0 if ndim else 1)
        found = of_scalar(value) if d is None else d
        held = groups[rank]
        groups[rank] = found if held is None else promote_types(held, found)
    result = _combine(groups[0], _combine(groups[1], groups[2]))
    assert result is not None
    return result


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """The type of two groups of operands: the lower one only matters by its category."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if lower.category <= higher.category:
        return higher
    if higher.is_floating_point:  # a complex operand of lower rank keeps the higher's precision
        return higher.to_complex()
    return promote_types(higher, lower)


class finfo:
    """Machine limits of a floating type: ``bits eps max min tiny smallest_normal resolution``."""

    def __init__(self, type: dtype | None = None) -> None:
        d = (type or get_default_dtype()).to_real()
        if not d.is_floating_point:
            raise TypeError(
                f"finfo() requires a floating point input type. Use iinfo to handle {d!r}"
            )
        if d is bfloat16:
            _bfloat16()
            import ml_dtypes

            info: Any = ml_dtypes.finfo(ml_dtypes.bfloat16)  # type: ignore[no-untyped-call]
        else:
            info = np.finfo(d.numpy)
        self.bits, self.dtype = d.itemsize * 8, d.name
        self.eps, self.max, self.min = (builtins.float(v) for v in (info.eps, info.max, info.min))
        self.tiny = self.smallest_normal = builtins.float(info.tiny)
        self.resolution = builtins.float(info.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type: ``bits max min``."""

    def __init__(self, type: dtype) -> None:
        if type.category != 1:
            raise TypeError(
                f"iinfo() requires an integer input type. Use finfo to handle {type!r}"
            )
        info = np.iinfo(type.numpy)
        self.bits, self.dtype = info.bits, type.name
        self.max, self.min = builtins.int(info.max), builtins.int(info.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
