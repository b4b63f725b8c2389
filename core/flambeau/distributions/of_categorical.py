"""Distributions of vectors that have the parameters of a categorical distribution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau.distributions import constraints
from flambeau.distributions.categorical import Categorical
from flambeau.distributions.distribution import Distribution
from flambeau.layout import Size
from flambeau.tensor import Tensor

__all__ = ["OfCategorical"]


class OfCategorical(Distribution):
    """Vectors with a number for each category.

    Args:
        probs: weights ``(*batch, n)``, which are made to sum to 1, or
        logits: logarithms of weights.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, probs: Any, logits: Any, validate_args: bool | None) -> None:
        self._categorical = Categorical(probs, logits)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:],
            validate_args=validate_args)

    def _expanded(
        self, declaring: type, names: Iterable[str], batch_shape: Iterable[int], _instance: Any,
        event_dims: int = 0,
    ) -> Any:
        new = super()._expanded(declaring, names, batch_shape, _instance, event_dims)
        new._categorical = self._categorical.expand(new._batch_shape)
        return new

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter that was given."""
        return self._categorical.param_shape

    @property
    def logits(self) -> Tensor:
        """The logarithms of the chances."""
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        """The chances."""
        return self._categorical.probs
