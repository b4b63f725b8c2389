"""Transforms of vectors and of matrices."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.transforms.base import SameKind, Transform, check_dims
from flambeau.distributions.transforms.pointwise import clipped_sigmoid, log_tanh_derivative
from flambeau.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix
from flambeau.layout import Size
from flambeau.nn import functional as F


def _with_last(shape: Any, dims: int, change: int) -> Size:
    """A shape whose last size is another by ``change``, if it has ``dims`` dimensions or more."""
    check_dims(shape, dims)
    return Size((*shape[:-1], shape[-1] + change))


class ReshapeTransform(Transform):
    """Gives the last dimensions another shape of as many elements.

    Args:
        in_shape, out_shape: of the last dimensions, before and after.

    Raises:
        ValueError: if the numbers of elements differ.
    """

    bijective = True

    def __init__(
        self, in_shape: Iterable[int], out_shape: Iterable[int], cache_size: int = 0
    ) -> None:
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if prod(self.in_shape) != prod(self.out_shape):
            raise ValueError(
                "in_shape, out_shape have different numbers of elements: "
                f"{tuple(self.in_shape)}, {tuple(self.out_shape)}")
        super().__init__(cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        """Arrays of numbers of the one shape."""
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property
    def codomain(self) -> Any:
        """Arrays of numbers of the other shape."""
        return constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x: Any) -> Any:
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y: Any) -> Any:
        return y.reshape(self.inverse_shape(y.shape))

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return x.new_zeros(x.shape[: x.ndim - len(self.in_shape)])

    def forward_shape(self, shape: Any) -> Size:
        """The shape with its end replaced.

        Raises:
            ValueError: if it does not end with ``in_shape``.
        """
        return _with_end(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Any) -> Size:
        """The shape with its end replaced.

        Raises:
            ValueError: if it does not end with ``out_shape``.
        """
        return _with_end(shape, self.out_shape, self.in_shape)


def _with_end(shape: Any, old: Size, new: Size) -> Size:
    check_dims(shape, len(old))
    cut = len(shape) - len(old)
    if tuple(shape[cut:]) != tuple(old):
        raise ValueError(f"Shape mismatch: expected {tuple(old)} but got {tuple(shape[cut:])}")
    return Size((*shape[:cut], *new))


class SoftmaxTransform(SameKind):
    """``y = softmax(x)`` of vectors; of the inputs of an output the inverse gives ``log(y)``."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Any) -> Any:
        return fb.softmax(x, -1)

    def _inverse(self, y: Any) -> Any:
        return y.log()

    def forward_shape(self, shape: Any) -> Size:
        """The shape itself."""
        return _with_last(shape, 1, 0)

    inverse_shape = forward_shape


class StickBreakingTransform(SameKind):
    """Vectors of ``n`` numbers to points of the simplex in ``n + 1`` dimensions.

    Each number tells which part of what is left goes to its coordinate; a vector of zeros goes to
    the simplex's centre (Stan reference manual, "Unit simplex").
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _call(self, x: Any) -> Any:
        part = clipped_sigmoid(x - _log_left(x))
        left = (1 - part).cumprod(-1)
        return F.pad(part, [0, 1], value=1) * F.pad(left, [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        broken = y[..., :-1]
        # clamped, for rounding can leave less than nothing
        left = (1 - broken.cumsum(-1)).clamp(min=fb.finfo(y.dtype).tiny)
        return broken.log() - left.log() + _log_left(broken)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        shifted = x - _log_left(x)
        return (F.logsigmoid(shifted) - shifted + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Size:
        """The shape with one more at its end."""
        return _with_last(shape, 1, 1)

    def inverse_shape(self, shape: Any) -> Size:
        """The shape with one less at its end."""
        return _with_last(shape, 1, -1)


def _log_left(x: Any) -> Any:
    """The logarithms of how many coordinates follow each: ``log([n, ..., 1])``."""
    return fb.arange(x.shape[-1], 0, -1, dtype=x.dtype, device=x.device).log()


class CorrCholeskyTransform(Transform):
    """Vectors of ``d (d - 1) / 2`` numbers to Cholesky factors of ``d x d`` correlation matrices.

    Each row of the factor breaks a stick of squared length 1: ``tanh`` of its numbers are the
    partial correlations (Lewandowski, Kurowicka and Joe, 2009).
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Any) -> Any:
        eps = fb.finfo(x.dtype).eps
        partial = fb.tanh(x).clamp(min=-1 + eps, max=1 - eps)
        lower: Any = vec_to_tril_matrix(partial, diag=-1)
        left = (1 - lower * lower).sqrt().cumprod(-1)
        rows = lower + fb.eye(lower.shape[-1], dtype=x.dtype, device=x.device)
        return rows * F.pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        left = F.pad((1 - (y * y).cumsum(-1))[..., :-1], [1, 0], value=1)
        squares: Any = tril_matrix_to_vec(left, diag=-1)
        partial: Any = tril_matrix_to_vec(y, diag=-1) / squares.sqrt()
        return (partial.log1p() - (-partial).log1p()) / 2

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        left: Any = tril_matrix_to_vec(1 - (y * y).cumsum(-1), diag=-2)
        return 0.5 * left.log().sum(-1) + log_tanh_derivative(x).sum(-1)

    def forward_shape(self, shape: Any) -> Size:
        """``(*, d (d - 1) / 2)`` to ``(*, d, d)``.

        Raises:
            ValueError: if the last size is no such number.
        """
        check_dims(shape, 1)
        size = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != shape[-1]:
            raise ValueError(
                f"Input is not a flattened lower-diagonal number: got {shape[-1]} elements")
        return Size((*shape[:-1], size, size))

    def inverse_shape(self, shape: Any) -> Size:
        """``(*, d, d)`` to ``(*, d (d - 1) / 2)``.

        Raises:
            ValueError: if these are no square matrices.
        """
        check_dims(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError(f"Input is not square: got {tuple(shape[-2:])}")
        return Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))


class LowerCholeskyTransform(SameKind):
    """Square matrices to lower-triangular ones with positive diagonals, by ``exp`` of those."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return _with_diagonal(x, x.diagonal(dim1=-2, dim2=-1).exp())

    def _inverse(self, y: Any) -> Any:
        return _with_diagonal(y, y.diagonal(dim1=-2, dim2=-1).log())


def _with_diagonal(matrix: Any, diagonal: Any) -> Any:
    return matrix.tril(-1) + diagonal.diag_embed()


class PositiveDefiniteTransform(SameKind):
    """Square matrices to positive definite ones: ``L L^T`` of the lower Cholesky transform's."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Any) -> Any:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Any) -> Any:
        return LowerCholeskyTransform()._inverse(fb.linalg.cholesky(y))
