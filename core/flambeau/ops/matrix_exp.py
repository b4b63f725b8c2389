"""The exponential of matrices, and approximations of low rank."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau.matrices import check_square, identity
from flambeau.ops.axes import matrix_hermitian
from flambeau.ops.join import cat
from flambeau.ops.matmul import matmul
from flambeau.ops.pointwise import abs
from flambeau.ops.reduce import amax, sum
from flambeau.ops.solve import square_errors, wide
from flambeau.registry import composite
from flambeau.samples import Make, Sample, sample
from flambeau.tensor import Tensor

DEGREE = 18
"""Terms of the Taylor series: enough for float64 where the norm is at most 1."""


def _exponential_grad(g: Tensor, self: Tensor) -> Any:
    """The upper right block of exp of ``[[A^H, G], [0, A^H]]``."""
    if not g.numel():
        return g.clone()
    turned, n = matrix_hermitian(self), self.shape[-1]
    upper, lower = cat([turned, g], -1), cat([turned * 0, turned], -1)
    return matrix_exp(cat([upper, lower], -2))[..., :n, n:]


def _samples(make: Make) -> Iterator[Sample]:
    return wide(make, [
        sample(make(3, 3)), sample(make(2, 3, 3) * 4), sample(make(1, 1)), sample(make(0, 3, 3))])


@composite(
    "matrix_exp(Tensor self) -> Tensor", namespaces=("", "linalg"), dtypes="floating_complex",
    derivatives={"self": _exponential_grad}, samples=_samples, errors=square_errors,
)
def matrix_exp(self: Tensor) -> Any:
    """The sum of ``A^k / k!``: by a Taylor polynomial of ``A / 2^s``, squared s times."""
    if self.dtype.category == 2 and self.itemsize == 2:
        return matrix_exp(self.float()).to(self.dtype)
    check_square("linalg.matrix_exp", self)
    n = self.shape[-1]
    if not self.numel():
        return self.contiguous().clone()
    size = float(amax(sum(abs(self), -1)).item())
    halvings = max(0, math.ceil(math.log2(size))) if 0 < size < math.inf else 0
    x = self * 0.5**halvings
    result = identity(n, self).expand(self.shape) + x * (1 / DEGREE)
    for k in range(DEGREE - 1, 0, -1):  # Horner's rule
        result = identity(n, self) + matmul(x, result) * (1 / k)
    for _ in range(halvings):
        result = matmul(result, result)
    return result


# ---- low rank ----------------------------------------------------------------------------------
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None  # noqa: N803
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of about the ``q`` greatest singular values of ``A - M``.

    By a random subspace and ``niter`` iterations (Halko, Martinsson, Tropp, Finding structure with
    randomness, algorithms 4.4 and 5.1).
    """
    q = 6 if q is None else q
    turned = matrix_hermitian(A) if A.shape[-2] < A.shape[-1] else None
    x = A if M is None else A - M.expand(A.shape)
    wide_matrix = x if turned is None else matrix_hermitian(x)
    basis = _range_of(wide_matrix, q, niter or 0)
    from flambeau.ops.eigen import svd_factor

    u, s, vh = svd_factor(matmul(matrix_hermitian(basis), wide_matrix), False)
    u, v = matmul(basis, u), matrix_hermitian(vh)
    return (u, s, v) if turned is None else (v, s, u)


def _range_of(x: Tensor, q: int, iterations: int) -> Any:
    from flambeau.ops.factorize import qr_factor
    from flambeau.ops.random import randn

    start = randn(x.shape[-1], q, dtype=x.dtype, device=x.device)
    basis = qr_factor(matmul(x, start), False)[0]
    for _ in range(iterations):
        basis = qr_factor(matmul(matrix_hermitian(x), basis), False)[0]
        basis = qr_factor(matmul(x, basis), False)[0]
    return basis


def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2  # noqa: N803
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of the principal components of rows.

    Raises:
        ValueError: for more components than the matrix has, or negative iterations.
    """
    rows, columns = A.shape[-2:]
    count = min(6, rows, columns) if q is None else q
    if not 0 <= count <= min(rows, columns):
        raise ValueError(
            f"q(={count}) must be non-negative integer and not greater than min(m, n)="
            f"{min(rows, columns)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if center:
        A = A - A.mean(-2, keepdim=True)
    return svd_lowrank(A, count, niter)

