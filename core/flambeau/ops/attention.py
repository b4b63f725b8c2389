"""Scaled dot-product attention."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.ops.activation import softmax
from flambeau.ops.compare import where
from flambeau.ops.matmul import matmul
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _samples(make: Make) -> Iterator[Sample]:
    q, k, v = make(2, 3, 5, 4), make(2, 3, 6, 4), make(2, 3, 6, 4)
    yield sample(q, k, v)
    yield sample(q, make(2, 3, 5, 4), make(2, 3, 5, 4), is_causal=True)
    yield sample(q, k, v, make(5, 6, requires_grad=False))
    yield sample(q, k, v, scale=0.3)
    yield sample(make(2, 4, 5, 4), make(2, 2, 6, 4), make(2, 2, 6, 4), enable_gqa=True)
    yield sample(make(5, 4), make(6, 4), make(6, 3))


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "is_causal", make(5, 4), make(5, 4), make(5, 4),
                make.mask(5, 5), is_causal=True)
    yield error(RuntimeError, "cannot be multiplied|last dimension", make(5, 4), make(5, 3),
                make(5, 3))


@composite(
    "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, "
    "Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, "
    "bool enable_gqa=False) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, samples=_samples, errors=_errors,
)
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(query @ key.T * scale + mask) @ value``.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, Ev).
        attn_mask: boolean, True where a query may look, or added to the scores; broadcasts to
            (..., L, S).
        is_causal: each query looks at the keys up to its own place.
        scale: 1/sqrt(E) by default.
        enable_gqa: the query may have a multiple of the key's heads.
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True")
    if query.shape[-1] != key.shape[-1]:
        raise RuntimeError(
            "scaled_dot_product_attention: query and key must have the same last dimension, got "
            f"{list(query.shape)} and {list(key.shape)}")
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(repeats, -3) for t in (key, value))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        attn_mask = query.new_ones(scores.shape[-2:], dtype=dtypes.bool).tril()
    blocked = None
    if attn_mask is not None:
        if attn_mask.dtype is dtypes.bool:
            scores = where(attn_mask, scores, float("-inf"))
            blocked = ~attn_mask.any(-1, keepdim=True)
        else:
            scores = scores + attn_mask
            blocked = (attn_mask == float("-inf")).all(-1, keepdim=True)
    weights = softmax(scores, -1)
    if blocked is not None:  # a query that may look nowhere gets zeros, not NaN
        weights = where(blocked, 0.0, weights)
    if dropout_p > 0.0:
        from flambeau.ops.dropout import dropout

        weights = dropout(weights, dropout_p, True)
    result: Any = matmul(weights, value)
    return result  # type: ignore[no-any-return]
