"""Sums of a tensor and a product: ``beta * self + alpha * (a @ b)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau.dtypes import bool as boolean
from flambeau.ops.matmul import check_batches, check_ndim, check_same_dtype, matmul
from flambeau.ops.pointwise import conj_of
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _check_dtypes(name: str, self: Tensor, product: Tensor) -> None:
    """Refuse mixed dtypes.

    Raises:
        RuntimeError: naming both.
    """
    if self.dtype is not product.dtype:
        raise RuntimeError(
            f"{name}: self and mat2 must have the same dtype, but got {self.dtype.name} and "
            f"{product.dtype.name}. Convert one of them with .to(dtype).")


def _scaled_sum(self: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * self + alpha * product``; with ``beta`` 0 not even NaN of ``self`` counts."""
    from flambeau.layout import Layout

    Layout.of(self.shape, self.stride()).expand(product.shape)  # raises where it cannot
    if product.dtype.category == 1:  # integers truncate the factors, as in PyTorch
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return product + (self if beta == 1 else self * beta)


def _scaled_product(g: Tensor, alpha: Any) -> Tensor:
    return g if alpha == 1 else g * conj_of(alpha)


def _self_grad(g: Tensor, beta: Any) -> Tensor:
    return g if beta == 1 else g * conj_of(beta)


# ---- two matrices ------------------------------------------------------------------------------
def _addmm_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(5), make(3, 4), make(4, 5)), name="row")
    yield Sample((make(3, 5), make(3, 4), make(4, 5)), {"beta": 0.5, "alpha": 2.0}, name="scaled")
    yield Sample((make(3, 5), make(3, 4), make(4, 5)), {"beta": 0}, name="beta_0")
    yield Sample((make(), make(3, 4), make(5, 4).t()), name="0d_transposed")
    yield Sample((make(3, 5), make(3, 0), make(0, 5)), name="empty_inner")


def _addmm_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must be a matrix", make(3), make(3), make(3))
    yield error(RuntimeError, "cannot be multiplied", make(3), make(2, 3), make(2, 3))
    yield error(RuntimeError, "must match the existing size", make(3), make(2, 3), make(3, 2))


def _addmm_back(
    g: Tensor, needs: tuple[bool, ...], mat1: Tensor, mat2: Tensor, beta: Any, alpha: Any
) -> tuple[Any, ...]:
    scaled = _scaled_product(g, alpha) if needs[1] or needs[2] else g
    return (
        _self_grad(g, beta) if needs[0] else None,
        matmul(scaled, conj_of(mat2).t()) if needs[1] else None,
        matmul(conj_of(mat1).t(), scaled) if needs[2] else None,
    )


