"""The multinomial distribution."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.binomial import Binomial
from flambeau.distributions.of_categorical import OfCategorical
from flambeau.distributions.utils import broadcast_all
from flambeau.layout import Size
from flambeau.tensor import Tensor

__all__ = ["Multinomial"]


class Multinomial(OfCategorical):
    """How often each of ``n`` categories comes up in ``total_count`` draws.

    Args:
        total_count: a number.
        probs: weights ``(*batch, n)``, which are made to sum to 1, or
        logits: logarithms of weights.

    Raises:
        NotImplementedError: ``total_count`` is no int.
    """

    total_count: int

    def __init__(
        self, total_count: int = 1, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)
        self._binomial = Binomial(total_count=total_count, probs=self.probs)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameter expanded."""
        new = self._expanded(Multinomial, (), batch_shape, _instance)
        new.total_count = self.total_count
        new._binomial = self._binomial.expand((*new._batch_shape, *self._event_shape))
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Counts that sum to ``total_count``."""
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        """``probs total_count``."""
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        """``total_count probs (1 - probs)``."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts."""
        sample_shape = Size(sample_shape)
        drawn = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        shape = self._extended_shape(sample_shape)
        counts = fb.zeros(shape, dtype=drawn.dtype, device=drawn.device)
        return counts.scatter_add(-1, drawn, fb.ones_like(drawn)).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the chance of counts."""
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        ways = fb.lgamma(value.sum(-1) + 1) - fb.lgamma(value + 1).sum(-1)
        impossible = (value == 0) & (logits == -fb.inf)  # 0 times infinity is 0 here
        return ways + (logits.masked_fill(impossible, 0) * value).sum(-1)

    def entropy(self) -> Tensor:
        """The entropy in nats, by the binomial distributions of the counts."""
        n = self.total_count
        draws = n * self._categorical.entropy() - math.lgamma(n + 1)
        counts = self._binomial.enumerate_support(expand=False)[1:]
        chances = fb.exp(self._binomial.log_prob(counts))
        return draws + (chances * fb.lgamma(counts + 1)).sum([0, -1])
