"""The log-normal distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.normal import Normal
from flambeau.distributions.transformed_distribution import TransformedDistribution
from flambeau.distributions.transforms import ExpTransform
from flambeau.tensor import Tensor

__all__ = ["LogNormal"]


class LogNormal(TransformedDistribution):
    """Numbers whose logarithms are normal.

    Args:
        loc: the mean of the logarithm.
        scale: the standard deviation of the logarithm.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    has_rsample = True
    base_dist: Normal

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._with_base_expanded(LogNormal, (), batch_shape, _instance)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        """``exp(loc + scale**2 / 2)``."""
        return fb.exp(self.loc + self.scale.pow(2) / 2)

    @property
    def mode(self) -> Tensor:
        """``exp(loc - scale**2)``."""
        return fb.exp(self.loc - self.scale.pow(2))

    @property
    def variance(self) -> Tensor:
        """``(exp(scale**2) - 1) exp(2 loc + scale**2)``."""
        square = self.scale.pow(2)
        return fb.expm1(square) * fb.exp(2 * self.loc + square)

    def entropy(self) -> Tensor:
        """That of the logarithm, and ``loc``."""
        return self.base_dist.entropy() + self.loc
