"""Eigenvalues, singular values and least squares, by NumPy's LAPACK."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


def _hermitian(a: Any, upper: bool) -> Any:
    return tuple(np.linalg.eigh(a, "U" if upper else "L"))


@kernels.register("eigh_factor", fresh=_hermitian)
def eigh_factor(out: Any, a: Any, upper: bool) -> None:
    """Of Hermitian matrices."""
    out[0][...], out[1][...] = _hermitian(a, upper)


def _eigen(a: Any) -> Any:
    values, vectors = np.linalg.eig(a)
    what = np.result_type(a.dtype, np.complex64)
    return values.astype(what, copy=False), vectors.astype(what, copy=False)


@kernels.register("eig_factor", fresh=_eigen)
def eig_factor(out: Any, a: Any) -> None:
    """Of general matrices."""
    out[0][...], out[1][...] = _eigen(a)


def _svd(a: Any, full: bool) -> Any:
    return tuple(np.linalg.svd(a, full_matrices=full))


@kernels.register("svd_factor", fresh=_svd)
def svd_factor(out: Any, a: Any, full: bool) -> None:
    """Singular values with vectors."""
    for target, result in zip(out, _svd(a, full), strict=True):
        target[...] = result


@kernels.register("least_squares")
def least_squares(out: Any, a: Any, b: Any, rcond: float) -> None:
    """LAPACK's gelsd, matrix by matrix."""
    for at in np.ndindex(a.shape[:-2]):
        out[0][at], _, out[1][at], out[2][at] = np.linalg.lstsq(a[at], b[at], rcond)
