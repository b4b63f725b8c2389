"""Normalisation of groups of channels, each in the cache from its statistics to its result."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import dense

kernels = NativeTable()
_c = Library("group_norm", {
    "fb_group_norm": "aaaaaaidi", "fb_group_norm_backward": "aaaaaaaaaii"})


def _is_fit(x: Any, groups: int, *parameters: Any) -> bool:
    what = x.dtype
    if what.char not in "fd" or x.ndim < 2 or not x.size or groups < 1 or x.shape[1] % groups:
        return False
    shape = (x.shape[1],)
    return all(
        p is None or (p.dtype is what and p.shape == shape and p.flags.c_contiguous)
        for p in parameters)


@kernels.fresh_form("group_norm_stats", at=1)
def group_norm_stats(input: Any, weight: Any, bias: Any, num_groups: int, eps: float) -> Any:
    """Standardise, scale and shift."""
    c = _c()
    if c is None or not _is_fit(input, num_groups, weight, bias):
        return NotImplemented
    what, stats = input.dtype, (input.shape[0], num_groups)
    out, mean, rstd = empty(input.shape, what), np.empty(stats, what), np.empty(stats, what)
    c.fb_group_norm(out, mean, rstd, dense(input), weight, bias, num_groups, eps,
                    what.itemsize == 8)
    return out, mean, rstd


@kernels.fresh_form("group_norm_grads", at=1)
def group_norm_grads(
    grad: Any, input: Any, mean: Any, rstd: Any, weight: Any, num_groups: int, eps: float,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """All three gradients from the sums of every channel of every image."""
    c = _c()
    if c is None or not _is_fit(input, num_groups, weight) or any(
            t.dtype is not input.dtype for t in (grad, mean, rstd)) or (
            grad.shape != input.shape) or not (
            mean.shape == rstd.shape == (input.shape[0], num_groups)):
        return NotImplemented
    what, shape = input.dtype, (input.shape[1],)
    dx = empty(input.shape, what) if for_input else None
    dw = np.empty(shape, what) if for_weight else None
    db = np.empty(shape, what) if for_bias else None
    c.fb_group_norm_backward(
        dx, dw, db, empty((input.shape[0], 2, *shape), what), dense(grad), dense(input),
        dense(mean), dense(rstd), weight, num_groups, what.itemsize == 8)
    return dx, dw, db
