"""Distributions of a parameter that is given as a chance or as its logit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import lazy_property, logits_to_probs, probs_to_logits
from flambeau.layout import Size
from flambeau.tensor import Tensor

__all__ = ["OfChances", "one_of"]


def one_of(probs: Any, logits: Any) -> tuple[str, Any]:
    """Which of the two is given, and its value.

    Raises:
        ValueError: both are given, or none.
    """
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return ("logits", logits) if probs is None else ("probs", probs)


class OfChances(Distribution):
    """Holds ``probs`` or ``logits``, whichever is given; the other is worked out when it is read.

    ``_is_binary``: whether each is of its own event, or those of the last dimension are of one.
    """

    _given: str
    _is_binary = True

    def _hold(self, name: str, value: Tensor) -> None:
        self._given = name
        setattr(self, name, value)

    @lazy_property
    def logits(self) -> Tensor:
        """The logarithms of the odds, or of the chances if there are several."""
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self) -> Tensor:
        """The chances."""
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._given)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter that was given."""
        return self._param.size()

    def _expanded(
        self, declaring: type, names: Iterable[str], batch_shape: Iterable[int], _instance: Any,
        event_dims: int = 0,
    ) -> Any:
        names = ("probs", "logits", *names)
        new = super()._expanded(declaring, names, batch_shape, _instance, event_dims)
        new._given = self._given
        return new
