"""The Gumbel distribution."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.transformed_distribution import TransformedDistribution
from flambeau.distributions.transforms import AffineTransform, ExpTransform
from flambeau.distributions.uniform import Uniform
from flambeau.distributions.utils import broadcast_all, euler_constant
from flambeau.tensor import Tensor

__all__ = ["Gumbel"]


class Gumbel(TransformedDistribution):
    """Numbers of distribution function ``exp(-exp(-(x - loc) / scale))``.

    They are ``loc - scale log(-log(u))`` of uniform numbers ``u``.

    Args:
        loc: the mode.
        scale: the spread.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        limits = fb.finfo(self.loc.dtype)
        low = fb.full_like(self.loc, limits.tiny)  # both logarithms must be finite
        base = Uniform(low, fb.full_like(self.loc, 1 - limits.eps), validate_args=validate_args)
        super().__init__(base, [
            ExpTransform().inv, AffineTransform(0, -fb.ones_like(self.scale)),
            ExpTransform().inv, AffineTransform(self.loc, -self.scale),
        ], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._with_base_expanded(Gumbel, ("loc", "scale"), batch_shape, _instance)

    def log_prob(self, value: Tensor) -> Tensor:
        """``-(z + exp(-z)) - log(scale)`` with ``z = (value - loc) / scale``."""
        if self._validate_args:
            self._validate_sample(value)
        below = (self.loc - value) / self.scale
        return (below - below.exp()) - self.scale.log()

    @property
    def mean(self) -> Tensor:
        """``loc + scale`` times Euler's constant."""
        return self.loc + self.scale * euler_constant

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """``scale pi / sqrt(6)``."""
        return self.scale * (math.pi / math.sqrt(6))

    @property
    def variance(self) -> Tensor:
        """``scale**2 pi**2 / 6``."""
        return self.stddev.pow(2)

    def entropy(self) -> Tensor:
        """``log(scale) + 1`` and Euler's constant."""
        return self.scale.log() + (1 + euler_constant)
