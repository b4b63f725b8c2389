"""The normal distribution of vectors whose covariance is a diagonal and a few directions."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.multivariate_normal import mahalanobis, matrix_times_vector
from flambeau.distributions.of_covariance import half_log_det
from flambeau.distributions.utils import lazy_property, standard_normal
from flambeau.tensor import Tensor

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """Vectors of normal numbers with the covariance ``cov_factor cov_factor^T + diag(cov_diag)``.

    Its determinant and its inverse come from those of the small capacitance matrix
    ``I + cov_factor^T diag(cov_diag)^-1 cov_factor`` (Woodbury's identity).

    Args:
        loc: the mean, ``(*batch, n)``.
        cov_factor: ``(*batch, n, rank)``.
        cov_diag: ``(*batch, n)``, positive.

    Raises:
        ValueError: the shapes do not go together.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor,
        validate_args: bool | None = None,
    ) -> None:
        _check(loc, cov_factor, cov_diag)
        n, rank = loc.shape[-1], cov_factor.shape[-1]
        try:
            batch_shape = fb.broadcast_shapes(
                loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        except RuntimeError:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}") from None
        self.loc = loc.expand((*batch_shape, n))
        self.cov_factor = cov_factor.expand((*batch_shape, n, rank))
        self.cov_diag = cov_diag.expand((*batch_shape, n))
        super().__init__(batch_shape, (n,), validate_args=validate_args)
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = _plus_identity_factor(
            fb.matmul(self._weighted(), cov_factor))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        new = self._expanded(
            LowRankMultivariateNormal, ("loc", "cov_diag"), batch_shape, _instance, event_dims=1)
        new.cov_factor = self.cov_factor.expand((*new._batch_shape, *self.cov_factor.shape[-2:]))
        new._unbroadcasted_cov_factor = self._unbroadcasted_cov_factor
        new._unbroadcasted_cov_diag = self._unbroadcasted_cov_diag
        new._capacitance_tril = self._capacitance_tril
        for name in ("scale_tril", "covariance_matrix", "precision_matrix"):
            if name in self.__dict__:
                held = getattr(self, name)
                setattr(new, name, held.expand((*new._batch_shape, *held.shape[-2:])))
        return new

    def _weighted(self) -> Tensor:
        """``cov_factor^T diag(cov_diag)^-1``."""
        return self._unbroadcasted_cov_factor.mT / self._unbroadcasted_cov_diag.unsqueeze(-2)

    def _square(self) -> tuple[int, ...]:
        return (*self._batch_shape, *self._event_shape, *self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariance."""
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        factor = _plus_identity_factor(fb.matmul(scaled, scaled.mT))
        return (root * factor).expand(self._square())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        factor = self._unbroadcasted_cov_factor
        diagonal = fb.diag_embed(self._unbroadcasted_cov_diag)
        return (fb.matmul(factor, factor.mT) + diagonal).expand(self._square())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        solved = fb.linalg.solve_triangular(self._capacitance_tril, self._weighted(), upper=False)
        diagonal = fb.diag_embed(self._unbroadcasted_cov_diag.reciprocal())
        return (diagonal - fb.matmul(solved.mT, solved)).expand(self._square())

    @property
    def mean(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        """The diagonal of the covariance."""
        squares = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return squares.expand((*self._batch_shape, *self._event_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Standard numbers for the directions, then for the diagonal."""
        shape = self._extended_shape(sample_shape)
        few = standard_normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc)
        many = standard_normal(shape, self.loc)
        along = matrix_times_vector(self._unbroadcasted_cov_factor, few)
        return self.loc + along + self._unbroadcasted_cov_diag.sqrt() * many

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        away = value - self.loc
        whole = (away.pow(2) / self._unbroadcasted_cov_diag).sum(-1)
        along = mahalanobis(self._capacitance_tril, matrix_times_vector(self._weighted(), away))
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + self._log_det() + (whole - along))

    def entropy(self) -> Tensor:
        """``n (1 + log(2 pi)) / 2`` and half the logarithm of the determinant."""
        constant = self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (0.5 * (constant + self._log_det())).expand(self._batch_shape)

    def _log_det(self) -> Tensor:
        """Of the covariance, by the matrix determinant lemma."""
        return (
            2 * half_log_det(self._capacitance_tril)
            + self._unbroadcasted_cov_diag.log().sum(-1))


def _plus_identity_factor(matrix: Tensor) -> Tensor:
    """The lower Cholesky factor of a matrix plus the identity."""
    identity = fb.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return fb.linalg.cholesky(matrix + identity)


def _check(loc: Tensor, cov_factor: Tensor, cov_diag: Tensor) -> None:
    """Raise ValueError unless the shapes of one value go together."""
    if loc.ndim < 1:
        raise ValueError("loc must be at least one-dimensional.")
    n = loc.shape[-1]
    if cov_factor.ndim < 2:
        raise ValueError(
            "cov_factor must be at least two-dimensional, with optional leading batch dimensions")
    if cov_factor.shape[-2] != n:
        raise ValueError(f"cov_factor must be a batch of matrices with shape {n} x m")
    if cov_diag.ndim < 1 or cov_diag.shape[-1] != n:
        raise ValueError(f"cov_diag must be a batch of vectors with shape {(n,)}")
