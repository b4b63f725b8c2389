"""The half-Cauchy distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions.cauchy import Cauchy
from flambeau.distributions.half import Half
from flambeau.tensor import Tensor

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """Absolute values of Cauchy numbers around 0.

    Args:
        scale: the half width of the Cauchy distribution.
    """

    base_dist: Cauchy

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, validate_args=False), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameter expanded."""
        return self._with_base_expanded(HalfCauchy, (), batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """Infinite."""
        return fb.full_like(self.scale, fb.inf)

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.base_dist.variance
