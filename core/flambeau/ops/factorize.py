"""Factorizations of matrices: Cholesky, LU, QR, LDL, Householder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes, return_types
from flambeau.matrices import (
    LinAlgError,
    check_dtype,
    check_matrix,
    check_square,
    first_failure,
    identity,
    in_batch,
)
from flambeau.ops.axes import matrix_hermitian, matrix_transpose
from flambeau.ops.complex import conj
from flambeau.ops.diagonals import tril, triu
from flambeau.ops.join import cat
from flambeau.ops.matmul import matmul
from flambeau.ops.solve import (
    broadcast_batches,
    failure_info,
    matrix_errors,
    regular,
    square_errors,
    triangular_solution,
    wide,
)
from flambeau.registry import Plan, Result, composite, no_derivative, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def positive(make: Make, *shape: int) -> Tensor:
    """Hermitian matrices with positive eigenvalues, without gradient: that is a Hermitian matrix,
    too, which differences in one element do not see (``tests/unit/ops/test_linalg.py`` does)."""
    x = make(*shape, requires_grad=False)
    made: Tensor = matmul(x, matrix_hermitian(x)) + identity(x.shape[-1], x)
    return made


# ---- Cholesky ----------------------------------------------------------------------------------
cholesky_factor = primitive(
    "cholesky_factor(Tensor self) -> (Tensor L, Tensor info)",
    doc="Lower triangular L with A = L L^H, from the lower triangle of A; and for each matrix the "
    "order of the leading minor that is not positive definite (0: all are).",
    rule=lambda self: Plan((self,), (Result(self.shape, self.dtype), failure_info(self))),
    dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    samples=lambda make: wide(make, [
        sample(positive(make, 3, 3)), sample(positive(make, 2, 3, 3))]),
)


def _cholesky_grad(g: Tensor, factor: Tensor, upper: bool) -> Any:
    """S. Smith, Differentiation of the Cholesky algorithm.

    Hermitian, as the input is, but for imaginary parts that ``g`` has on its diagonal.
    """
    above, slope = (factor, matrix_hermitian(g)) if upper else (matrix_hermitian(factor), g)
    part = tril(matmul(above, slope))
    middle = triangular_solution(above, part + matrix_hermitian(tril(part, -1)), True, False)
    return matrix_hermitian(
        triangular_solution(above, matrix_hermitian(middle), True, False)) * 0.5


@composite(
    "cholesky_triangle(Tensor self, bool upper) -> (Tensor factor, Tensor info)", method=False,
    out=False, namespaces=("_internal",), dtypes="floating_complex",
    derivatives={"self": _cholesky_grad},
    samples=lambda make: wide(make, [
        sample(positive(make, 3, 3), True), sample(positive(make, 2, 3, 3), False)]),
)
def cholesky_triangle(self: Tensor, upper: bool) -> Any:
    """The factor L with A = L L^H from the lower triangle of A, or U with A = U^H U from the upper
    one; and ``cholesky_factor``'s info."""
    factor, info = cholesky_factor(matrix_hermitian(self) if upper else self)
    return matrix_hermitian(factor).contiguous() if upper else factor, info


def _positive_samples(make: Make) -> Iterator[Sample]:
    return wide(make, [
        sample(positive(make, 3, 3)), Sample((positive(make, 2, 3, 3),), {"upper": True}),
        sample(make(0, 0))])


def _check_positive(name: str, info: Tensor) -> None:
    failed = first_failure(info)
    if failed is not None:
        raise LinAlgError(
            f"{name}: {in_batch(info, failed[0])}The factorization could not be completed because "
            f"the input is not positive-definite (the leading minor of order {failed[1]} is not "
            "positive-definite).")


def _cholesky(name: str, self: Tensor, upper: bool) -> tuple[Any, Any]:
    check_square(name, self)
    factor, info = cholesky_triangle(self, upper)
    return factor, info


def _indefinite(make: Make) -> Iterator[ErrorSample]:
    yield from square_errors(make)
    yield error(LinAlgError, "not positive-definite", identity(3, make(1)) * -1)


