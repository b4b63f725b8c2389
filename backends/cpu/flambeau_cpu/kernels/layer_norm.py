"""Normalisation of rows: several elementwise steps on blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
Array = np.ndarray[Any, Any]
BLOCK: Final = 1 << 16
"""Elements of a block: three of them fit a core's own cache."""


def row_blocks(x: Array) -> Iterator[slice]:
    """Rows that make a block."""
    step = max(1, BLOCK // max(x.shape[1], 1))
    return (slice(i, i + step) for i in range(0, x.shape[0], step))


def as_rows(x: Array, count: int) -> Array:
    """The last ``count`` dimensions as one, all before as one."""
    width = prod(x.shape[x.ndim - count :])
    return x.reshape(x.size // width, width)


def row_sums(a: Array, b: Array) -> Array:
    """The inner product of every pair of rows."""
    result: Array = np.vecdot(a, b)
    return result


def standardize(x: Array, eps: float, out: Array, mean: Array, rstd: Array) -> None:
    """A block of rows with zero mean and unit variance; ``mean`` and ``rstd`` are written too."""
    width = x.shape[1]
    np.true_divide(np.dot(x, np.ones(width, x.dtype)), width, mean)
    np.subtract(x, mean[:, None], out)
    np.true_divide(row_sums(out, out), width, rstd)
    np.add(rstd, eps, rstd)
    np.sqrt(rstd, rstd)
    np.reciprocal(rstd, rstd)
    np.multiply(out, rstd[:, None], out)


def standardize_back(gx: Array, xhat: Array, rstd: Array, scratch: Array) -> None:
    """In place of ``gx``: ``rstd * (gx - mean(gx) - xhat * mean(gx * xhat))`` per row."""
    width = gx.shape[1]
    first = np.dot(gx, np.ones(width, gx.dtype)) / width
    second = row_sums(gx, xhat) / width
    np.multiply(xhat, second[:, None], scratch)
    np.add(scratch, first[:, None], scratch)
    np.subtract(gx, scratch, gx)
    np.multiply(gx, rstd[:, None], gx)


def fits(x: Array, *others: Any) -> bool:
    """Whether all are of one floating dtype of at least single precision, and not empty."""
    d = x.dtype
    return d.kind == "f" and d.itemsize > 2 and x.size > 0 and all(
        o is None or o.dtype is d for o in others)


@kernels.register_fresh("native_layer_norm")
def native_layer_norm(input: Any, weight: Any, bias: Any, normalized_shape: Any, eps: float) -> Any:
    """Standardise, scale and shift each block before the next."""
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape or not fits(input, weight, bias) or any(
        p is not None and p.shape != shape for p in (weight, bias)):
        return NotImplemented
    x = as_rows(input, len(shape))
    out = np.empty(x.shape, x.dtype)
    mean, rstd = np.empty(x.shape[0], x.dtype), np.empty(x.shape[0], x.dtype)
    w = None if weight is None else weight.reshape(-1)
    b = None if bias is None else bias.reshape(-1)
    for rows in row_blocks(x):
        part = out[rows]
        standardize(x[rows], eps, part, mean[rows], rstd[rows])
        if w is not None:
            np.multiply(part, w, part)
        if b is not None:
            np.add(part, b, part)
    stats = (*input.shape[: input.ndim - len(shape)], *(1,) * len(shape))
    return out.reshape(input.shape), mean.reshape(stats), rstd.reshape(stats)


@kernels.register_fresh("layer_norm_grads")
def layer_norm_grads(
    grad: Any, input: Any, mean: Any, rstd: Any, weight: Any, count: int, eps: float,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """All three gradients while a block is in the cache."""
    if not fits(input, grad, mean, rstd, weight):
        return NotImplemented
    x, g = as_rows(input, count), as_rows(grad, count)
    w = None if weight is None else weight.reshape(-1)
    mean, rstd = mean.reshape(-1), rstd.reshape(-1)
    dx = np.empty(x.shape, x.dtype)
    dw, db = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    for rows in row_blocks(x):
        part, gp = dx[rows], g[rows]
        if for_bias:
            np.add(db, np.add.reduce(gp, 0), db)
        if not (for_input or for_weight):
            continue
        xhat = np.subtract(x[rows], mean[rows, None])
        np.multiply(xhat, rstd[rows, None], xhat)
        if for_weight:
            np.multiply(gp, xhat, part)
            np.add(dw, np.add.reduce(part, 0), dw)
        if for_input:
            scratch = np.empty(xhat.shape, xhat.dtype)
            np.copyto(part, gp) if w is None else np.multiply(gp, w, part)
            standardize_back(part, xhat, rstd[rows], scratch)
    shape = input.shape[input.ndim - count :]
    return (
        dx.reshape(input.shape) if for_input else None,
        dw.reshape(shape) if for_weight else None,
        db.reshape(shape) if for_bias else None,
    )


def _inverse_rms(x: Array, eps: float | None) -> Array:
    least = np.finfo(x.dtype).eps if eps is None else eps
    mean = row_sums(x, x) / x.shape[1]
    result: Array = 1 / np.sqrt(mean + x.dtype.type(least))
    return result[:, None]


@kernels.register_fresh("rms_norm")
def rms_norm(input: Any, weight: Any, normalized_shape: Any, eps: float | None) -> Any:
    """Block by block."""
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape or not fits(input, weight) or (
        weight is not None and weight.shape != shape):
        return NotImplemented
    x = as_rows(input, len(shape))
    out = np.empty(x.shape, x.dtype)
    w = None if weight is None else weight.reshape(-1)
    for rows in row_blocks(x):
        part = out[rows]
        np.multiply(x[rows], _inverse_rms(x[rows], eps), part)
        if w is not None:
            np.multiply(part, w, part)
    return out.reshape(input.shape)


@kernels.register_fresh("rms_norm_grads")
def rms_norm_grads(
    grad: Any, input: Any, weight: Any, count: int, eps: float | None, for_input: bool,
    for_weight: bool,
) -> Any:
    """Both gradients while a block is in the cache."""
    if not fits(input, grad, weight):
        return NotImplemented
    x, g = as_rows(input, count), as_rows(grad, count)
    w = None if weight is None else weight.reshape(-1)
    dx, dw = np.empty(x.shape, x.dtype), np.zeros(x.shape[1], x.dtype)
    for rows in row_blocks(x):
        part, gp = dx[rows], g[rows]
        scale = _inverse_rms(x[rows], eps)
        xhat = np.multiply(x[rows], scale)
        if for_weight:
            np.multiply(gp, xhat, part)
            np.add(dw, np.add.reduce(part, 0), dw)
        if for_input:
            np.copyto(part, gp) if w is None else np.multiply(gp, w, part)
            along = row_sums(part, xhat) / x.shape[1]
            np.multiply(xhat, along[:, None], xhat)
            np.subtract(part, xhat, part)
            np.multiply(part, scale, part)
    shape = input.shape[input.ndim - count :]
    return dx.reshape(input.shape) if for_input else None, dw.reshape(shape) if for_weight else None
