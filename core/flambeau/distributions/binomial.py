"""The binomial distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.chances import OfChances, one_of
from flambeau.distributions.utils import broadcast_all
from flambeau.tensor import Tensor

__all__ = ["Binomial"]


class Binomial(OfChances):
    """The number of successes among ``total_count`` trials.

    Args:
        total_count: a number or a tensor of the parameters' shape.
        probs: the chances of success, or
        logits: the logarithms of their odds.
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        name, given = one_of(probs, logits)
        count, parameter = broadcast_all(total_count, given)
        self.total_count = count.to(parameter.dtype)
        self._hold(name, parameter)
        super().__init__(parameter.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._expanded(Binomial, ("total_count",), batch_shape, _instance)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The integers from 0 to ``total_count``."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        """``total_count probs``."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """``floor((total_count + 1) probs)``, at most ``total_count``."""
        return ((self.total_count + 1) * self.probs).floor().minimum(self.total_count)

    @property
    def variance(self) -> Tensor:
        """``total_count probs (1 - probs)``."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Numbers of successes."""
        shape = self._extended_shape(sample_shape)
        with fb.no_grad():
            return fb.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the chance of so many successes."""
        if self._validate_args:
            self._validate_sample(value)
        log_ways = (
            fb.lgamma(self.total_count + 1) - fb.lgamma(value + 1)
            - fb.lgamma(self.total_count - value + 1))
        # log(1 + exp(logits)); of the two subgradients at 0 the mean, which is the derivative
        positive = (self.logits.clamp(min=0) + self.logits - self.logits.clamp(max=0)) / 2
        softplus = positive + fb.log1p(fb.exp(-fb.abs(self.logits)))
        return value * self.logits + log_ways - self.total_count * softplus

    def entropy(self) -> Tensor:
        """The entropy in nats; of equal counts only."""
        self._count("entropy")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(fb.exp(log_prob) * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The integers from 0 to ``total_count``; of equal counts only."""
        count = self._count("enumerate_support")
        values = fb.arange(1 + count, dtype=self._param.dtype, device=self._param.device)
        return self._enumerated(values, expand)

    def _count(self, name: str) -> int:
        count = int(self.total_count.max().item())
        if int(self.total_count.min().item()) != count:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{name}`.")
        return count
