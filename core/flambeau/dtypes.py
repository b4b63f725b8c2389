"""Element types and PyTorch's promotion rules."""

from __future__ import annotations

import builtins
from typing import Any, Final

import numpy as np

from flambeau import package_name


class dtype:
    """An element type.  There is one instance per type; compare with ``is`` or ``==``."""

    __slots__ = (
        "aliases", "category", "index", "is_complex", "is_floating_point", "is_optional",
        "is_signed", "itemsize", "name", "numpy",
    )

    name: str
    itemsize: int
    is_floating_point: builtins.bool
    is_complex: builtins.bool
    is_signed: builtins.bool
    category: int  # 0 bool, 1 integer, 2 floating, 3 complex: the order of promotion
    index: int
    is_optional: builtins.bool  # of few devices and few operators: to hold and to convert
    numpy: np.dtype[Any]
    """The NumPy dtype of the same bits (bfloat16 comes from ``ml_dtypes``)."""

    def __init__(
        self, name: str, itemsize: int, category: int, *aliases: str,
        is_optional: builtins.bool = False,
    ) -> None:
        self.name, self.itemsize, self.category, self.aliases = name, itemsize, category, aliases
        self.is_floating_point = category == 2
        self.is_complex = category == 3
        self.is_signed = (category > 1 and name != "float8_e8m0fnu") or (
            category == 1 and name[0] != "u")
        self.is_optional = is_optional
        self.index = len(ALL) + len(OPTIONAL)
        if name not in _OF_ML_DTYPES:  # see __getattr__
            self.numpy = np.dtype(name)
        (OPTIONAL if is_optional else ALL).append(self)

    def __getattr__(self, name: str) -> np.dtype[Any]:
        """``numpy`` of types that NumPy has not, which is not looked up before it is needed."""
        if name != "numpy":
            raise AttributeError(f"'dtype' object has no attribute {name!r}")
        self.numpy = _of_ml_dtypes(self.name)
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


_FLOAT8: Final = (
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")
_OF_ML_DTYPES: Final = ("bfloat16", *_FLOAT8, "complex32")


def _of_ml_dtypes(name: str) -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(
            f"{name} on the host needs the package ml_dtypes: pip install ml_dtypes"
        ) from error
    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found


ALL: Final[list[dtype]] = []
"""The types that operators are written for."""
OPTIONAL: Final[list[dtype]] = []
"""Further types that a device may hold: created, converted, copied, indexed, compared, saved."""

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

uint16 = dtype("uint16", 2, 1, is_optional=True)
uint32 = dtype("uint32", 4, 1, is_optional=True)
uint64 = dtype("uint64", 8, 1, is_optional=True)
float8_e4m3fn = dtype("float8_e4m3fn", 1, 2, is_optional=True)
float8_e4m3fnuz = dtype("float8_e4m3fnuz", 1, 2, is_optional=True)
float8_e5m2 = dtype("float8_e5m2", 1, 2, is_optional=True)
float8_e5m2fnuz = dtype("float8_e5m2fnuz", 1, 2, is_optional=True)
float8_e8m0fnu = dtype("float8_e8m0fnu", 1, 2, is_optional=True)
complex32 = dtype("complex32", 4, 3, "chalf", is_optional=True)

BY_NAME: Final = {name: d for d in (*ALL, *OPTIONAL) for name in (d.name, *d.aliases)}
FLOATING: Final = (float16, bfloat16, float32, float64)
INTEGRAL: Final = (uint8, int8, int16, int32, int64)
COMPLEX: Final = (complex64, complex128)
_REAL_OF = {complex32: float16, complex64: float32, complex128: float64}


def _promote(a: dtype, b: dtype) -> dtype | None:
    """The promoted type of two, None where PyTorch promotes nothing."""
    if a is b:
        return a
    if a.is_optional or b.is_optional:
        return _promote_optional(*sorted((a, b), key=lambda d: d.category))
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


def _promote_optional(low: dtype, high: dtype) -> dtype | None:
    """Unsigned integers promote with floats alone, 8-bit floats with nothing."""
    if "float8" in low.name or "float8" in high.name:
        return None
    if low.category == 1 and low.is_optional:
        return high if high.is_floating_point else None
    if low.is_complex:
        return max(low, high, key=lambda d: d.itemsize)
    if high is not complex32:
        return high if high.is_complex else None
    return {bfloat16: complex64, float32: complex64, float64: complex128}.get(low, complex32)


_TABLE = [[_promote(a, b) for b in (*ALL, *OPTIONAL)] for a in (*ALL, *OPTIONAL)]


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type to which both can be converted, as PyTorch defines it.

    Raises:
        RuntimeError: where PyTorch promotes nothing, as with 8-bit floats.
    """
    found = _TABLE[type1.index][type2.index]
    if found is None:
        which = "Float8 Types" if "float8" in type1.name + type2.name else (
            "uint16, uint32, uint64 types")
        raise RuntimeError(
            f"Promotion for {which} is not supported, attempted to promote {type1.name} and "
            f"{type2.name}")
    return found


def can_cast(from_: dtype, to: dtype) -> builtins.bool:
    """Whether PyTorch allows an implicit conversion, as of an ``out=`` argument."""
    if from_.category == 1 and to.category == 1:
        return to.is_signed or not from_.is_signed or to.is_optional
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
        if d.name in _OF_ML_DTYPES:
            of_type = d.numpy  # says what is missing, if it is
            import ml_dtypes

            info: Any = ml_dtypes.finfo(of_type)  # type: ignore[no-untyped-call]
        else:
            info = np.finfo(d.numpy)
        self.bits, self.dtype = d.itemsize * 8, d.name
        self.eps, self.max, self.min = (builtins.float(v) for v in (info.eps, info.max, info.min))
        self.tiny = self.smallest_normal = builtins.float(info.tiny)
        self.resolution = builtins.float(info.resolution)
        if (type or d) is complex32:
            self.resolution = 0.001
        if d.itemsize == 1:  # as PyTorch has it: no decimal digit is certain
            self.resolution = 1.0
            self.eps = {float8_e5m2fnuz: 0.125}.get(d, self.eps)

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
