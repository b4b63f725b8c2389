"""The Weibull distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.exponential import Exponential
from flambeau.distributions.transformed_distribution import TransformedDistribution
from flambeau.distributions.transforms import AffineTransform, PowerTransform
from flambeau.distributions.utils import broadcast_all, euler_constant
from flambeau.tensor import Tensor

__all__ = ["Weibull"]


class Weibull(TransformedDistribution):
    """Numbers of distribution function ``1 - exp(-(x / scale) ** concentration)``.

    Args:
        scale: what the numbers are multiples of.
        concentration: the shape: 1 gives the exponential distribution.
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        base = Exponential(fb.ones_like(self.scale), validate_args=validate_args)
        super().__init__(base, [
            PowerTransform(self.concentration_reciprocal), AffineTransform(0, self.scale),
        ], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        names = ("scale", "concentration", "concentration_reciprocal")
        return self._with_base_expanded(Weibull, names, batch_shape, _instance)

    def _moment(self, n: int) -> Tensor:
        """The mean of the n-th power of the multiple: ``Gamma(1 + n / concentration)``."""
        return fb.exp(fb.lgamma(1 + n * self.concentration_reciprocal))

    @property
    def mean(self) -> Tensor:
        """``scale Gamma(1 + 1 / concentration)``."""
        return self.scale * self._moment(1)

    @property
    def mode(self) -> Tensor:
        """``scale (1 - 1 / concentration) ** (1 / concentration)``; NaN below 1."""
        part = (self.concentration - 1) / self.concentration
        return self.scale * part**self.concentration_reciprocal

    @property
    def variance(self) -> Tensor:
        """``scale**2 (Gamma(1 + 2 / concentration) - Gamma(1 + 1 / concentration) ** 2)``."""
        return self.scale.pow(2) * (self._moment(2) - self._moment(1).pow(2))

    def entropy(self) -> Tensor:
        """Of Euler's constant ``g``: ``g (1 - 1 / c) + log(scale / c) + 1``."""
        reciprocal = self.concentration_reciprocal
        return euler_constant * (1 - reciprocal) + fb.log(self.scale * reciprocal) + 1
