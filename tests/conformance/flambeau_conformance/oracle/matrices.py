"""Factorizations and special functions: definitions where they are short, else libraries.

NumPy's and SciPy's libraries run in float64 here, and nothing of them is a backend's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


def _each(outs: Any, function: Any, *batches: Any) -> None:
    """A function of single matrices, for all of some batches."""
    outs = outs if isinstance(outs, tuple) else (outs,)
    for at in np.ndindex(batches[0].shape[:-2]):
        results = function(*(b[at] for b in batches))
        for out, result in zip(outs, results, strict=True):
            out[at] = result


def _wide(x: Any) -> Any:
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


# ---- systems -----------------------------------------------------------------------------------
@kernels.register("triangular_solution")
def triangular_solution(out: Any, a: Any, b: Any, upper: bool, unitriangular: bool) -> None:
    """The triangle alone, solved as any matrix."""

    def one(a: Any, b: Any) -> Any:
        a = np.triu(a) if upper else np.tril(a)
        if unitriangular:
            a = a - np.diag(np.diag(a)) + np.eye(len(a))
        return (np.linalg.solve(_wide(a), _wide(b)),)

    _each(out, one, a, b)


def _first_zero_pivot(a: Any) -> int:
    return _eliminated(a, True)[2]


@kernels.register("solution")
def solution(out: Any, a: Any, b: Any) -> None:
    """By the inverse."""

    def one(a: Any, b: Any) -> Any:
        at = _first_zero_pivot(a)
        return (np.full(b.shape, np.nan) if at else np.linalg.inv(_wide(a)) @ _wide(b)), at

    _each(out, one, a, b)


@kernels.register("inverse_of")
def inverse_of(out: Any, a: Any) -> None:
    """By a system for each unit vector."""

    def one(a: Any) -> Any:
        at = _first_zero_pivot(a)
        unit = np.eye(len(a))
        return (np.full(a.shape, np.nan) if at else np.linalg.solve(_wide(a), unit)), at

    _each(out, one, a)


@kernels.register("determinant")
def determinant(out: Any, a: Any) -> None:
    """NumPy's."""
    out[...] = np.linalg.det(_wide(a))


@kernels.register("sign_and_logarithm")
def sign_and_logarithm(out: Any, a: Any) -> None:
    """Of the determinant."""
    whole = np.linalg.det(_wide(a))
    out[0][...] = np.where(whole == 0, 0, whole / np.where(whole == 0, 1, np.abs(whole)))
    out[1][...] = np.log(np.abs(whole))


# ---- factorizations ----------------------------------------------------------------------------
@kernels.register("cholesky_factor")
def cholesky_factor(out: Any, a: Any) -> None:
    """Column after column (Cholesky-Banachiewicz)."""

    def one(a: Any) -> Any:
        a = _wide(a)
        factor = np.zeros_like(a)
        for j in range(len(a)):
            left = a[j, j].real - (np.abs(factor[j, :j]) ** 2).sum()
            if not left > 0:
                return np.full_like(a, np.nan), j + 1
            factor[j, j] = np.sqrt(left)
            for i in range(j + 1, len(a)):
                inner = (factor[i, :j] * factor[j, :j].conj()).sum()
                factor[i, j] = (a[i, j] - inner) / factor[j, j]
        return factor, 0

    _each(out, one, a)


def _eliminated(a: Any, pivot: bool) -> tuple[Any, Any, int]:
    """L and U in one matrix, the exchanges of rows, and the first pivot that is zero."""
    a = _wide(a)
    rows, columns = a.shape
    swaps = np.zeros(min(rows, columns), np.int32)
    for k in range(len(swaps)):
        sizes = np.abs(a[k:, k].real) + np.abs(a[k:, k].imag)
        best = k + int(np.argmax(sizes)) if pivot else k
        swaps[k] = best + 1
        a[[k, best]] = a[[best, k]]
        for i in range(k + 1, rows):
            if a[k, k] != 0:
                a[i, k] /= a[k, k]
                a[i, k + 1 :] -= a[i, k] * a[k, k + 1 :]
    zeros = [k + 1 for k in range(len(swaps)) if a[k, k] == 0]
    return a, swaps, zeros[0] if zeros else 0


