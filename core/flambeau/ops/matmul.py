"""Matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau import dtypes
from flambeau.layout import broadcast_shapes
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def check_same_dtype(name: str, a: Tensor, b: Tensor) -> None:
    """Refuse operands of different dtypes, and booleans.

    Raises:
        RuntimeError: for different dtypes.
        NotImplementedError: for booleans.
    """
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: expected m1 and m2 to have the same dtype, but got: {a.dtype.name} != "
            f"{b.dtype.name}. Convert one of them with .to(dtype)."
        )
    if a.dtype is dtypes.bool:
        raise NotImplementedError(
            f"{name}: not implemented for 'Bool'. Convert the operands with .to(dtype).")


def _matmul_rule(self: Tensor, other: Tensor) -> Plan:
    a, b = self.shape, other.shape
    if not a or not b:
        raise RuntimeError(
            "both arguments to matmul need to be at least 1D, but they are "
            f"{len(a)}D and {len(b)}D")
    check_same_dtype("matmul", self, other)
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


def _matmul_self(g: Tensor, self_shape: Any, other: Tensor) -> Any:
    from flambeau.ops.pointwise import conj_of

    if len(self_shape) == 1 and other.ndim == 1:
        return g * conj_of(other)
    if other.ndim == 1:
        return g.unsqueeze(-1) * conj_of(other)
    if len(self_shape) == 1:
        g = g.unsqueeze(-2)
    result = matmul(g, conj_of(other).transpose(-2, -1))
    return _fold(result, self_shape, -2)


def _matmul_other(g: Tensor, self: Tensor, other_shape: Any) -> Any:
    from flambeau.ops.pointwise import conj_of

    if self.ndim == 1 and len(other_shape) == 1:
        return g * conj_of(self)
    if self.ndim == 1:
        return conj_of(self).unsqueeze(-1) * g.unsqueeze(-2)
    if len(other_shape) == 1:
        return _fold(matmul(conj_of(self).transpose(-2, -1), g.unsqueeze(-1)), other_shape, -1)
    if self.ndim > 2 and len(other_shape) == 2:  # one product in place of a batch and a sum
        flat = self.reshape(-1, self.shape[-1])
        return matmul(conj_of(flat).t(), g.reshape(-1, g.shape[-1]))
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
    namespaces=("", "linalg"),
    derivatives={"self": _matmul_self, "other": _matmul_other},
    samples=_matmul_samples, errors=_matmul_errors,
)


def _rmatmul(self: Tensor, other: Tensor) -> Any:
    return matmul(other, self) if isinstance(other, Tensor) else NotImplemented


setattr(Tensor, "__rmatmul__", _rmatmul)  # noqa: B010


def check_ndim(name: str, *pairs: tuple[str, Tensor, int]) -> None:
    """Refuse operands of another number of dimensions than stated.

    Raises:
        RuntimeError: naming the argument and its shape.
    """
    for argument, t, ndim in pairs:
        if t.ndim != ndim:
            what = {1: "vector", 2: "matrix", 3: "3D tensor"}[ndim]
            raise RuntimeError(
                f"{name}: {argument} must be a {what}, got {t.ndim}-D tensor of shape "
                f"{list(t.shape)}")


@composite(
    "mm(Tensor self, Tensor mat2) -> Tensor", dtypes="numeric", template="front",
    samples=lambda make: iter([sample(make(3, 4), make(4, 5)), sample(make(0, 4), make(4, 5))]),
    errors=lambda make: iter([
        error(RuntimeError, "must be a matrix", make(3), make(3, 3)),
        error(RuntimeError, "cannot be multiplied", make(3, 4), make(3, 4)),
        error(NotImplementedError, "Bool", make.mask(3, 3), make.mask(3, 3))]),
)
def mm(self: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    check_ndim("mm", ("self", self, 2), ("mat2", mat2, 2))
    result: Tensor = matmul(self, mat2)
    return result


@composite(
    "bmm(Tensor self, Tensor mat2) -> Tensor", dtypes="numeric", template="front",
    samples=lambda make: iter([sample(make(2, 3, 4), make(2, 4, 5))]),
    errors=lambda make: iter([
        error(RuntimeError, "must be a 3D tensor", make(3, 3), make(2, 3, 3)),
        error(RuntimeError, "first two dimensions", make(2, 3, 3), make(1, 3, 3))]),
)
def bmm(self: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices."""
    check_batches("bmm", self, mat2)
    result: Tensor = matmul(self, mat2)
    return result


