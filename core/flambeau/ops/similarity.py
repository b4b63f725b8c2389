"""Distances and angles between vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.layout import broadcast_shapes
from flambeau.loss_reduction import LEGACY, reduced, reduction_of
from flambeau.ops.compare import where
from flambeau.ops.norms import vector_norm
from flambeau.ops.pointwise import sqrt
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _pairs(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(3, 4))
    yield sample(make(3, 4), make(1, 4))


def _pair_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must match", make(3, 4), make(3, 5))


@composite(
    "cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, samples=_pairs, errors=_pair_errors,
)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08) -> Any:
    """The cosine of the angle between vectors along a dimension; lengths count as at least eps."""
    shape = broadcast_shapes(x1.shape, x2.shape)
    unit = [
        x / vector_norm(x, 2, dim, True).clamp(min=eps)
        for x in (t.expand(shape) for t in (x1, x2))
    ]
    return (unit[0] * unit[1]).sum(dim)


@composite(
    "pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool keepdim=False) "
    "-> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, samples=_pairs, errors=_pair_errors,
)
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2, eps: float = 1e-06, keepdim: bool = False
) -> Any:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension."""
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


@composite(
    "normalize(Tensor input, float p=2.0, int dim=1, float eps=1e-12, Tensor? out=None) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False,
    samples=lambda make: iter([sample(make(3, 4)), sample(make(3, 4), 1.0, 0)]),
    errors=lambda make: iter([error(IndexError, "Dimension out of range", make(3))]),
)
def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Any:
    """The input divided by its p-norm along a dimension, which counts as at least ``eps``."""
    result = input / vector_norm(input, p, dim, True).clamp(min=eps)
    return result if out is None else out.copy_(result)


def _embedding_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "target tensor expects", make(3, 4), make(3, 4), make(3, 4))


@composite(
    "cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, "
    f"{LEGACY}) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, errors=_embedding_errors,
    samples=lambda make: iter([sample(
        make(3, 4), make(3, 4), make.mask(3).to(make(1).dtype) * 2 - 1, margin=0.2)]),
)
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    if target.ndim != input1.ndim - 1 or input2.ndim != input1.ndim:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}.")
    eps = 1e-12
    dot, one, two = ((a * b).sum(-1) for a, b in (
        (input1, input2), (input1, input1), (input2, input2)))
    cosine = dot / sqrt((one + eps) * (two + eps))
    positive = where(target == 1, 1 - cosine, 0.0)
    negative = where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return reduced(positive + negative, reduction_of(size_average, reduce, reduction))
