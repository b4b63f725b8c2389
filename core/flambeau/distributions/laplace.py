"""Laplace's distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import broadcast_all, empty_like_parameter
from flambeau.tensor import Tensor

__all__ = ["Laplace"]


class Laplace(Distribution):
    """Numbers of density ``exp(-abs(x - loc) / scale) / (2 scale)``.

    Args:
        loc: the mean.
        scale: the mean distance from it.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._expanded(Laplace, ("loc", "scale"), batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """``2 scale**2``."""
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        """``sqrt(2) scale``."""
        return 2**0.5 * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """``icdf`` of uniform numbers."""
        shape = self._extended_shape(sample_shape)
        lowest = fb.finfo(self.loc.dtype).eps - 1
        noise = empty_like_parameter(shape, self.loc).uniform_(lowest, 1)
        return self.loc - self.scale * noise.sign() * fb.log1p(-noise.abs())

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        return -fb.log(2 * self.scale) - fb.abs(value - self.loc) / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        """Half the density's scaled tail, or 1 less it."""
        if self._validate_args:
            self._validate_sample(value)
        distance = value - self.loc
        return 0.5 - 0.5 * distance.sign() * fb.expm1(-distance.abs() / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of ``cdf``."""
        term = value - 0.5
        return self.loc - self.scale * term.sign() * fb.log1p(-2 * term.abs())

    def entropy(self) -> Tensor:
        """``1 + log(2 scale)``."""
        return 1 + fb.log(2 * self.scale)