@composite(
    "linalg_cholesky(Tensor A, *, bool upper=False) -> Tensor", namespaces=("linalg",),
    dtypes="floating_complex", method=False, samples=_positive_samples, errors=_indefinite,
)
def linalg_cholesky(self: Tensor, upper: bool = False) -> Any:
    """Lower triangular L with ``A = L L^H``, or upper triangular U with ``A = U^H U``.

    Raises:
        LinAlgError: if a matrix is not positive definite.
    """
    factor, info = _cholesky("linalg.cholesky", self, upper)
    _check_positive("linalg.cholesky", info)
    return factor


@composite(
    "cholesky(Tensor self, bool upper=False) -> Tensor", dtypes="floating_complex",
    samples=_positive_samples, errors=_indefinite,
)
def cholesky(self: Tensor, upper: bool = False) -> Any:
    """The older form of ``linalg.cholesky``."""
    factor, info = _cholesky("cholesky", self, upper)
    _check_positive("cholesky", info)
    return factor


@composite(
    "cholesky_ex(Tensor A, *, bool upper=False, bool check_errors=False) "
    "-> (Tensor L, Tensor info)",
    namespaces=("linalg",), dtypes="floating_complex", method=False, samples=_positive_samples,
    errors=square_errors,
)
def cholesky_ex(self: Tensor, upper: bool = False, check_errors: bool = False) -> Any:
    """``linalg.cholesky``, and for each matrix the order of the leading minor at fault, or 0."""
    factor, info = _cholesky("linalg.cholesky_ex", self, upper)
    if check_errors:
        _check_positive("linalg.cholesky_ex", info)
    return return_types.linalg_cholesky_ex((factor, info))


def _cholesky_solve_grad(
    g: Tensor, needs: Sequence[bool], self: Tensor, L: Tensor, out: Tensor,  # noqa: N803
    upper: bool,
) -> Any:
    """As PyTorch gives it: that of all elements of L, those that are not looked at, too."""
    to_self = cholesky_solve(g, L, upper)
    if not needs[1]:
        return to_self, None
    outer = matmul(to_self, matrix_hermitian(out))
    outer = (outer + matrix_hermitian(outer)) * -1
    return to_self, matmul(L, outer) if upper else matmul(outer, L)


@composite(
    "cholesky_solve(Tensor self, Tensor L, bool upper=False) -> Tensor",
    dtypes="floating_complex", joint=_cholesky_solve_grad,
    samples=lambda make: wide(make, [
        sample(make(3, 2), regular(make, 3, 3).detach()),
        sample(make(2, 3, 1), regular(make, 3, 3).detach(), True)]),
    errors=lambda make: iter([error(RuntimeError, "square", make(2, 1), make(2, 3))]),
)
def cholesky_solve(self: Tensor, factor: Tensor, upper: bool = False) -> Any:
    """X with ``A X = self``, from the Cholesky factor of A."""
    check_square("cholesky_solve", factor, "L")
    check_matrix("cholesky_solve", self, "b")
    below, b = broadcast_batches(matrix_hermitian(factor) if upper else factor, self)
    return triangular_solution(
        matrix_hermitian(below), triangular_solution(below, b, False, False), True, False)


@composite(
    "cholesky_inverse(Tensor self, bool upper=False) -> Tensor", dtypes="floating_complex",
    samples=lambda make: wide(make, [
        sample(regular(make, 3, 3).detach()), sample(regular(make, 2, 3, 3).detach(), True)]),
    errors=square_errors,
)
def cholesky_inverse(self: Tensor, upper: bool = False) -> Any:
    """The inverse of a matrix, from its Cholesky factor."""
    check_square("cholesky_inverse", self)
    return cholesky_solve(identity(self.shape[-1], self).expand(self.shape), self, upper)


# ---- LU ----------------------------------------------------------------------------------------
def _lu_rule(self: Tensor, pivot: bool) -> Plan:
    least = min(self.shape[-2:])
    results = (
        Result(self.shape, self.dtype), Result((*self.shape[:-2], least), dtypes.int32),
        failure_info(self))
    return Plan((self,), results, {"pivot": bool(pivot)})


