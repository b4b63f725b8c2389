"""Linear systems, inverses and determinants, by NumPy's LAPACK (SciPy's where it has more)."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.lapack import factorized, first_zero

kernels = KernelTable()


def _triangular(a: Any, b: Any, upper: bool, unitriangular: bool) -> Any:
    """By substitution, one row after the other, all matrices of a batch at once."""
    x = np.array(b, order="C")
    n = a.shape[-1]
    rows = range(n - 1, -1, -1) if upper else range(n)
    for i in rows:
        done = slice(i + 1, n) if upper else slice(0, i)
        if a[..., i, done].shape[-1]:
            x[..., i, :] -= np.matmul(a[..., i, None, done], x[..., done, :])[..., 0, :]
        if not unitriangular:
            x[..., i, :] /= a[..., i, i, None]
    return x


@kernels.register("triangular_solution", fresh=_triangular)
def triangular_solution(out: Any, a: Any, b: Any, upper: bool, unitriangular: bool) -> None:
    """Substitution."""
    out[...] = _triangular(a, b, upper, unitriangular)


def _info(a: Any) -> Any:
    """For each matrix the number of the first pivot that is zero, 0 if none is."""
    flat = a.reshape(-1, *a.shape[-2:])
    found = [first_zero(factorized(m, True)[0]) for m in flat]
    return np.array(found, np.int32).reshape(a.shape[:-2])


def _solution(a: Any, b: Any) -> Any:
    try:
        return np.linalg.solve(a, b), np.zeros(a.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        info = _info(a)
        result = np.full(b.shape, np.nan, b.dtype)
        for at in np.ndindex(info.shape):
            if not info[at]:
                result[at] = np.linalg.solve(a[at], b[at])
        return result, info


@kernels.register("solution", fresh=_solution)
def solution(out: Any, a: Any, b: Any) -> None:
    """X with A X = B."""
    out[0][...], out[1][...] = _solution(a, b)


def _inverse(a: Any) -> Any:
    unit = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    return _solution(a, unit)


@kernels.register("inverse_of", fresh=_inverse)
def inverse_of(out: Any, a: Any) -> None:
    """Inverses."""
    out[0][...], out[1][...] = _inverse(a)


@kernels.register("determinant", fresh=lambda a: np.asarray(np.linalg.det(a)))
def determinant(out: Any, a: Any) -> None:
    """Determinants."""
    out[...] = np.linalg.det(a)


def _sign_and_logarithm(a: Any) -> Any:
    sign, logarithm = np.linalg.slogdet(a)
    return np.asarray(sign), np.asarray(logarithm)


@kernels.register("sign_and_logarithm", fresh=_sign_and_logarithm)
def sign_and_logarithm(out: Any, a: Any) -> None:
    """Signs and logarithms of determinants."""
    out[0][...], out[1][...] = np.linalg.slogdet(a)
