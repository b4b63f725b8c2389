"""Normalisation of groups of channels: rows as in layer_norm, parameters per channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.layer_norm import (
    fits,
    row_blocks,
    row_sums,
    standardize,
    standardize_back,
)

kernels = KernelTable()


def _has_groups(input: Any, num_groups: int, *parameters: Any) -> bool:
    return (
        input.ndim > 1 and num_groups > 0 and fits(input, *parameters)
        and input.shape[1] % num_groups == 0
        and all(p is None or p.shape == input.shape[1:2] for p in parameters)
    )


@kernels.register_fresh("group_norm_stats")
def group_norm_stats(input: Any, weight: Any, bias: Any, num_groups: int, eps: float) -> Any:
    """Standardise the rows, then scale and shift the channels."""
    if not _has_groups(input, num_groups, weight, bias):
        return NotImplemented
    count, channels = input.shape[:2]
    x = input.reshape(count * num_groups, -1)
    out = np.empty(x.shape, x.dtype)
    mean, rstd = np.empty(x.shape[0], x.dtype), np.empty(x.shape[0], x.dtype)
    for rows in row_blocks(x):
        standardize(x[rows], eps, out[rows], mean[rows], rstd[rows])
    planes = out.reshape(count, channels, -1)
    if weight is not None:
        np.multiply(planes, weight[:, None], planes)
    if bias is not None:
        np.add(planes, bias[:, None], planes)
    stats = (count, num_groups)
    return out.reshape(input.shape), mean.reshape(stats), rstd.reshape(stats)


@kernels.register_fresh("group_norm_grads")
def group_norm_grads(
    grad: Any, input: Any, mean: Any, rstd: Any, weight: Any, num_groups: int, eps: float,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """All three gradients from the standardised rows."""
    if not _has_groups(input, num_groups, weight) or not fits(grad, mean, rstd, input):
        return NotImplemented
    count, channels = input.shape[:2]
    x, g = input.reshape(count * num_groups, -1), grad.reshape(count, channels, -1)
    rstd = rstd.reshape(-1)
    xhat = np.subtract(x, mean.reshape(-1, 1))
    np.multiply(xhat, rstd[:, None], xhat)
    dx = dw = db = None
    if for_bias:
        db = np.add.reduce(np.add.reduce(g, 2), 0)
    if for_weight:
        dw = np.add.reduce(row_sums(g, xhat.reshape(g.shape)), 0)
    if for_input:
        gx = g.copy() if weight is None else np.multiply(g, weight[:, None])
        dx = gx.reshape(x.shape)
        for rows in row_blocks(x):
            part = dx[rows]
            standardize_back(part, xhat[rows], rstd[rows], np.empty(part.shape, part.dtype))
        dx = dx.reshape(input.shape)
    return dx, dw, db
