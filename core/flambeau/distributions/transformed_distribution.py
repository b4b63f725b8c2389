"""Distributions of transformed values."""

from __future__ import annotations

from math import prod
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.independent import Independent
from flambeau.distributions.transforms import ComposeTransform, Transform
from flambeau.distributions.utils import sum_rightmost
from flambeau.tensor import Tensor

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """What transforms make of the values of a distribution.

    With ``y = f(x)`` the density is ``p(x) / |det df/dx|``.  An event takes in as many dimensions
    as the base's events and the transforms need.

    Args:
        base_distribution: of ``x``; expanded where a transform broadcasts.
        transforms: one, or a list in the order in which they are applied.

    Raises:
        ValueError: if it is neither, or if ``x`` has fewer dimensions than the transforms need.
    """

    arg_constraints = {}

    def __init__(
        self, base_distribution: Any, transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.transforms = _as_list(transforms)
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        base_event_dim = len(base_distribution.event_shape)
        whole = ComposeTransform(self.transforms)
        domain_dim, codomain_dim = whole.domain.event_dim, whole.codomain.event_dim
        if len(base_shape) < domain_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {domain_dim}, but got "
                f"{tuple(base_shape)}.")
        shape = whole.forward_shape(base_shape)
        wanted = whole.inverse_shape(shape)
        if base_shape != wanted:
            base_distribution = base_distribution.expand(wanted[: len(wanted) - base_event_dim])
        if domain_dim > base_event_dim:
            base_distribution = Independent(base_distribution, domain_dim - base_event_dim)
        self.base_dist = base_distribution
        event_dim = max(codomain_dim, base_event_dim + codomain_dim - domain_dim)
        cut = len(shape) - event_dim
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the base has ``rsample``."""
        return bool(self.base_dist.has_rsample)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its base expanded."""
        return self._with_base_expanded(TransformedDistribution, (), batch_shape, _instance)

    def _with_base_expanded(
        self, declaring: type, names: tuple[str, ...], batch_shape: Any, _instance: Any
    ) -> Any:
        """An instance whose base, and whose own parameters ``names``, are expanded.

        Args:
            declaring: the class whose ``expand`` this is.
        """
        new = self._expanded(declaring, names, batch_shape, _instance)
        new.transforms = self.transforms
        shape = ComposeTransform(self.transforms).inverse_shape(new._extended_shape())
        new.base_dist = self.base_dist.expand(
            shape[: len(shape) - len(self.base_dist.event_shape)])
        return new

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        """The last transform's codomain."""
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        more = len(self.event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the base, transformed."""
        with fb.no_grad():
            return self._transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the base's ``rsample``, transformed."""
        return self._transformed(self.base_dist.rsample(sample_shape))

    def _transformed(self, value: Tensor) -> Tensor:
        for transform in self.transforms:
            value = transform(value)
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density: the base's, less the transforms' volume changes."""
        if self._validate_args:
            self._validate_sample(value)
        change: Any = 0
        event_dim = len(self.event_shape)
        y = value
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            log_det = transform.log_abs_det_jacobian(x, y)
            change = change + sum_rightmost(log_det, event_dim - transform.domain.event_dim)
            y = x
        dims = event_dim - len(self.base_dist.event_shape)
        return sum_rightmost(self.base_dist.log_prob(y), dims) - change

    def cdf(self, value: Tensor) -> Tensor:
        """The base's at the inverse; its complement where the transforms together fall."""
        if self._validate_args:
            self._validate_sample(value)
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._flipped(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        """The base's, transformed; of the complement where the transforms together fall."""
        return self._transformed(self.base_dist.icdf(self._flipped(value)))

    def _flipped(self, chance: Any) -> Any:
        sign = prod(transform.sign for transform in self.transforms)
        return chance if isinstance(sign, int) and sign == 1 else sign * (chance - 0.5) + 0.5


def _as_list(transforms: Any) -> list[Transform]:
    if isinstance(transforms, Transform):
        return [transforms]
    if not isinstance(transforms, list):
        raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
    if not all(isinstance(transform, Transform) for transform in transforms):
        raise ValueError("transforms must be a Transform or a list of Transforms")
    return transforms
