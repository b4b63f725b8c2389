"""Near equality, and values that are not finite."""

from __future__ import annotations

from typing import Any

from flambeau.ops.compare import where
from flambeau.registry import composite
from flambeau.samples import error, sample, unary, unary_errors
from flambeau.tensor import Tensor


@composite(
    "isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, "
    "bool equal_nan=False) -> Tensor",
    dtypes="all", out=False, samples=lambda make: iter([sample(make(3, 4), make(3, 4))]),
    errors=lambda make: iter([error(RuntimeError, "rtol must be", make(3), make(3), rtol=-1.0)]),
)
def isclose(
    self: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Where ``|self - other| <= atol + rtol * |other|``; equal infinities are close."""
    if self.dtype is not other.dtype:
        raise RuntimeError(f"{self.dtype.name} did not match {other.dtype.name}")
    if rtol < 0:
        raise RuntimeError(f"rtol must be greater than or equal to zero, but got {rtol}")
    if atol < 0:
        raise RuntimeError(f"atol must be greater than or equal to zero, but got {atol}")
    close = self == other
    if equal_nan:
        close = close | (self.isnan() & other.isnan())
    if rtol == 0 and atol == 0:
        return close
    if self.dtype.category == 0:
        return close
    allowed = (other * rtol).abs() + atol
    away = (self - other).abs()
    return close | (away.isfinite() & (away <= allowed))


@composite(
    "allclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, "
    "bool equal_nan=False) -> bool",
    dtypes="all", out=False, samples=lambda make: iter([sample(make(3, 4), make(3, 4))]),
    errors=lambda make: iter([error(RuntimeError, "rtol must be", make(3), make(3), rtol=-1.0)]),
)
def allclose(
    self: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Whether all elements are close."""
    return bool(isclose(self, other, rtol, atol, equal_nan).all())


@composite(
    "nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
    dtypes="real", inplace=True, samples=unary(), errors=unary_errors,
)
def nan_to_num(
    self: Tensor, nan: Any = None, posinf: Any = None, neginf: Any = None
) -> Tensor:
    """NaN as 0 and infinities as the dtype's limits, or as the values given."""
    if self.dtype.category < 2:
        return self.clone()  # type: ignore[no-any-return]
    from flambeau.dtypes import finfo

    limits = finfo(self.dtype)
    result = where(self != self, 0.0 if nan is None else nan, self)
    result = where(result == float("inf"), limits.max if posinf is None else posinf, result)
    final: Tensor = where(
        result == float("-inf"), limits.min if neginf is None else neginf, result)
    return final
