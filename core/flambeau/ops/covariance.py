"""Covariances and correlations of variables in rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.ops.complex import complex as complex_of
from flambeau.ops.complex import imag, real
from flambeau.ops.matmul import matmul
from flambeau.ops.pointwise import conj_of, sqrt, to_floating
from flambeau.ops.reduce import sum
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 5))
    yield sample(make(5))
    yield Sample((make(3, 5),), {"correction": 0})
    yield Sample((make(3, 4),), {"fweights": make.index(3, 4) + 1})
    yield Sample((make(3, 4),), {
        "aweights": (make.index(3, 4) + 1).to(make.dtype.to_real()), "correction": 2})


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "two or fewer dimensions", make(2, 2, 2))
    yield ErrorSample((make(3, 4),), {"fweights": make.index(3, 3)}, RuntimeError, "fweights")
    yield ErrorSample((make(3, 4),), {"aweights": make.index(3, 4)}, RuntimeError, "aweights")


def _weights(self: Tensor, fweights: Any, aweights: Any, observations: int) -> Any:
    """The product of both kinds of weights, checked; None if there are none."""
    weights = None
    if fweights is not None:
        if fweights.ndim > 1 or fweights.numel() != observations or fweights.dtype.category != 1:
            raise RuntimeError(
                "cov(): expected fweights to be integers in one dimension, one for each of "
                f"{observations} observations, got {fweights.dtype.name}{list(fweights.shape)}")
        if bool((fweights < 0).any()):
            raise RuntimeError("cov(): fweights cannot be negative")
        weights = fweights
    if aweights is not None:
        if aweights.ndim > 1 or aweights.numel() != observations or aweights.dtype.category != 2:
            raise RuntimeError(
                "cov(): expected aweights to be floating in one dimension, one for each of "
                f"{observations} observations, got {aweights.dtype.name}{list(aweights.shape)}")
        if bool((aweights < 0).any()):
            raise RuntimeError("cov(): aweights cannot be negative")
        weights = aweights if weights is None else weights * aweights
    return weights


@composite(
    "cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) "
    "-> Tensor",
    dtypes="floating_complex", out=False, samples=_samples, errors=_errors,
)
def cov(
    self: Tensor, correction: int = 1, fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Any:
    """The covariances of variables in rows, whose observations stand in columns.

    Args:
        correction: what is taken off the number of observations.
        fweights: how often each observation counts.
        aweights: its importance.
    """
    if self.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with "
            f"{self.ndim} dimensions")
    x = to_floating(self)
    x = x.reshape(1, -1) if x.ndim < 2 else x
    n = x.shape[1]
    weights = _weights(x, fweights, aweights, n)
    if weights is None:
        centred = x - sum(x, 1, True) / n
        result = matmul(centred, conj_of(centred).t()) / x.new_tensor(max(n - correction, 0))
        return result.squeeze() if x.shape[0] == 1 else result
    if weights.dtype.category < 2:
        weights = weights.to(x.dtype.to_real())
    total = sum(weights)
    if bool((total == 0).any()) and n:
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    scaled = x * weights
    centred = x - sum(scaled, 1, True) / total
    if correction == 0 or aweights is None:
        norm_of = total - correction
    else:
        used = weights * aweights
        norm_of = total - sum(used) / total * correction
    result = matmul(centred * weights, conj_of(centred).t()) / norm_of.clamp(min=0)
    return result.squeeze() if x.shape[0] == 1 else result


@composite(
    "corrcoef(Tensor self) -> Tensor", dtypes="floating_complex", out=False,
    samples=lambda make: iter([sample(make(3, 5)), sample(make(5))]),
    errors=lambda make: iter([error(RuntimeError, "two or fewer dimensions", make(2, 2, 2))]),
)
def corrcoef(self: Tensor) -> Any:
    """Pearson's correlation coefficients of variables in rows."""
    if self.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{self.ndim} dimensions")
    c = cov(self)
    if not c.ndim:
        return c / c
    scale = sqrt(real(c.diagonal()))
    c = c / scale.unsqueeze(1).to(c.dtype) / scale.unsqueeze(0).to(c.dtype)
    if c.dtype.is_complex:
        return complex_of(real(c).clamp(-1, 1), imag(c).clamp(-1, 1))
    return c.clamp(-1, 1)
