"""Divergences between normal distributions of vectors.

``(tr(Q^-1 P) + d^T Q^-1 d - n + log det Q - log det P) / 2`` of the covariances and of the distance
``d`` of the means.  A covariance is held as ``L L^T``, or as ``W W^T + diag(D)`` whose inverse is
``diag(D)^-1 - A^T A`` with ``A = C^-1 W^T diag(D)^-1`` and ``C`` the capacitance's factor.
"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions.kl.registry import register_kl
from flambeau.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from flambeau.distributions.multivariate_normal import MultivariateNormal
from flambeau.distributions.of_covariance import half_log_det
from flambeau.tensor import Tensor


def _log_det(p: Any) -> Tensor:
    if isinstance(p, LowRankMultivariateNormal):
        return p._log_det()
    return 2 * half_log_det(p._unbroadcasted_scale_tril)


def _inverse_part(q: LowRankMultivariateNormal) -> Tensor:
    """``A``."""
    return fb.linalg.solve_triangular(q._capacitance_tril, q._weighted(), upper=False)


def _weighted_square(q: Any, factor: Tensor) -> Tensor:
    """``tr(F^T Q^-1 F)``."""
    if not isinstance(q, LowRankMultivariateNormal):
        solved = fb.linalg.solve_triangular(q._unbroadcasted_scale_tril, factor, upper=False)
        return solved.pow(2).sum((-2, -1))
    whole = factor.pow(2) / q._unbroadcasted_cov_diag.unsqueeze(-1)
    along = fb.matmul(_inverse_part(q), factor).pow(2)
    return whole.sum((-2, -1)) - along.sum((-2, -1))


def _weighted_sum(q: Any, diagonal: Tensor) -> Tensor:
    """``tr(Q^-1 diag(D))``."""
    if not isinstance(q, LowRankMultivariateNormal):
        return _weighted_square(q, fb.diag_embed(diagonal.sqrt()))
    whole = (diagonal / q._unbroadcasted_cov_diag).sum(-1)
    along = _inverse_part(q).pow(2) * diagonal.unsqueeze(-2)
    return whole - along.sum((-2, -1))


@register_kl(MultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _normal_vectors(p: Any, q: Any) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"KL-divergence between {type(p).__name__} and {type(q).__name__} with different "
            f"event shapes cannot be computed: {tuple(p.event_shape)}, {tuple(q.event_shape)}")
    if isinstance(p, LowRankMultivariateNormal):
        trace = _weighted_square(q, p._unbroadcasted_cov_factor)
        trace = trace + _weighted_sum(q, p._unbroadcasted_cov_diag)
    else:
        trace = _weighted_square(q, p._unbroadcasted_scale_tril)
    distance = _weighted_square(q, (q.loc - p.loc).unsqueeze(-1))
    log_ratio = _log_det(q) - _log_det(p)
    return 0.5 * (trace + distance - p.event_shape[0] + log_ratio)
