"""Multi-head attention as one function."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import flambeau as fb
from flambeau.nn.functional import registered
from flambeau.tensor import Tensor

__all__ = ["multi_head_attention_forward"]


class _Masks(NamedTuple):
    """What is left out of the attention, as numbers to add to the scores."""

    pairs: Tensor | None
    """(1 or N * heads, L, S)"""
    padding: Tensor | None
    """(N, S)"""
    is_causal: bool

    def with_one_more_key(self) -> _Masks:
        """The same for keys with one behind them that all may attend to."""
        def wider(mask: Tensor | None) -> Any:
            return None if mask is None else registered.pad(mask, (0, 1))

        return _Masks(wider(self.pairs), wider(self.padding), self.is_causal)


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None,
    bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor,
    out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Project, attend in heads, project back; see :class:`flambeau.nn.MultiheadAttention`.

    Args:
        query: (L, N, E) or (L, E).
        key, value: (S, N, *) or (S, *).
        static_k, static_v: (N * heads, S, head size), used in place of the projections.

    Returns:
        the result, shaped as the query, and the weights or None.
    """
    is_batched = _check_ndims(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not is_batched:
        query, key, value = _each_once(lambda t: t.unsqueeze(1), query, key, value)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, embed = query.shape
    _check_sizes(embed, embed_dim_to_check, num_heads, key, value, use_separate_proj_weight)
    masks = _masks(
        query, key.shape[0], num_heads, key_padding_mask, attn_mask, is_causal, need_weights)

    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
        if any(w is None for w in weights):
            raise AssertionError("use_separate_proj_weight is True but a proj_weight is None")
        biases: Any = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
        q, k, v = (
            registered.linear(t, w, b)
            for t, w, b in zip((query, key, value), weights, biases, strict=True))
    else:
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias)

    if bias_k is not None and bias_v is not None:
        k = fb.cat([k, bias_k.repeat(1, batch, 1)])
        v = fb.cat([v, bias_v.repeat(1, batch, 1)])
        masks = masks.with_one_more_key()
    head = embed // num_heads
    q = _heads(q, batch * num_heads, head)
    k = _heads(k, batch * num_heads, head) if static_k is None else _static(
        "static_k", static_k, batch * num_heads, head)
    v = _heads(v, batch * num_heads, head) if static_v is None else _static(
        "static_v", static_v, batch * num_heads, head)
    if add_zero_attn:
        zeros = k.new_zeros((batch * num_heads, 1, head))
        k, v = fb.cat([k, zeros], 1), fb.cat([v, zeros], 1)
        masks = masks.with_one_more_key()

    dropout_p = dropout_p if training else 0.0
    mask = _merged(masks, batch, num_heads, k.shape[1])
    if need_weights:
        out, attention = _attend(q, k, v, mask, dropout_p)
        out = out.transpose(0, 1).reshape(length, batch, embed)
        attention = attention.view(batch, num_heads, length, k.shape[1])
        attention = attention.mean(1) if average_attn_weights else attention
    else:
        out = _attend_fused(q, k, v, mask, dropout_p, masks.is_causal, batch)
        attention = None
    out = registered.linear(out, out_proj_weight, out_proj_bias)
    if is_batched:
        return out, attention
    return out.squeeze(1), None if attention is None else attention.squeeze(0)


# ---- projections -------------------------------------------------------------------------------
def _each_once(change: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Changed tensors; the same object given twice stays one object."""
    made = {id(t): change(t) for t in tensors}
    return tuple(made[id(t)] for t in tensors)


def _project(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values by as few products as the inputs allow."""
    embed = query.shape[-1]
    if key is value and query is key:
        return registered.linear(query, weight, bias).chunk(3, -1)  # type: ignore[return-value]
    if key is value:
        w_q, w_kv = weight.split([embed, 2 * embed])
        b_q, b_kv = (None, None) if bias is None else bias.split([embed, 2 * embed])
        k, v = registered.linear(key, w_kv, b_kv).chunk(2, -1)
        return registered.linear(query, w_q, b_q), k, v
    biases: Any = (None,) * 3 if bias is None else bias.chunk(3)
    q, k, v = (
        registered.linear(t, w, b)
        for t, w, b in zip((query, key, value), weight.chunk(3), biases, strict=True))
    return q, k, v


def _heads(t: Tensor, count: int, head: int) -> Tensor:
    """(L, N, E) to (N * heads, L, head size)."""
    return t.reshape(t.shape[0], count, head).transpose(0, 1)


def _static(name: str, given: Tensor, count: int, head: int) -> Tensor:
    if given.shape[0] != count:
        raise AssertionError(
            f"expecting {name}.size(0) of {count}, but got {given.shape[0]}")
    if given.shape[2] != head:
        raise AssertionError(f"expecting {name}.size(2) of {head}, but got {given.shape[2]}")
    return given


# ---- attention ---------------------------------------------------------------------------------
def _attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float
) -> tuple[Tensor, Tensor]:
    """The result and the weights, (N * heads, L, *) each."""
    q = q * math.sqrt(1.0 / q.shape[-1])
    scores = fb.bmm(q, k.transpose(-2, -1))
    weights = registered.softmax(scores if mask is None else mask + scores, dim=-1)
    if dropout_p > 0.0:
        weights = registered.dropout(weights, p=dropout_p)
    return fb.bmm(weights, v), weights


