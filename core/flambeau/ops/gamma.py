"""The gamma function's relatives, and the zeta function.

Formulas: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov, by number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau.ops.compare import where
from flambeau.ops.pointwise import (
    as_tensors,
    exp,
    floating_type,
    floor,
    log,
    pow,
    to_floating,
)
from flambeau.ops.rounding import trunc
from flambeau.ops.trig import tan
from flambeau.promotion import pointwise
from flambeau.registry import composite, primitive
from flambeau.samples import Make, Sample, broadcast_errors, error, sample, unary, unary_errors
from flambeau.tensor import Tensor

NOT_COMPLEX = {"complex": "this function is not defined here for complex numbers; take .real"}

lgamma = primitive(
    "lgamma(Tensor self) -> Tensor",
    doc="The logarithm of the absolute value of the gamma function.",
    rule=pointwise(minimum="float", refuse=NOT_COMPLEX), template="unary",
    formula="lgamma(self)", inplace=True, is_required=False,
    derivatives={"self": lambda g, self: g * digamma(self)},
    samples=unary(0.3, 4), errors=unary_errors,
)


@composite(
    "gammaln(Tensor self) -> Tensor", namespaces=("special",), samples=unary(0.3, 4),
    errors=unary_errors, method=False,
)
def gammaln(self: Tensor) -> Any:
    """The logarithm of the absolute value of the gamma function (``lgamma``)."""
    return lgamma(self)


# ---- derivatives of its logarithm --------------------------------------------------------------
_SHIFT = 8
"""So many steps of the recurrence bring an argument to where the asymptotic series is exact."""
_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 5 / 660, -691 / 32760, 1 / 12)
"""B(2k) / (2k) of DLMF 5.11.2."""


@composite(
    "digamma(Tensor self) -> Tensor", inplace=True,
    derivatives={"self": lambda g, self: g * polygamma(1, self)},
    samples=unary(0.3, 4), errors=unary_errors,
)
def digamma(self: Tensor) -> Any:
    """The derivative of lgamma (DLMF 5.11.2 after 5.5.2; 5.5.4 for negative numbers)."""
    given = to_floating(self)
    if given.itemsize == 2:
        return digamma(given.float()).to(given.dtype)
    x = where(given < 0, 1 - given, given)
    total: Any = 0.0
    for k in range(_SHIFT):
        total = total - 1 / (x + k)
    far = x + _SHIFT
    square, series = 1 / (far * far), 0.0
    for coefficient in reversed(_SERIES):
        series = (series + coefficient) * square
    value = total + log(far) - 0.5 / far - series
    part = given - trunc(given)  # exact: pi times it is small where the function is large
    reflected = value - math.pi / tan(math.pi * part)
    value = where(given < 0, where(part == 0, math.nan, reflected), value)
    # 1 / x has the sign of a zero
    return where(given == 0, -1 / given, value)


@composite(
    "psi(Tensor self) -> Tensor", namespaces=("special",), samples=unary(0.3, 4),
    errors=unary_errors, method=False,
)
def psi(self: Tensor) -> Any:
    """The derivative of lgamma (``digamma``)."""
    return digamma(self)


def _polygamma_samples(make: Make) -> Iterator[Sample]:
    for n in range(4):
        yield sample(n, make(3, 4, low=0.4, high=4))


@composite(
    "polygamma(int n, Tensor self) -> Tensor", method=False, namespaces=("", "special"),
    derivatives={"self": lambda g, n, self: g * polygamma(n + 1, self)},
    samples=_polygamma_samples,
    errors=lambda make: iter([error(RuntimeError, "negative n", -1, make(3))]),
)
def polygamma(n: int, self: Tensor) -> Any:
    """The n-th derivative of digamma (DLMF 5.15.1 by 25.11.1)."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return digamma(self)
    sign = -1.0 if n % 2 == 0 else 1.0
    return zeta(float(n + 1), self) * (sign * math.factorial(n))


def _polygamma_method(self: Tensor, n: int) -> Any:
    """The n-th derivative of digamma."""
    return polygamma(n, self)


def _polygamma_inplace(self: Tensor, n: int) -> Any:
    """The n-th derivative of digamma, in place."""
    return self.copy_(polygamma(n, self))


setattr(Tensor, "polygamma", _polygamma_method)  # noqa: B010
setattr(Tensor, "polygamma_", _polygamma_inplace)  # noqa: B010


def _many_samples(make: Make) -> Iterator[Sample]:
    for p in (1, 3):
        yield sample(make(3, 4, low=2, high=5), p)


