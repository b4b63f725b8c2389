"""Linear systems, inverses and determinants."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes, return_types
from flambeau.layout import broadcast_shapes
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
from flambeau.ops.compare import where
from flambeau.ops.complex import complex as complex_of
from flambeau.ops.complex import imag
from flambeau.ops.diagonals import tril, triu
from flambeau.ops.matmul import matmul
from flambeau.ops.pointwise import conj_of, log
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def wide(make: Make, samples: list[Sample]) -> Iterator[Sample]:
    """Samples for the dtypes that matrices are factorized in."""
    return iter(samples if make.dtype.itemsize > 2 else ())


def regular(make: Make, *shape: int) -> Tensor:
    """Square matrices far from singular: a strong diagonal."""
    return _stronger(make(*shape), 4.0)


def _stronger(x: Tensor, by: float) -> Tensor:
    grad = x.requires_grad
    made: Tensor = (x.detach() + by * identity(x.shape[-1], x)).detach()
    return made.requires_grad_() if grad else made


def square_errors(make: Make) -> Iterator[ErrorSample]:
    """What every op of square matrices refuses."""
    yield error(RuntimeError, "must be batches of square matrices", make(2, 3))
    yield error(RuntimeError, "at least 2 dimensions", make(3))
    yield error(RuntimeError, "floating point or complex", make.index(4, 3, 3))


def matrix_errors(make: Make) -> Iterator[ErrorSample]:
    """What every op of matrices refuses."""
    yield error(RuntimeError, "at least 2 dimensions", make(3))
    yield error(RuntimeError, "floating point or complex", make.index(4, 3, 3))


def failure_info(self: Tensor) -> Result:
    """The result that says for each matrix where its factorization failed, 0 if it did not."""
    return Result(self.shape[:-2], dtypes.int32)


def broadcast_batches(a: Tensor, b: Tensor) -> tuple[Any, Any]:
    """Two batches of matrices, expanded to the batch dimensions of both."""
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])


# ---- triangular systems ------------------------------------------------------------------------
def _triangular_rule(self: Tensor, other: Tensor, upper: bool, unitriangular: bool) -> Plan:
    attributes = {"upper": bool(upper), "unitriangular": bool(unitriangular)}
    return Plan((self, other), (Result(other.shape, other.dtype),), attributes)


def _triangular_grad(
    g: Tensor, needs: Sequence[bool], self: Tensor, out: Tensor, upper: bool, unitriangular: bool
) -> Any:
    to_other = triangular_solution(matrix_hermitian(self), g, not upper, unitriangular)
    if not needs[0]:
        return None, to_other
    slope = matmul(to_other, matrix_hermitian(out)) * -1
    return (triu if upper else lambda x, k: tril(x, -k))(slope, int(unitriangular)), to_other


triangular_solution = primitive(
    "triangular_solution(Tensor self, Tensor other, bool upper, bool unitriangular) -> Tensor",
    doc="X with A X = B, for triangular matrices A; the other triangle is not looked at.",
    rule=_triangular_rule, dtypes="floating_complex", namespaces=("_internal",),
    is_required=False, joint=_triangular_grad,
    samples=lambda make: wide(make, [
        sample(regular(make, 3, 3), make(3, 2), True, False),
        sample(regular(make, 2, 3, 3), make(2, 3, 1), False, True)]),
)


def _check_system(name: str, a: Tensor, b: Tensor, left: bool) -> None:
    if b.shape[-2 if left else -1] != a.shape[-1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{a.dtype.name} and B of type {b.dtype.name} instead")


@composite(
    "solve_triangular(Tensor A, Tensor B, *, bool upper, bool left=True, "
    "bool unitriangular=False) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", method=False,
    samples=lambda make: wide(make, [
        Sample((regular(make, 3, 3), make(3, 2)), {"upper": True}),
        Sample((regular(make, 2, 3, 3), make(4, 3)), {"upper": False, "left": False}),
        Sample((regular(make, 3, 3), make(2, 3, 2)), {"upper": True, "unitriangular": True})]),
    errors=lambda make: iter([
        ErrorSample((make(2, 3), make(2, 1)), {"upper": True}, RuntimeError, "square"),
        ErrorSample((make(3, 3), make(2, 2)), {"upper": True}, RuntimeError, "Incompatible")]),
)
def solve_triangular(
    self: Tensor, other: Tensor, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """X with ``A X = B``, or ``X A = B`` if not ``left``, for triangular A."""
    name = "linalg.solve_triangular"
    check_square(name, self)
    check_matrix(name, other, "B")
    _check_system(name, self, other, left)
    a, b = broadcast_batches(self, other)
    if left:
        return triangular_solution(a, b, upper, unitriangular)
    turned = triangular_solution(
        matrix_transpose(a), matrix_transpose(b), not upper, unitriangular)
    return matrix_transpose(turned)


@composite(
    "triangular_solve(Tensor self, Tensor A, bool upper=True, bool transpose=False, "
    "bool unitriangular=False) -> (Tensor solution, Tensor cloned_coefficient)",
    dtypes="floating_complex", out=False,
    samples=lambda make: wide(make, [
        sample(make(3, 2), regular(make, 3, 3)),
        sample(make(3, 2), regular(make, 3, 3), False, True)]),
    errors=lambda make: iter([error(RuntimeError, "square", make(2, 1), make(2, 3))]),
)
def triangular_solve(
    self: Tensor, matrix: Tensor, upper: bool = True, transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """X with ``A X = self`` (A transposed if asked) and a copy of A; the older form of
    ``linalg.solve_triangular``."""
    turned = matrix_transpose(matrix) if transpose else matrix
    x = solve_triangular(turned, self, upper=upper is not transpose, unitriangular=unitriangular)
    return return_types.triangular_solve((x, matrix.clone()))


# ---- general systems ---------------------------------------------------------------------------
def _solution_rule(self: Tensor, other: Tensor) -> Plan:
    return Plan((self, other), (Result(other.shape, other.dtype), failure_info(self)))


def _solution_grad(
    g: Tensor, needs: Sequence[bool], self: Tensor, result: Tensor
) -> Any:
    to_other = solution(matrix_hermitian(self), g)[0]
    to_self = matmul(to_other, matrix_hermitian(result)) * -1 if needs[0] else None
    return to_self, to_other


solution = primitive(
    "solution(Tensor self, Tensor other) -> (Tensor result, Tensor info)",
    doc="X with A X = B, and for each A the number of a pivot that is zero (0: none is).",
    rule=_solution_rule, dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    joint=_solution_grad,
    samples=lambda make: wide(make, [
        sample(regular(make, 3, 3), make(3, 2)), sample(regular(make, 2, 3, 3), make(2, 3, 1))]),
)


def _solve(name: str, self: Tensor, other: Tensor, left: bool) -> tuple[Any, Any]:
    """The solution and where it failed; ``other`` may be a batch of vectors."""
    check_square(name, self)
    check_dtype(name, other.dtype)
    if not other.ndim:
        raise RuntimeError(f"{name}: B must have at least 1 dimension")
    is_vector = other.ndim == 1 or (
        self.ndim - 1 == other.ndim and other.shape == self.shape[:-1])
    if is_vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. "
            "In this case linalg.solve is equivalent to B / A.squeeze(-1)")
    b = other.unsqueeze(-1) if is_vector else other
    _check_system(name, self, b, left)
    a, b = broadcast_batches(self, b)
    if left:
        x, info = solution(a, b)
    else:
        x, info = solution(matrix_transpose(a), matrix_transpose(b))
        x = matrix_transpose(x)
    return x.squeeze(-1) if is_vector else x, info


def _check_solved(name: str, info: Tensor) -> None:
    failed = first_failure(info)
    if failed is not None:
        raise LinAlgError(f"{name}: {in_batch(info, failed[0])}The solver failed because the "
                          "input matrix is singular.")


def _system_samples(make: Make) -> Iterator[Sample]:
    return wide(make, [
        sample(regular(make, 3, 3), make(3, 2)), sample(regular(make, 3, 3), make(3)),
        sample(regular(make, 2, 3, 3), make(2, 3)), sample(regular(make, 2, 3, 3), make(3, 4)),
        Sample((regular(make, 3, 3), make(2, 3)), {"left": False}),
        sample(make(0, 0), make(0, 2))])


def _system_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "square", make(2, 3), make(2, 1))
    yield error(RuntimeError, "Incompatible shapes", make(3, 3), make(2, 2))


@composite(
    "solve(Tensor A, Tensor B, *, bool left=True) -> Tensor", namespaces=("linalg",),
    dtypes="floating_complex", method=False, samples=_system_samples,
    errors=lambda make: iter([
        *_system_errors(make),
        error(LinAlgError, "singular", make(3, 3) * 0, make(3, 1))]),
)
def solve(self: Tensor, other: Tensor, left: bool = True) -> Any:
    """X with ``A X = B``, or ``X A = B`` if not ``left``.

    Raises:
        LinAlgError: if a matrix is singular.
    """
    x, info = _solve("linalg.solve", self, other, left)
    _check_solved("linalg.solve", info)
    return x


@composite(
    "solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) "
    "-> (Tensor result, Tensor info)",
    namespaces=("linalg",), dtypes="floating_complex", method=False, samples=_system_samples,
    errors=_system_errors,
)
def solve_ex(
    self: Tensor, other: Tensor, left: bool = True, check_errors: bool = False
) -> Any:
    """``solve``, and for each matrix the number of a pivot that is zero, 0 if none is."""
    x, info = _solve("linalg.solve_ex", self, other, left)
    if check_errors:
        _check_solved("linalg.solve_ex", info)
    return return_types.linalg_solve_ex((x, info))


# ---- inverses ----------------------------------------------------------------------------------
inverse_of = primitive(
    "inverse_of(Tensor self) -> (Tensor inverse, Tensor info)",
    doc="Inverses of matrices, and for each the number of a pivot that is zero (0: none is).",
    rule=lambda self: Plan((self,), (Result(self.shape, self.dtype), failure_info(self))),
    dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    derivatives={"self": lambda g, inverse: matmul(
        matmul(matrix_hermitian(inverse), g), matrix_hermitian(inverse)) * -1},
    samples=lambda make: wide(make, [
        sample(regular(make, 3, 3)), sample(regular(make, 2, 3, 3))]),
)


def _square_samples(make: Make) -> Iterator[Sample]:
    return wide(make, [
        sample(regular(make, 3, 3)), sample(regular(make, 2, 3, 3)),
        sample(matrix_transpose(regular(make, 4, 4))), sample(make(0, 0))])


def _check_inverted(name: str, info: Tensor) -> None:
    failed = first_failure(info)
    if failed is not None:
        raise LinAlgError(
            f"{name}: {in_batch(info, failed[0])}The diagonal element {failed[1]} is zero, the "
            "inversion could not be completed because the input matrix is singular.")


@composite(
    "inv(Tensor A) -> Tensor", namespaces=("linalg",), dtypes="floating_complex",
    samples=_square_samples, method=False,
    errors=lambda make: iter([
        *square_errors(make), error(LinAlgError, "singular", make(3, 3) * 0)]),
)
def inv(self: Tensor) -> Any:
    """The inverses of square matrices.

    Raises:
        LinAlgError: if one is singular.
    """
    check_square("linalg.inv", self)
    result, info = inverse_of(self)
    _check_inverted("linalg.inv", info)
    return result


@composite(
    "inverse(Tensor self) -> Tensor", dtypes="floating_complex", samples=_square_samples,
    errors=square_errors,
)
def inverse(self: Tensor) -> Any:
    """The inverses of square matrices (``linalg.inv``)."""
    return inv(self)


@composite(
    "inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)",
    namespaces=("linalg",), dtypes="floating_complex", samples=_square_samples, method=False,
    errors=square_errors,
)
def inv_ex(self: Tensor, check_errors: bool = False) -> Any:
    """``inv``, and for each matrix the number of a pivot that is zero, 0 if none is."""
    check_square("linalg.inv_ex", self)
    result, info = inverse_of(self)
    if check_errors:
        _check_inverted("linalg.inv_ex", info)
    return return_types.linalg_inv_ex((result, info))


# ---- determinants ------------------------------------------------------------------------------
def _determinant_grad(g: Tensor, self: Tensor, out: Tensor) -> Any:
    """The cofactors: by the inverse, or by singular values where a matrix is singular."""
    if bool((out.detach() != 0).all()):
        return matrix_hermitian(inverse_of(self)[0]) * (g * conj_of(out))[..., None, None]
    from flambeau.ops.eigen import svd_factor

    u, s, vh = svd_factor(self, False)
    n = s.shape[-1]
    others = [s.index_select(-1, _without(i, n, s)).prod(-1) for i in range(n)]
    turn = determinant(matmul(u, vh))
    from flambeau.ops.join import stack

    cofactors = matmul(u * stack(others, -1).unsqueeze(-2).to(u.dtype), vh)
    return cofactors * (g * conj_of(turn))[..., None, None]


def _without(i: int, n: int, like: Tensor) -> Tensor:
    from flambeau.construct import tensor

    return tensor([j for j in range(n) if j != i], dtype=dtypes.int64, device=like.device)


determinant = primitive(
    "determinant(Tensor self) -> Tensor", doc="Determinants of square matrices.",
    rule=lambda self: Plan((self,), (Result(self.shape[:-2], self.dtype),)),
    dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    derivatives={"self": _determinant_grad},
    samples=lambda make: wide(make, [sample(make(3, 3)), sample(make(2, 3, 3))]),
)


def _logarithm_grad(
    grads: Any, needs: Sequence[bool], self: Tensor, sign: Tensor
) -> Any:
    g_sign, g_log = grads
    factor = g_log
    if self.dtype.is_complex and g_sign is not None:
        turn = imag(g_sign.conj() * sign) * -1
        factor = complex_of(turn * 0 if g_log is None else g_log, turn)
    if factor is None:
        return (self * 0,)
    return (matrix_hermitian(inverse_of(self)[0]) * factor[..., None, None],)


sign_and_logarithm = primitive(
    "sign_and_logarithm(Tensor self) -> (Tensor sign, Tensor logabsdet)",
    doc="The sign of each determinant, and the logarithm of its absolute value.",
    rule=lambda self: Plan((self,), (
        Result(self.shape[:-2], self.dtype), Result(self.shape[:-2], self.dtype.to_real()))),
    dtypes="floating_complex", namespaces=("_internal",), is_required=False,
    joint=_logarithm_grad, differentiable_outputs=(0, 1),
    samples=lambda make: wide(make, [sample(regular(make, 3, 3)), sample(regular(make, 2, 3, 3))]),
)


@composite(
    "det(Tensor self) -> Tensor", namespaces=("", "linalg"), dtypes="floating_complex",
    samples=_square_samples, errors=square_errors,
)
def det(self: Tensor) -> Any:
    """The determinants of square matrices."""
    check_square("linalg.det", self)
    return determinant(self)


@composite(
    "slogdet(Tensor self) -> (Tensor sign, Tensor logabsdet)", namespaces=("", "linalg"),
    dtypes="floating_complex", samples=_square_samples, errors=square_errors,
)
def slogdet(self: Tensor) -> Any:
    """The sign of each determinant (for complex matrices a number of modulus 1), and the natural
    logarithm of its absolute value."""
    check_square("linalg.slogdet", self)
    return return_types.slogdet(sign_and_logarithm(self))


@composite(
    "logdet(Tensor self) -> Tensor", dtypes="floating_complex", samples=_square_samples,
    errors=square_errors,
)
def logdet(self: Tensor) -> Any:
    """The logarithm of each determinant; NaN where it is negative."""
    check_square("logdet", self)
    sign, logarithm = sign_and_logarithm(self)
    if self.dtype.is_complex:
        return log(sign) + logarithm
    return where(sign == -1, math.nan, logarithm)
