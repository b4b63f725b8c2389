"""Factorizations of matrices, by NumPy's LAPACK; LDL by SciPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.lapack import factorized, first_zero

kernels = KernelTable()


def each(function: Callable[..., tuple[Any, ...]], outs: tuple[Any, ...], *inputs: Any) -> Any:
    """Call a function of single matrices for all of some batches."""
    for at in np.ndindex(inputs[0].shape[:-2]):
        for out, result in zip(outs, function(*(x[at] for x in inputs)), strict=True):
            out[at] = result
    return outs


def _leading_minor(a: Any) -> int:
    """The order of the first leading minor that is not positive."""
    for order in range(1, a.shape[-1] + 1):
        try:
            np.linalg.cholesky(a[:order, :order])
        except np.linalg.LinAlgError:
            return order
    return 0


def _cholesky(a: Any) -> Any:
    try:
        return np.linalg.cholesky(a), np.zeros(a.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        def one(m: Any) -> tuple[Any, int]:
            order = _leading_minor(m)
            return (np.full_like(m, np.nan) if order else np.linalg.cholesky(m)), order

        return each(one, (np.empty(a.shape, a.dtype), np.empty(a.shape[:-2], np.int32)), a)


@kernels.register("cholesky_factor", fresh=_cholesky)
def cholesky_factor(out: Any, a: Any) -> None:
    """The lower factor."""
    out[0][...], out[1][...] = _cholesky(a)


@kernels.register("lu_packed")
def lu_packed(out: Any, a: Any, pivot: bool) -> None:
    """Gaussian elimination."""

    def one(m: Any) -> tuple[Any, Any, int]:
        packed, swaps = factorized(m, pivot)
        return packed, swaps, first_zero(packed)

    each(one, out, a)


@kernels.register("pivots_to_rows")
def pivots_to_rows(out: Any, pivots: Any, rows: int) -> None:
    """All exchanges, one after the other."""
    for at in np.ndindex(pivots.shape[:-1]):
        order = np.arange(rows)
        for i, j in enumerate(pivots[at]):
            order[[i, j - 1]] = order[[j - 1, i]]
        out[at] = order


def _qr(a: Any, complete: bool) -> Any:
    return tuple(np.linalg.qr(a, "complete" if complete else "reduced"))


@kernels.register("qr_factor", fresh=_qr)
def qr_factor(out: Any, a: Any, complete: bool) -> None:
    """Q and R."""
    out[0][...], out[1][...] = _qr(a, complete)


@kernels.register("reflectors")
def reflectors(out: Any, a: Any) -> None:
    """LAPACK's geqrf."""
    packed, tau = np.linalg.qr(a, "raw")
    out[0][...], out[1][...] = np.swapaxes(packed, -1, -2), tau


def _scipy_lapack(a: Any, *names: str) -> Any:
    try:
        from scipy.linalg import get_lapack_funcs
    except ImportError:
        raise ImportError(
            "linalg.ldl_factor and linalg.ldl_solve need SciPy: "
            'pip install "flambeau[linalg]"') from None
    return get_lapack_funcs(names, (a,))


def _kind(a: Any, hermitian: bool) -> str:
    return "he" if hermitian and a.dtype.kind == "c" else "sy"


@kernels.register("ldl_packed")
def ldl_packed(out: Any, a: Any, hermitian: bool) -> None:
    """LAPACK's sytrf and hetrf."""
    (factor,) = _scipy_lapack(a, f"{_kind(a, hermitian)}trf")

    def one(m: Any) -> tuple[Any, Any, int]:
        packed, pivots, info = factor(m, lower=1)
        return np.tril(packed), pivots, info

    each(one, out, a)


@kernels.register("ldl_solution")
def ldl_solution(out: Any, packed: Any, pivots: Any, b: Any, hermitian: bool) -> None:
    """LAPACK's sytrs and hetrs."""
    (solve,) = _scipy_lapack(packed, f"{_kind(packed, hermitian)}trs")
    for at in np.ndindex(packed.shape[:-2] if out.size else (0,)):
        out[at] = solve(packed[at], pivots[at], b[at], lower=1)[0]