@composite(
    "mvlgamma(Tensor self, int p) -> Tensor", inplace=True, samples=_many_samples,
    errors=lambda make: iter([error(RuntimeError, "greater than or equal to 1", make(3), 0)]),
)
def mvlgamma(self: Tensor, p: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension p (DLMF 35.3.4)."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = to_floating(self)
    total: Any = p * (p - 1) / 4 * math.log(math.pi)
    for j in range(p):
        total = lgamma(x - j / 2) + total
    return total


@composite(
    "multigammaln(Tensor self, int p) -> Tensor", namespaces=("special",), method=False,
    samples=_many_samples,
    errors=lambda make: iter([error(RuntimeError, "greater than or equal to 1", make(3), 0)]),
)
def multigammaln(self: Tensor, p: int) -> Any:
    """The logarithm of the multivariate gamma function (``mvlgamma``)."""
    return mvlgamma(self, p)


# ---- Hurwitz's zeta function -------------------------------------------------------------------
_TERMS, _MOST_TERMS = 10, 1000
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798,
    -174611 / 330,
)


def _below_zero(q: Tensor) -> int:
    """How many more terms the most negative argument needs to come where the series holds."""
    if q.device.type == "meta" or not q.numel():
        return 0
    least = float(q.detach().min().item())
    return min(int(-least) + 1, _MOST_TERMS) if -math.inf < least < 0 else 0


def _zeta_samples(make: Make) -> Iterator[Sample]:
    for first in (make(3, 4, low=1.5, high=4, requires_grad=False),
                  make(3, 1, low=1.5, high=4, requires_grad=False)):
        yield sample(first, make(3, 4, low=0.5, high=3))
    yield sample(2.0, make(3, low=0.5, high=3))


@composite(
    "zeta(Operand self, Operand other) -> Tensor", namespaces=("special",), method=False,
    derivatives={"other": lambda g, self, other: g * -self * zeta(self + 1.0, other)},
    samples=_zeta_samples, errors=broadcast_errors,
)
def zeta(self: Any, other: Any) -> Any:
    """The sum of ``(other + k)^-self`` over k from 0 (Euler-Maclaurin, DLMF 25.11.5, after ten
    terms)."""
    what = floating_type(self, other)
    s, q = as_tensors(self, other, what)
    if what.itemsize == 2:
        return zeta(s.float(), q.float()).to(what)
    total: Any = 0.0
    terms = _TERMS + _below_zero(q)
    for k in range(terms):
        total = total + pow(q + k, -s)
    far = q + terms
    power = pow(far, -s)
    total = total + power * far / (s - 1) + power * 0.5
    factor, rising = power / far, s
    for i, number in enumerate(_BERNOULLI):
        total = total + factor * rising * (number / math.factorial(2 * i + 2))
        rising = rising * (s + (2 * i + 1)) * (s + (2 * i + 2))
        factor = factor / (far * far)
    pole = floor(q) == q
    total = where(q <= 0, where(pole, math.inf, where(floor(s) == s, total, math.nan)), total)
    return where(s < 1, math.nan, where(s == 1, math.inf, total))


# ---- incomplete gamma functions ----------------------------------------------------------------
def _incomplete_samples(make: Make) -> Iterator[Sample]:
    first = make(3, 4, low=0.5, high=3, requires_grad=False)
    yield sample(first, make(3, 4, low=0.2, high=4))
    yield sample(first[:, :1], make(4, low=0.2, high=4))


def _density(g: Tensor, self: Tensor, other: Tensor) -> Any:
    return g * exp((self - 1) * log(other) - other - lgamma(self))


def _no_order(g: Tensor) -> Any:
    raise RuntimeError("the derivative with respect to the order `self` is not implemented")


igamma = primitive(
    "igamma(Tensor self, Tensor other) -> Tensor",
    doc="The regularized lower incomplete gamma function P(self, other) (DLMF 8.2.4).",
    rule=pointwise(minimum="float", refuse=NOT_COMPLEX), inplace=True, is_required=False,
    derivatives={"self": _no_order, "other": _density},
    samples=_incomplete_samples,
    errors=lambda make: iter([error(RuntimeError, "must match", make(3), make(4))]),
)
igammac = primitive(
    "igammac(Tensor self, Tensor other) -> Tensor",
    doc="The regularized upper incomplete gamma function Q(self, other) (DLMF 8.2.4).",
    rule=pointwise(minimum="float", refuse=NOT_COMPLEX), inplace=True, is_required=False,
    derivatives={
        "self": _no_order, "other": lambda g, self, other: -_density(g, self, other)},
    samples=_incomplete_samples,
    errors=lambda make: iter([error(RuntimeError, "must match", make(3), make(4))]),
)


def _incomplete(name: str, function: Any, doc: str) -> None:
    def alias(self: Tensor, other: Tensor) -> Any:
        return function(self, other)

    alias.__doc__ = doc
    composite(
        f"{name}(Tensor self, Tensor other) -> Tensor", namespaces=("special",), method=False,
        samples=_incomplete_samples,
        errors=lambda make: iter([error(RuntimeError, "must match", make(3), make(4))]),
    )(alias)


_incomplete("gammainc", igamma, "The lower incomplete gamma function (``igamma``).")
_incomplete("gammaincc", igammac, "The upper incomplete gamma function (``igammac``).")