def _lu_grad(g: Tensor, LU: Tensor, pivots: Tensor) -> Any:  # noqa: N803
    """The gradient of P L U, the rows of the part that is square solved on both sides."""
    rows, columns = LU.shape[-2:]
    k = min(rows, columns)
    g_lower, g_upper = tril(g, -1)[..., :k], triu(g)[..., :k, :]
    lower = tril(LU, -1)[..., :k, :k] + identity(k, LU)
    upper = triu(LU)[..., :k, :k]
    rest = None
    if rows > k:  # the rows below: L2 = A2 U^-1
        outer = _divided(g_lower[..., k:, :], upper)
        rest = ("rows", outer)
        g_upper = g_upper - triu(matmul(matrix_hermitian(LU[..., k:, :]), outer))
    g_square = g_upper[..., :k]
    g_lower = g_lower[..., :k, :]
    if columns > k:  # the columns on the right: U2 = L^-1 A2
        beside = triangular_solution(matrix_hermitian(lower), g_upper[..., k:], True, True)
        rest = ("columns", beside)
        g_lower = g_lower - tril(
            matmul(beside, matrix_hermitian(triu(LU)[..., :k, k:])), -1)
    inner = tril(matmul(matrix_hermitian(lower), g_lower), -1) + triu(
        matmul(g_square, matrix_hermitian(upper)))
    square = _divided(triangular_solution(matrix_hermitian(lower), inner, True, True), upper)
    if rest is not None:
        square = cat([square, rest[1]], -2 if rest[0] == "rows" else -1)
    return matmul(permutation_matrix(pivots, rows, LU), square)


def _divided(x: Tensor, upper: Tensor) -> Any:
    """``x U^-H`` for an upper triangular U."""
    return matrix_hermitian(triangular_solution(upper, matrix_hermitian(x), True, False))


lu_packed = primitive(
    "lu_packed(Tensor self, bool pivot) -> (Tensor LU, Tensor pivots, Tensor info)",
    doc="L and U in one matrix, the row exchanges (from 1) as LAPACK gives them, and for each "
    "matrix the number of a diagonal element of U that is zero (0: none is).",
    rule=_lu_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    derivatives={"self": _lu_grad},
    samples=lambda make: wide(make, [
        sample(make(3, 3), True), sample(make(2, 4, 3), True), sample(make(3, 4), True)]),
)

pivots_to_rows = primitive(
    "pivots_to_rows(Tensor self, int rows) -> Tensor",
    doc="Which row of A stands in each row of L U after all exchanges of rows (from 1).",
    rule=lambda self, rows: Plan(
        (self,), (Result((*self.shape[:-1], rows), dtypes.int64),), {"rows": rows}),
    dtypes="none", namespaces=("_internal",), is_required=False,
    samples=lambda make: iter([sample((make.index(3, 3) * 0 + 3).to(dtypes.int32), 4)]),
)


def permutation_matrix(pivots: Tensor, rows: int, like: Tensor) -> Any:
    """P with ``A = P L U``."""
    order = pivots_to_rows(pivots, rows)
    return matrix_transpose(identity(rows, like)[order])


def _lu_samples(make: Make) -> Iterator[Sample]:
    return wide(make, [sample(make(3, 3)), sample(make(2, 4, 3)), sample(make(3, 4))])


def _nonzero_pivots(name: str, info: Tensor) -> None:
    failed = first_failure(info)
    if failed is not None:
        at = failed[1]
        raise RuntimeError(
            f"{name}: {in_batch(info, failed[0])}U[{at},{at}] is zero and using it on lu_solve "
            "would result in a division by zero. If you still want to perform the factorization, "
            "consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)")


@composite(
    "lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)",
    namespaces=("linalg",), dtypes="floating_complex", method=False, samples=_lu_samples,
    errors=matrix_errors,
)
def lu_factor(self: Tensor, pivot: bool = True) -> Any:
    """L and U in one matrix, and the exchanges of rows."""
    check_matrix("linalg.lu_factor", self)
    packed, pivots, info = lu_packed(self, pivot)
    _nonzero_pivots("torch.linalg.lu_factor", info)
    return return_types.linalg_lu_factor((packed, pivots))


@composite(
    "lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) "
    "-> (Tensor LU, Tensor pivots, Tensor info)",
    namespaces=("linalg",), dtypes="floating_complex", method=False, samples=_lu_samples,
    errors=matrix_errors,
)
def lu_factor_ex(self: Tensor, pivot: bool = True, check_errors: bool = False) -> Any:
    """``lu_factor``, and for each matrix the number of a pivot that is zero, 0 if none is."""
    check_matrix("linalg.lu_factor_ex", self)
    packed, pivots, info = lu_packed(self, pivot)
    if check_errors:
        _nonzero_pivots("torch.linalg.lu_factor_ex", info)
    return return_types.linalg_lu_factor_ex((packed, pivots, info))