@composite(
    "addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    samples=_addmm_samples, errors=_addmm_errors, inplace=True, joint=_addmm_back,
    template="fused",
)
def addmm(
    self: Tensor, mat1: Tensor, mat2: Tensor, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * self + alpha * (mat1 @ mat2)``; ``self`` is broadcast."""
    check_ndim("addmm", ("mat1", mat1, 2), ("mat2", mat2, 2))
    product = matmul(mat1, mat2)
    _check_dtypes("addmm", self, product)
    return _scaled_sum(self, product, beta, alpha)


@composite(
    "addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    inplace=True, samples=lambda make: iter([
        sample(make(3), make(3, 4), make(4)), sample(make(), make(3, 4), make(4), beta=0.5),
        sample(make(3), make(4, 3).t(), make(4), beta=0, alpha=2)]),
    errors=lambda make: iter([
        error(RuntimeError, "vector expected", make(3), make(3, 3), make(3, 3)),
        error(RuntimeError, "size mismatch", make(3), make(3, 4), make(3))]),
)
def addmv(self: Tensor, mat: Tensor, vec: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * self + alpha * (mat @ vec)``; ``self`` is broadcast."""
    if mat.ndim != 2 or vec.ndim != 1 or self.ndim > 1:
        raise RuntimeError(
            f"addmv: vector + matrix @ vector expected, got {self.ndim}, {mat.ndim}, {vec.ndim}")
    rows, cols = mat.shape
    if vec.shape[0] != cols or (self.numel() not in (1, rows)):
        raise RuntimeError(
            f"addmv: size mismatch, got input ({self.numel()}), mat ({rows}x{cols}), vec "
            f"({vec.shape[0]})")
    product = matmul(mat, vec)
    _check_dtypes("addmv", self, product)
    return _scaled_sum(self, product, beta, alpha)


@composite(
    "addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    inplace=True, samples=lambda make: iter([
        sample(make(3, 4), make(3), make(4)), sample(make(), make(3), make(4), beta=0.5),
        sample(make(3, 4), make(3), make(4), beta=0, alpha=2)]),
    errors=lambda make: iter([
        error(RuntimeError, "vec2, but got 2-D", make(3, 3), make(3), make(3, 3)),
        error(RuntimeError, "must match the existing size", make(2, 3), make(3), make(3))]),
)
def addr(self: Tensor, vec1: Tensor, vec2: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * self + alpha * outer(vec1, vec2)``; of booleans with "and" and "or"."""
    for name, t in (("vec1", vec1), ("vec2", vec2)):
        if t.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {t.ndim}-D")
    product = vec1.unsqueeze(1) * vec2.unsqueeze(0)
    kinds = {self.dtype, vec1.dtype, vec2.dtype}
    if all(d.category < 2 for d in kinds) and (
        isinstance(beta, float) or isinstance(alpha, float)):
        raise RuntimeError(
            "addr: For integral input tensors, argument beta must not be a floating point number.")
    if kinds == {boolean}:
        beta, alpha = bool(beta), bool(alpha)
    return _scaled_sum(self, product, beta, alpha)


# ---- batches of matrices -----------------------------------------------------------------------
@composite(
    "baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) "
    "-> Tensor",
    inplace=True, samples=lambda make: iter([
        sample(make(2, 3, 5), make(2, 3, 4), make(2, 4, 5), alpha=0.5),
        sample(make(5), make(2, 3, 4), make(2, 4, 5), beta=0.5)]),
    errors=lambda make: iter([
        error(RuntimeError, "must be a 3D tensor", make(3), make(3), make(3)),
        error(RuntimeError, "first two dimensions", make(3), make(2, 3, 3), make(1, 3, 3))]),
)
def baddbmm(
    self: Tensor, batch1: Tensor, batch2: Tensor, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * self + alpha * (batch1 @ batch2)`` for batches of matrices."""
    check_batches("baddbmm", batch1, batch2)
    product = matmul(batch1, batch2)
    _check_dtypes("baddbmm", self, product)
    return _scaled_sum(self, product, beta, alpha)


@composite(
    "addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) "
    "-> Tensor",
    inplace=True, samples=lambda make: iter([
        sample(make(3, 5), make(2, 3, 4), make(2, 4, 5), alpha=0.5),
        sample(make(5), make(2, 3, 4), make(2, 4, 5), beta=0.5)]),
    errors=lambda make: iter([
        error(RuntimeError, "must be a 3D tensor", make(3), make(3), make(3)),
        error(RuntimeError, "first two dimensions", make(3), make(2, 3, 3), make(1, 3, 3))]),
)
def addbmm(
    self: Tensor, batch1: Tensor, batch2: Tensor, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * self + alpha * sum(batch1 @ batch2)``, the sum over the batch.

    The batch is joined with the inner dimension: one product in place of a batch of them.
    """
    check_batches("addbmm", batch1, batch2)
    check_same_dtype("addbmm", batch1, batch2)
    count, rows, inner = batch1.shape
    product = matmul(
        batch1.transpose(0, 1).reshape(rows, count * inner),
        batch2.reshape(count * inner, batch2.shape[2]))
    _check_dtypes("addbmm", self, product)
    return _scaled_sum(self, product, beta, alpha)
