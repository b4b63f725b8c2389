"""Scaled dot-product attention.

The scores are never kept for the backward pass: it computes them again, from the logarithm of each
row's sum, as in T. Dao et al., "FlashAttention", section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau import dtypes
from flambeau.autograd.grad_mode import MODE
from flambeau.layout import broadcast_shapes
from flambeau.ops.layer_norm import wide
from flambeau.ops.matmul import matmul
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor


# ---- the internal ops --------------------------------------------------------------------------
def _cases(make: Make) -> Iterator[tuple[str, tuple[Tensor, Tensor, Tensor], Any, bool]]:
    def triple(*lead: int) -> tuple[Tensor, Tensor, Tensor]:
        return make(*lead, 5, 4), make(*lead, 6, 4), make(*lead, 6, 3)

    yield "plain", triple(2, 3), None, False
    yield "causal", triple(2, 3), None, True
    yield "bool_mask", triple(2, 3), make.mask(5, 6), False
    yield "float_mask", triple(2, 3), make(2, 1, 5, 6, requires_grad=False), False
    yield "one_batch", triple(2), None, True
    yield "no_batch", triple(), None, False
    q, k, v = (t.transpose(1, 2) for t in (make(2, 5, 3, 4), make(2, 6, 3, 4), make(2, 6, 3, 4)))
    yield "transposed", (q, k, v), None, True


def _scores(
    query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool, scale: float
) -> Tensor:
    """``query @ key.T * scale``, with what is masked at -inf."""
    from flambeau.ops.compare import where
    from flambeau.ops.create import arange

    scores: Any = matmul(query * scale, key.transpose(-2, -1))
    if is_causal:
        rows, cols = scores.shape[-2:]
        at = arange(rows, device=query.device).unsqueeze(1)
        attn_mask = arange(cols, device=query.device) <= at
    if attn_mask is None:
        return scores  # type: ignore[no-any-return]
    if attn_mask.dtype is dtypes.bool:
        return where(attn_mask, scores, float("-inf"))  # type: ignore[no-any-return]
    return scores + attn_mask  # type: ignore[no-any-return]


def _weights(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax of the last dimension, 0 where all is masked; and the logarithm of its sum."""
    from flambeau.ops.compare import where

    top = scores.amax(-1, keepdim=True)
    top = where(top == float("-inf"), 0.0, top)
    e = (scores - top).exp()
    total = e.sum(-1, keepdim=True)
    total = where(total == 0, 1.0, total)
    return e / total, (top + total.log()).squeeze(-1)


def _back(
    g: Tensor, needs: tuple[bool, ...], query: Tensor, key: Tensor, value: Tensor,
    attn_mask: Tensor | None, is_causal: bool, scale: float, out: Tensor, logsum: Tensor,
) -> tuple[Any, ...]:
    grads = attention_grads(
        g, query, key, value, attn_mask, out, logsum, is_causal, scale, *needs[:3])
    return (*grads, None)


@composite(
    "attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask, bool is_causal, "
    "float scale) -> (Tensor out, Tensor logsum)",
    method=False, out=False, namespaces=("_internal",), joint=_back, template="fused",
    samples=lambda make: iter([
        Sample((*qkv, mask, causal, 0.5), name=name) for name, qkv, mask, causal in _cases(make)]),
)
def attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """``softmax(query @ key.T * scale + mask) @ value``, and the rows' log-sum-exp.

    All have the same leading dimensions; the mask broadcasts.
    """
    mask = wide(attn_mask) if attn_mask is not None else None
    weights, logsum = _weights(_scores(wide(query), wide(key), mask, is_causal, scale))
    return matmul(weights, wide(value)).to(query.dtype), logsum


def _grads_samples(make: Make) -> Iterator[Sample]:
    for name, (q, k, v), mask, causal in _cases(make):
        out, logsum = attention(q.detach(), k.detach(), v.detach(), mask, causal, 0.5)
        yield Sample(
            (make(*out.shape), q, k, v, mask, out, logsum, causal, 0.5, True, True, True),
            name=name)


@composite(
    "attention_grads(Tensor grad, Tensor query, Tensor key, Tensor value, Tensor? attn_mask, "
    "Tensor out, Tensor logsum, bool is_causal, float scale, bool for_query, bool for_key, "
    "bool for_value) -> (Tensor, Tensor, Tensor)",
    method=False, out=False, namespaces=("_internal",), template="fused",
    samples=_grads_samples,
)
def attention_grads(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None,
    out: Tensor, logsum: Tensor, is_causal: bool, scale: float, for_query: bool, for_key: bool,
    for_value: bool,
) -> tuple[Any, ...]:
    """The gradients of ``attention``; None where not wanted."""
    g, q, k, v = wide(grad), wide(query), wide(key), wide(value)
    scores = _scores(q, k, wide(attn_mask) if attn_mask is not None else None, is_causal, scale)
    weights = _weights(scores)[0] if MODE.enabled else (scores - logsum.unsqueeze(-1)).exp()
    dv = matmul(weights.transpose(-2, -1), g) if for_value else None
    if not (for_query or for_key):
        return None, None, dv
    into = matmul(g, v.transpose(-2, -1))
    slope = weights * (into - (weights * into).sum(-1, keepdim=True)) * scale
    return (
        matmul(slope, k) if for_query else None,
        matmul(slope.transpose(-2, -1), q) if for_key else None, dv,
    )