def _unpacked(packed: Tensor) -> tuple[Any, Any]:
    rows, columns = packed.shape[-2:]
    k = min(rows, columns)
    lower = tril(packed[..., :k], -1)
    unit = identity(k, packed)
    if rows > k:
        unit = cat([unit, unit.new_zeros(rows - k, k)])
    return lower + unit, triu(packed[..., :k, :])


@composite(
    "linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)",
    namespaces=("linalg",), dtypes="floating_complex", method=False, samples=_lu_samples,
    errors=matrix_errors,
)
def linalg_lu(self: Tensor, pivot: bool = True) -> Any:
    """P, L and U with ``A = P L U``; without pivots P is empty."""
    check_matrix("linalg.lu", self)
    packed, pivots, _ = lu_packed(self, pivot)
    p = permutation_matrix(pivots, self.shape[-2], self) if pivot else self.new_empty(0)
    return return_types.linalg_lu((p, *_unpacked(packed)))


@composite(
    "lu_unpack(Tensor self, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) "
    "-> (Tensor P, Tensor L, Tensor U)",
    dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(make(3, 3), (make.index(1, 3) + 3).to(dtypes.int32)),
        sample(make(4, 3), (make.index(1, 3) + 4).to(dtypes.int32))]),
    errors=lambda make: iter([error(
        RuntimeError, "int32", make(3, 3), make.index(2, 3))]),
)
def lu_unpack(
    self: Tensor, pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """P, L and U from ``lu_factor``'s results; what is not asked for is empty."""
    if unpack_pivots and pivots.dtype is not dtypes.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype. Note: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor")
    empty = self.new_empty(0)
    lower, upper = _unpacked(self) if unpack_data else (empty, empty)
    p = permutation_matrix(pivots, self.shape[-2], self) if unpack_pivots else empty
    return return_types.lu_unpack((p, lower, upper))


@composite(
    "linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, "
    "bool adjoint=False) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(regular(make, 3, 3), (make.index(1, 3) + 3).to(dtypes.int32), make(3, 2)),
        Sample((regular(make, 3, 3), (make.index(1, 3) + 3).to(dtypes.int32), make(2, 3)),
               {"left": False, "adjoint": True})]),
    errors=lambda make: iter([error(
        RuntimeError, "square", make(2, 3), make.index(2, 2).to(dtypes.int32), make(2, 1))]),
)
def linalg_lu_solve(
    self: Tensor, pivots: Tensor, other: Tensor, left: bool = True, adjoint: bool = False
) -> Any:
    """X with ``A X = B`` (``X A = B`` if not ``left``; A^H for A if ``adjoint``), from A's LU."""
    check_square("linalg.lu_solve", self, "LU")
    if not left:  # X A = B is A^H X^H = B^H
        turned = linalg_lu_solve(self, pivots, matrix_hermitian(other), adjoint=not adjoint)
        return matrix_hermitian(turned)
    p = permutation_matrix(pivots, self.shape[-1], self)
    packed, b = broadcast_batches(self, other)
    if adjoint:
        y = triangular_solution(matrix_hermitian(packed), b, False, False)
        return matmul(p, triangular_solution(matrix_hermitian(packed), y, True, True))
    y = triangular_solution(packed, matmul(matrix_transpose(p), b), False, True)
    return triangular_solution(packed, y, True, False)


@composite(
    "lu_solve(Tensor self, Tensor LU_data, Tensor LU_pivots) -> Tensor",
    dtypes="floating_complex",
    samples=lambda make: wide(make, [sample(
        make(3, 2), regular(make, 3, 3), (make.index(1, 3) + 3).to(dtypes.int32))]),
    errors=lambda make: iter([error(
        RuntimeError, "square", make(2, 1), make(2, 3), make.index(2, 2).to(dtypes.int32))]),
)
def lu_solve(self: Tensor, packed: Tensor, pivots: Tensor) -> Any:
    """The older form of ``linalg.lu_solve``."""
    return linalg_lu_solve(packed, pivots, self)


