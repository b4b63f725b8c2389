"""The generalised Pareto distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import broadcast_all, standard_uniform
from flambeau.tensor import Tensor

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Numbers ``x`` of survival function ``(1 + c z) ** (-1 / c)`` with ``z = (x - loc) / scale``.

    It is ``exp(-z)`` where the concentration ``c`` is 0, and ends at ``loc - scale / c`` where it
    is below 0 (Pickands, 1975).

    Args:
        loc: the least number.
        scale: the spread.
        concentration: the shape: moments of order below ``1 / c`` are finite.
    """

    arg_constraints = {
        "loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        names = ("loc", "scale", "concentration")
        return self._expanded(GeneralizedPareto, names, batch_shape, _instance)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """From ``loc`` to ``loc - scale / concentration`` or infinity."""
        end = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, fb.where(self.concentration < 0, end, fb.inf))

    def _shape(self) -> tuple[Tensor, Tensor]:
        """Where the concentration counts as 0, and the concentration with 1 in those places."""
        is_zero = fb.isclose(self.concentration, fb.zeros_like(self.concentration))
        return is_zero, fb.where(is_zero, 1.0, self.concentration)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """The quantiles of uniform numbers."""
        return self.icdf(standard_uniform(self._extended_shape(sample_shape), self.loc))

    def log_prob(self, value: Tensor) -> Tensor:
        """``-(1 + 1 / c) log(1 + c z) - log(scale)``."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        is_zero, shape = self._shape()
        power = 1 / shape + 1
        # where the power is 0, its product with an infinite logarithm must be so, too
        density = fb.where(power == 0, power, power * fb.log1p(shape * z))
        return -self.scale.log() - fb.where(is_zero, z, density)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the chance of what is above a value."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        is_zero, shape = self._shape()
        return -fb.where(is_zero, z, fb.log1p(shape * z) / shape)

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of the chance of what is not above a value."""
        return fb.log1p(-fb.exp(self.log_survival_function(value)))

    def cdf(self, value: Tensor) -> Tensor:
        """``1 - (1 + c z) ** (-1 / c)``."""
        return fb.exp(self.log_cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        """``loc + scale ((1 - value) ** -c - 1) / c``."""
        is_zero, shape = self._shape()
        log_survival = fb.log1p(-value)
        z = fb.where(is_zero, -log_survival, fb.expm1(-shape * log_survival) / shape)
        return self.loc + self.scale * z

    @property
    def mean(self) -> Tensor:
        """``loc + scale / (1 - c)``; NaN from ``c = 1`` on."""
        c = self.concentration
        return fb.where(c < 1, self.loc + self.scale / (1 - c), fb.nan)

    @property
    def variance(self) -> Tensor:
        """``scale**2 / ((1 - c)**2 (1 - 2 c))``; NaN from ``c = 1 / 2`` on."""
        c = self.concentration
        variance = self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c))
        return fb.where(c < 0.5, variance, fb.nan)

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    def entropy(self) -> Tensor:
        """``log(scale) + c + 1``."""
        return fb.log(self.scale) + self.concentration + 1
