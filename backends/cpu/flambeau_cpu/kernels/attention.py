"""Attention by blocks of rows: no more of the scores is held than fits the cache."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
Array = np.ndarray[Any, Any]
BLOCK: Final = 1 << 18
"""Scores in a block."""
CAUSAL_ROWS: Final = 128
"""Rows of a causal block: what lies right of its last row's diagonal is never computed."""


def _as_4d(x: Array) -> Array:
    """(N, heads, length, features)."""
    if x.ndim == 4:
        return x
    lead = x.shape[:-2]
    return x.reshape(prod(lead[:-1]), lead[-1] if lead else 1, *x.shape[-2:])


def _mask_4d(mask: Any, lead: tuple[int, ...], rows: int, cols: int) -> Any:
    """A mask that broadcasts to (N, heads, rows, cols); only unusual ranks are copied."""
    if mask is None:
        return None
    if len(lead) > 2:
        mask = np.broadcast_to(mask, (*lead, *mask.shape[-2:]))
        return _as_4d(np.ascontiguousarray(mask))
    if len(lead) < 2 and mask.ndim > 2:  # one leading dimension is N
        mask = mask[..., None, :, :]
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    return np.broadcast_to(mask, (*mask.shape[:2], rows, cols))


def _fits(*arrays: Any) -> bool:
    d = arrays[0].dtype
    return d.kind == "f" and d.itemsize > 2 and all(
        a.dtype is d and a.ndim > 1 and a.size and a.shape[:-2] == arrays[0].shape[:-2]
        for a in arrays)


def _fits_mask(mask: Any, dtype: Any) -> bool:
    return mask is None or mask.dtype.kind == "b" or mask.dtype is dtype


def _blocks(
    shape: tuple[int, ...], cols: int, is_causal: bool
) -> Iterator[tuple[slice, slice, slice, int]]:
    """Samples, heads and rows of each block, and how many columns its rows look at."""
    count, heads, length = shape[:3]
    rows = min(length, CAUSAL_ROWS if is_causal else length, max(1, BLOCK // cols))
    heads_at_once = min(heads, max(1, BLOCK // (rows * cols)))
    samples = 1 if heads_at_once < heads else max(1, BLOCK // (rows * cols * heads))
    for n in range(0, count, samples):
        for h in range(0, heads, heads_at_once):
            for r in range(0, length, rows):
                seen = min(cols, r + rows) if is_causal else cols
                yield slice(n, n + samples), slice(h, h + heads_at_once), slice(r, r + rows), seen


def _part(mask: Any, n: slice, h: slice, r: slice, seen: int) -> Any:
    """The part of a broadcasting mask that belongs to a block."""
    n = slice(None) if mask.shape[0] == 1 else n
    h = slice(None) if mask.shape[1] == 1 else h
    return mask[n, h, r, :seen]


def _scores(
    q: Array, k: Array, mask: Any, is_causal: bool, scale: float,
    block: tuple[slice, slice, slice, int],
) -> Array:
    n, h, r, seen = block
    scores: Array = np.matmul(q[n, h, r] * q.dtype.type(scale), k[n, h, :seen].swapaxes(2, 3))
    if is_causal:
        at = np.arange(r.start, r.start + scores.shape[2])[:, None]
        np.copyto(scores, -np.inf, where=np.arange(seen) > at)
    elif mask is not None:
        part = _part(mask, n, h, r, seen)
        if part.dtype.kind == "b":
            np.copyto(scores, -np.inf, where=~part)
        else:
            np.add(scores, part, scores)
    return scores


@kernels.register_fresh("attention")
def attention(
    query: Any, key: Any, value: Any, attn_mask: Any, is_causal: bool, scale: float
) -> Any:
    """Softmax and product of each block before the next."""
    if not _fits(query, key, value) or not _fits_mask(attn_mask, query.dtype):
        return NotImplemented
    q, k, v = (_as_4d(a) for a in (query, key, value))
    cols = k.shape[2]
    mask = _mask_4d(attn_mask, query.shape[:-2], q.shape[2], cols)
    out = np.empty((*q.shape[:3], v.shape[3]), q.dtype)
    logsum = np.empty((*q.shape[:3], 1), q.dtype)
    for block in _blocks(q.shape, cols, is_causal):
        n, h, r, seen = block
        scores = _scores(q, k, mask, is_causal, scale, block)
        top = np.maximum.reduce(scores, 3, keepdims=True)
        if mask is not None:
            np.copyto(top, 0, where=top == -np.inf)  # a row in which all is masked
        np.subtract(scores, top, scores)
        np.exp(scores, scores)
        total = np.add.reduce(scores, 3, keepdims=True)
        if mask is not None:
            np.copyto(total, 1, where=total == 0)
        part = np.matmul(scores, v[n, h, :seen])
        np.true_divide(part, total, out[n, h, r])
        np.add(np.log(total), top, logsum[n, h, r])
    return out.reshape(*query.shape[:-1], v.shape[3]), logsum.reshape(query.shape[:-1])


@kernels.register_fresh("attention_grads")
def attention_grads(
    grad: Any, query: Any, key: Any, value: Any, attn_mask: Any, out: Any, logsum: Any,
    is_causal: bool, scale: float, for_query: bool, for_key: bool, for_value: bool,
) -> Any:
    """The weights of each block once more, and from them its share of the gradients."""
    if not _fits(query, key, value, out, grad) or not _fits_mask(attn_mask, query.dtype):
        return NotImplemented
    q, k, v, y, g = (_as_4d(a) for a in (query, key, value, out, grad))
    cols = k.shape[2]
    mask = _mask_4d(attn_mask, query.shape[:-2], q.shape[2], cols)
    sums = logsum.reshape(*q.shape[:3], 1)
    dots = np.vecdot(g, y)[..., None]  # the sum of every row's weights times their gradients
    dq, dk, dv = np.empty(q.shape, q.dtype), np.zeros(k.shape, q.dtype), np.zeros(v.shape, q.dtype)
    for block in _blocks(q.shape, cols, is_causal):
        n, h, r, seen = block
        weights = _scores(q, k, mask, is_causal, scale, block)
        np.subtract(weights, sums[n, h, r], weights)
        np.exp(weights, weights)
        part = dv[n, h, :seen]
        np.add(part, np.matmul(weights.swapaxes(2, 3), g[n, h, r]), part)
        slope = np.matmul(g[n, h, r], v[n, h, :seen].swapaxes(2, 3))
        np.subtract(slope, dots[n, h, r], slope)
        np.multiply(slope, weights, slope)
        np.multiply(slope, q.dtype.type(scale), slope)
        np.matmul(slope, k[n, h, :seen], dq[n, h, r])
        part = dk[n, h, :seen]
        np.add(part, np.matmul(slope.swapaxes(2, 3), q[n, h, r]), part)
    return dq.reshape(query.shape), dk.reshape(key.shape), dv.reshape(value.shape)
