"""Divergences between families of numbers: minus the entropy, less the mean of ``log q``.

That mean needs few facts of ``p``: its mean and variance, the mean of ``log x``, or the mean of
``exp(-t x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import flambeau as fb
from flambeau.distributions.bernoulli import Bernoulli
from flambeau.distributions.beta import Beta
from flambeau.distributions.binomial import Binomial
from flambeau.distributions.continuous_bernoulli import ContinuousBernoulli
from flambeau.distributions.exponential import Exponential
from flambeau.distributions.gamma import Gamma
from flambeau.distributions.gumbel import Gumbel
from flambeau.distributions.kl.registry import register_kl
from flambeau.distributions.laplace import Laplace
from flambeau.distributions.normal import Normal
from flambeau.distributions.pareto import Pareto
from flambeau.distributions.poisson import Poisson
from flambeau.distributions.uniform import Uniform
from flambeau.distributions.utils import euler_constant
from flambeau.tensor import Tensor


# ---- facts of p --------------------------------------------------------------------------------
def _mean(p: Any) -> Tensor:
    """The mean, by its formula also where it is infinite: there, its gradient is left out."""
    if isinstance(p, Pareto):
        return p.alpha * p.scale / (p.alpha - 1)
    mean: Tensor = p.mean
    return mean


def _variance(p: Any) -> Tensor:
    if isinstance(p, Pareto):
        return p.scale.pow(2) * p.alpha / ((p.alpha - 1).pow(2) * (p.alpha - 2))
    variance: Tensor = p.variance
    return variance


@singledispatch
def _mean_log(p: Any) -> Tensor:
    """The mean of ``log x``."""
    raise NotImplementedError(type(p).__name__)


@_mean_log.register
def _(p: Beta) -> Tensor:
    return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()


@_mean_log.register
def _(p: Exponential) -> Tensor:
    return -euler_constant - p.rate.log()


@_mean_log.register
def _(p: Gamma) -> Tensor:
    return p.concentration.digamma() - p.rate.log()


@_mean_log.register
def _(p: Uniform) -> Tensor:
    return _mean_log_between(p.low, p.high)


def _mean_log_between(low: Tensor, high: Tensor) -> Tensor:
    """The mean of ``log x`` of uniform numbers."""
    return (fb.xlogy(high, high) - fb.xlogy(low, low)) / (high - low) - 1


@_mean_log.register
def _(p: Pareto) -> Tensor:
    return p.scale.log() + p.alpha.reciprocal()


@singledispatch
def _log_mean_exp(p: Any, t: Tensor) -> Tensor:
    """The logarithm of the mean of ``exp(-t x)``."""
    raise NotImplementedError(type(p).__name__)


@_log_mean_exp.register
def _(p: Exponential, t: Tensor) -> Tensor:
    return -(t / p.rate).log1p()


@_log_mean_exp.register
def _(p: Gamma, t: Tensor) -> Tensor:
    return -p.concentration * (t / p.rate).log1p()


@_log_mean_exp.register
def _(p: Normal, t: Tensor) -> Tensor:
    return (t * p.scale).pow(2) / 2 - t * p.loc


@_log_mean_exp.register
def _(p: Uniform, t: Tensor) -> Tensor:
    width = t * (p.high - p.low)
    return (-fb.expm1(-width)).log() - width.log() - t * p.low


# ---- the mean of log q over p ------------------------------------------------------------------
@singledispatch
def _mean_log_prob(q: Any, p: Any) -> Tensor:
    """The mean of ``log q(x)`` over ``x`` from ``p``."""
    raise NotImplementedError(type(q).__name__)


@_mean_log_prob.register
def _(q: Beta, p: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    log_rest = _mean_log_between(1 - p.high, 1 - p.low)  # of 1 - x
    normalizer = a.lgamma() + b.lgamma() - (a + b).lgamma()
    return (a - 1) * _mean_log(p) + (b - 1) * log_rest - normalizer


@_mean_log_prob.register
def _(q: ContinuousBernoulli, p: Any) -> Tensor:
    return q.logits * _mean(p) + q.log_prob(fb.zeros_like(q.probs))


@_mean_log_prob.register
def _(q: Exponential, p: Any) -> Tensor:
    return q.rate.log() - q.rate * _mean(p)


@_mean_log_prob.register
def _(q: Gamma, p: Any) -> Tensor:
    a, rate = q.concentration, q.rate
    return a * rate.log() - a.lgamma() + (a - 1) * _mean_log(p) - rate * _mean(p)


@_mean_log_prob.register
def _(q: Gumbel, p: Any) -> Tensor:
    t = q.scale.reciprocal()
    mean_exp = (_log_mean_exp(p, t) + t * q.loc).exp()
    return -q.scale.log() - t * (_mean(p) - q.loc) - mean_exp


@_mean_log_prob.register
def _(q: Laplace, p: Any) -> Tensor:
    shift = (p.loc - q.loc) / p.scale  # the mean distance is a folded normal distribution's
    distance = math.sqrt(2 / math.pi) * (-shift.pow(2) / 2).exp()
    distance = p.scale * (distance + shift * (shift / math.sqrt(2)).erf())
    return -(2 * q.scale).log() - distance / q.scale


@_mean_log_prob.register
def _(q: Normal, p: Any) -> Tensor:
    square = _variance(p) + (_mean(p) - q.loc).pow(2)
    return -0.5 * (math.log(2 * math.pi) + square / q.scale.pow(2)) - q.scale.log()


@_mean_log_prob.register
def _(q: Pareto, p: Any) -> Tensor:
    return q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * _mean_log(p)


@_mean_log_prob.register
def _(q: Poisson, p: Any) -> Tensor:
    return _mean(p) * q.rate.log() - q.rate  # of 0 and 1, whose factorials are 1


@_mean_log_prob.register
def _(q: Uniform, p: Any) -> Tensor:
    return -(q.high - q.low).log()


# ---- the pairs ---------------------------------------------------------------------------------
Mask = Callable[[Any, Any], Tensor]


def _is_unit_interval_left(p: Any, q: Any) -> Tensor:
    return (p.low < 0) | (p.high > 1)


def _is_unit_interval_cut(p: Any, q: Any) -> Tensor:
    return (q.low > 0) | (q.high < 1)


_PAIRS: tuple[tuple[type, type, Mask | None], ...] = (
    (Bernoulli, Poisson, None),
    (Beta, ContinuousBernoulli, None),
    (Beta, Exponential, None),
    (Beta, Gamma, None),
    (Beta, Normal, None),
    (Beta, Uniform, _is_unit_interval_cut),
    (ContinuousBernoulli, Exponential, None),
    (ContinuousBernoulli, Normal, None),
    (ContinuousBernoulli, Uniform, _is_unit_interval_cut),
    (Exponential, Gamma, None),
    (Exponential, Gumbel, None),
    (Exponential, Normal, None),
    (Gamma, Exponential, None),
    (Gamma, Gumbel, None),
    (Gamma, Normal, None),
    (Gumbel, Normal, None),
    (Laplace, Normal, None),
    (Normal, Gumbel, None),
    (Normal, Laplace, None),
    (Pareto, Exponential, lambda p, q: p.alpha <= 1),
    (Pareto, Gamma, lambda p, q: p.alpha <= 1),
    (Pareto, Normal, lambda p, q: p.alpha <= 2),
    (Uniform, Beta, _is_unit_interval_left),
    (Uniform, ContinuousBernoulli, _is_unit_interval_left),
    (Uniform, Exponential, lambda p, q: p.low < 0),
    (Uniform, Gamma, lambda p, q: p.low < 0),
    (Uniform, Gumbel, None),
    (Uniform, Normal, None),
    (Uniform, Pareto, lambda p, q: p.low < q.scale),
)
"""``p``, ``q``, and where the divergence is infinite."""

_INFINITE: dict[type, tuple[type, ...]] = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
    Poisson: (Bernoulli, Binomial),
}
"""Pairs of which ``p`` has values that ``q`` has not."""


def _register(p_type: type, q_type: type, is_infinite: Mask | None) -> None:
    @register_kl(p_type, q_type)
    def divergence(p: Any, q: Any) -> Tensor:
        finite: Tensor = -p.entropy() - _mean_log_prob(q, p)
        return finite if is_infinite is None else fb.where(is_infinite(p, q), math.inf, finite)


def _infinite(p: Any, q: Any) -> Tensor:
    shape = fb.broadcast_shapes(p.batch_shape, q.batch_shape)
    return fb.full(shape, math.inf, dtype=p.mean.dtype, device=p.mean.device)


for _p_type, _q_type, _mask in _PAIRS:
    _register(_p_type, _q_type, _mask)

for _p_type, _q_types in _INFINITE.items():
    for _q_type in _q_types:
        register_kl(_p_type, _q_type)(_infinite)
