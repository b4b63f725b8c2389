"""Distributions with a covariance, which is given by one of three matrices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flambeau as fb
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import lazy_property
from flambeau.tensor import Tensor

__all__ = ["OfCovariance", "factor_of", "half_log_det", "one_matrix"]


class OfCovariance(Distribution):
    """Works out the matrices that are not given, of the covariance's Cholesky factor.

    An event's last dimension has the matrices' size.
    """

    _unbroadcasted_scale_tril: Tensor

    def _expanded(
        self, declaring: type, names: Iterable[str], batch_shape: Iterable[int], _instance: Any,
        event_dims: int = 0,
    ) -> Any:
        new = super()._expanded(declaring, names, batch_shape, _instance, event_dims)
        for name in ("covariance_matrix", "precision_matrix", "scale_tril"):
            held = self.__dict__.get(name)
            if held is not None:
                setattr(new, name, held.expand(new._square()))
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        return new

    def _square(self) -> tuple[int, ...]:
        n = self._event_shape[-1]
        return (*self._batch_shape, n, n)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariance."""
        return self._unbroadcasted_scale_tril.expand(self._square())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        factor = self._unbroadcasted_scale_tril
        return fb.matmul(factor, factor.mT).expand(self._square())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        return fb.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._square())


def one_matrix(
    covariance_matrix: Tensor | None, precision_matrix: Tensor | None, scale_tril: Tensor | None
) -> tuple[str, Tensor]:
    """Which of the three is given, and the matrix.

    Raises:
        ValueError: not exactly one is, or it has less than two dimensions.
    """
    given = {
        "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix,
        "scale_tril": scale_tril}
    found = [(name, matrix) for name, matrix in given.items() if matrix is not None]
    if len(found) != 1:
        raise ValueError(
            "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
    name, matrix = found[0]
    if matrix.ndim < 2:
        raise ValueError(
            f"{name} must be at least two-dimensional, with optional leading batch dimensions")
    return name, matrix


def factor_of(name: str, matrix: Tensor) -> Tensor:
    """The lower Cholesky factor of the covariance that a matrix gives."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return fb.linalg.cholesky(matrix)
    return precision_to_scale_tril(matrix)


def precision_to_scale_tril(precision: Tensor) -> Tensor:
    """The Cholesky factor of the inverse: that of the reversed matrix, reversed and inverted."""
    reversed_factor = fb.linalg.cholesky(fb.flip(precision, (-2, -1)))
    inverse = fb.flip(reversed_factor, (-2, -1)).mT
    identity = fb.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return fb.linalg.solve_triangular(
        inverse, identity.expand(precision.shape), upper=False)


def half_log_det(scale_tril: Tensor) -> Tensor:
    """Half the logarithm of the covariance's determinant."""
    return scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
