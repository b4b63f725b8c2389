"""The geometric distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.chances import OfChances, one_of
from flambeau.distributions.utils import broadcast_all, empty_like_parameter
from flambeau.nn.functional import binary_cross_entropy_with_logits
from flambeau.tensor import Tensor

__all__ = ["Geometric"]


class Geometric(OfChances):
    """The number of failures before the first success.

    Args:
        probs: the chances of success, above 0, or
        logits: the logarithms of their odds.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, given = one_of(probs, logits)
        self._hold(name, broadcast_all(given)[0])
        super().__init__(self._param.size(), validate_args=validate_args)
        on_meta = self._param.device.type == "meta"
        if self._validate_args and name == "probs" and not on_meta:
            valid = self.probs > 0
            if not valid.all().item():
                raise ValueError(
                    f"Expected parameter probs ({type(self.probs).__name__} of shape "
                    f"{tuple(self.probs.shape)}) of distribution {self!r} to be positive but "
                    f"found invalid values:\n{self.probs[~valid]}")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameter expanded."""
        return self._expanded(Geometric, (), batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """``1 / probs - 1``."""
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        """0."""
        return fb.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        """``(1 / probs - 1) / probs``."""
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Numbers of failures."""
        shape = self._extended_shape(sample_shape)
        least = fb.finfo(self.probs.dtype).tiny
        with fb.no_grad():
            noise = empty_like_parameter(shape, self.probs).uniform_(least, 1)
            return (noise.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the chance of so many failures."""
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        finite = probs.masked_fill((probs == 1) & (value == 0), 0)  # 0 times infinity is 0 here
        return value * (-finite).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        """That of a single trial, over ``probs``."""
        trial = binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return trial / self.probs
