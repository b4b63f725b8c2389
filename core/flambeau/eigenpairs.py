"""A few eigenpairs of a large symmetric matrix that is only multiplied with.

The locally optimal block preconditioned conjugate gradient method (A. Knyazev, SIAM J. Sci. Comput.
23, 2001): Rayleigh-Ritz in the space of the current vectors, their preconditioned residuals and the
last directions, whose basis is made orthonormal by the eigenvectors of its Gram matrix (A.
Stathopoulos and K. Wu, SIAM J. Sci. Comput. 23, 2002).
"""

from __future__ import annotations

from typing import Any, Final

import flambeau as fb
from flambeau.tensor import Tensor

__all__ = ["lobpcg"]

_STEPS: Final = 1000
_EPSILONS: Final = {"float32": 1.2e-07, "float64": 2.23e-16}


def lobpcg(
    A: Tensor, k: int | None = None, B: Tensor | None = None, X: Tensor | None = None,  # noqa: N803
    n: int | None = None, iK: Tensor | None = None, niter: int | None = None,  # noqa: N803
    tol: float | None = None, largest: bool | None = None, method: str | None = None,
    tracker: Any = None, ortho_iparams: Any = None, ortho_fparams: Any = None,
    ortho_bparams: Any = None,
) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of ``A x = e B x`` for symmetric A and positive definite B.

    Args:
        A: (*, m, m), dense or, without batch dimensions, sparse.
        k: how many eigenpairs; the columns of ``X``, or 1, if None.
        X: (*, m, n), where to start; random vectors if None.
        n: how many vectors to iterate; k if None.
        iK: (*, m, m), a preconditioner.
        niter: at most so many steps; -1 for no limit.
        tol: of the residuals; the root of the dtype's epsilon if None.
        largest: the greatest eigenvalues (the default), else the least.
        method: "basic" or "ortho"; both are computed by the robust method here.

    Returns:
        eigenvalues (*, k) and eigenvectors (*, m, k).  If A requires gradients they are computed by
        ``linalg.eigh``, through which gradients flow.

    Raises:
        ValueError: if A has fewer than 3 n rows.
    """
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"lobpcg: A must be square matrices, got shape {list(A.shape)}")
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"lobpcg: method must be 'basic' or 'ortho', got {method!r}")
    m = A.shape[-1]
    k = (1 if X is None else X.shape[-1]) if k is None else k
    n = (k if n is None else n) if X is None else X.shape[-1]
    if m < 3 * n:
        raise ValueError(
            f"LPBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than "
            f"3 x the number of requested eigenpairs (={n})")
    if not 1 <= k <= n:
        raise RuntimeError(f"lobpcg: k must be between 1 and n = {n}, got {k}")
    is_largest = largest is None or largest
    if A.requires_grad and fb.is_grad_enabled():
        if B is not None:
            raise ValueError(
                "lobpcg.backward is not supported for a generalized eigenproblem: B requires None")
        return _differentiable(A, k, is_largest)
    limits = (_STEPS if niter is None else niter, tol)
    if A.ndim == 2:
        return _solve(A, k, B, X, n, iK, limits, is_largest)
    batch = A.shape[:-2]

    def part(t: Tensor | None, i: int) -> Any:
        return None if t is None else t.expand(*batch, *t.shape[-2:]).reshape(
            -1, *t.shape[-2:])[i]

    found = [
        _solve(part(A, i), k, part(B, i), part(X, i), n, part(iK, i), limits, is_largest)
        for i in range(batch.numel())]
    values, vectors = (fb.stack(parts) for parts in zip(*found, strict=True))
    return values.reshape(*batch, k), vectors.reshape(*batch, m, k)


def _differentiable(a: Any, k: int, largest: bool) -> tuple[Tensor, Tensor]:
    dense = a.to_dense()
    values, vectors = fb.linalg.eigh((dense + dense.mT) / 2)
    if largest:
        return values[..., -k:].flip(-1), vectors[..., -k:].flip(-1)
    return values[..., :k], vectors[..., :k]


def _solve(
    a: Any, k: int, b: Any, start: Any, n: int, precondition: Any,
    limits: tuple[int, float | None], largest: bool,
) -> tuple[Tensor, Tensor]:
    """The eigenpairs of one matrix."""
    steps, tol = limits
    if tol is None:
        tol = _EPSILONS.get(a.dtype.name, 1.2e-07) ** 0.5
    with fb.no_grad():
        x = fb.randn(a.shape[0], n, dtype=a.dtype, device=a.device) if start is None else start
        values, x = _ritz(a, _orthonormal(x, b), n, largest)
        scale = float(fb.linalg.vector_norm(a @ x)) / float(fb.linalg.vector_norm(x))
        last: Any = None
        while steps:
            steps -= 1
            bx = x if b is None else b @ x
            residual = a @ x - bx * values
            sizes = fb.linalg.vector_norm(residual, dim=0)
            bound = fb.linalg.vector_norm(x, dim=0) * (scale + values.abs()) * tol
            if bool((sizes <= bound)[:k].all()):
                break
            ahead = residual if precondition is None else precondition @ residual
            basis = _orthonormal(fb.cat([x, ahead] if last is None else [x, ahead, last], 1), b)
            values, new = _ritz(a, basis, n, largest)
            last = new - x @ (x.mT @ (new if b is None else b @ new))
            x = new
    return values[:k], x[:, :k]


def _orthonormal(basis: Tensor, b: Any) -> Tensor:
    """A basis of the same space that is orthonormal in the product of B; tiny parts are dropped."""
    for _ in range(2):  # the second time for the rounding of the first
        basis = basis / fb.linalg.vector_norm(basis, dim=0).clamp(min=1e-300)
        gram = basis.mT @ (basis if b is None else b @ basis)
        sizes, vectors = fb.linalg.eigh((gram + gram.mT) / 2)
        kept = (sizes > sizes[-1] * fb.finfo(basis.dtype).eps * 10).nonzero().reshape(-1)
        sizes, vectors = fb.index_select(sizes, 0, kept), fb.index_select(vectors, 1, kept)
        basis = basis @ (vectors / sizes.sqrt())
    return basis


def _ritz(a: Any, basis: Tensor, n: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The best n eigenpairs within the space of an orthonormal basis."""
    small = basis.mT @ (a @ basis)
    values, vectors = fb.linalg.eigh((small + small.mT) / 2)
    if largest:
        values, vectors = values.flip(0), vectors.flip(1)
    return values[:n], basis @ vectors[:, :n]