def _attend_fused(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool,
    batch: int,
) -> Tensor:
    """The result alone, (L, N, E)."""
    count, length, head = q.shape
    q, k, v = (t.reshape(batch, count // batch, t.shape[1], head) for t in (q, k, v))
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.shape[0] == 1 else mask.reshape(
            batch, -1, mask.shape[1], k.shape[2])
    out = registered.scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    return out.permute(2, 0, 1, 3).reshape(length, batch, count // batch * head)


# ---- masks -------------------------------------------------------------------------------------
def _masks(
    query: Tensor, sources: int, num_heads: int, padding: Tensor | None, pairs: Tensor | None,
    is_causal: bool, need_weights: bool,
) -> _Masks:
    length, batch, _ = query.shape
    other = None if pairs is None else pairs.dtype
    padding = _canonical_mask(padding, "key_padding_mask", other, "attn_mask", query.dtype)
    if is_causal and pairs is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if is_causal and padding is None and not need_weights:
        return _Masks(None, None, True)  # the hint is all that the fused kernel needs
    pairs = _canonical_mask(pairs, "attn_mask", None, "", query.dtype, check_other=False)
    if pairs is not None:
        wanted = {2: (length, sources), 3: (batch * num_heads, length, sources)}.get(pairs.ndim)
        if wanted is None:
            raise RuntimeError(f"attn_mask's dimension {pairs.ndim} is not supported")
        if tuple(pairs.shape) != wanted:
            raise RuntimeError(
                f"The shape of the {pairs.ndim}D attn_mask is {pairs.shape}, but should be "
                f"{wanted}.")
        pairs = pairs.unsqueeze(0) if pairs.ndim == 2 else pairs
    return _Masks(pairs, padding, is_causal and padding is None)


def _merged(masks: _Masks, batch: int, num_heads: int, sources: int) -> Tensor | None:
    """Both masks as one, (1 or N * heads, 1 or L, S)."""
    padding = masks.padding
    if padding is None:
        return masks.pairs
    if tuple(padding.shape) != (batch, sources):
        raise AssertionError(
            f"expecting key_padding_mask shape of {(batch, sources)}, but got "
            f"{tuple(padding.shape)}")
    padding = padding.view(batch, 1, 1, sources).expand(-1, num_heads, -1, -1)
    padding = padding.reshape(batch * num_heads, 1, sources)
    return masks.pairs + padding if masks.pairs is not None else padding


def _canonical_mask(
    mask: Tensor | None, mask_name: str, other_type: Any, other_name: str, target_type: Any,
    check_other: bool = True,
) -> Tensor | None:
    """A mask as numbers to add: minus infinity where a boolean one is True.

    Raises:
        AssertionError: for a dtype that is neither boolean nor floating.
    """
    if mask is None:
        return None
    boolean = mask.dtype is fb.bool
    if not boolean and not mask.dtype.is_floating_point:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype is not other_type:
        import warnings

        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for "
            "both instead.", stacklevel=3)
    if not boolean:
        return mask
    zeros: Tensor = fb.zeros(mask.shape, dtype=target_type, device=mask.device)
    zeros.masked_fill_(mask, float("-inf"))
    return zeros


# ---- checks ------------------------------------------------------------------------------------
def _check_ndims(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Whether there is a batch dimension."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            "query should be unbatched 2D or batched 3D tensor but received "
            f"{query.ndim}-D query tensor")
    batched = query.ndim == 3
    how, n = ("batched (3-D)", 3) if batched else ("unbatched (2-D)", 2)
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"For {how} `query`, expected `key` and `value` to be {n}-D but found {key.ndim}-D and "
            f"{value.ndim}-D tensors respectively")
    if padding is not None and padding.ndim != n - 1:
        raise AssertionError(
            f"For {how} `query`, expected `key_padding_mask` to be `None` or {n - 1}-D but found "
            f"{padding.ndim}-D tensor instead")
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(
            f"For {how} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{mask.ndim}-D tensor instead")
    if not batched and mask is not None and mask.ndim == 3:
        wanted = (num_heads, query.shape[0], key.shape[0])
        if tuple(mask.shape) != wanted:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {wanted} but got {tuple(mask.shape)}")
    return batched


def _check_sizes(
    embed: int, wanted: int, num_heads: int, key: Tensor, value: Tensor, separate: bool
) -> None:
    if embed != wanted:
        raise AssertionError(f"was expecting embedding dimension of {wanted}, but got {embed}")
    if embed % num_heads:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {num_heads}")
    if separate:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's "
                f"{value.shape[:2]}")
    elif key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
