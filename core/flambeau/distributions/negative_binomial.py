"""The negative binomial distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.chances import OfChances, one_of
from flambeau.distributions.gamma import Gamma
from flambeau.distributions.utils import broadcast_all, lazy_property
from flambeau.nn.functional import logsigmoid
from flambeau.tensor import Tensor

__all__ = ["NegativeBinomial"]


class NegativeBinomial(OfChances):
    """The number of successes before ``total_count`` failures.

    Args:
        total_count: not negative; need not be an integer.
        probs: the chances of success, below 1, or
        logits: the logarithms of their odds.
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        name, given = one_of(probs, logits)
        count, parameter = broadcast_all(total_count, given)
        self.total_count = count.to(parameter.dtype)
        self._hold(name, parameter)
        super().__init__(parameter.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._expanded(NegativeBinomial, ("total_count",), batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """``total_count`` times the odds."""
        return self.total_count * fb.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        """``floor((total_count - 1) exp(logits))``, at least 0."""
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        """The mean, over the chance of failure."""
        return self.mean / fb.sigmoid(-self.logits)

    @lazy_property
    def _gamma(self) -> Gamma:
        return Gamma(
            concentration=self.total_count, rate=fb.exp(-self.logits), validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Poisson numbers of gamma rates."""
        with fb.no_grad():
            return fb.poisson(self._gamma.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the chance of so many successes."""
        if self._validate_args:
            self._validate_sample(value)
        chances = self.total_count * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        ways = (
            fb.lgamma(self.total_count + value) - fb.lgamma(1.0 + value)
            - fb.lgamma(self.total_count))
        return chances + ways.masked_fill(self.total_count + value == 0.0, 0.0)
