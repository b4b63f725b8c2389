"""Matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.layout import broadcast_shapes
from flambeau.promotion import computation_type
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _same_dtype(name: str, a: Tensor, b: Tensor) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: expected m1 and m2 to have the same dtype, but got: {a.dtype.name} != "
            f"{b.dtype.name}. Convert one of them with .to(dtype)."
        )


def _matmul_rule(self: Tensor, other: Tensor) -> Plan:
    a, b = self.shape, other.shape
    if not a or not b:
        raise RuntimeError(
            "both arguments to matmul need to be at least 1D, but they are "
            f"{len(a)}D and {len(b)}D")
    _same_dtype("matmul", self, other)
    if a[-1] != b[-2 if len(b) > 1 else -1]:
        if len(a) == len(b) == 1:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor [{a[0]}] and src [{b[0]}] to have the "
                f"same number of elements, but got {a[0]} and {b[0]} elements respectively")
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({_as_matrix(a)} and {_as_matrix(b)})")
    batch = broadcast_shapes(a[:-2], b[:-2])
    shape = [*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ())]
    return Plan((self, other), (Result(shape, self.dtype),))


def _as_matrix(shape: Any) -> str:
    return "x".join(map(str, shape[-2:])) if len(shape) > 1 else f"{shape[0]}"


def _matmul_self(g: Tensor, self_shape: Any, other: Tensor) -> Tensor:
    from flambeau.ops.pointwise import conj_of

    if len(self_shape) == 1 and other.ndim == 1:
        return g * conj_of(other)
    if other.ndim == 1:
        return g.unsqueeze(-1) * conj_of(other)
    if len(self_shape) == 1:
        g = g.unsqueeze(-2)
    result = matmul(g, conj_of(other).transpose(-2, -1))
    return _fold(result, self_shape, -2)


def _matmul_other(g: Tensor, self: Tensor, other_shape: Any) -> Tensor:
    from flambeau.ops.pointwise import conj_of

    if self.ndim == 1 and len(other_shape) == 1:
        return g * conj_of(self)
    if self.ndim == 1:
        return conj_of(self).unsqueeze(-1) * g.unsqueeze(-2)
    if len(other_shape) == 1:
        return _fold(matmul(conj_of(self).transpose(-2, -1), g.unsqueeze(-1)), other_shape, -1)
    if self.ndim > 2 and len(other_shape) == 2:  # one product in place of a batch and a sum
        flat = self.reshape(-1, self.shape[-1])
        return matmul(conj_of(flat).t(), g.reshape(-1, g.shape[-1]))  # type: ignore[no-any-return]
    return _fold(matmul(conj_of(self).transpose(-2, -1), g), other_shape, None)


def _fold(g: Tensor, shape: Any, dim: int | None) -> Tensor:
    """Sum batch dimensions away and drop the one that a vector was given."""
    from flambeau.ops.shape import sum_to_size

    if len(shape) == 1:
        assert dim is not None
        g = g.squeeze(dim)
    return sum_to_size(g, tuple(shape))


def _matmul_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make(4, 5)), name="matrices")
    yield Sample((make(4), make(4)), name="dot")
    yield Sample((make(3, 4), make(4)), name="matrix_vector")
    yield Sample((make(4), make(4, 3)), name="vector_matrix")
    yield Sample((make(2, 3, 4), make(4, 5)), name="batch_matrix")
    yield Sample((make(2, 3, 4), make(2, 4, 5)), name="batch")
    yield Sample((make(2, 1, 3, 4), make(3, 4, 2)), name="broadcast")
    yield Sample((make(2, 3, 4), make(4)), name="batch_vector")
    yield Sample((make(4), make(2, 4, 3)), name="vector_batch")
    yield Sample((make(4, 3).t(), make(5, 4).t()), name="transposed")
    yield Sample((make(0, 4), make(4, 3)), name="empty")
    yield Sample((make(3, 0), make(0, 4)), name="empty_inner")


def _matmul_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "cannot be multiplied", make(3, 4), make(3, 4))
    yield error(RuntimeError, "at least 1D", make(), make(3))
    yield error(TypeError, "must be Tensor", make(3), 2.0)


matmul = primitive(
    "matmul(Tensor self, Tensor other) -> Tensor",
    doc="The matrix product; leading dimensions are a batch and broadcast.",
    rule=_matmul_rule, template="binary", dtypes="numeric", aliases=("__matmul__",),
    derivatives={"self": _matmul_self, "other": _matmul_other},
    samples=_matmul_samples, errors=_matmul_errors,
)


def _rmatmul(self: Tensor, other: Tensor) -> Any:
    return matmul(other, self) if isinstance(other, Tensor) else NotImplemented


Tensor.__rmatmul__ = _rmatmul


def _check_ndim(name: str, *pairs: tuple[str, Tensor, int]) -> None:
    for argument, t, ndim in pairs:
        if t.ndim != ndim:
            what = {1: "vector", 2: "matrix", 3: "3D tensor"}[ndim]
            raise RuntimeError(
                f"{name}: {argument} must be a {what}, got {t.ndim}-D tensor of shape "
                f"{list(t.shape)}")


@composite(
    "mm(Tensor self, Tensor mat2) -> Tensor", dtypes="numeric",
    samples=lambda make: iter([sample(make(3, 4), make(4, 5))]),
    errors=lambda make: iter([error(RuntimeError, "must be a matrix", make(3), make(3, 3))]),
)
def mm(self: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _check_ndim("mm", ("self", self, 2), ("mat2", mat2, 2))
    result: Tensor = matmul(self, mat2)
    return result


@composite(
    "bmm(Tensor self, Tensor mat2) -> Tensor", dtypes="numeric",
    samples=lambda make: iter([sample(make(2, 3, 4), make(2, 4, 5))]),
    errors=lambda make: iter([
        error(RuntimeError, "must be a 3D tensor", make(3, 3), make(2, 3, 3)),
        error(RuntimeError, "same batch", make(2, 3, 3), make(1, 3, 3))]),
)
def bmm(self: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices."""
    _check_ndim("bmm", ("batch1", self, 3), ("batch2", mat2, 3))
    if self.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            f"bmm: batch1 and batch2 must have same batch size, got {self.shape[0]} and "
            f"{mat2.shape[0]}")
    result: Tensor = matmul(self, mat2)
    return result


