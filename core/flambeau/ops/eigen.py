"""Eigenvalues and singular values, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import return_types
from flambeau.dtypes import finfo
from flambeau.layout import wrap_dim
from flambeau.matrices import check_matrix, check_square, identity
from flambeau.modes import every_sample
from flambeau.ops.axes import matrix_hermitian, matrix_transpose
from flambeau.ops.compare import where
from flambeau.ops.complex import real
from flambeau.ops.diagonals import diag_embed
from flambeau.ops.matmul import matmul
from flambeau.ops.norms import vector_norm
from flambeau.ops.pointwise import abs, maximum
from flambeau.ops.reduce import amax, amin, sum
from flambeau.ops.solve import inv, matrix_errors, regular, solution, square_errors, wide
from flambeau.registry import OPS, Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def separate(make: Make, n: int, symmetric: bool = True) -> Tensor:
    """A matrix whose eigenvalues lie apart, so that its eigenvectors are differentiable.

    Samples take it without gradient where vectors come out, which are fixed up to a factor of
    modulus 1 only, and where one triangle is looked at: ``tests/unit/ops/test_linalg.py`` looks at
    those gradients.
    """
    from flambeau.construct import tensor

    x = make(n, n)
    grad, x = x.requires_grad, x.detach() * 0.25
    if symmetric:
        x = x + matrix_hermitian(x)
    far = tensor([[3.0 * i if i == j else 0.0 for j in range(n)] for i in range(n)])
    made: Tensor = (x + far.to(x.dtype).to(x.device)).detach()
    return made.requires_grad_() if grad else made


def _skew(x: Tensor) -> Any:
    return x - matrix_hermitian(x)


def _gaps(values: Tensor) -> Any:
    """Differences ``w_j - w_i``, with ones on the diagonal."""
    return values.unsqueeze(-2) - values.unsqueeze(-1) + identity(values.shape[-1], values)


# ---- Hermitian matrices ------------------------------------------------------------------------
def _hermitian_rule(self: Tensor, upper: bool) -> Plan:
    results = (Result(self.shape[:-1], self.dtype.to_real()), Result(self.shape, self.dtype))
    return Plan((self,), results, {"upper": bool(upper)})


def _hermitian_grad(
    grads: Any, needs: Sequence[bool], self: Tensor, values: Tensor, vectors: Tensor
) -> Any:
    g_values, g_vectors = grads
    turned = matrix_hermitian(vectors)
    inner = None if g_values is None else diag_embed(g_values).to(self.dtype)
    if g_vectors is not None:
        off = _off_diagonal(matmul(turned, g_vectors)) / _gaps(values).to(self.dtype)
        inner = off if inner is None else inner + off
    assert inner is not None
    result = matmul(matmul(vectors, inner), turned)
    return ((result + matrix_hermitian(result)) * 0.5,)


def _off_diagonal(x: Tensor) -> Any:
    return x * (1 - identity(x.shape[-1], x))


eigh_factor = primitive(
    "eigh_factor(Tensor self, bool upper) -> (Tensor values, Tensor vectors)",
    doc="Eigenvalues, ascending, and orthonormal eigenvectors, of Hermitian matrices: only the "
    "lower (or upper) triangle is looked at.",
    rule=_hermitian_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    joint=_hermitian_grad, differentiable_outputs=(0, 1),
    samples=lambda make: wide(make, [Sample((separate(make, 3).detach(), False))]),
)


def _check_triangle(name: str, UPLO: str) -> bool:  # noqa: N803
    letter = UPLO.upper() if isinstance(UPLO, str) else UPLO
    if letter not in ("L", "U"):
        raise RuntimeError(f"{name}: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return bool(letter == "U")


@composite(
    "eigh(Tensor A, str UPLO='L') -> (Tensor eigenvalues, Tensor eigenvectors)",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        Sample((separate(make, 3).detach(),)),
        Sample((separate(make, 4).detach(), "U"))]),
    errors=lambda make: iter([
        *square_errors(make), error(RuntimeError, "UPLO", make(3, 3), "x")]),
)
def eigh(self: Tensor, triangle: str = "L") -> Any:
    """Eigenvalues, ascending, and orthonormal eigenvectors, of Hermitian matrices.

    Args:
        triangle: "L" looks at the lower triangle only, "U" at the upper.
    """
    check_square("linalg.eigh", self)
    return return_types.linalg_eigh(eigh_factor(self, _check_triangle("linalg.eigh", triangle)))


@composite(
    "eigvalsh(Tensor A, str UPLO='L') -> Tensor", namespaces=("linalg",),
    dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(separate(make, 3).detach()), sample(separate(make, 4).detach(), "U")]),
    errors=square_errors,
)
def eigvalsh(self: Tensor, triangle: str = "L") -> Any:
    """The eigenvalues of Hermitian matrices, ascending."""
    check_square("linalg.eigvalsh", self)
    return eigh_factor(self, _check_triangle("linalg.eigvalsh", triangle))[0]


# ---- general matrices --------------------------------------------------------------------------
def _eigen_rule(self: Tensor) -> Plan:
    what = self.dtype.to_complex()
    return Plan((self,), (Result(self.shape[:-1], what), Result(self.shape, what)))


def _eigen_grad(
    grads: Any, needs: Sequence[bool], self: Tensor, values: Tensor, vectors: Tensor
) -> Any:
    """For vectors of norm 1: a change along themselves does not count."""
    g_values, g_vectors = grads
    turned = matrix_hermitian(vectors)
    inner = None if g_values is None else diag_embed(g_values)
    if g_vectors is not None:
        through = matmul(turned, g_vectors)
        own = real(through.diagonal(0, -2, -1)).unsqueeze(-2).to(through.dtype)
        off = _off_diagonal(through - matmul(turned, vectors) * own)
        off = off / _gaps(values).conj()
        inner = off if inner is None else inner + off
    assert inner is not None
    result = solution(turned, matmul(inner, turned))[0]
    return (result if self.dtype.is_complex else real(result),)


eig_factor = primitive(
    "eig_factor(Tensor self) -> (Tensor values, Tensor vectors)",
    doc="Complex eigenvalues and eigenvectors of norm 1.",
    rule=_eigen_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    joint=_eigen_grad, differentiable_outputs=(0, 1),
    samples=lambda make: wide(make, [Sample((separate(make, 3, False).detach(),))]),
)


@composite(
    "eig(Tensor A) -> (Tensor eigenvalues, Tensor eigenvectors)", namespaces=("linalg",),
    dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [Sample((separate(make, 3, False).detach(),))]),
    errors=square_errors,
)
def eig(self: Tensor) -> Any:
    """Complex eigenvalues, in no order, and eigenvectors of norm 1."""
    check_square("linalg.eig", self)
    _check_finite("torch.linalg.eig", self)
    return return_types.linalg_eig(eig_factor(self))


def _check_finite(name: str, x: Tensor) -> None:
    if x.device.type != "meta" and not bool(every_sample(x).isfinite().all()):
        raise RuntimeError(f"{name}: input tensor should not contain infs or NaNs.")


@composite(
    "eigvals(Tensor A) -> Tensor", namespaces=("linalg",), dtypes="floating_complex",
    method=False, samples=lambda make: wide(make, [sample(separate(make, 3, False))]),
    errors=square_errors,
)
def eigvals(self: Tensor) -> Any:
    """The complex eigenvalues of square matrices, in no order."""
    check_square("linalg.eigvals", self)
    _check_finite("torch.linalg.eigvals", self)
    return eig_factor(self)[0]


# ---- singular values ---------------------------------------------------------------------------
def _svd_rule(self: Tensor, full: bool) -> Plan:
    *batch, rows, columns = self.shape
    k = min(rows, columns)
    left, right = (rows, columns) if full else (k, k)
    results = (Result((*batch, rows, left), self.dtype), Result((*batch, k), self.dtype.to_real()),
               Result((*batch, right, columns), self.dtype))
    return Plan((self,), results, {"full": bool(full)})


def _svd_grad(
    grads: Any, needs: Sequence[bool], self: Tensor, U: Tensor, S: Tensor,  # noqa: N803
    Vh: Tensor,  # noqa: N803
) -> Any:
    """For distinct singular values; columns that ``full`` adds have no gradient."""
    g_u, g_s, g_vh = grads
    rows, columns = self.shape[-2:]
    k = S.shape[-1]
    u, vh = U[..., :k], Vh[..., :k, :]
    if g_u is None and g_vh is None:
        return (matmul(u * g_s.unsqueeze(-2).to(u.dtype), vh),)
    s = S.to(u.dtype)
    squares = S * S
    gaps = (squares.unsqueeze(-2) - squares.unsqueeze(-1) + identity(k, S)).to(u.dtype)
    inner = None
    if g_u is not None:
        g_u = g_u[..., :k]
        turned = _skew(matmul(matrix_hermitian(u), g_u))
        inner = turned / gaps * s.unsqueeze(-2)
        if u.dtype.is_complex:
            inner = inner + diag_embed(turned.diagonal(0, -2, -1) / (s * 2))
    if g_vh is not None:
        g_vh = g_vh[..., :k, :]
        turned = _skew(matmul(vh, matrix_hermitian(g_vh)))
        part = s.unsqueeze(-1) * (turned / gaps)
        inner = part if inner is None else inner + part
    if g_s is not None:
        inner = inner + diag_embed(g_s).to(u.dtype)
    result = matmul(u, inner)
    if g_u is not None and rows > k:
        scaled = g_u / s.unsqueeze(-2)
        result = result + scaled - matmul(u, matmul(matrix_hermitian(u), scaled))
    result = matmul(result, vh)
    if g_vh is not None and columns > k:
        scaled = g_vh / s.unsqueeze(-1)
        outside = scaled - matmul(matmul(scaled, matrix_hermitian(vh)), vh)
        result = result + matmul(u, outside)
    return (result,)


svd_factor = primitive(
    "svd_factor(Tensor self, bool full) -> (Tensor U, Tensor S, Tensor Vh)",
    doc="U, S and V^H with A = U diag(S) V^H and S descending.",
    rule=_svd_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    joint=_svd_grad, differentiable_outputs=(0, 1, 2),
    samples=lambda make: wide(make, [
        Sample((separate(make, 3).detach(), False)),
        Sample((separate(make, 3).detach()[:2], False))]),
)


@composite(
    "linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) "
    "-> (Tensor U, Tensor S, Tensor Vh)",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        Sample((separate(make, 3).detach(),)),
        Sample((separate(make, 4).detach()[:2], False))]),
    errors=matrix_errors,
)
def linalg_svd(self: Tensor, full_matrices: bool = True, driver: str | None = None) -> Any:
    """U, S and V^H with ``A = U diag(S) V^H``; S is real and descends.

    Args:
        full_matrices: U and V^H are square.
        driver: must be None except on CUDA.
    """
    check_matrix("linalg.svd", self)
    if driver is not None and self.device.type != "cuda":
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA "
                           "inputs with cuSOLVER backend.")
    return return_types.linalg_svd(svd_factor(self, full_matrices))


@composite(
    "svd(Tensor self, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)",
    dtypes="floating_complex", errors=matrix_errors,
    samples=lambda make: wide(make, [Sample((separate(make, 3).detach(),))]),
)
def svd(self: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """The older form of ``linalg.svd``: V in place of V^H; zeros for both if not
    ``compute_uv``."""
    check_matrix("linalg.svd", self)
    rows, columns = self.shape[-2:]
    u, s, vh = svd_factor(self, not some)
    if not compute_uv:
        batch = self.shape[:-2]
        return return_types.svd((
            self.new_zeros((*batch, rows, rows)), s, self.new_zeros((*batch, columns, columns))))
    return return_types.svd((u, s, matrix_hermitian(vh)))


@composite(
    "svdvals(Tensor A, *, str? driver=None) -> Tensor", namespaces=("linalg",),
    dtypes="floating_complex", method=False, errors=matrix_errors,
    samples=lambda make: wide(make, [sample(separate(make, 3)), sample(make(2, 4, 3))]),
)
def svdvals(self: Tensor, driver: str | None = None) -> Any:
    """The singular values of matrices, descending."""
    check_matrix("linalg.svdvals", self)
    return svd_factor(self, False)[1]


# ---- pseudoinverse, rank, condition ------------------------------------------------------------
def _tolerance(name: str, x: Tensor, atol: Any, rtol: Any, greatest: Any) -> Any:
    """The greater of both tolerances; by default what rounding makes of a zero."""
    if rtol is None:
        rtol = 0.0 if atol is not None and not isinstance(atol, Tensor) and atol > 0 else (
            max(x.shape[-2:]) * finfo(x.dtype.to_real()).eps)
    if isinstance(atol, Tensor) or isinstance(rtol, Tensor):
        return maximum(*(t.to(greatest.dtype) if isinstance(t, Tensor) else greatest * 0 + t
                         for t in (atol if atol is not None else 0.0, greatest * rtol)))
    return maximum(greatest * rtol, greatest * 0 + (atol or 0.0))


def _pinv_grad(g: Tensor, self: Tensor, out: Tensor) -> Any:
    """Golub and Pereyra, The differentiation of pseudo-inverses."""
    rows, columns = self.shape[-2:]
    turned, g_turned = matrix_hermitian(out), matrix_hermitian(g)
    if rows <= columns:
        k = matmul(g_turned, out)
        through = matmul(k, turned)
        return (matrix_hermitian(matmul(out, k)) * -1 + through
                - matmul(matmul(self, out), through)
                + matmul(matmul(turned, out), g_turned - matmul(k, self)))
    k = matmul(out, g_turned)
    through = matmul(turned, k)
    return (matrix_hermitian(matmul(k, out)) * -1
            + matmul(matmul(g_turned - matmul(self, k), out), turned)
            + through - matmul(matmul(through, out), self))


@composite(
    "pseudoinverse(Tensor self, Any atol, Any rtol, bool hermitian) -> Tensor",
    namespaces=("_internal",), dtypes="floating_complex", derivatives={"self": _pinv_grad},
    samples=lambda make: wide(make, [
        sample(make(3, 4), None, None, False), sample(make(2, 4, 3), None, None, False)]),
)
def pseudoinverse(self: Tensor, atol: Any, rtol: Any, hermitian: bool) -> Any:
    """V diag(1 / S) U^H, where singular values below a tolerance count as zero."""
    if not self.numel():
        return matrix_transpose(self).clone()
    if hermitian:
        values, vectors = eigh_factor(self, False)
        size = abs(values)
        kept = size > _tolerance("linalg.pinv", self, atol, rtol, amax(size, -1, True))
        scaled = vectors * where(kept, 1 / values, 0.0).unsqueeze(-2).to(self.dtype)
        return matmul(scaled, matrix_hermitian(vectors))
    u, s, vh = svd_factor(self, False)
    kept = s > _tolerance("linalg.pinv", self, atol, rtol, s[..., :1])
    scaled = matrix_hermitian(vh) * where(kept, 1 / s, 0.0).unsqueeze(-2).to(self.dtype)
    return matmul(scaled, matrix_hermitian(u))


@composite(
    "pinv(Tensor A, Any rcond=None, bool? legacy_hermitian=None, *, Any atol=None, "
    "Any rtol=None, bool hermitian=False) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(make(3, 4)), sample(make(2, 4, 3)),
        Sample((separate(make, 3).detach(),), {"hermitian": True}), sample(make(0, 3))]),
    errors=lambda make: iter([error(RuntimeError, "2 or more dimensions", make(3))]),
)
def pinv(
    self: Tensor, rcond: Any = None, legacy_hermitian: bool | None = None, atol: Any = None,
    rtol: Any = None, hermitian: bool = False,
) -> Any:
    """The Moore-Penrose inverse.

    Args:
        rcond: the older name of ``rtol``; ``legacy_hermitian`` is its companion.
        atol: singular values up to this count as zero.
        rtol: and those up to this times the greatest.
        hermitian: the matrix is Hermitian; only its lower triangle is looked at.
    """
    if self.ndim < 2 or self.dtype.category < 2:
        raise RuntimeError(
            f"linalg.pinv({self.dtype.name}{list(self.shape)}): expected a tensor with 2 or more "
            "dimensions of float, double, cfloat or cdouble types")
    check_matrix("linalg.pinv", self)
    hermitian = hermitian if legacy_hermitian is None else legacy_hermitian
    if hermitian:
        check_square("linalg.pinv", self)
    return pseudoinverse(self, atol, rtol if rcond is None else rcond, hermitian)


@composite(
    "pinverse(Tensor self, float rcond=1e-15) -> Tensor", dtypes="floating_complex", out=False,
    samples=lambda make: wide(make, [sample(make(3, 4))]),
    errors=lambda make: iter([error(RuntimeError, "2 or more dimensions", make(3))]),
)
def pinverse(self: Tensor, rcond: float = 1e-15) -> Any:
    """The older form of ``linalg.pinv``."""
    return pinv(self, rcond)


@composite(
    "matrix_rank(Tensor A, Any tol=None, bool? legacy_hermitian=None, *, Any atol=None, "
    "Any rtol=None, bool hermitian=False) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(make(3, 4)), sample(make(2, 3, 1).expand(2, 3, 3)),
        Sample((separate(make, 3),), {"hermitian": True}), sample(make(0, 3))]),
    errors=matrix_errors,
)
def matrix_rank(
    self: Tensor, tol: Any = None, legacy_hermitian: bool | None = None, atol: Any = None,
    rtol: Any = None, hermitian: bool = False,
) -> Any:
    """How many singular values are greater than a tolerance (``tol`` is an absolute one)."""
    check_matrix("linalg.matrix_rank", self)
    if tol is not None:
        atol, rtol = tol, 0.0
    if hermitian if legacy_hermitian is None else legacy_hermitian:
        check_square("linalg.matrix_rank", self)
        s = abs(eigh_factor(self.detach(), False)[0])
    else:
        s = svd_factor(self.detach(), False)[1]
    if not s.shape[-1]:
        return sum(s, -1).long()
    return sum(
        (s > _tolerance("linalg.matrix_rank", self, atol, rtol, amax(s, -1, True))).long(), -1)


# ---- matrix norms ------------------------------------------------------------------------------
_ORDERS = ("fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2)


def _norm_samples(make: Make) -> Iterator[Sample]:
    return wide(make, [
        *(sample(make(3, 4), order) for order in _ORDERS),
        Sample((make(2, 3, 4), 2, (0, 2)), {"keepdim": True}),
        Sample((make(2, 3, 4), "nuc", (-1, 0))), Sample((make(2, 3, 4), 1, (1, 0)))])


@composite(
    "matrix_norm(Tensor A, Any ord='fro', int[] dim=(-2, -1), bool keepdim=False, *, "
    "dtype? dtype=None) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", method=False, samples=_norm_samples,
    errors=lambda make: iter([
        error(RuntimeError, "at least 2 dimensions", make(3)),
        error(RuntimeError, "not supported", make(3, 3), "x"),
        error(RuntimeError, "2-tuple", make(3, 3), "fro", (0,))]),
)
def matrix_norm(
    self: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, dtype: Any = None
) -> Any:
    """The norm of matrices.

    Args:
        ord: "fro", "nuc" (the sum of singular values), 2 and -2 (the greatest and the least of
            them), 1 and -1 (of the sums of columns), inf and -inf (of the sums of rows).
        dim: the dimensions of rows and of columns.
    """
    name = "linalg.matrix_norm"
    check_matrix(name, self) if self.dtype.itemsize > 2 or self.dtype.category < 2 else None
    if self.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if ord not in _ORDERS:
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    dims = [dim] if isinstance(dim, int) else list(dim)
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {', '.join(map(str, dims))}")
    rows, columns = (wrap_dim(d, self.ndim) for d in dims)
    if rows == columns:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    x = self if dtype is None else self.to(dtype)
    if ord == "fro":
        return vector_norm(x, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        return _spectral(x, ord, rows, columns, keepdim)
    summed, other = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = sum(abs(x), summed, True)
    best = (amax if ord > 0 else amin)(sums, other, True)
    return best if keepdim else best.squeeze((rows, columns))


def _spectral(x: Tensor, ord: Any, rows: int, columns: int, keepdim: bool) -> Any:
    s = svdvals(x.movedim((rows, columns), (-2, -1)))
    best = sum(s, -1) if ord == "nuc" else (amax if ord == 2 else amin)(s, -1)
    if not keepdim:
        return best
    for d in sorted((rows, columns)):
        best = best.unsqueeze(d)
    return best


@composite(
    "linalg_norm(Tensor A, Any ord=None, int[]? dim=None, bool keepdim=False, *, "
    "dtype? dtype=None) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(make(3, 4)), sample(make(3, 4), "nuc"), sample(make(4), 1), sample(make(3, 4), 2),
        sample(make(2, 3, 4), None, 1), Sample((make(2, 3, 4), "fro", (0, 1)), {"keepdim": True})]),
    errors=lambda make: iter([
        error(RuntimeError, "2-tuple", make(3, 3), "fro", (0,)),
        error(RuntimeError, "must be 1D or 2D|1D or 2D", make(2, 2, 2), 2)]),
)
def linalg_norm(
    self: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Any:
    """A vector norm, or a matrix norm over two dimensions.

    Args:
        ord: None is the 2-norm of all elements of ``dim``.
        dim: one dimension for vectors, two for matrices; None is all of a 1-d or 2-d tensor.
    """
    dims = [dim] if isinstance(dim, int) else None if dim is None else list(dim)
    x = self if dtype is None else self.to(dtype)
    if ord is None:
        if dims is None:
            flat = vector_norm(x.reshape(-1), 2)
            return flat.reshape((1,) * x.ndim) if keepdim else flat
        return vector_norm(x, 2, dims, keepdim)
    if dims is None:
        if x.ndim not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                f"{x.ndim}D.")
        dims = list(range(x.ndim))
    if isinstance(ord, str) or len(dims) == 2:
        return matrix_norm(x, ord, dims, keepdim)
    return vector_norm(x, ord, dims, keepdim)


@composite(
    "cond(Tensor A, Any p=None) -> Tensor", namespaces=("linalg",), dtypes="floating_complex",
    method=False,
    samples=lambda make: wide(make, [
        sample(regular(make, 3, 3)), *(sample(regular(make, 3, 3), p) for p in (
            "fro", "nuc", 1, -1, math.inf, -2)), sample(make(2, 4, 3))]),
    errors=lambda make: iter([
        error(RuntimeError, "at least 2 dimensions", make(3)),
        error(RuntimeError, "invalid norm type", make(3, 3), "x")]),
)
def cond(self: Tensor, p: Any = None) -> Any:
    """The condition number of matrices in a matrix norm, by default 2; infinite if singular."""
    check_matrix("linalg.cond", self)
    if p is None or p in (2, -2):
        s = svdvals(self)
        first, last = s[..., 0], s[..., -1]
        return last / first if p == -2 else first / last
    if p not in _ORDERS:
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_square("linalg.cond", self)
    from flambeau.ops.solve import inverse_of

    inverse, info = inverse_of(self)
    result = matrix_norm(self, p) * matrix_norm(inverse, p)
    return where(info == 0, result, math.inf)


# ---- least squares -----------------------------------------------------------------------------
def _least_rule(self: Tensor, other: Tensor, rcond: float) -> Plan:
    from flambeau import dtypes

    *batch, rows, columns = self.shape
    results = (
        Result((*batch, columns, other.shape[-1]), self.dtype), Result(batch, dtypes.int64),
        Result((*batch, min(rows, columns)), self.dtype.to_real()))
    return Plan((self, other), results, {"rcond": float(rcond)})


def _least_grad(g: Tensor, needs: Sequence[bool], self: Tensor, other: Tensor) -> Any:
    p = pseudoinverse(self, None, None, False)
    to_self = _pinv_grad(matmul(g, matrix_hermitian(other)), self, p) if needs[0] else None
    return to_self, matmul(matrix_hermitian(p), g) if needs[1] else None


least_squares = primitive(
    "least_squares(Tensor self, Tensor other, float rcond) "
    "-> (Tensor solution, Tensor rank, Tensor singular_values)",
    doc="X of least norm with least |A X - B|, the rank of A, and its singular values.",
    rule=_least_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    joint=_least_grad,
    samples=lambda make: wide(make, [
        sample(make(4, 3), make(4, 2), 1e-6), sample(make(2, 3, 4), make(2, 3, 1), 1e-6)]),
)


@composite(
    "lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None) "
    "-> (Tensor solution, Tensor residuals, Tensor rank, Tensor singular_values)",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        Sample((make(4, 3), make(4, 2))), Sample((make(2, 3, 4), make(2, 3, 1)))]),
    errors=lambda make: iter([
        error(RuntimeError, "should match", make(3, 2), make(4, 1)),
        error(RuntimeError, "at least 2 dimensions", make(3), make(3, 1))]),
)
def lstsq(
    self: Tensor, other: Tensor, rcond: float | None = None, driver: str | None = None
) -> Any:
    """X with the least sum of squares of ``A X - B``.

    Args:
        rcond: singular values up to this times the greatest count as zero.
        driver: "gels", "gelsy", "gelsd" or "gelss"; decides which of the other results are empty.

    Returns:
        The solution; the sums of squares that are left, where A has full rank and more rows than
        columns; the rank; and the singular values.
    """
    name = "torch.linalg.lstsq"
    check_matrix(name, self, "input")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    if not other.ndim:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    vector = self.ndim - 1 == other.ndim and other.shape == self.shape[:-1]
    b = other.unsqueeze(-1) if vector else other
    if b.ndim < 2 or self.shape[-2] != b.shape[-2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-2)")
    from flambeau.ops.solve import broadcast_batches

    a, b = broadcast_batches(self, b)
    cut = finfo(self.dtype.to_real()).eps * max(self.shape[-2:]) if rcond is None else rcond
    x, rank, s = least_squares(a, b, cut)
    empty = self.new_empty(0)
    rows, columns = self.shape[-2:]
    residuals = real(x).reshape(-1)[:0]
    if rows > columns and driver != "gelsy" and bool((rank == columns).all()):
        left = abs(matmul(a, x) - b)
        residuals = sum(left * left, -2)
    kind = driver or "gelsy"
    return return_types.linalg_lstsq((
        x.squeeze(-1) if vector else x, residuals,
        rank if kind != "gels" else empty.long(),
        s if kind in ("gelsd", "gelss") else empty.to(self.dtype.to_real())))


# ---- by way of solving -------------------------------------------------------------------------
def _tensor_inverse_shape(self: Tensor, ind: int) -> tuple[int, list[int]]:
    from flambeau.layout import product

    rows, columns = product(self.shape[:ind]), product(self.shape[ind:])
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {columns} != {rows}")
    return rows, [*self.shape[ind:], *self.shape[:ind]]


@composite(
    "tensorinv(Tensor A, int ind=2) -> Tensor", namespaces=("linalg",),
    dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [sample(regular(make, 4, 4).reshape(2, 2, 4), 2)]),
    errors=lambda make: iter([
        error(RuntimeError, "satisfy the requirement", make(2, 3), 1),
        error(RuntimeError, "strictly positive", make(2, 2), 0)]),
)
def tensorinv(self: Tensor, ind: int = 2) -> Any:
    """The inverse of ``tensordot(A, _, dims=A.ndim - ind)``."""
    if ind < 1:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    n, shape = _tensor_inverse_shape(self, ind)
    return inv(self.reshape(n, n)).reshape(shape)


@composite(
    "tensorsolve(Tensor A, Tensor B, int[]? dims=None) -> Tensor", namespaces=("linalg",),
    dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        sample(regular(make, 4, 4).reshape(2, 2, 4), make(2, 2)),
        sample(regular(make, 4, 4).reshape(4, 2, 2), make(2, 2), (0,))]),
    errors=lambda make: iter([
        error(RuntimeError, "satisfy the requirement", make(2, 3), make(2))]),
)
def tensorsolve(self: Tensor, other: Tensor, dims: Sequence[int] | None = None) -> Any:
    """X with ``tensordot(A, X, dims=X.ndim) = B``; ``dims`` are moved to the end of A first."""
    from flambeau.layout import product

    a = self
    if dims is not None:
        a = a.movedim(tuple(dims), tuple(range(a.ndim - len(dims), a.ndim)))
    shape, have = a.shape[other.ndim :], product(a.shape[: other.ndim])
    if product(shape) != have:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {product(shape)} != {have}")
    solve = OPS["solve"].function
    return solve(a.reshape(have, have), other.reshape(-1)).reshape(shape)


@composite(
    "linalg_vander(Tensor x, *, int? N=None) -> Tensor", namespaces=("linalg",),
    dtypes="numeric", method=False,
    samples=lambda make: iter([sample(make(3)), Sample((make(2, 3),), {"N": 4})]),
    errors=lambda make: iter([ErrorSample((make(3),), {"N": 1}, RuntimeError, "greater than 1")]),
)
def linalg_vander(self: Tensor, count: int | None = None) -> Any:
    """Matrices of the powers 0, 1, 2... of vectors, ``N`` of them (by default a square)."""
    n = self.shape[-1] if count is None and self.ndim else count
    if n is None or n <= 1:
        raise RuntimeError("N must be greater than 1.")
    from flambeau.ops.join import cat

    if not self.ndim:
        self = self.unsqueeze(0)
    ones = self.new_ones((*self.shape, 1))
    powers = self.unsqueeze(-1).expand(*self.shape, n - 1).cumprod(-1)
    return cat([ones.to(powers.dtype), powers], -1)
