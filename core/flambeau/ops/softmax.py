"""Softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.layout import wrap_dim
from flambeau.ops.pointwise import exp, log
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, dim_errors, error, sample
from flambeau.tensor import Tensor


def _samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), -1)
    yield sample(make(3, 4), 0)
    yield sample(make(4, 3).t(), 1)
    yield sample(make(2, 3, 4), 1)
    yield sample(make(), 0)
    yield sample(make(0, 3), 1)
    yield sample(make(3, 0), 1)


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield from dim_errors(make)
    yield error(NotImplementedError, "not implemented for 'int64'", make.index(5, 3), 0)


def _back_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(3, 4, low=0.1, high=1), 1)
    yield sample(make(3, 4), make(3, 4, low=0.1, high=1), 0)


def _shifted(name: str, self: Tensor, dim: int) -> Tensor:
    """The input less its greatest value along a dimension: exponentials cannot overflow."""
    if not self.dtype.is_floating_point:
        raise NotImplementedError(f"{name}() is not implemented for '{self.dtype.name}'")
    wrap_dim(dim, self.ndim)
    return self - self.amax(dim, keepdim=True) if self.numel() else self


@composite(
    "softmax_backward(Tensor grad, Tensor output, int dim) -> Tensor", namespaces=("_internal",),
    method=False, out=False, template="fused", samples=_back_samples,
)
def softmax_backward(grad: Tensor, output: Tensor, dim: int) -> Any:
    """The gradient of softmax from its result."""
    share = grad * output
    return share - output * share.sum(dim, keepdim=True)


@composite(
    "softmax_along(Tensor self, int dim) -> Tensor", namespaces=("_internal",), method=False,
    template="fused", out=False, samples=_samples, errors=_errors,
    joint=lambda g, needs, out, dim: (softmax_backward(g, out, dim),),
)
def softmax_along(self: Tensor, dim: int) -> Any:
    """exp(x) divided by its sum along a dimension."""
    e = exp(_shifted("softmax", self, dim))
    return e / e.sum(dim, keepdim=True)


@composite(
    "softmax(Tensor self, int dim, dtype? dtype=None) -> Tensor", template="front",
    namespaces=("", "special"), samples=_samples, errors=_errors,
)
def softmax(self: Tensor, dim: int, dtype: Any = None) -> Any:
    """exp(x) divided by its sum along a dimension, computed in ``dtype`` if it is given."""
    return softmax_along(self if dtype is None else self.to(dtype), dim)


@composite(
    "log_softmax_backward(Tensor grad, Tensor output, int dim) -> Tensor",
    namespaces=("_internal",), method=False, out=False, template="fused", samples=_back_samples,
)
def log_softmax_backward(grad: Tensor, output: Tensor, dim: int) -> Any:
    """The gradient of log_softmax from its result."""
    return grad - exp(output) * grad.sum(dim, keepdim=True)


@composite(
    "log_softmax_along(Tensor self, int dim) -> Tensor", namespaces=("_internal",), method=False,
    template="fused", out=False, samples=_samples, errors=_errors,
    joint=lambda g, needs, out, dim: (log_softmax_backward(g, out, dim),),
)
def log_softmax_along(self: Tensor, dim: int) -> Any:
    """The logarithm of softmax, without overflow."""
    shifted = _shifted("log_softmax", self, dim)
    return shifted - log(exp(shifted).sum(dim, keepdim=True))


@composite(
    "log_softmax(Tensor self, int dim, dtype? dtype=None) -> Tensor", template="front",
    namespaces=("", "special"), samples=_samples, errors=_errors,
)
def log_softmax(self: Tensor, dim: int, dtype: Any = None) -> Any:
    """The logarithm of softmax, without overflow; computed in ``dtype`` if it is given."""
    return log_softmax_along(self if dtype is None else self.to(dtype), dim)
