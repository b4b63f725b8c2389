"""Affine maps of features: ``linear`` and ``bilinear``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau.ops.matmul import matmul
from flambeau.ops.pointwise import conj_of
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor


def _linear_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make(5, 4), make(5)), name="bias")
    yield Sample((make(3, 4), make(5, 4)), name="no_bias")
    yield Sample((make(4), make(5, 4), make(5)), name="vector")
    yield Sample((make(2, 3, 4), make(5, 4), make(5)), name="batch")
    yield Sample((make(4, 3).t(), make(4, 5).t(), make(5)), name="transposed")
    yield Sample((make(0, 4), make(5, 4), make(5)), name="empty")
    yield Sample((make(3, 4), make(4)), name="weight_vector")


def _linear_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "cannot be multiplied", make(3, 4), make(5, 3), make(5))
    yield error(RuntimeError, "at least 1D", make(), make(5, 3))
    yield error(RuntimeError, "must be a matrix", make(3, 4), make(4), make(1))
    yield error(RuntimeError, "must match", make(3, 4), make(5, 4), make(4))


def _linear_grads_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 5), make(3, 4), make(5, 4), True, True, True), name="matrix")
    yield Sample((make(5), make(4), make(5, 4), True, True, True), name="vector")
    yield Sample((make(2, 3, 5), make(2, 3, 4), make(5, 4), True, True, False), name="batch")
    yield Sample((make(3, 5), make(3, 4), make(5, 4), False, False, True), name="bias_alone")


@composite(
    "linear_grads(Tensor g, Tensor input, Tensor weight, bool for_input, bool for_weight, "
    "bool for_bias) -> (Tensor, Tensor, Tensor)",
    namespaces=("_internal",), method=False, samples=_linear_grads_samples, out=False,
    template="fused",
)
def linear_grads(
    g: Tensor, input: Tensor, weight: Tensor, for_input: bool, for_weight: bool, for_bias: bool
) -> tuple[Any, ...]:
    """The gradients of ``linear`` for the input, the weight and the bias, None if not wanted."""
    if weight.ndim == 1:
        g, weight = g.unsqueeze(-1), weight.unsqueeze(0)
    dx = matmul(g, conj_of(weight)) if for_input else None
    flat = g.reshape(-1, g.shape[-1]) if g.ndim != 2 else g
    dw = db = None
    if for_weight:
        rows = input.reshape(-1, input.shape[-1]) if input.ndim != 2 else input
        dw = matmul(flat.t(), conj_of(rows))
    if for_bias:
        db = flat.sum(0)
    return dx, dw, db


def _linear_back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, weight: Tensor
) -> tuple[Any, ...]:
    grads: tuple[Any, ...] = linear_grads(g, input, weight, *needs)
    return grads


@composite(
    "linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor",
    namespaces=("nn.functional",), joint=_linear_back, samples=_linear_samples,
    errors=_linear_errors, out=False, template="fused",
)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``; the weight has shape (out_features, in_features)."""
    if not input.ndim or not weight.ndim:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, but they are "
            f"{input.ndim}D and {weight.ndim}D")
    if weight.ndim != 2 and (bias is not None or weight.ndim != 1):
        raise RuntimeError(f"linear: mat2 must be a matrix, got {weight.ndim}-D tensor")
    product: Tensor = matmul(input, weight.t())
    if bias is None:
        return product
    if bias.ndim == 1 and bias.shape[0] not in (1, weight.shape[0]):
        raise RuntimeError(
            f"linear: The expanded size of the tensor ({weight.shape[0]}) must match the existing "
            f"size ({bias.shape[0]}) at non-singleton dimension 1: the bias needs one value per "
            "row of the weight")
    if bias.dtype is not product.dtype:
        raise RuntimeError(
            f"linear: self and mat2 must have the same dtype, but got {bias.dtype.name} and "
            f"{product.dtype.name}. Convert one of them with .to(dtype).")
    return product + bias


# ---- bilinear ----------------------------------------------------------------------------------
def _bilinear_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make(3, 5), make(2, 4, 5), make(2)), name="bias")
    yield Sample((make(3, 4), make(3, 5), make(2, 4, 5)), name="no_bias")
    yield Sample((make(2, 3, 4), make(2, 3, 5), make(2, 4, 5), make(2)), name="batch")
    yield Sample((make(4), make(5), make(2, 4, 5), make(2)), name="vectors")


def _bilinear_errors(make: Make) -> Iterator[ErrorSample]:
    w = make(4, 3, 3)
    yield error(RuntimeError, "input2 size", make(2, 3), make(2, 2), w)
    yield error(RuntimeError, "batch dimensions do not match", make(2, 3), make(3, 3), w)
    yield error(RuntimeError, "bias size", make(2, 3), make(2, 3), w, make(3))


@composite(
    "bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor",
    namespaces=("", "nn.functional"), method=False, samples=_bilinear_samples,
    errors=_bilinear_errors, out=False, template="front",
)
def bilinear(
    input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """``input1 @ weight[k] @ input2 + bias[k]`` for every output feature ``k``.

    The weight has shape (out_features, in1_features, in2_features).
    """
    _check_bilinear(input1, input2, weight, bias)
    outs, first, second = weight.shape
    batch = input1.shape[:-1]
    rows = input1.reshape(-1, first)
    folded = matmul(rows, weight.permute(1, 0, 2).reshape(first, outs * second))
    pairs = folded.reshape(rows.shape[0], outs, second)
    product: Tensor = matmul(pairs, input2.reshape(-1, second, 1)).reshape((*batch, outs))
    return product if bias is None else product + bias


def _check_bilinear(
    input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None
) -> None:
    if input1.ndim != input2.ndim:
        raise RuntimeError(
            "bilinear(): input dimensions do not match: got "
            f"{input1.ndim} and {input2.ndim}")
    for d in range(input1.ndim - 1):
        if input1.shape[d] != input2.shape[d]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {d}: got "
                f"{input1.shape[d]} and {input2.shape[d]}")
    for i, t in ((1, input1), (2, input2)):
        if t.shape[-1] != weight.shape[i]:
            raise RuntimeError(
                f"bilinear(): input{i} size does not match weight size: got {t.shape[-1]} but "
                f"expected {weight.shape[i]}")
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected "
            f"{weight.shape[0]}")