def lu(
    self: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None
) -> tuple[Tensor, ...]:
    """The older form of ``linalg.lu_factor``: LU, pivots and, if asked, the infos."""
    check_matrix("lu", self)
    packed, pivots, info = lu_packed(self, pivot)
    if not get_infos:
        _nonzero_pivots("lu", info)
    results = return_types.lu_with_info((packed, pivots, info)) if get_infos else (packed, pivots)
    if out is None:
        return results
    for target, result in zip(out, results, strict=True):
        target.resize_(result.shape).copy_(result)
    return tuple(out)


setattr(Tensor, "lu", lu)  # noqa: B010


# ---- QR ----------------------------------------------------------------------------------------
def _qr_rule(self: Tensor, complete: bool) -> Plan:
    *batch, rows, columns = self.shape
    k = rows if complete else min(rows, columns)
    results = (Result((*batch, rows, k), self.dtype), Result((*batch, k, columns), self.dtype))
    return Plan((self,), results, {"complete": bool(complete)})


def _qr_grad(
    grads: Any, needs: Sequence[bool], self: Tensor, Q: Tensor, R: Tensor,  # noqa: N803
    complete: bool,
) -> Any:
    """Through Q with orthonormal columns and R triangular; the wide part of R is Q^H A."""
    rows, columns = self.shape[-2:]
    if complete and rows > columns:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols")
    g_q, g_r = grads
    if columns > rows:
        beside = self[..., rows:]
        g_beside = None if g_r is None else matmul(Q, g_r[..., rows:])
        if g_r is not None:
            through = matmul(beside, matrix_hermitian(g_r[..., rows:]))
            g_q = through if g_q is None else g_q + through
        square = _square_qr_grad(g_q, None if g_r is None else g_r[..., :rows], Q, R[..., :rows])
        rest = beside * 0 if g_beside is None else g_beside
        return (cat([square, rest], -1),)
    return (_square_qr_grad(g_q, g_r, Q, R),)


def _square_qr_grad(g_q: Any, g_r: Any, q: Tensor, r: Tensor) -> Any:
    middle = None if g_r is None else matmul(r, matrix_hermitian(g_r))
    if g_q is not None:
        through = matmul(matrix_hermitian(g_q), q)
        middle = through * -1 if middle is None else middle - through
    assert middle is not None
    lower = tril(middle, -1)
    symmetric = lower + matrix_hermitian(lower) + _real_diagonal(middle)
    part = matmul(q, symmetric)
    part = part if g_q is None else part + g_q
    return _divided(part, r)


def _real_diagonal(x: Tensor) -> Any:
    diagonal = tril(triu(x))
    return (diagonal + matrix_hermitian(diagonal)) * 0.5


qr_factor = primitive(
    "qr_factor(Tensor self, bool complete) -> (Tensor Q, Tensor R)",
    doc="Q with orthonormal columns and upper triangular R with A = Q R.",
    rule=_qr_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    joint=_qr_grad, differentiable_outputs=(0, 1),
    samples=lambda make: wide(make, [
        sample(make(3, 3), False), sample(make(2, 4, 3), False), sample(make(3, 4), False)]),
)


