"""Sets of vectors and of matrices."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions.constraints.base import Constraint, all_of_last

_SIMPLEX_TOLERANCE = 1e-6
_SYMMETRY_TOLERANCE = 1e-6


class _Simplex(Constraint):
    """Vectors of numbers of at least 0 that add up to 1, within 1e-6."""

    event_dim = 1

    def check(self, value: Any) -> Any:
        is_unit = (value.sum(-1) - 1).abs() < _SIMPLEX_TOLERANCE
        return (value >= 0).all(-1) & is_unit


class _OneHot(Constraint):
    """Vectors with one 1 and 0 elsewhere."""

    is_discrete = True
    event_dim = 1

    def check(self, value: Any) -> Any:
        is_boolean = ((value == 0) | (value == 1)).all(-1)
        return is_boolean & (value.sum(-1) == 1)


class _Multinomial(Constraint):
    """Vectors of counts of at least 0 that add up to ``upper_bound`` or less."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Any) -> Any:
        is_count = (value >= 0).all(-1)
        return is_count & (value.sum(-1) <= self.upper_bound)


class _LowerTriangular(Constraint):
    """Matrices with 0 above the diagonal."""

    event_dim = 2

    def check(self, value: Any) -> Any:
        return all_of_last(value.tril() == value, 2)


class _LowerCholesky(_LowerTriangular):
    """Lower-triangular matrices whose diagonal is positive."""

    def check(self, value: Any) -> Any:
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    """Cholesky factors of correlation matrices: rows of length 1, within rounding."""

    def check(self, value: Any) -> Any:
        tolerance = fb.finfo(value.dtype).eps * value.shape[-1] * 10
        lengths = fb.linalg.norm(value.detach(), dim=-1)
        return super().check(value) & ((lengths - 1).abs() <= tolerance).all(-1)


class _Square(Constraint):
    """Matrices with as many rows as columns."""

    event_dim = 2

    def check(self, value: Any) -> Any:
        is_square = value.shape[-2] == value.shape[-1]
        return fb.full(value.shape[:-2], is_square, dtype=fb.bool, device=value.device)


class _Symmetric(_Square):
    """Matrices equal to their transposes, within 1e-6."""

    def check(self, value: Any) -> Any:
        if value.shape[-2] != value.shape[-1]:
            return super().check(value)
        return all_of_last(fb.isclose(value, value.mT, atol=_SYMMETRY_TOLERANCE), 2)


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices without negative eigenvalues."""

    def check(self, value: Any) -> Any:
        is_symmetric = super().check(value)
        if not is_symmetric.all():
            return is_symmetric
        return (fb.linalg.eigvalsh(value) >= 0).all(-1)


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices whose eigenvalues are positive."""

    def check(self, value: Any) -> Any:
        is_symmetric = super().check(value)
        if not is_symmetric.all():
            return is_symmetric
        return fb.linalg.cholesky_ex(value).info == 0