# ---- public ------------------------------------------------------------------------------------
def _check(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout_p: float,
    is_causal: bool,
) -> None:
    """Refuse what PyTorch refuses.

    Raises:
        RuntimeError: naming dtypes and shapes.
    """
    q, k, v = query.shape, key.shape, value.shape
    if min(len(q), len(k), len(v)) < 2:
        dims = f"query.dim: {len(q)} key.dim: {len(k)} value.dim: {len(v)}"
        raise RuntimeError(
            "scaled_dot_product_attention: Expected query, key, and value to all be at least 2 "
            f"dimensional, but got {dims} instead.")
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(
            "scaled_dot_product_attention: Expected query, key, and value to have the same dtype, "
            f"but got query.dtype: {query.dtype.name} key.dtype: {key.dtype.name} value.dtype: "
            f"{value.dtype.name} instead. Convert with .to(dtype).")
    if query.dtype.category < 2:
        raise RuntimeError(
            f"scaled_dot_product_attention: expected a floating dtype, got {query.dtype.name}")
    if q[-1] != k[-1] or k[-2] != v[-2]:
        shapes = f"query {list(q)}, key {list(k)}, value {list(v)}"
        raise RuntimeError(
            "scaled_dot_product_attention: Expected size of the last dimension of query and key, "
            f"and of the last but one of key and value, to match, but got {shapes}")
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(
            f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if attn_mask is None:
        return
    if is_causal:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True")
    if attn_mask.dtype not in (dtypes.bool, dtypes.float32, query.dtype):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {attn_mask.dtype.name} and query.dtype: {query.dtype.name} instead.")
    broadcast_shapes(attn_mask.shape, (q[-2], k[-2]))


def _repeated(t: Tensor, times: int) -> Tensor:
    """Every head several times in a row."""
    if times == 1:
        return t
    shape = (*t.shape[:-3], t.shape[-3], times, *t.shape[-2:])
    wider: Tensor = t.unsqueeze(-3).expand(shape)
    return wider.reshape((*t.shape[:-3], -1, *t.shape[-2:]))


def _grouped(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values repeated to the number of the query's heads.

    Raises:
        RuntimeError: unless each divides it.
    """
    heads = query.shape[-3] if query.ndim > 2 else 0
    parts = [t.shape[-3] if t.ndim > 2 else 0 for t in (key, value)]
    if not heads or 0 in parts or any(heads % n for n in parts):
        raise RuntimeError(
            "scaled_dot_product_attention: Number of heads in key and value must divide the "
            f"number of heads in query, got {parts[0]}, {parts[1]} and {heads}")
    return _repeated(key, heads // parts[0]), _repeated(value, heads // parts[1])


def _with_lead(t: Tensor, lead: tuple[int, ...]) -> Tensor:
    """A tensor with its leading dimensions expanded."""
    if t.shape[:-2] == lead:
        return t
    expanded: Tensor = t.expand((*lead, *t.shape[-2:]))
    return expanded


def _samples(make: Make) -> Iterator[Sample]:
    for name, qkv, mask, causal in _cases(make):
        yield Sample((*qkv, mask), {"is_causal": causal}, name=name)
    yield Sample((make(2, 4, 3, 4), make(2, 2, 5, 4), make(2, 2, 5, 4)), {"enable_gqa": True},
                 name="grouped")
    yield Sample((make(2, 3, 4), make(2, 5, 4), make(2, 5, 4), make(3, 5)), {"scale": 0.3},
                 name="mask_with_gradient")


def _errors(make: Make) -> Iterator[ErrorSample]:
    q, k = make(2, 3, 4), make(2, 5, 4)
    yield error(RuntimeError, "at least 2 dimensional", make(4), k, k)
    yield error(RuntimeError, "to match", q, make(2, 5, 3), k)
    yield error(RuntimeError, "should not be set", q, k, k, make.mask(3, 5), is_causal=True)
    yield error(RuntimeError, "bool or float", q, k, k, make.index(2, 3, 5))
    yield error(RuntimeError, "between 0 and 1", q, k, k, dropout_p=2.0)
    yield error(RuntimeError, "must divide", make(3, 3, 4), k, k, enable_gqa=True)


@composite(
    "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, "
    "Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, "
    "bool enable_gqa=False) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, template="front",
    samples=_samples, errors=_errors,
)
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``softmax(query @ key.T * scale + mask) @ value`` of (..., L, E), (..., S, E), (..., S, V).

    Args:
        attn_mask: broadcasts to (..., L, S); False, or -inf, where a query must not look.
        dropout_p: probability of dropping a weight.
        is_causal: query ``i`` looks at keys up to ``i``.
        scale: ``1 / sqrt(E)`` if None.
        enable_gqa: keys and values may have fewer heads (dimension -3): each is shared by several.
    """
    _check(query, key, value, attn_mask, dropout_p, is_causal)
    if enable_gqa:
        key, value = _grouped(query, key, value)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    lead = query.shape[:-2]
    if not lead == key.shape[:-2] == value.shape[:-2]:
        lead = broadcast_shapes(lead, key.shape[:-2], value.shape[:-2])
        query, key, value = (_with_lead(t, lead) for t in (query, key, value))
    masks_gradient = attn_mask is not None and MODE.enabled and attn_mask.requires_grad
    if attn_mask is not None:
        lead = broadcast_shapes(lead, attn_mask.shape[:-2])
        query, key, value = (_with_lead(t, lead) for t in (query, key, value))
    if not dropout_p and not masks_gradient:
        return attention(query, key, value, attn_mask, bool(is_causal), factor)[0]
    weights, _ = _weights(_scores(wide(query), wide(key), attn_mask, is_causal, factor))
    weights = weights.to(query.dtype)
    if dropout_p:
        from flambeau.ops.dropout import dropout

        weights = dropout(weights, dropout_p, True)
    return matmul(weights, value)
