"""Attention that holds a few thousand scores at a time, forward and backward."""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np

from flambeau_cpu.kernels.attention import _as_4d, _fits_mask, _mask_4d
from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library

kernels = NativeTable()
_c = Library("attention", {"attention": "aaaaaaiidi", "attention_grads": "aaaaaaaaaaaiidii"})
_F32: Final = np.dtype(np.float32)
_TASKS: Final = 8
"""Fewer heads than these are split, so that threads share the gradients of one."""
_KEYS: Final = 256
_VECTOR: Final = 64


def _fits(*arrays: Any) -> bool:
    first = arrays[0]
    return first.dtype.kind in "fV" and all(
        a.dtype is first.dtype and a.ndim > 1 and a.size and a.shape[:-2] == first.shape[:-2]
        for a in arrays)


def _with_near_features(x: Any, dtype: Any) -> Any:
    """As (n, heads, length, features), the features of each position side by side."""
    x = _as_4d(x if x.dtype is dtype else x.astype(dtype))
    near = x.strides[3] == x.itemsize or x.shape[3] == 1
    return x if near and all(s % x.itemsize == 0 for s in x.strides) else x.copy()


def _mask(mask: Any, query: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    if mask is None:
        return None
    if mask.dtype.kind != "b" and mask.dtype is not dtype:
        mask = mask.astype(dtype)
    return np.broadcast_to(_mask_4d(mask, query.shape[:-2], *shape[2:]), shape)


def _made(shape: tuple[int, ...], dtype: Any, heads_inside: bool) -> Any:
    """An array whose memory has a position's heads side by side, or a head's positions."""
    if not heads_inside:
        return empty(shape, dtype)
    n, heads, length, features = shape
    return empty((n, length, heads, features), dtype).transpose(0, 2, 1, 3)


def _made_like(x: Any) -> Any:
    return _made(x.shape, x.dtype, x.strides[1] < x.strides[2])


def _computed_in(dtype: Any) -> Any:
    return dtype if dtype.itemsize > 2 else _F32


@kernels.fresh_form("attention", at=0)
def attention(
    query: Any, key: Any, value: Any, attn_mask: Any, is_causal: bool, scale: float
) -> Any:
    """The result has the heads of a position side by side, as what follows wants them."""
    c = _c()
    if c is None or not _fits(query, key, value):
        return NotImplemented
    dtype = _computed_in(query.dtype)
    if dtype is query.dtype and not _fits_mask(attn_mask, dtype):
        return NotImplemented
    q, k, v = (_with_near_features(a, dtype) for a in (query, key, value))
    mask = _mask(attn_mask, query, (*q.shape[:3], k.shape[2]), dtype)
    out, logsum = _forward(c, q, k, v, mask, is_causal, scale, query.ndim == 4)
    if dtype is not query.dtype:
        out = out.astype(query.dtype)
    if query.ndim != 4:
        out = out.reshape(*query.shape[:-1], v.shape[3])
        logsum = logsum.reshape(query.shape[:-1])
    return out, logsum


def _forward(
    c: Any, q: Any, k: Any, v: Any, mask: Any, is_causal: bool, scale: float, heads_inside: bool
) -> tuple[Any, Any]:
    out = _made((*q.shape[:3], v.shape[3]), q.dtype, heads_inside)
    logsum = empty(q.shape[:3], q.dtype)
    c.attention(q, k, v, mask, out, logsum, is_causal, _is_bool(mask), scale, q.itemsize == 8)
    return out, logsum


def _is_bool(mask: Any) -> bool:
    return mask is not None and mask.dtype.kind == "b"


@kernels.fresh_form("attention_grads", at=0)
def attention_grads(
    grad: Any, query: Any, key: Any, value: Any, attn_mask: Any, out: Any, logsum: Any,
    is_causal: bool, scale: float, for_query: bool, for_key: bool, for_value: bool,
) -> Any:
    """Each gradient in the memory order of what it is for; of 16-bit floats in single precision."""
    c = _c()
    if c is None or not _fits(query, key, value, out, grad):
        return NotImplemented
    dtype = _computed_in(query.dtype)
    if dtype is query.dtype and not _fits_mask(attn_mask, dtype):
        return NotImplemented
    g, q, k, v = (_with_near_features(a, dtype) for a in (grad, query, key, value))
    mask = _mask(attn_mask, query, (*q.shape[:3], k.shape[2]), dtype)
    if dtype is query.dtype:
        y = _with_near_features(out, dtype)
        sums = np.ascontiguousarray(logsum, dtype).reshape(q.shape[:3])
    else:  # the result has been rounded: once more
        y, sums = _forward(c, q, k, v, mask, is_causal, scale, False)
    made = [_made_like(a) for a in (q, k, v)]
    heads = prod(q.shape[:2])
    splits = 1 if heads >= _TASKS else min(-(-k.shape[2] // _KEYS), -(-_TASKS // heads))
    width = -(-q.shape[3] * dtype.itemsize // _VECTOR) * _VECTOR // dtype.itemsize
    scratch = empty((heads * splits * q.shape[2] * width,), dtype)
    c.attention_grads(g, q, k, v, mask, y, sums, *made, scratch, is_causal, _is_bool(mask),
                      scale, splits, dtype.itemsize == 8)
    shapes = (query.shape, key.shape, value.shape)
    return tuple(a.reshape(shape) for a, shape in zip(made, shapes, strict=True))
