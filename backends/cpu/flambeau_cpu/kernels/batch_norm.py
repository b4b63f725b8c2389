"""Normalisation of channels over the batch.

Channels are innermost (``rows``: vectors and channels-last images) or planes (N, C, length).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.layer_norm import fits

kernels = KernelTable()
Array = np.ndarray[Any, Any]
BLOCK: Final = 1 << 17
"""Elements of a block of images."""


class Channels:
    """An array (N, C, *) as planes, or as rows where channels are innermost in memory."""

    __slots__ = ("as_rows", "count", "shape")

    def __init__(self, x: Array) -> None:
        self.shape = x.shape
        self.as_rows = x.ndim == 2 or (
            not x.flags.c_contiguous and np.moveaxis(x, 1, -1).flags.c_contiguous)
        self.count = x.size // x.shape[1]

    def view(self, x: Array) -> Array:
        """(rows, C) or (N, C, length)."""
        if self.as_rows:
            return np.asarray(np.moveaxis(x, 1, -1).reshape(-1, self.shape[1]))
        return x.reshape(*self.shape[:2], -1)

    def restore(self, y: Array) -> Array:
        """The inverse of ``view``."""
        if not self.as_rows or len(self.shape) == 2:
            return y.reshape(self.shape)
        restored: Array = np.moveaxis(
            y.reshape(self.shape[0], *self.shape[2:], self.shape[1]), -1, 1)
        return restored

    def spread(self, p: Array) -> Array:
        """A value per channel, so that it broadcasts against a view."""
        return p if self.as_rows else p[:, None]

    def sums(self, y: Array) -> Array:
        """The sum of a view per channel."""
        if self.as_rows:
            total: Array = np.dot(np.ones(y.shape[0], y.dtype), y)
            return total
        per_plane = np.dot(y, np.ones(y.shape[2], y.dtype))
        return np.asarray(np.add.reduce(per_plane, 0))

    def products(self, a: Array, b: Array) -> Array:
        """The sum of the product of two views per channel."""
        if self.as_rows:
            return np.asarray(np.einsum("rc,rc->c", a, b))
        return np.asarray(np.add.reduce(np.vecdot(a, b), 0))

    def blocks(self, y: Array) -> list[slice]:
        """Parts of a view that fit the cache."""
        step = max(1, BLOCK * y.shape[0] // y.size)
        return [slice(i, i + step) for i in range(0, y.shape[0], step)]


def _has_channels(input: Any, *parameters: Any) -> bool:
    return input.ndim > 1 and fits(input, *parameters) and all(
        p is None or p.shape == input.shape[1:2] for p in parameters)


def _scale(weight: Any, var: Array, eps: float) -> Array:
    scale: Array = 1 / np.sqrt(var + var.dtype.type(eps))
    return scale if weight is None else scale * weight


@kernels.register_fresh("batch_norm_train")
def batch_norm_train(input: Any, weight: Any, bias: Any, eps: float) -> Any:
    """The mean, the centred values with their squares' sum, then scale and shift in place."""
    if not _has_channels(input, weight, bias):
        return NotImplemented
    c = Channels(input)
    x = c.view(input)
    mean = c.sums(x) / c.count
    mean = mean.astype(x.dtype, copy=False)
    out = np.empty(x.shape, x.dtype)
    var = np.zeros_like(mean)
    shift = c.spread(mean)
    blocks = c.blocks(x)
    for block in blocks:
        part = out[block]
        np.subtract(x[block], shift, part)
        np.add(var, c.products(part, part), var)
    np.true_divide(var, c.count, var)
    scale = c.spread(_scale(weight, var, eps))
    for block in blocks:
        part = out[block]
        np.multiply(part, scale, part)
        if bias is not None:
            np.add(part, c.spread(bias), part)
    return c.restore(out), mean, var


@kernels.register_fresh("batch_norm_eval")
def batch_norm_eval(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, eps: float
) -> Any:
    """One multiplication and one addition."""
    if not _has_channels(input, weight, bias, running_mean, running_var):
        return NotImplemented
    c = Channels(input)
    x = c.view(input)
    scale = _scale(weight, running_var, eps)
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    out = np.empty(x.shape, x.dtype)
    for block in c.blocks(x):
        part = out[block]
        np.multiply(x[block], c.spread(scale), part)
        np.add(part, c.spread(shift), part)
    return c.restore(out)


@kernels.register_fresh("batch_norm_grads")
def batch_norm_grads(
    grad: Any, input: Any, mean: Any, var: Any, weight: Any, eps: float, training: bool,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """Two sums per channel; then gradient, centred input and a constant, each times a factor."""
    if not _has_channels(input, mean, var, weight) or grad.dtype is not input.dtype:
        return NotImplemented
    c = Channels(input)
    x, g = c.view(input), c.view(grad)
    blocks = c.blocks(x)
    total = c.sums(g) if for_bias or (training and for_input) else None
    along = np.zeros_like(mean)
    shift = c.spread(mean)
    if for_weight or (training and for_input):
        for block in blocks:
            np.add(along, c.products(g[block], np.subtract(x[block], shift)), along)
    rstd = _scale(None, var, eps)
    dx = None
    if for_input:
        scale = rstd if weight is None else rstd * weight
        dx = np.empty(x.shape, x.dtype)
        slope = c.spread(-scale * rstd * rstd * along / c.count)
        offset = c.spread(-scale * total / c.count) if training and total is not None else None
        for block in blocks:
            part = dx[block]
            np.multiply(g[block], c.spread(scale), part)
            if offset is not None:
                centred = np.subtract(x[block], shift)
                np.multiply(centred, slope, centred)
                np.add(part, centred, part)
                np.add(part, offset, part)
        dx = c.restore(dx)
    return dx, along * rstd if for_weight else None, total if for_bias else None


@kernels.register_fresh("running_average")
def running_average(running: Any, current: Any, momentum: float, factor: float) -> Any:
    """Two products and a sum of as many numbers as there are channels."""
    if not fits(running, current) or running.shape != current.shape:
        return NotImplemented
    moved = running * (1 - momentum)
    return np.add(moved, current * (momentum * factor), moved)