@composite(
    "linalg_qr(Tensor A, str mode='reduced') -> (Tensor Q, Tensor R)", namespaces=("linalg",),
    dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(make(3, 3)), sample(make(2, 4, 3)), sample(make(3, 4), "complete")]),
    errors=lambda make: iter([
        *matrix_errors(make), error(RuntimeError, "unrecognized mode", make(3, 3), "x")]),
)
def linalg_qr(self: Tensor, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and upper triangular R with ``A = Q R``.

    Args:
        mode: "reduced", "complete" (Q is square), or "r" (Q is empty and there is no gradient).
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'")
    check_matrix("linalg.qr", self)
    if mode == "r":
        if self.requires_grad:
            raise RuntimeError(
                "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
                "Please use linalg.qr(A, mode='reduced') if you are going to require gradients.")
        return return_types.linalg_qr((self.new_empty(0), qr_factor(self, False)[1]))
    return return_types.linalg_qr(qr_factor(self, mode == "complete"))


@composite(
    "qr(Tensor self, bool some=True) -> (Tensor Q, Tensor R)", dtypes="floating_complex",
    samples=lambda make: wide(make, [sample(make(3, 3)), sample(make(2, 4, 3))]),
    errors=matrix_errors,
)
def qr(self: Tensor, some: bool = True) -> Any:
    """The older form of ``linalg.qr``."""
    check_matrix("qr", self)
    return return_types.qr(qr_factor(self, not some))


# ---- Householder reflections -------------------------------------------------------------------
def _reflectors_rule(self: Tensor) -> Plan:
    *batch, rows, columns = self.shape
    results = (Result(self.shape, self.dtype),
               Result((*batch, min(rows, columns)), self.dtype))
    return Plan((self,), results)


reflectors = primitive(
    "reflectors(Tensor self) -> (Tensor a, Tensor tau)",
    doc="R above the diagonal, below it the vectors of the reflections whose product is Q, and "
    "their factors.",
    rule=_reflectors_rule, dtypes="floating_complex", namespaces=("_internal",),
    is_required=False, derivatives={"self": no_derivative("geqrf")},
    samples=lambda make: wide(make, [
        Sample((make(3, 3, requires_grad=False),)), Sample((make(2, 4, 3, requires_grad=False),))]),
)


@composite(
    "geqrf(Tensor self) -> (Tensor a, Tensor tau)", dtypes="floating_complex",
    samples=lambda make: wide(make, [
        Sample((make(3, 3, requires_grad=False),)), Sample((make(2, 4, 3, requires_grad=False),))]),
    errors=matrix_errors,
)
def geqrf(self: Tensor) -> Any:
    """R and the reflections whose product is Q, in LAPACK's form; not differentiable."""
    check_matrix("torch.geqrf", self)
    return return_types.geqrf(reflectors(self))


def _reflected(x: Tensor, vectors: Tensor, tau: Tensor, turned: bool) -> Any:
    """``Q x``, or ``Q^H x``, one reflection after the other."""
    rows, count = vectors.shape[-2], tau.shape[-1]
    below = tril(vectors[..., :count], -1) + _unit_columns(rows, count, vectors)
    for i in range(count) if turned else range(count - 1, -1, -1):
        v = below[..., i : i + 1]
        factor = tau[..., i, None, None]
        factor = conj(factor) if turned and tau.dtype.is_complex else factor
        x = x - factor * matmul(v, matmul(matrix_hermitian(v), x))
    return x


def _unit_columns(rows: int, columns: int, like: Tensor) -> Any:
    return identity(rows, like)[:, :columns]


@composite(
    "householder_product(Tensor A, Tensor tau) -> Tensor", namespaces=("linalg",),
    dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(make(4, 3), make(2)), sample(make(2, 3, 3), make(2, 3))]),
    errors=lambda make: iter([
        error(RuntimeError, "greater than or equal", make(2, 3), make(2))]),
)
def householder_product(self: Tensor, tau: Tensor) -> Any:
    """The first columns of the product of reflections ``I - tau v v^H``."""
    name = "torch.linalg.householder_product"
    check_matrix(name, self)
    rows, columns = self.shape[-2:]
    if rows < columns:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if tau.shape[-1] > columns:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    start = _unit_columns(rows, columns, self).expand(self.shape)
    if not tau.shape[-1]:
        return start + tril(self, -rows)  # nothing of it, but the gradient is to know that
    return _reflected(start, self, tau, turned=False)


@composite(
    "orgqr(Tensor self, Tensor input2) -> Tensor", dtypes="floating_complex",
    samples=lambda make: wide(make, [sample(make(4, 3), make(2))]),
    errors=lambda make: iter([
        error(RuntimeError, "greater than or equal", make(2, 3), make(2))]),
)
def orgqr(self: Tensor, tau: Tensor) -> Any:
    """The older name of ``linalg.householder_product``."""
    return householder_product(self, tau)


@composite(
    "ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False) "
    "-> Tensor",
    dtypes="floating_complex",
    samples=lambda make: wide(make, [
        sample(make(4, 3), make(3), make(4, 2)),
        sample(make(4, 3), make(3), make(2, 4), False, True)]),
    errors=lambda make: iter([
        error(RuntimeError, "at least 2 dimensions", make(3), make(3), make(3, 3))]),
)
def ormqr(
    self: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False
) -> Any:
    """``Q other`` (``other Q`` if not ``left``; Q^H for Q if ``transpose``), from reflections."""
    if self.ndim < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    check_dtype("torch.ormqr", self.dtype)
    if left:
        return _reflected(other, self, tau, transpose)
    return matrix_hermitian(_reflected(matrix_hermitian(other), self, tau, not transpose))