def check_batches(name: str, batch1: Tensor, batch2: Tensor) -> None:
    """Refuse anything but two batches of matrices that can be multiplied one by one.

    Raises:
        RuntimeError: naming the shapes.
    """
    check_ndim(name, ("batch1", batch1, 3), ("batch2", batch2, 3))
    a, b = batch1.shape, batch2.shape
    if (a[0], a[2]) != (b[0], b[1]):
        raise RuntimeError(
            f"{name}: Expected size for first two dimensions of batch2 tensor to be: "
            f"[{a[0]}, {a[2]}] but got: [{b[0]}, {b[1]}].")


@composite(
    "mv(Tensor self, Tensor vec) -> Tensor", dtypes="numeric", template="front",
    samples=lambda make: iter([sample(make(3, 4), make(4))]),
    errors=lambda make: iter([
        error(RuntimeError, "vector expected", make(3, 3), make(3, 3)),
        error(RuntimeError, "size mismatch", make(3, 3), make(4))]),
)
def mv(self: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    if self.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(
            f"mv: vector + matrix @ vector expected, got 1, {self.ndim}, {vec.ndim}")
    if self.shape[1] != vec.shape[0]:
        raise RuntimeError(
            f"mv: size mismatch, got input ({self.shape[0]}), mat ({_as_matrix(self.shape)}), vec "
            f"({vec.shape[0]})")
    result: Tensor = matmul(self, vec)
    return result


@composite(
    "dot(Tensor self, Tensor tensor) -> Tensor", dtypes="numeric", template="front",
    samples=lambda make: iter([sample(make(4), make(4)), sample(make(0), make(0))]),
    errors=lambda make: iter([
        error(RuntimeError, "1D tensors", make(3, 3), make(3)),
        error(RuntimeError, "inconsistent tensor size", make(3), make(4))]),
)
def dot(self: Tensor, tensor: Tensor) -> Tensor:
    """The product of two vectors, without conjugation."""
    if self.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(
            f"1D tensors expected, but got {self.ndim}D and {tensor.ndim}D tensors")
    if self.dtype is not tensor.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{self.dtype.name} and {tensor.dtype.name}")
    result: Tensor = matmul(self, tensor)
    return result


@composite(
    "outer(Tensor self, Tensor vec2) -> Tensor", dtypes="all", aliases=("ger",),
    template="front",
    samples=lambda make: iter([sample(make(3), make(4)), sample(make(0), make(4))]),
    errors=lambda make: iter([error(RuntimeError, "1-D", make(3, 3), make(3))]),
)
def outer(self: Tensor, vec2: Tensor) -> Tensor:
    """The products of all pairs of elements of two vectors."""
    for name, t in (("self", self), ("vec2", vec2)):
        if t.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {t.ndim}-D")
    result: Tensor = self.unsqueeze(1) * vec2.unsqueeze(0)
    return result


def _power_samples(make: Make) -> Iterator[Sample]:
    for n in (0, 1, 2, 3, 7):
        yield Sample((make(3, 3), n), name=f"power_{n}")
    yield Sample((make(2, 3, 3), 5), name="batch")
    yield Sample((make(0, 0), 2), name="empty")


@composite(
    "matrix_power(Tensor self, int n) -> Tensor", namespaces=("", "linalg"),
    dtypes="floating_complex", samples=_power_samples,
    errors=lambda make: iter([
        error(RuntimeError, "batches of square matrices", make(2, 3), 2),
        error(RuntimeError, "at least 2 dimensions", make(3), 2)]),
)
def matrix_power(self: Tensor, n: int) -> Tensor:
    """A square matrix multiplied with itself ``n`` times; of its inverse for negative ``n``."""
    if self.ndim < 2:
        raise RuntimeError(
            f"linalg.matrix_power: The input tensor A must have at least 2 dimensions, got "
            f"{self.ndim}")
    rows, cols = self.shape[-2:]
    if rows != cols:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{rows} by {cols} matrices")
    if n < 0:
        from flambeau.registry import OPS

        return _repeated_squares(OPS["inv"].function(self), -n)
    if n == 0:
        from flambeau.ops.create import eye

        one: Tensor = eye(rows, dtype=self.dtype, device=self.device).expand(self.shape).clone()
        return one if not self.requires_grad else one + self.tril(-rows)  # its gradient is 0
    return _repeated_squares(self, n)


def _repeated_squares(base: Tensor, n: int) -> Tensor:
    """``base ** n`` for ``n >= 1`` in about ``2 log2(n)`` products."""
    result: Tensor | None = None
    while True:
        if n & 1:
            result = base if result is None else matmul(result, base)
        n >>= 1
        if not n:
            assert result is not None
            return result
        base = matmul(base, base)
