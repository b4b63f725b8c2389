"""Putting batch normalisation into the layer before it, for evaluation."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import flambeau as fb
from flambeau.nn.parameter import Parameter
from flambeau.tensor import Tensor

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]

M = TypeVar("M")


def fuse_conv_bn_eval(conv: M, bn: Any, transpose: bool = False) -> M:
    """A copy of a convolution that gives what the normalisation makes of its results.

    Raises:
        AssertionError: if either module is in training mode.
    """
    return _fused(conv, bn, lambda c: fuse_conv_bn_weights(
        c.weight, c.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
        transpose))


def fuse_linear_bn_eval(linear: M, bn: Any) -> M:
    """A copy of a linear layer that gives what the normalisation makes of its results.

    Raises:
        AssertionError: if either module is in training mode, or the sizes differ.
    """
    if bn.num_features not in (linear.out_features, 1):  # type: ignore[attr-defined]
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    return _fused(linear, bn, lambda c: fuse_linear_bn_weights(
        c.weight, c.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias))


def _fused(module: M, bn: Any, weights_of: Any) -> M:
    if module.training or bn.training:  # type: ignore[attr-defined]
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("Fusion needs the running statistics of the normalisation")
    fused: Any = copy.deepcopy(module)
    fused.weight, fused.bias = weights_of(fused)
    return fused  # type: ignore[no-any-return]


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
    bn_w: Tensor | None, bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the fused convolution."""
    channels = 1 if transpose else 0
    shape = [1] * conv_w.ndim
    shape[channels] = -1
    return _weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape)


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
    bn_w: Tensor, bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the fused linear layer."""
    return _weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])


def _weights(
    weight: Tensor, bias: Any, mean: Tensor, variance: Tensor, eps: float, scale: Any,
    shift: Any, shape: list[int],
) -> tuple[Parameter, Parameter]:
    what = weight.dtype
    bias = fb.zeros_like(mean) if bias is None else bias
    scale = fb.ones_like(mean) if scale is None else scale
    shift = fb.zeros_like(mean) if shift is None else shift
    factor: Any = scale * (variance + eps).rsqrt()
    new_weight = (weight * factor.reshape(shape)).to(what)
    new_bias = ((bias - mean) * factor + shift).to(what)
    return (
        Parameter(new_weight.detach(), weight.requires_grad),
        Parameter(new_bias.detach(), bool(bias.requires_grad)))
