"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.exp_family import ExponentialFamily
from flambeau.distributions.utils import one_hot_like
from flambeau.ops.gamma_draws import _sample_dirichlet
from flambeau.tensor import Tensor

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Points of the simplex, of a density in proportion to ``prod x_i**(concentration_i - 1)``.

    Args:
        concentration: ``(*batch, n)``.
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(
            concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameter expanded."""
        return self._expanded(Dirichlet, ("concentration",), batch_shape, _instance, event_dims=1)

    @property
    def mean(self) -> Tensor:
        """The concentrations over their sum."""
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Tensor:
        """What the concentrations exceed 1 by, over its sum; a corner if all are below 1."""
        excess = (self.concentration - 1).clamp(min=0.0)
        inside = excess / excess.sum(-1, keepdim=True)
        corner = one_hot_like(inside.argmax(-1), inside)
        return fb.where((self.concentration < 1).all(-1, keepdim=True), corner, inside)

    @property
    def variance(self) -> Tensor:
        """The variance of each coordinate."""
        total = self.concentration.sum(-1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Points whose gradients are by implicit reparameterisation."""
        shape = self._extended_shape(sample_shape)
        return _sample_dirichlet(self.concentration.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        return (
            fb.xlogy(self.concentration - 1.0, value).sum(-1)
            + fb.lgamma(self.concentration.sum(-1)) - fb.lgamma(self.concentration).sum(-1))

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        n, total = self.concentration.size(-1), self.concentration.sum(-1)
        return (
            fb.lgamma(self.concentration).sum(-1) - fb.lgamma(total)
            - (n - total) * fb.digamma(total)
            - ((self.concentration - 1.0) * fb.digamma(self.concentration)).sum(-1))

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.concentration,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return fb.lgamma(x).sum(-1) - fb.lgamma(x.sum(-1))
