"""The gamma distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.exp_family import ExponentialFamily
from flambeau.distributions.utils import broadcast_all
from flambeau.ops.gamma_draws import _standard_gamma
from flambeau.tensor import Tensor

__all__ = ["Gamma"]


class Gamma(ExponentialFamily):
    """Numbers of density ``rate**c x**(c - 1) exp(-rate x) / gamma(c)``, ``c`` the concentration.

    Args:
        concentration: the shape, called alpha.
        rate: the inverse of the scale, called beta.
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._expanded(Gamma, ("concentration", "rate"), batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """``concentration / rate``."""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """``(concentration - 1) / rate``, at least 0."""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """``concentration / rate**2``."""
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Numbers whose gradients by the concentration are by implicit reparameterisation."""
        shape = self._extended_shape(sample_shape)
        drawn = _standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        least = fb.finfo(drawn.dtype).tiny
        # zeros become the least positive number; gradients are those of what was drawn
        return drawn + (drawn.detach().clamp(min=least) - drawn.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        value = fb.as_tensor(value, dtype=self.rate.dtype, device=self.rate.device)
        if self._validate_args:
            self._validate_sample(value)
        return (
            fb.xlogy(self.concentration, self.rate) + fb.xlogy(self.concentration - 1, value)
            - self.rate * value - fb.lgamma(self.concentration))

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return (
            self.concentration - fb.log(self.rate) + fb.lgamma(self.concentration)
            + (1.0 - self.concentration) * fb.digamma(self.concentration))

    def cdf(self, value: Tensor) -> Tensor:
        """The regularized lower incomplete gamma function."""
        if self._validate_args:
            self._validate_sample(value)
        return fb.special.gammainc(self.concentration, self.rate * value)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return self.concentration - 1, -self.rate

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        return fb.lgamma(x + 1) + (x + 1) * fb.log(-y.reciprocal())