# ---- LDL ---------------------------------------------------------------------------------------
def _ldl_rule(self: Tensor, hermitian: bool) -> Plan:
    results = (Result(self.shape, self.dtype), Result(self.shape[:-1], dtypes.int32),
               failure_info(self))
    return Plan((self,), results, {"hermitian": bool(hermitian)})


def _symmetric(make: Make, *shape: int) -> Tensor:
    x = make(*shape, requires_grad=False)
    made: Tensor = x + matrix_transpose(x)
    return made


ldl_packed = primitive(
    "ldl_packed(Tensor self, bool hermitian) -> (Tensor LD, Tensor pivots, Tensor info)",
    doc="L and D of a symmetric or Hermitian matrix in one, in LAPACK's form.",
    rule=_ldl_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    derivatives={"self": no_derivative("linalg_ldl_factor_ex")},
    samples=lambda make: wide(make, [sample(_symmetric(make, 3, 3), False)]),
)
ldl_solution = primitive(
    "ldl_solution(Tensor self, Tensor pivots, Tensor other, bool hermitian) -> Tensor",
    doc="X with A X = B, from the factors of ``ldl_packed``.",
    rule=lambda self, pivots, other, hermitian: Plan(
        (self, pivots, other), (Result(other.shape, other.dtype),),
        {"hermitian": bool(hermitian)}),
    dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    derivatives={
        "self": no_derivative("linalg_ldl_solve"), "other": no_derivative("linalg_ldl_solve")},
    samples=lambda make: wide(make, [sample(
        regular(make, 3, 3).detach(), _counting(make), make(3, 2, requires_grad=False), False)]),
)


def _counting(make: Make) -> Tensor:
    """The pivots 1, 2, 3: no exchange."""
    made: Tensor = (make.index(1, 3) + 1).cumsum(0).to(dtypes.int32)
    return made


@composite(
    "ldl_factor(Tensor A, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(_symmetric(make, 3, 3)), sample(_symmetric(make, 2, 3, 3))]),
    errors=square_errors,
)
def ldl_factor(self: Tensor, hermitian: bool = False) -> Any:
    """L and D with ``A = L D L^T`` in one matrix (``L D L^H`` if hermitian), and pivots."""
    check_square("torch.linalg.ldl_factor", self)
    packed, pivots, info = ldl_packed(self, hermitian)
    if first_failure(info) is not None:
        raise LinAlgError("torch.linalg.ldl_factor: D is singular; use ldl_factor_ex")
    return return_types.linalg_ldl_factor((packed, pivots))


@composite(
    "ldl_factor_ex(Tensor A, *, bool hermitian=False, bool check_errors=False) "
    "-> (Tensor LD, Tensor pivots, Tensor info)",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [sample(_symmetric(make, 3, 3))]), errors=square_errors,
)
def ldl_factor_ex(self: Tensor, hermitian: bool = False, check_errors: bool = False) -> Any:
    """``ldl_factor``, and for each matrix the number of a zero in D, 0 if there is none."""
    check_square("torch.linalg.ldl_factor_ex", self)
    packed, pivots, info = ldl_packed(self, hermitian)
    if check_errors and first_failure(info) is not None:
        raise LinAlgError("torch.linalg.ldl_factor_ex: D is singular")
    return return_types.linalg_ldl_factor_ex((packed, pivots, info))


@composite(
    "ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [sample(
        regular(make, 3, 3).detach(), _counting(make), make(3, 2, requires_grad=False))]),
    errors=lambda make: iter([error(
        RuntimeError, "square", make(2, 3), _counting(make), make(2, 1))]),
)
def ldl_solve(
    self: Tensor, pivots: Tensor, other: Tensor, hermitian: bool = False
) -> Any:
    """X with ``A X = B``, from the factors of ``ldl_factor``."""
    check_square("torch.linalg.ldl_solve", self, "LD")
    batch = broadcast_batches(self, other)
    return ldl_solution(batch[0], pivots.expand(batch[0].shape[:-1]), batch[1], hermitian)