@composite(
    "mv(Tensor self, Tensor vec) -> Tensor", dtypes="numeric",
    samples=lambda make: iter([sample(make(3, 4), make(4))]),
    errors=lambda make: iter([error(RuntimeError, "must be a vector", make(3, 3), make(3, 3))]),
)
def mv(self: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _check_ndim("mv", ("self", self, 2), ("vec", vec, 1))
    result: Tensor = matmul(self, vec)
    return result


@composite(
    "dot(Tensor self, Tensor tensor) -> Tensor", dtypes="numeric",
    samples=lambda make: iter([sample(make(4), make(4))]),
    errors=lambda make: iter([error(RuntimeError, "1D tensors", make(3, 3), make(3))]),
)
def dot(self: Tensor, tensor: Tensor) -> Tensor:
    """The product of two vectors, without conjugation."""
    if self.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(
            f"1D tensors expected, but got {self.ndim}D and {tensor.ndim}D tensors")
    result: Tensor = matmul(self, tensor)
    return result


@composite(
    "outer(Tensor self, Tensor vec2) -> Tensor", dtypes="numeric", aliases=("ger",),
    samples=lambda make: iter([sample(make(3), make(4))]),
    errors=lambda make: iter([error(RuntimeError, "1-D", make(3, 3), make(3))]),
)
def outer(self: Tensor, vec2: Tensor) -> Tensor:
    """The products of all pairs of elements of two vectors."""
    if self.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(
            f"outer: Expected 1-D argument self and vec2, but got {self.ndim}-D and {vec2.ndim}-D")
    return self.unsqueeze(1) * vec2.unsqueeze(0)


def _addmm_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(5), make(3, 4), make(4, 5))
    yield sample(make(3, 5), make(3, 4), make(4, 5), beta=0.5, alpha=2.0)
    yield sample(make(3, 5), make(3, 4), make(4, 5), beta=0)


def _scaled_sum(self: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    computation_type(self, product)
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return product + (self if beta == 1 else self * beta)


@composite(
    "addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    dtypes="numeric", samples=_addmm_samples, inplace=True,
    errors=lambda make: iter([error(RuntimeError, "must be a matrix", make(3), make(3), make(3))]),
)
def addmm(
    self: Tensor, mat1: Tensor, mat2: Tensor, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * self + alpha * (mat1 @ mat2)``."""
    _check_ndim("addmm", ("mat1", mat1, 2), ("mat2", mat2, 2))
    return _scaled_sum(self, matmul(mat1, mat2), beta, alpha)


@composite(
    "baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) "
    "-> Tensor",
    dtypes="numeric", inplace=True,
    samples=lambda make: iter([sample(make(2, 3, 5), make(2, 3, 4), make(2, 4, 5), alpha=0.5)]),
    errors=lambda make: iter([
        error(RuntimeError, "must be a 3D tensor", make(3), make(3), make(3))]),
)
def baddbmm(
    self: Tensor, batch1: Tensor, batch2: Tensor, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * self + alpha * (batch1 @ batch2)`` for batches of matrices."""
    _check_ndim("baddbmm", ("batch1", batch1, 3), ("batch2", batch2, 3))
    return _scaled_sum(self, matmul(batch1, batch2), beta, alpha)


def _linear_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make(5, 4), make(5)), name="bias")
    yield Sample((make(3, 4), make(5, 4)), name="no_bias")
    yield Sample((make(4), make(5, 4), make(5)), name="vector")
    yield Sample((make(2, 3, 4), make(5, 4), make(5)), name="batch")
    yield Sample((make(0, 4), make(5, 4), make(5)), name="empty")


def _linear_back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, weight: Tensor
) -> tuple[Any, ...]:
    from flambeau.ops.pointwise import conj_of

    for_input = matmul(g, conj_of(weight)) if needs[0] else None
    for_weight = for_bias = None
    if needs[1] or needs[2]:
        flat = g.reshape(-1, g.shape[-1]) if g.ndim != 2 else g
        if needs[1]:
            rows = input.reshape(-1, input.shape[-1]) if input.ndim != 2 else input
            for_weight = matmul(flat.t(), conj_of(rows))
        if needs[2]:
            for_bias = flat.sum(0)
    return for_input, for_weight, for_bias


@composite(
    "linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor",
    namespaces=("nn.functional",), joint=_linear_back, samples=_linear_samples,
    errors=lambda make: iter([
        error(RuntimeError, "cannot be multiplied", make(3, 4), make(5, 3), make(5))]),
    out=False,
)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``; the weight has shape (out_features, in_features)."""
    product = matmul(input, weight.t())
    return product if bias is None else product + bias
