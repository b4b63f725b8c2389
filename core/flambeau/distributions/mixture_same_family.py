"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.categorical import Categorical
from flambeau.distributions.distribution import Distribution
from flambeau.layout import Size
from flambeau.tensor import Tensor

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A value of one of ``k`` components, which a categorical distribution chooses.

    Args:
        mixture_distribution: over ``k`` categories, of the batch shape ``batch`` or none.
        component_distribution: of the batch shape ``(*batch, k)``.

    Raises:
        ValueError: the two do not go together.
    """

    arg_constraints: Any = {}
    has_rsample = False

    def __init__(
        self, mixture_distribution: Categorical, component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        _check(mixture_distribution, component_distribution)
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        self._num_component = component_distribution.batch_shape[-1]
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(
            component_distribution.batch_shape[:-1], component_distribution.event_shape,
            validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parts expanded."""
        new = self._expanded(MixtureSameFamily, (), batch_shape, _instance)
        components = Size((*new._batch_shape, self._num_component))
        new._component_distribution = self._component_distribution.expand(components)
        new._mixture_distribution = self._mixture_distribution.expand(new._batch_shape)
        new._num_component, new._event_ndims = self._num_component, self._event_ndims
        return new

    @constraints.dependent_property
    def support(self) -> Any:
        """The components' support."""
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """What chooses a component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components, along the last batch dimension."""
        return self._component_distribution

    @property
    def mean(self) -> Tensor:
        """The components' means, weighted."""
        return self._mix(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The mean of the components' variances, and the variance of their means."""
        away = self.component_distribution.mean - self._pad(self.mean)
        return self._mix(self.component_distribution.variance) + self._mix(away.pow(2.0))

    def _mix(self, values: Tensor) -> Tensor:
        weights = self._pad_mixture_dimensions(self.mixture_distribution.probs)
        return (weights * values).sum(dim=-1 - self._event_ndims)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A sample of every component, of which the choice, drawn first, takes one."""
        sample_shape = Size(sample_shape)
        with fb.no_grad():
            dim = len(sample_shape) + len(self.batch_shape)
            mixture = self.mixture_distribution
            if mixture.batch_shape != self.batch_shape:
                mixture = mixture.expand(self.batch_shape)
            chosen = mixture.sample(sample_shape)
            values = self.component_distribution.sample(sample_shape)
            chosen = chosen.reshape((*chosen.shape, *(1 for _ in range(self._event_ndims + 1))))
            chosen = chosen.expand((*values.shape[:dim], 1, *self.event_shape))
            return values.gather(dim, chosen).squeeze(dim)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the weighted sum of the components' densities."""
        if self._validate_args:
            self._validate_sample(value)
        log_prob = self.component_distribution.log_prob(self._pad(value))
        weights = fb.log_softmax(self.mixture_distribution.logits, dim=-1)
        return fb.logsumexp(log_prob + weights, dim=-1)

    def cdf(self, value: Tensor) -> Tensor:
        """The components' ``cdf``, weighted."""
        cdf = self.component_distribution.cdf(self._pad(value))
        return (cdf * self.mixture_distribution.probs).sum(dim=-1)

    def _pad(self, x: Tensor) -> Tensor:
        return x.unsqueeze(-1 - self._event_ndims)

    def _pad_mixture_dimensions(self, x: Tensor) -> Tensor:
        return x.reshape((*x.shape, *(1 for _ in range(self._event_ndims))))

    def __repr__(self) -> str:
        parts = f"\n  {self.mixture_distribution},\n  {self.component_distribution}"
        return f"MixtureSameFamily({parts})"


def _check(mixture: Categorical, component: Distribution) -> None:
    """Raise ValueError unless the batch shapes go together."""
    if not isinstance(mixture, Categorical):
        raise ValueError("the mixture distribution must be a Categorical, but it is "
                         f"a {type(mixture).__name__}")
    if not isinstance(component, Distribution):
        raise ValueError("the component distribution must be a Distribution, but it is "
                         f"a {type(component).__name__}")
    batch, components = mixture.batch_shape, component.batch_shape[:-1]
    for size, expected in zip(reversed(batch), reversed(components), strict=False):
        if size not in (1, expected) and expected != 1:
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({batch}) is not compatible with "
                f"`component_distribution.batch_shape` ({components})")
    categories, k = mixture.logits.shape[-1], component.batch_shape[-1]
    if categories != k:
        raise ValueError(
            f"`mixture_distribution component` ({categories}) does not equal "
            f"`component_distribution.batch_shape[-1]` ({k})")
