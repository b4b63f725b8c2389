"""The Kumaraswamy distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.transformed_distribution import TransformedDistribution
from flambeau.distributions.transforms import AffineTransform, PowerTransform
from flambeau.distributions.uniform import Uniform
from flambeau.distributions.utils import broadcast_all, euler_constant
from flambeau.tensor import Tensor

__all__ = ["Kumaraswamy"]


class Kumaraswamy(TransformedDistribution):
    """Numbers of distribution function ``1 - (1 - x ** a) ** b``, between 0 and 1.

    Args:
        concentration1: ``a``.
        concentration0: ``b``.
    """

    arg_constraints = {
        "concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        base = Uniform(
            fb.zeros_like(self.concentration0), fb.ones_like(self.concentration0),
            validate_args=validate_args)
        super().__init__(base, [
            PowerTransform(self.concentration0.reciprocal()), AffineTransform(1.0, -1.0),
            PowerTransform(self.concentration1.reciprocal()),
        ], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        names = ("concentration1", "concentration0")
        return self._with_base_expanded(Kumaraswamy, names, batch_shape, _instance)

    def _moment(self, n: int) -> Tensor:
        """The mean of the n-th power, ``b B(1 + n / a, b)``."""
        a, b = 1 + n / self.concentration1, self.concentration0
        return b * fb.exp(a.lgamma() + b.lgamma() - (a + b).lgamma())

    @property
    def mean(self) -> Tensor:
        """``b B(1 + 1 / a, b)``."""
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        """``((a - 1) / (a b - 1)) ** (1 / a)``; NaN where ``a`` or ``b`` is below 1, or both 1."""
        a, b = self.concentration1, self.concentration0
        mode = ((a - 1) / (a * b - 1)).pow(1 / a)
        return mode.masked_fill((a < 1) | (b < 1), fb.nan)

    @property
    def variance(self) -> Tensor:
        """The second moment, less the square of the mean."""
        return self._moment(2) - self._moment(1).pow(2)

    def entropy(self) -> Tensor:
        """``1 - 1 / b + (1 - 1 / a) H(b) - log(a b)`` with the harmonic number ``H``."""
        a, b = self.concentration1, self.concentration0
        harmonic = fb.digamma(b + 1) + euler_constant
        return 1 - b.reciprocal() + (1 - a.reciprocal()) * harmonic - a.log() - b.log()
