"""The normal distribution of vectors."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.of_covariance import (
    OfCovariance,
    factor_of,
    half_log_det,
    one_matrix,
)
from flambeau.distributions.utils import standard_normal
from flambeau.tensor import Tensor

__all__ = ["MultivariateNormal"]


def matrix_times_vector(matrix: Tensor, vector: Tensor) -> Tensor:
    """Products ``(*, n, m)`` by ``(*, m)``, whose batches broadcast."""
    return fb.matmul(matrix, vector.unsqueeze(-1)).squeeze(-1)


def mahalanobis(scale_tril: Tensor, x: Tensor) -> Tensor:
    """The squared lengths of ``inverse(scale_tril) x``, of ``(*, n, n)`` and ``(*, n)``."""
    if scale_tril.ndim == 2:  # one matrix for all: the vectors are the columns
        columns = x.reshape(-1, x.shape[-1]).T
        solved = fb.linalg.solve_triangular(scale_tril, columns, upper=False)
        return solved.pow(2).sum(0).reshape(x.shape[:-1])
    solved = fb.linalg.solve_triangular(scale_tril, x.unsqueeze(-1), upper=False)
    return solved.squeeze(-1).pow(2).sum(-1)


class MultivariateNormal(OfCovariance):
    """Vectors of ``n`` normal numbers, given by one of three matrices.

    Args:
        loc: the mean, ``(*batch, n)``.
        covariance_matrix: ``(*batch, n, n)``, positive definite.
        precision_matrix: its inverse.
        scale_tril: its lower Cholesky factor, which is what computations use.

    Raises:
        ValueError: not exactly one matrix is given, or something has too few dimensions.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Tensor, covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None, scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = one_matrix(covariance_matrix, precision_matrix, scale_tril)
        batch_shape = fb.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        self.loc = loc.expand((*batch_shape, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._expanded(MultivariateNormal, ("loc",), batch_shape, _instance, event_dims=1)

    @property
    def mean(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of the covariance."""
        squares = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return squares.expand((*self._batch_shape, *self._event_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Standard vectors by the Cholesky factor, and shifted."""
        noise = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + matrix_times_vector(self._unbroadcasted_scale_tril, noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        factor = self._unbroadcasted_scale_tril
        distance = mahalanobis(factor, value - self.loc)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + distance) - half_log_det(factor)

    def entropy(self) -> Tensor:
        """``n (1 + log(2 pi)) / 2`` and half the logarithm of the determinant."""
        constant = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (constant + half_log_det(self._unbroadcasted_scale_tril)).expand(self._batch_shape)
