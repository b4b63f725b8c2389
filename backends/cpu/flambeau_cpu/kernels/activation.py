"""Activation functions, both ways in one function each.

Large arrays go through in blocks; the expressions are written for arrays and NumPy scalars.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.blocks import BLOCK, in_blocks
from flambeau_cpu.elementwise import floats, is_real, override
from flambeau_cpu.erf import erf

kernels = KernelTable()

_ROOT_HALF: Final = math.sqrt(0.5)
_ROOT_2_PI: Final = math.sqrt(2 / math.pi)
_CUBIC: Final = 0.044715
_WIDE: Final = (np.dtype(np.float32), np.dtype(np.float64))


def _forward(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel of one tensor of single or double precision; half precision goes through single."""

    def kernel(x: Any, **settings: Any) -> Any:
        if x.dtype not in _WIDE:
            if x.dtype.itemsize != 2 or not is_real(x):
                return NotImplemented
            return np.asarray(function(x.astype(np.float32), **settings)).astype(x.dtype)
        if x.size <= BLOCK:
            return function(x, **settings)

        def piece(part: Any, out: Any) -> None:
            out[...] = function(part, **settings)

        return in_blocks(piece, x)

    return kernel


def _backward(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel of a gradient and a tensor of the same shape, of single or double precision."""

    def kernel(grad: Any, x: Any, **settings: Any) -> Any:
        if x.dtype not in _WIDE or grad.dtype != x.dtype or grad.shape != x.shape:
            return NotImplemented
        if x.size <= BLOCK:
            return function(grad, x, **settings)

        def piece(g: Any, part: Any, out: Any) -> None:
            out[...] = function(g, part, **settings)

        return in_blocks(piece, grad, x)

    return kernel


# ---- rectifiers --------------------------------------------------------------------------------
_ZERO: Final = {np.dtype(d): np.zeros((), d) for d in "efdbhilqBHIL"}
"""NumPy converts a Python number at the cost of a small kernel."""


def _relu(x: Any) -> Any:
    zero = _ZERO.get(x.dtype)
    if zero is None:
        return np.maximum(x, 0) if is_real(x) else NotImplemented
    return np.maximum(x, zero)


def _threshold_backward(grad: Any, tested: Any, threshold: Any) -> Any:
    return np.where(tested <= threshold, 0, grad)


def _leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    if 0 < negative_slope <= 1:
        return np.maximum(x, x * negative_slope)
    return np.where(x > 0, x, x * negative_slope)


def _leaky_relu_backward(grad: Any, x: Any, negative_slope: float) -> Any:
    return np.where(x > 0, grad, grad * negative_slope)


# ---- logistic ----------------------------------------------------------------------------------
def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _sigmoid(x: Any) -> Any:
    if x.dtype.kind == "c":
        return NotImplemented
    return _sigmoid_of_floats(floats(x))


_sigmoid_of_floats = _forward(_logistic)


def _softplus(x: Any, beta: Any = 1, threshold: Any = 20) -> Any:
    scaled = x if beta == 1 else x * beta
    return np.where(scaled > threshold, x, np.log1p(np.exp(scaled)) / beta)


def _softplus_backward(grad: Any, x: Any, beta: Any, threshold: Any) -> Any:
    scaled = x if beta == 1 else x * beta
    return np.where(scaled > threshold, grad, grad * _logistic(scaled))


def _silu_backward(grad: Any, x: Any) -> Any:
    s = _logistic(x)
    return grad * (s * (1 + x * (1 - s)))


def _mish_backward(grad: Any, x: Any) -> Any:
    t = np.tanh(_softplus(x))
    return grad * (t + x * _logistic(x) * (1 - t * t))


# ---- GELU --------------------------------------------------------------------------------------
def _fit(x: Any) -> Any:
    return np.tanh(x * (1 + x * x * _CUBIC) * _ROOT_2_PI)


def _gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "none":
        return x * ((erf(x * _ROOT_HALF) + 1) * 0.5)
    return NotImplemented if approximate != "tanh" else x * (1 + _fit(x)) * 0.5


def _gelu_backward(grad: Any, x: Any, approximate: str) -> Any:
    square = x * x
    if approximate == "none":
        density = np.exp(square * -0.5) * (_ROOT_2_PI / 2)
        return grad * ((erf(x * _ROOT_HALF) + 1) * 0.5 + x * density)
    t = _fit(x)
    slope = (1 - t * t) * ((1 + square * (3 * _CUBIC)) * _ROOT_2_PI)
    return grad * ((1 + t + x * slope) * 0.5)


# ---- exponential -------------------------------------------------------------------------------
def _elu(x: Any, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Any:
    left = np.expm1(np.minimum(x, 0) * input_scale) * (alpha * scale)
    return np.where(x > 0, x if scale == 1 else x * scale, left)


def _elu_backward(grad: Any, x: Any, alpha: Any, scale: Any, input_scale: Any) -> Any:
    left = np.exp(np.minimum(x, 0) * input_scale) * (alpha * scale * input_scale)
    return grad * np.where(x > 0, scale, left)


_FORWARD: Final[dict[str, Callable[..., Any]]] = {
    "leaky_relu": _leaky_relu,
    "logsigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": _softplus,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "gelu": _gelu,
    "scaled_elu": _elu,
}
_BACKWARD: Final[dict[str, Callable[..., Any]]] = {
    "threshold_backward": _threshold_backward,
    "leaky_relu_backward": _leaky_relu_backward,
    "sigmoid_backward": lambda grad, output: grad * ((1 - output) * output),
    "logsigmoid_backward": lambda grad, x: grad * _logistic(-x),
    "silu_backward": _silu_backward,
    "softplus_backward": _softplus_backward,
    "mish_backward": _mish_backward,
    "gelu_backward": _gelu_backward,
    "elu_backward": _elu_backward,
}
override(kernels, {
    "relu": _relu,
    "sigmoid": _sigmoid,
    **{name: _forward(function) for name, function in _FORWARD.items()},
    **{name: _backward(function) for name, function in _BACKWARD.items()},
})
