"""Wishart's distribution of matrices."""

from __future__ import annotations

import math
import warnings
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.chi2 import Chi2
from flambeau.distributions.exp_family import ExponentialFamily
from flambeau.distributions.of_covariance import (
    OfCovariance,
    factor_of,
    half_log_det,
    one_matrix,
)
from flambeau.distributions.utils import standard_normal, vec_to_tril_matrix
from flambeau.layout import Size
from flambeau.tensor import Tensor

__all__ = ["Wishart"]

_TRIES = 10  # for singular matrices, of which there are few


def _multivariate_digamma(x: Tensor, p: int) -> Tensor:
    """The derivative of ``mvlgamma``."""
    steps = fb.arange(p, dtype=x.dtype, device=x.device) / 2
    return fb.digamma(x.unsqueeze(-1) - steps).sum(-1)


class Wishart(OfCovariance, ExponentialFamily):
    """Sums of ``df`` outer products of normal vectors of mean 0; given by one of three matrices.

    Args:
        df: degrees of freedom, above ``p - 1``; need not be an integer.
        covariance_matrix: of the vectors, ``(*batch, p, p)``, positive definite.
        precision_matrix: its inverse.
        scale_tril: its lower Cholesky factor, which is what computations use.

    Raises:
        ValueError: not exactly one matrix is given, or ``df`` is too small.
    """

    arg_constraints = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "df": constraints.greater_than(0),
    }
    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self, df: Any, covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None, scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        name, matrix = one_matrix(covariance_matrix, precision_matrix, scale_tril)
        if not isinstance(df, Tensor):
            df = fb.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch_shape = fb.broadcast_shapes(matrix.shape[:-2], df.shape)
        self.df = df.expand(batch_shape)
        _check_freedom(self.df, matrix.shape[-1])
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        super().__init__(batch_shape, matrix.shape[-2:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)
        self._dist_chi2 = self._of_diagonal()

    def _of_diagonal(self) -> Chi2:
        """The squares of the diagonal of a matrix's Cholesky factor, for a covariance of 1."""
        steps = fb.arange(self._event_shape[-1], dtype=self.df.dtype, device=self.df.device)
        return Chi2(df=self.df.unsqueeze(-1) - steps, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        new = self._expanded(Wishart, ("df",), batch_shape, _instance)
        new._dist_chi2 = new._of_diagonal()
        return new

    @property
    def mean(self) -> Tensor:
        """``df covariance_matrix``."""
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        """``(df - p - 1) covariance_matrix``; NaN where there is none."""
        factor = self.df - self._event_shape[-1] - 1
        factor = factor.masked_fill(factor <= 0, fb.nan)
        return factor[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        """The variance of each element."""
        covariance = self.covariance_matrix
        diagonal = covariance.diagonal(dim1=-2, dim2=-1)
        outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df[..., None, None] * (covariance.pow(2) + outer)

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Tensor:
        """Products of random Cholesky factors (Bartlett's decomposition).

        Args:
            max_try_correction: how often singular matrices are drawn anew.
        """
        sample_shape = Size(sample_shape)
        drawn = self._draw(sample_shape)
        if drawn.device.type == "meta":
            return drawn
        drawn = self._draw(sample_shape)  # it is the second matrices that PyTorch returns
        is_singular = ~self.support.check(drawn)
        tries = _TRIES if max_try_correction is None else max_try_correction
        for _ in range(tries):
            if not is_singular.any().item():
                return drawn
            again = self._draw(sample_shape)
            drawn = fb.where(is_singular[..., None, None], again, drawn)
            is_singular = is_singular & ~self.support.check(again)
        if is_singular.any().item():
            warnings.warn("Singular sample detected.", stacklevel=2)
        return drawn

    def _draw(self, sample_shape: Size) -> Tensor:
        p = self._event_shape[-1]
        diagonal = self._dist_chi2.rsample(sample_shape).sqrt()
        below = standard_normal((*diagonal.shape[:-1], p * (p - 1) // 2), diagonal)
        noise = vec_to_tril_matrix(below, diag=-1) + fb.diag_embed(diagonal)
        factor = fb.matmul(self._unbroadcasted_scale_tril, noise)
        return fb.matmul(factor, factor.mT)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        p, factor = self._event_shape[-1], self._unbroadcasted_scale_tril
        log_det = fb.linalg.slogdet(value)[1]
        solved = fb.cholesky_solve(value, factor)
        trace = solved.diagonal(dim1=-2, dim2=-1).sum(-1)
        return (
            -self.df * (p * math.log(2) / 2 + half_log_det(factor))
            - fb.mvlgamma(self.df / 2, p) + (self.df - p - 1) / 2 * log_det - trace / 2)

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        p, half = self._event_shape[-1], self.df / 2
        log_det = p * math.log(2) / 2 + half_log_det(self._unbroadcasted_scale_tril)
        return (
            (p + 1) * log_det + fb.mvlgamma(half, p)
            - (self.df - p - 1) / 2 * _multivariate_digamma(half, p) + self.df * p / 2)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        log_det = fb.linalg.slogdet(-2 * x)[1]
        return half * (math.log(2) * p - log_det) + fb.mvlgamma(half, p)


def _check_freedom(df: Tensor, p: int) -> None:
    """Raise ValueError unless ``df`` is above ``p - 1``; warn of a ``df`` below ``p``."""
    if df.device.type == "meta":
        return
    if (df <= p - 1).any().item():
        raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {p - 1}.")
    if (df < p).any().item():
        warnings.warn(
            "Low df values detected. Singular samples are highly likely to occur for "
            "ndim - 1 < df < ndim.", stacklevel=3)
