"""The half-normal distribution."""

from __future__ import annotations

import math
from typing import Any

from flambeau.distributions.half import Half
from flambeau.distributions.normal import Normal
from flambeau.tensor import Tensor

__all__ = ["HalfNormal"]


class HalfNormal(Half):
    """Absolute values of normal numbers around 0.

    Args:
        scale: the standard deviation of the normal distribution.
    """

    base_dist: Normal

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args=False), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameter expanded."""
        return self._with_base_expanded(HalfNormal, (), batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """``scale sqrt(2 / pi)``."""
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        """``scale**2 (1 - 2 / pi)``."""
        return self.scale.pow(2) * (1 - 2 / math.pi)
