"""Gamma, Dirichlet and binomial numbers, and how the first two move with their parameters.

The gradient of a draw is that of the value at which the distribution function has the value it
has (implicit reparameterisation: Figurnov, Mohamed and Mnih, 2018): minus the distribution
function's derivative by the parameter, over the density.  That quotient is the integral of the
density's logarithmic derivative over the tail beyond the draw, which is computed here on the host
in float64, as the draws are.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import exp as exp_of
from typing import Any

from flambeau import dispatch, dtypes, rng
from flambeau.device import CPU, META
from flambeau.interop import host_array
from flambeau.kind import Kind, kind_of
from flambeau.layout import Layout, broadcast_shapes
from flambeau.ops.clamp import clamp
from flambeau.ops.compare import where
from flambeau.ops.create import zeros_like
from flambeau.ops.gamma import digamma
from flambeau.ops.pointwise import abs, exp, expm1, log, log1p, maximum, sqrt
from flambeau.ops.random import place, source
from flambeau.registry import composite, no_derivative
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


# ---- draws -------------------------------------------------------------------------------------
def _shape_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4, low=0.1, high=5.0, requires_grad=False))
    yield sample(make(4, 3, low=0.1, high=5.0, requires_grad=False).t())
    yield sample(make(0, 3, low=0.1, high=5.0, requires_grad=False))
    yield sample(make(low=0.1, high=5.0, requires_grad=False))


def _floating_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(NotImplementedError, "int64", make.index(2, 3))
    yield error(TypeError, "must be Tensor", 0.5)


@composite(
    "_standard_gamma(Tensor self, Generator? generator=None) -> Tensor", method=False, out=False,
    is_random=True, dtypes="floating", samples=_shape_samples, errors=_floating_errors,
    derivatives={"self": lambda g, self, out: g * _standard_gamma_grad(self, out)})
def _standard_gamma(self: Tensor, generator: Any) -> Tensor:
    """Gamma numbers of rate 1 and of the shapes in ``self``."""
    if self._kind.device is META:
        return dispatch.empty(self._kind, Layout.contiguous(self.shape))
    drawn = rng.standard_gamma(source(generator, "_standard_gamma"), host_array(self))
    return place(self._kind, drawn)


@composite(
    "_sample_dirichlet(Tensor self, Generator? generator=None) -> Tensor", method=False, out=False,
    is_random=True, dtypes="floating", samples=_shape_samples, errors=_floating_errors,
    derivatives={"self": lambda g, self, out: _dirichlet_backward(g, self, out)})
def _sample_dirichlet(self: Tensor, generator: Any) -> Tensor:
    """Points of the simplex along the last dimension, of the concentrations in ``self``."""
    if self._kind.device is META:
        return dispatch.empty(self._kind, Layout.contiguous(self.shape))
    drawn = rng.dirichlet(source(generator, "_sample_dirichlet"), host_array(self))
    return place(self._kind, drawn)


def _dirichlet_backward(g: Tensor, self: Tensor, out: Tensor) -> Any:
    """Each coordinate is a beta number, and the others keep their proportions to each other."""
    total = self.sum(-1, keepdim=True).expand(self.shape)
    share = (out * g).sum(-1, keepdim=True)
    return _dirichlet_grad(out, self, total) * (g - share)


def _count_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4, low=0.0, high=40.0).round(), make(3, 4, low=0.0, high=1.0))
    yield sample(make(4, 3, low=0.0, high=40.0).round().t(), make(4, low=0.0, high=1.0))
    yield sample(make(0, 3, low=0.0, high=40.0), make(0, 3, low=0.0, high=1.0))


def _count_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "same dtype", make(3), make(3).to(dtypes.float16))
    yield error(NotImplementedError, "int64", make.index(2, 3), make.index(2, 3))
    yield error(TypeError, "must be Tensor", 0.5, make(3))


@composite(
    "binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor", method=False,
    out=False, is_random=True, dtypes="floating", samples=_count_samples, errors=_count_errors,
    derivatives={
        "count": lambda g, count: zeros_like(count), "prob": lambda g, prob: zeros_like(prob)})
def binomial(count: Tensor, prob: Tensor, generator: Any) -> Tensor:
    """Numbers of successes among ``count`` trials of chance ``prob`` each."""
    if count.dtype is not prob.dtype:
        raise RuntimeError(
            "binomial: count and prob must have the same dtype, but they have "
            f"{count.dtype} and {prob.dtype}; convert one by .to(dtype)")
    shape = broadcast_shapes(count.shape, prob.shape)
    if count._kind.device is META:
        return dispatch.empty(count._kind, Layout.contiguous(shape))
    counts, probs = (host_array(t.expand(shape)) for t in (count, prob))
    return place(count._kind, rng.binomial(source(generator, "binomial"), counts, probs))


# ---- how draws move ----------------------------------------------------------------------------
_STEP = 0.1
_NODES = tuple(
    (exp_of(u - exp_of(-u)), exp_of(u - exp_of(-u)) * (1 + exp_of(-u)) * _STEP)
    for u in (_STEP * k - 3 for k in range(69))
)
"""Places and weights of the double-exponential rule for integrals of what decays exponentially
from 0 to infinity (Takahasi and Mori, 1974)."""


def _integral(scale: Tensor, integrand: Any) -> Any:
    """The integral of a function from 0 to infinity, of which most lies within ``scale``; to
    minus infinity where that is negative."""
    total: Any = 0.0
    for place_, weight in _NODES:
        total = total + integrand(scale * place_) * weight
    return total * scale


def _on_host(t: Tensor) -> Any:
    return dispatch.move(t, kind_of(CPU, t.dtype)).to(dtypes.float64)


def _back(value: Any, kind: Kind) -> Tensor:
    return dispatch.move(value.to(kind.dtype), kind)


def _gradient_samples(make: Make) -> Iterator[Sample]:
    def of(*shape: int, low: float = 0.1, high: float = 5.0) -> Tensor:
        return make(*shape, low=low, high=high, requires_grad=False)

    yield sample(of(3, 4), of(3, 4))
    yield sample(of(4, 3).t(), of(3, 4, low=1e-3, high=15.0))
    yield sample(of(0, 3), of(0, 3))


def _pair_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(TypeError, "must be Tensor", 0.5, make(3))


@composite(
    "_standard_gamma_grad(Tensor self, Tensor output) -> Tensor", method=False, out=False,
    dtypes="floating", samples=_gradient_samples, errors=_pair_errors,
    derivatives={"self": no_derivative("_standard_gamma_grad"),
                 "output": no_derivative("_standard_gamma_grad")})
def _standard_gamma_grad(self: Tensor, output: Tensor) -> Any:
    """How the gamma number ``output`` moves with its shape ``self``."""
    if self._kind.device is META:
        return dispatch.empty(self._kind, Layout.contiguous(self.shape))
    a, x = _on_host(self), _on_host(output)
    left = x <= clamp(a, min=1.0)
    scale = 1 / (abs(x - a) + sqrt(x))
    scale = where(left, -maximum(scale, 1 / a), scale)
    slope = log(x) - digamma(a)

    def density(way: Tensor) -> Any:
        """Over that of ``x``, at ``x exp(way)``; times the derivative of its logarithm by ``a``."""
        return exp(a * way - x * expm1(way)) * (slope + way)

    return _back(x * _integral(scale, density), self._kind)


def _beta_samples(make: Make) -> Iterator[Sample]:
    def of(*shape: int, low: float, high: float) -> Tensor:
        return make(*shape, low=low, high=high, requires_grad=False)

    chances = of(3, 4, low=0.05, high=0.95)
    yield sample(chances, of(3, 4, low=0.5, high=5.0), of(3, 4, low=6.0, high=9.0))
    yield sample(
        chances.t(), of(3, 4, low=0.5, high=5.0).t(), of(4, 3, low=6.0, high=9.0))


def _triple_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(TypeError, "must be Tensor", 0.5, make(3), make(3))


@composite(
    "_dirichlet_grad(Tensor x, Tensor alpha, Tensor total) -> Tensor", method=False, out=False,
    dtypes="floating", samples=_beta_samples, errors=_triple_errors,
    derivatives={name: no_derivative("_dirichlet_grad") for name in ("x", "alpha", "total")})
def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Any:
    """How the beta number ``x`` moves with its first parameter, over ``1 - x``.

    Args:
        alpha: the first parameter.
        total: the sum of both.
    """
    kind = x._kind
    if kind.device is META:
        return dispatch.empty(kind, Layout.contiguous(x.shape))
    x, a, both = _on_host(x), _on_host(alpha), _on_host(total)
    left = x * both <= a
    beyond, decay = where(left, x, 1 - x), where(left, a, both - a)
    scale = maximum(1 / (abs(a - both * x) + sqrt(both * x * (1 - x))), 1 / decay)
    slope, is_left = log(x) - digamma(a) + digamma(both), left.to(dtypes.float64)

    def density(way: Tensor) -> Any:
        """The same as for gamma numbers, of the log-odds, ``way`` beyond those of ``x``."""
        near = log1p(beyond * expm1(-way))
        return exp(-both * near - decay * way) * (slope - near - is_left * way)

    return _back(where(left, -x, x) * _integral(scale, density), kind)
