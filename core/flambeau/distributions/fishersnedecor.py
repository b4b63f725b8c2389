"""The F distribution of Fisher and Snedecor."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.gamma import Gamma
from flambeau.distributions.utils import broadcast_all
from flambeau.tensor import Tensor

__all__ = ["FisherSnedecor"]


class FisherSnedecor(Distribution):
    """The quotient of two chi-squared numbers, each over its degrees of freedom.

    Args:
        df1: degrees of freedom of the first.
        df2: degrees of freedom of the second.
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        self._gamma1 = Gamma(self.df1 * 0.5, self.df1, validate_args=False)
        self._gamma2 = Gamma(self.df2 * 0.5, self.df2, validate_args=False)
        super().__init__(self.df1.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        new = self._expanded(FisherSnedecor, ("df1", "df2"), batch_shape, _instance)
        new._gamma1 = self._gamma1.expand(new._batch_shape)
        new._gamma2 = self._gamma2.expand(new._batch_shape)
        return new

    @property
    def mean(self) -> Tensor:
        """``df2 / (df2 - 2)``; NaN for a ``df2`` of 2 or less."""
        df2 = self.df2.masked_fill(self.df2 <= 2, fb.nan)
        return df2 / (df2 - 2)

    @property
    def mode(self) -> Tensor:
        """``(df1 - 2) / df1 df2 / (df2 + 2)``; NaN for a ``df1`` of 2 or less."""
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return mode.masked_fill(self.df1 <= 2, fb.nan)

    @property
    def variance(self) -> Tensor:
        """NaN for a ``df2`` of 4 or less."""
        df1, df2 = self.df1, self.df2.masked_fill(self.df2 <= 4, fb.nan)
        return 2 * df2.pow(2) * (df1 + df2 - 2) / (df1 * (df2 - 2).pow(2) * (df2 - 4))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """The quotient of two gamma numbers."""
        first, second = (gamma.rsample(sample_shape) for gamma in (self._gamma1, self._gamma2))
        least = fb.finfo(second.dtype).tiny
        return (first / second.clamp(min=least)).clamp(min=least)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        half1, half2, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        return (
            fb.lgamma(half1 + half2) - fb.lgamma(half1) - fb.lgamma(half2)
            + half1 * ratio.log() + (half1 - 1) * value.log()
            - (half1 + half2) * fb.log1p(ratio * value))
