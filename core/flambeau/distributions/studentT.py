"""Student's t distribution."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.chi2 import Chi2
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import broadcast_all, standard_normal
from flambeau.tensor import Tensor

__all__ = ["StudentT"]


class StudentT(Distribution):
    """A normal number over the root of a chi-squared one over ``df``, scaled and shifted.

    Args:
        df: degrees of freedom.
        loc: the centre.
        scale: the width.
    """

    arg_constraints = {
        "df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df, validate_args=False)
        super().__init__(self.df.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        new = self._expanded(StudentT, ("df", "loc", "scale"), batch_shape, _instance)
        new._chi2 = self._chi2.expand(new._batch_shape)
        return new

    @property
    def mean(self) -> Tensor:
        """``loc``; NaN for a ``df`` of 1 or less."""
        return self.loc.masked_fill(self.df <= 1, fb.nan)

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """``scale**2 df / (df - 2)``; infinite for a ``df`` up to 2, NaN up to 1."""
        finite = self.scale.pow(2) * self.df / (self.df - 2)
        return finite.masked_fill(self.df <= 2, fb.inf).masked_fill(self.df <= 1, fb.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A standard normal number first, a chi-squared one then."""
        noise = standard_normal(self._extended_shape(sample_shape), self.df)
        squares = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (noise * fb.rsqrt(squares / self.df))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        distance = (value - self.loc) / self.scale
        normalizer = (
            self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi)
            + fb.lgamma(0.5 * self.df) - fb.lgamma(0.5 * (self.df + 1.0)))
        return -0.5 * (self.df + 1.0) * fb.log1p(distance**2.0 / self.df) - normalizer

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = fb.lgamma(half) + math.lgamma(0.5) - fb.lgamma(more)
        return (
            self.scale.log() + more * (fb.digamma(more) - fb.digamma(half))
            + 0.5 * self.df.log() + log_beta)
