"""Norms of weights."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.autograd.grad_mode import no_grad
from flambeau.tensor import Tensor


def norm_except_dim(v: Any, power: float = 2, dim: int = 0) -> Any:
    """Norms over all dimensions but one, shaped to broadcast; a scalar for -1."""
    if dim == -1:
        return fb.norm(v, power)
    others = [d for d in range(v.ndim) if d != dim % v.ndim]
    return fb.norm(v, power, others, True) if others else v.abs()


def weight_normed(v: Any, g: Any, dim: int) -> Any:
    """``g * v / |v|``."""
    return v * (g / norm_except_dim(v, 2, dim))


def as_matrix(weight: Any, dim: int) -> Any:
    """A weight as a matrix with dimension ``dim`` as its rows."""
    if dim:
        weight = weight.permute(dim, *(d for d in range(weight.ndim) if d != dim))
    return weight.reshape(weight.shape[0], -1)


@no_grad()
def power_iteration(
    matrix: Any, u: Any, v: Any, n: int, eps: float
) -> tuple[Tensor, Tensor]:
    """Left and right singular vectors of the largest singular value, after ``n`` rounds."""
    from flambeau.nn import functional as F

    for _ in range(n):
        u = F.normalize(matrix.mv(v), dim=0, eps=eps)
        v = F.normalize(matrix.t().mv(u), dim=0, eps=eps)
    return u, v
