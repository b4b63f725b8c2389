"""The inverse gamma distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.gamma import Gamma
from flambeau.distributions.transformed_distribution import TransformedDistribution
from flambeau.distributions.transforms import PowerTransform
from flambeau.tensor import Tensor

__all__ = ["InverseGamma"]


class InverseGamma(TransformedDistribution):
    """Numbers whose reciprocals have a gamma distribution.

    Args:
        concentration: the shape.
        rate: that of the reciprocals.
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    has_rsample = True
    base_dist: Gamma

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args=validate_args)
        reciprocal = PowerTransform(-base.rate.new_ones(()))
        super().__init__(base, reciprocal, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._with_base_expanded(InverseGamma, (), batch_shape, _instance)

    @property
    def concentration(self) -> Tensor:
        """The shape."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """That of the reciprocals."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        """``rate / (concentration - 1)``; infinite up to 1."""
        mean = self.rate / (self.concentration - 1)
        return fb.where(self.concentration > 1, mean, fb.inf)

    @property
    def mode(self) -> Tensor:
        """``rate / (concentration + 1)``."""
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        """``rate**2 / ((concentration - 1)**2 (concentration - 2))``; infinite up to 2."""
        below = self.concentration - 1
        variance = self.rate.square() / (below.square() * (self.concentration - 2))
        return fb.where(self.concentration > 2, variance, fb.inf)

    def entropy(self) -> Tensor:
        """Of shape ``a``: ``a + log(rate) + lgamma(a) - (1 + a) digamma(a)``."""
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()
