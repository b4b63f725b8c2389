"""Bessel and Airy functions: primitives that no backend must have."""

from __future__ import annotations

import math
from typing import Any

from flambeau.ops.compare import where
from flambeau.ops.gamma import NOT_COMPLEX
from flambeau.ops.pointwise import abs, sgn
from flambeau.promotion import pointwise
from flambeau.registry import composite, primitive
from flambeau.samples import unary, unary_errors
from flambeau.tensor import Tensor


def _function(name: str, words: str, namespaces: tuple[str, ...] = ("special",), low: float = -2,
              **facts: Any) -> Any:
    return primitive(
        f"{name}(Tensor self) -> Tensor", doc=words,
        rule=pointwise(minimum="float", refuse=NOT_COMPLEX), template="unary",
        namespaces=namespaces, is_required=False,
        samples=unary(low, 4), errors=unary_errors, **facts)


# ---- modified, of the first kind ---------------------------------------------------------------
def _i1_grad(g: Tensor, self: Tensor, out: Tensor) -> Any:
    return g * where(self == 0, 0.5, i0(self) - out / _not_zero(self))


def _i1e_grad(g: Tensor, self: Tensor, out: Tensor) -> Any:
    return g * where(self == 0, 0.5, i0e(self) - out * (sgn(self) + 1 / _not_zero(self)))


def _not_zero(x: Tensor) -> Any:
    """A divisor whose quotient is not used where it was zero: its slope must be a number there."""
    return where(x == 0, 1.0, x)


i0: Any = _function(
    "i0", "The modified Bessel function of the first kind, of order 0 (DLMF 10.25.2).",
    ("", "special"), inplace=True, derivatives={"self": lambda g, self: g * i1(self)})
i0e: Any = _function(
    "i0e", "exp(-|x|) i0(x).",
    derivatives={"self": lambda g, self, out: g * (i1e(self) - sgn(self) * out)})
i1: Any = _function(
    "i1", "The modified Bessel function of the first kind, of order 1.",
    derivatives={"self": _i1_grad})
i1e: Any = _function("i1e", "exp(-|x|) i1(x).", derivatives={"self": _i1e_grad})

for _order in (0, 1):
    _function(f"bessel_j{_order}",
              f"The Bessel function of the first kind, of order {_order} (DLMF 10.2.2).")
    _function(f"bessel_y{_order}",
              f"The Bessel function of the second kind, of order {_order} (DLMF 10.2.3).", low=0.1)
    _function(f"modified_bessel_k{_order}",
              f"The modified Bessel function of the second kind, of order {_order} "
              "(DLMF 10.25.3).", low=0.1)
    _function(f"scaled_modified_bessel_k{_order}", f"exp(x) modified_bessel_k{_order}(x).", low=0.1)
airy_ai = _function("airy_ai", "The Airy function Ai (DLMF 9.2).")


def _first_kind(order: int, function: Any) -> None:
    def alias(self: Tensor) -> Any:
        return function(self)

    alias.__doc__ = f"The modified Bessel function of the first kind (``special.i{order}``)."
    composite(
        f"modified_bessel_i{order}(Tensor self) -> Tensor", namespaces=("special",), method=False,
        samples=unary(), errors=unary_errors,
    )(alias)


_first_kind(0, i0)
_first_kind(1, i1)


@composite(
    "spherical_bessel_j0(Tensor self) -> Tensor", namespaces=("special",), method=False,
    samples=unary(), errors=unary_errors,
)
def spherical_bessel_j0(self: Tensor) -> Any:
    """sin(x) / x, 1 at 0 and 0 at infinity (DLMF 10.49.3)."""
    from flambeau.ops.pointwise import sin, to_floating

    x = to_floating(self)
    safe = where(x == 0, 1.0, x)
    return where(x == 0, 1.0, where(abs(x) == math.inf, 0.0, sin(safe) / safe))
