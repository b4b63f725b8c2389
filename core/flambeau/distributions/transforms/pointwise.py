"""Transforms of each number by itself."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.transforms.base import (
    SameKind,
    Transform,
    broadcast_shape,
    equal_parameters,
)
from flambeau.distributions.utils import broadcast_all, sum_rightmost
from flambeau.layout import Size
from flambeau.nn import functional as F
from flambeau.tensor import Tensor


def clipped_sigmoid(x: Any) -> Any:
    """The logistic function, kept within the numbers above 0 and below 1."""
    limits = fb.finfo(x.dtype)
    return fb.clamp(fb.sigmoid(x), min=limits.tiny, max=1 - limits.eps)


class AbsTransform(SameKind):
    """``y = |x|``; the inverse gives the input that is not negative."""

    domain = constraints.real
    codomain = constraints.positive

    def _call(self, x: Any) -> Any:
        return x.abs()

    def _inverse(self, y: Any) -> Any:
        return y


class ExpTransform(SameKind):
    """``y = exp(x)``."""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return x.exp()

    def _inverse(self, y: Any) -> Any:
        return y.log()

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return x


class SigmoidTransform(SameKind):
    """``y = 1 / (1 + exp(-x))``, kept away from 0 and 1 by the precision."""

    domain = constraints.real
    codomain = constraints.unit_interval
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return clipped_sigmoid(x)

    def _inverse(self, y: Any) -> Any:
        limits = fb.finfo(y.dtype)
        inside = y.clamp(min=limits.tiny, max=1 - limits.eps)
        return inside.log() - (-inside).log1p()

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return -F.softplus(-x) - F.softplus(x)


class SoftplusTransform(SameKind):
    """``y = log(1 + exp(x))``; the input itself where it is above 20."""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return F.softplus(x)

    def _inverse(self, y: Any) -> Any:
        return y + (-fb.expm1(-y)).log()

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return -F.softplus(-x)


class TanhTransform(SameKind):
    """``y = tanh(x)``.

    With a cache, ``log_prob`` of samples stays finite where ``y`` rounds to 1.
    """

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return x.tanh()

    def _inverse(self, y: Any) -> Any:
        return y.atanh()

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return log_tanh_derivative(x)


def log_tanh_derivative(x: Any) -> Any:
    """``log(1 - tanh(x) ** 2)`` without cancellation: ``2 (log 2 - x - log(1 + exp(-2 x)))``."""
    return 2 * (math.log(2) - x - F.softplus(-2 * x))


class PowerTransform(Transform):
    """``y = x ** exponent`` of positive numbers.

    Args:
        exponent: a number or a tensor; not 0.
    """

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Tensor | float, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        (self.exponent,) = broadcast_all(exponent)

    @property
    def sign(self) -> Any:
        """+1 or -1, as the exponent's."""
        return self.exponent.sign()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and equal_parameters(self.exponent, other.exponent)

    def _call(self, x: Any) -> Any:
        return x.pow(self.exponent)

    def _inverse(self, y: Any) -> Any:
        return y.pow(1 / self.exponent)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Any) -> Size:
        """The shape broadcast with the exponent's."""
        return broadcast_shape(shape, self.exponent)

    inverse_shape = forward_shape


class AffineTransform(Transform):
    """``y = loc + scale * x``.

    Args:
        loc, scale: numbers or tensors.
        event_dim: how many last dimensions make one event.
    """

    bijective = True

    def __init__(
        self, loc: Tensor | float, scale: Tensor | float, event_dim: int = 0, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale
        self._event_dim = event_dim

    @property
    def event_dim(self) -> int:
        """How many last dimensions make one event."""
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        """All numbers, or arrays of them."""
        if self._event_dim == 0:
            return constraints.real
        return constraints.independent(constraints.real, self._event_dim)

    codomain = domain

    @property
    def sign(self) -> Any:
        """+1 or -1, as the scale's."""
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return (self.scale > 0) - (self.scale < 0)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AffineTransform)
            and equal_parameters(self.loc, other.loc)
            and equal_parameters(self.scale, other.scale))

    def _call(self, x: Any) -> Any:
        return self.loc + self.scale * x

    def _inverse(self, y: Any) -> Any:
        return (y - self.loc) / self.scale

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        scale = self.scale
        if isinstance(scale, Tensor):
            change: Any = scale.abs().log().expand(broadcast_shape(x.shape, scale))
        else:
            change = fb.full_like(x, math.log(abs(scale)))
        return sum_rightmost(change, self._event_dim)

    def forward_shape(self, shape: Any) -> Size:
        """The shape broadcast with those of ``loc`` and ``scale``."""
        return broadcast_shape(shape, self.loc, self.scale)

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """``y = distribution.cdf(x)``: makes values of the distribution uniform ones.

    Args:
        distribution: of numbers, with ``cdf``, ``icdf`` and ``log_prob``.
    """

    bijective = True
    codomain = constraints.unit_interval
    sign = +1

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        """The distribution's support."""
        return self.distribution.support

    def _call(self, x: Any) -> Any:
        return self.distribution.cdf(x)

    def _inverse(self, y: Any) -> Any:
        return self.distribution.icdf(y)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return self.distribution.log_prob(x)
