"""Composites that MLX has a kernel for.

What does not fit is declined: then the decomposition runs, and finds the words for errors.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from flambeau_mlx.kernels.table import table


def fits(*arrays: mx.array | None) -> bool:
    """Whether arrays are of one floating dtype, and not empty."""
    given = [a for a in arrays if a is not None]
    return bool(mx.issubdtype(given[0].dtype, mx.floating)) and all(
        a.size and a.dtype == given[0].dtype for a in given)


@table.override("softmax_along")
def softmax(x: mx.array, dim: int) -> Any:
    """Softmax along one dimension, half precision summed in single."""
    return mx.softmax(x, dim, precise=True) if x.ndim and fits(x) else NotImplemented


@table.override("log_softmax_along")
def log_softmax(x: mx.array, dim: int) -> Any:
    """Its logarithm."""
    if not x.ndim or not fits(x):
        return NotImplemented
    wide = x.astype(mx.float32)
    return (wide - mx.logsumexp(wide, dim, keepdims=True)).astype(x.dtype)


@table.override("linear")
def linear(x: mx.array, weight: mx.array, bias: mx.array | None) -> Any:
    """``x @ weight.T + bias``."""
    if not fits(x, weight, bias) or not x.ndim or x.shape[-1:] != weight.shape[1:] or (
            bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)


@table.override("native_layer_norm")
def layer_norm(
    x: mx.array, weight: mx.array | None, bias: mx.array | None, normalized_shape: Any, eps: float
) -> Any:
    """MLX's kernel; the statistics, for the gradient, are only computed if somebody asks."""
    shape = tuple(normalized_shape)
    if len(shape) != 1 or not x.ndim or x.shape[-1:] != shape or not fits(x, weight, bias) or any(
            p is not None and p.shape != shape for p in (weight, bias)):
        return NotImplemented
    wide = x.astype(mx.float32)
    rstd = mx.rsqrt(mx.var(wide, -1, keepdims=True) + eps)
    out = mx.fast.layer_norm(x, weight, bias, eps)
    return out, mx.mean(wide, -1, keepdims=True).astype(x.dtype), rstd.astype(x.dtype)


@table.override("attention")
def attention(
    query: mx.array, key: mx.array, value: mx.array, attn_mask: mx.array | None, is_causal: bool,
    scale: float,
) -> Any:
    """MLX's kernel, which holds no matrix of scores; again the sums wait for a gradient.

    Its causal mask is aligned to the last key, PyTorch's to the first: only squares are alike.
    """
    if attn_mask is not None or query.ndim != 4 or not fits(query, key, value) or (
            is_causal and query.shape[2] != key.shape[2]) or key.shape[:2] != query.shape[:2] or (
            value.shape[:3] != key.shape[:3] or query.shape[3] != key.shape[3]):
        return NotImplemented
    out = mx.fast.scaled_dot_product_attention(
        query, key, value, scale=scale, mask="causal" if is_causal else None)
    scores = (query.astype(mx.float32) * scale) @ mx.swapaxes(key, 2, 3).astype(mx.float32)
    if is_causal:
        scores = mx.where(mx.tri(query.shape[2], dtype=mx.bool_), scores, -mx.inf)
    return out, mx.logsumexp(scores, -1)


# ---- convolutions: MLX has channels last, and the gradients of its own ---------------------------
def _last(x: mx.array) -> mx.array:
    return mx.moveaxis(x, 1, -1)


def _convolved(
    x: mx.array, weight: mx.array, stride: Any, padding: Any, dilation: Any, groups: int
) -> mx.array:
    made = mx.conv_general(
        _last(x), _last(weight), stride=list(stride), padding=list(padding),
        kernel_dilation=list(dilation), groups=groups)
    return mx.moveaxis(made, -1, 1)


def _convolves(x: tuple[int, ...], weight: tuple[int, ...], groups: int) -> bool:
    return len(x) == len(weight) > 2 and x[1] == weight[1] * groups and not weight[0] % groups and (
        groups == 1 or len(x) < 5)


@table.override("convolution")
def convolution(
    x: mx.array, weight: mx.array, bias: mx.array | None, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Any:
    """Forward, not transposed."""
    if transposed or not fits(x, weight, bias) or not _convolves(x.shape, weight.shape, groups) or (
            bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    made = _convolved(x, weight, stride, padding, dilation, groups)
    return made if bias is None else made + bias.reshape(-1, *(1,) * (x.ndim - 2))


@table.override("convolution_input_grad")
def convolution_input_grad(
    grad: mx.array, weight: mx.array, input_size: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Any:
    """The adjoint in the input; MLX derives it without looking at the input."""
    size = tuple(input_size)
    if not fits(grad, weight) or not _convolves(size, weight.shape, groups):
        return NotImplemented
    x = mx.zeros(size, grad.dtype)
    return mx.vjp(
        lambda x: _convolved(x, weight, stride, padding, dilation, groups), [x], [grad])[1][0]


@table.override("convolution_weight_grad")
def convolution_weight_grad(
    grad: mx.array, x: mx.array, weight_size: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Any:
    """The adjoint in the weight."""
    size = tuple(weight_size)
    if not fits(grad, x) or not _convolves(x.shape, size, groups):
        return NotImplemented
    weight = mx.zeros(size, grad.dtype)
    return mx.vjp(
        lambda w: _convolved(x, w, stride, padding, dilation, groups), [weight], [grad])[1][0]
