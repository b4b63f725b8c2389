"""Exponential families: entropies from the normaliser."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions.distribution import Distribution
from flambeau.tensor import Tensor

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Densities ``exp(<t(x), theta> - F(theta) + k(x))`` of natural parameters ``theta``.

    A subclass gives the natural parameters, ``F`` (the log-normaliser) and the mean of ``k`` (the
    carrier measure); the entropy then is a Bregman divergence of ``F`` (Nielsen and Nock, 2010).
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__} names no natural parameters")

    def _log_normalizer(self, *natural_params: Any, **_: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} defines no log-normaliser")

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no mean of the carrier measure")

    def entropy(self) -> Tensor:
        """``F(theta) - <theta, dF/dtheta> - E[k]``."""
        natural = [p.detach().requires_grad_() for p in self._natural_params]
        with fb.enable_grad():
            normalizer = self._log_normalizer(*natural)
            slopes = fb.autograd.grad(normalizer.sum(), natural, create_graph=True)
        entropy = normalizer - self._mean_carrier_measure
        for parameter, slope in zip(natural, slopes, strict=True):
            product = parameter * slope
            entropy = entropy - product.reshape((*self._batch_shape, -1)).sum(-1)
        return entropy
