"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.chances import OfChances, one_of
from flambeau.distributions.exp_family import ExponentialFamily
from flambeau.distributions.utils import (
    broadcast_all,
    clamp_probs,
    lazy_property,
    logits_to_probs,
    standard_uniform,
)
from flambeau.nn.functional import binary_cross_entropy_with_logits
from flambeau.tensor import Tensor

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(OfChances, ExponentialFamily):
    """Numbers in [0, 1] of a density in proportion to ``probs**x (1 - probs)**(1 - x)``.

    Of Loaiza-Ganem and Cunningham (2019).  Near ``probs = 1/2``, where the formulas are 0 / 0,
    Taylor polynomials take their places.

    Args:
        probs: the parameters, or
        logits: the logarithms of their odds.
        lims: where the Taylor polynomials are used.

    Raises:
        ValueError: a parameter is not in [0, 1], with ``validate_args``; by default it is clamped.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self, probs: Any = None, logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501), validate_args: bool | None = None,
    ) -> None:
        name, given = one_of(probs, logits)
        (given,) = broadcast_all(given)
        self._lims = lims
        if name == "probs":
            if validate_args and not constraints.unit_interval.check(given).all().item():
                raise ValueError(f"The parameter probs has invalid values:\n{given}")
            given = clamp_probs(given)
        self._hold(name, given)
        super().__init__(given.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameter expanded."""
        new = self._expanded(ContinuousBernoulli, (), batch_shape, _instance)
        new._lims = self._lims
        return new

    @lazy_property
    def probs(self) -> Tensor:
        """The parameters, kept away from 0 and 1."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _is_outside(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut(self) -> Tensor:
        """The parameters where the formulas are used, else one for which they are finite."""
        return fb.where(self._is_outside(), self.probs, fb.full_like(self.probs, self._lims[0]))

    def _log_constant(self) -> Tensor:
        """The logarithm of what makes the density integrate to 1."""
        cut = self._cut()
        low = cut <= 0.5
        below, above = fb.where(low, cut, 0.0), fb.where(cut >= 0.5, cut, 1.0)
        difference = fb.where(low, fb.log1p(-2.0 * below), fb.log(2.0 * above - 1.0))
        exact = fb.log(fb.abs(fb.log1p(-cut) - fb.log(cut))) - difference
        square = (self.probs - 0.5).pow(2)
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * square) * square
        return fb.where(self._is_outside(), exact, taylor)

    @property
    def mean(self) -> Tensor:
        """The mean, which is not ``probs``."""
        cut, away = self._cut(), self.probs - 0.5
        exact = cut / (2.0 * cut - 1.0) + 1.0 / (fb.log1p(-cut) - fb.log(cut))
        taylor = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * away.pow(2)) * away
        return fb.where(self._is_outside(), exact, taylor)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        cut, square = self._cut(), (self.probs - 0.5).pow(2)
        exact = (
            cut * (cut - 1.0) / (1.0 - 2.0 * cut).pow(2)
            + 1.0 / (fb.log1p(-cut) - fb.log(cut)).pow(2))
        taylor = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * square) * square
        return fb.where(self._is_outside(), exact, taylor)

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return fb.sqrt(self.variance)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """``icdf`` of uniform numbers."""
        return self.icdf(standard_uniform(self._extended_shape(sample_shape), self.probs))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        entropy = binary_cross_entropy_with_logits(logits, value, reduction="none")
        return self._log_constant() - entropy

    def cdf(self, value: Tensor) -> Tensor:
        """The chance of what is not above a value."""
        if self._validate_args:
            self._validate_sample(value)
        cut = self._cut()
        power = fb.pow(cut, value) * fb.pow(1.0 - cut, 1.0 - value)
        inside = fb.where(self._is_outside(), (power + cut - 1.0) / (2.0 * cut - 1.0), value)
        return fb.where(value <= 0.0, 0.0, fb.where(value >= 1.0, 1.0, inside))

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of ``cdf``."""
        cut = self._cut()
        failure = fb.log1p(-cut)
        part = fb.log1p(-cut + value * (2.0 * cut - 1.0)) - failure
        return fb.where(self._is_outside(), part / (fb.log(cut) - failure), value)

    def entropy(self) -> Tensor:
        """The entropy in nats; may be negative, as for all densities."""
        failure, success = fb.log1p(-self.probs), fb.log(self.probs)
        return self.mean * (failure - success) - self._log_constant() - failure

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        low, high = (lim - 0.5 for lim in self._lims)
        is_outside = (x <= low) | (x > high)
        cut = fb.where(is_outside, x, fb.full_like(x, low))
        exact = fb.log(fb.abs(fb.special.expm1(cut))) - fb.log(fb.abs(cut))
        taylor = 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0
        return fb.where(is_outside, exact, taylor)
