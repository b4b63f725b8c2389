"""Absolute values of numbers that are symmetric around 0."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.transformed_distribution import TransformedDistribution
from flambeau.distributions.transforms import AbsTransform
from flambeau.tensor import Tensor

__all__ = ["Half"]


class Half(TransformedDistribution):
    """Absolute values: twice the density of the base, from 0 on.

    Args:
        base: symmetric around 0, with a ``scale``.
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, base: Any, validate_args: bool | None = None) -> None:
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        """The base's scale."""
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        """0."""
        return fb.zeros_like(self.scale)

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of twice the base's density; minus infinity below 0."""
        if self._validate_args:
            self._validate_sample(value)
        value = fb.as_tensor(value, dtype=self.scale.dtype, device=self.scale.device)
        return fb.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -fb.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """``2 F(value) - 1`` of the base's distribution function."""
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        """The base's at ``(value + 1) / 2``."""
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        """The base's, less ``log(2)``."""
        return self.base_dist.entropy() - math.log(2)