@kernels.register("lu_packed")
def lu_packed(out: Any, a: Any, pivot: bool) -> None:
    """Elimination by the book."""
    _each(out, lambda m: _eliminated(m, pivot), a)


@kernels.register("pivots_to_rows")
def pivots_to_rows(out: Any, pivots: Any, rows: int) -> None:
    """A list whose items change places."""
    for at in np.ndindex(pivots.shape[:-1]):
        order = list(range(rows))
        for i, j in enumerate(pivots[at].tolist()):
            order[i], order[j - 1] = order[j - 1], order[i]
        out[at] = order


@kernels.register("qr_factor")
def qr_factor(out: Any, a: Any, complete: bool) -> None:
    """LAPACK's, whose signs are what everybody has."""
    _each(out, lambda m: np.linalg.qr(_wide(m), "complete" if complete else "reduced"), a)


@kernels.register("reflectors")
def reflectors(out: Any, a: Any) -> None:
    """LAPACK's."""

    def one(m: Any) -> Any:
        packed, tau = np.linalg.qr(_wide(m), "raw")
        return packed.T, tau

    _each(out, one, a)


@kernels.register("ldl_packed")
def ldl_packed(out: Any, a: Any, hermitian: bool) -> None:
    """LAPACK's, in SciPy."""
    from scipy.linalg import get_lapack_funcs

    def one(m: Any) -> Any:
        m = _wide(m)
        name = "hetrf" if hermitian and m.dtype.kind == "c" else "sytrf"
        (factor,) = get_lapack_funcs((name,), (m,))
        packed, pivots, info = factor(m, lower=1)
        return np.tril(packed), pivots, info

    _each(out, one, a)


@kernels.register("ldl_solution")
def ldl_solution(out: Any, packed: Any, pivots: Any, b: Any, hermitian: bool) -> None:
    """LAPACK's, in SciPy."""
    from scipy.linalg import get_lapack_funcs

    for at in np.ndindex(packed.shape[:-2]):
        m = _wide(packed[at])
        name = "hetrs" if hermitian and m.dtype.kind == "c" else "sytrs"
        (solve,) = get_lapack_funcs((name,), (m,))
        out[at] = solve(m, pivots[at], _wide(b[at]), lower=1)[0]


# ---- eigenvalues -------------------------------------------------------------------------------
@kernels.register("eigh_factor")
def eigh_factor(out: Any, a: Any, upper: bool) -> None:
    """LAPACK's."""
    _each(out, lambda m: np.linalg.eigh(_wide(m), "U" if upper else "L"), a)


@kernels.register("eig_factor")
def eig_factor(out: Any, a: Any) -> None:
    """LAPACK's."""
    _each(out, lambda m: np.linalg.eig(_wide(m)), a)


@kernels.register("svd_factor")
def svd_factor(out: Any, a: Any, full: bool) -> None:
    """LAPACK's."""
    _each(out, lambda m: np.linalg.svd(_wide(m), full_matrices=full), a)


@kernels.register("least_squares")
def least_squares(out: Any, a: Any, b: Any, rcond: float) -> None:
    """By the pseudoinverse."""

    def one(a: Any, b: Any) -> Any:
        sizes = np.linalg.svd(_wide(a), compute_uv=False)
        solved = np.linalg.pinv(_wide(a), rcond=rcond) @ _wide(b)
        return solved, (sizes > rcond * sizes[:1]).sum(), sizes

    _each(out, one, a, b)


# ---- special functions -------------------------------------------------------------------------
def _special(name: str) -> Any:
    def kernel(out: Any, *inputs: Any) -> None:
        import scipy.special

        result = getattr(scipy.special, name)(*(np.float64(x) for x in inputs))
        out[...] = result[0] if isinstance(result, tuple) else result

    return kernel


for _op, _name in {
    "igamma": "gammainc", "igammac": "gammaincc", "i0": "i0", "i0e": "i0e", "i1": "i1",
    "i1e": "i1e", "bessel_j0": "j0", "bessel_j1": "j1", "bessel_y0": "y0", "bessel_y1": "y1",
    "modified_bessel_k0": "k0", "modified_bessel_k1": "k1", "scaled_modified_bessel_k0": "k0e",
    "scaled_modified_bessel_k1": "k1e", "airy_ai": "airy",
}.items():
    kernels.register(_op)(_special(_name))
