"""Activation functions with the signatures that PyTorch gives them here.

As operators they take no ``inplace``; and softmax may guess its dimension.
"""

from __future__ import annotations

import warnings
from typing import Any

from flambeau.nn.functional import registered
from flambeau.tensor import Tensor

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "relu_",
    "rrelu_",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "tanh",
    "threshold",
    "threshold_",
]


def _write(name: str, input: Tensor, *settings: Any) -> Tensor:
    """Apply an operator in place, also one that has no form of its own for that."""
    function = getattr(registered, f"{name}_", None)
    if function is not None:
        return function(input, *settings)  # type: ignore[no-any-return]
    # Of a copy, as the backward pass may need the values that are overwritten here.
    input.copy_(getattr(registered, name)(input.clone(), *settings))
    return input


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(x, 0)``."""
    return _write("relu", input) if inplace else registered.relu(input)


def relu_(input: Tensor) -> Tensor:
    """``relu`` in place."""
    return _write("relu", input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``x`` clipped to [0, 6]."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """``x`` clipped to [min_val, max_val].

    Raises:
        ValueError: if the bounds are in the wrong order.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if inplace:
        return _write("hardtanh", input, min_val, max_val)
    return registered.hardtanh(input, min_val, max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``hardtanh`` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` where positive, else ``negative_slope * x``."""
    if inplace:
        return _write("leaky_relu", input, negative_slope)
    return registered.leaky_relu(input, negative_slope)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """``leaky_relu`` in place."""
    return _write("leaky_relu", input, negative_slope)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """``rrelu`` in place."""
    return registered.rrelu(input, lower, upper, training, True)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""
    return _write("elu", input, alpha) if inplace else registered.elu(input, alpha)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``elu`` in place."""
    return _write("elu", input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The scaled exponential linear unit."""
    return _write("selu", input) if inplace else registered.selu(input)


def selu_(input: Tensor) -> Tensor:
    """``selu`` in place."""
    return _write("selu", input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``."""
    return _write("celu", input, alpha) if inplace else registered.celu(input, alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``celu`` in place."""
    return _write("celu", input, alpha)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``."""
    return _write("silu", input) if inplace else registered.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))``."""
    return _write("mish", input) if inplace else registered.mish(input)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """0 below -3, 1 above 3, ``x / 6 + 1 / 2`` between."""
    return _write("hardsigmoid", input) if inplace else registered.hardsigmoid(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * hardsigmoid(x)``."""
    return _write("hardswish", input) if inplace else registered.hardswish(input)


def threshold(
    input: Tensor, threshold: float, value: float, inplace: bool = False
) -> Tensor:
    """``x`` where it is above the threshold, else ``value``."""
    if inplace:
        return _write("threshold", input, threshold, value)
    return registered.threshold(input, threshold, value)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """``threshold`` in place."""
    return _write("threshold", input, threshold, value)


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return registered.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return registered.tanh(input)


# ---- softmax -------------------------------------------------------------------------------------
def _guessed_dim(name: str, input: Tensor, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.", stacklevel=stacklevel + 1)
    return 0 if input.ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """Exponentials divided by their sum along ``dim``."""
    if dim is None:
        dim = _guessed_dim("softmax", input, _stacklevel)
    return registered.softmax(input, dim, dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """Softmax of the negated input."""
    if dim is None:
        dim = _guessed_dim("softmin", input, _stacklevel)
    return registered.softmax(-input, dim, dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """The logarithm of softmax."""
    if dim is None:
        dim = _guessed_dim("log_softmax", input, _stacklevel)
    return registered.log_softmax(input, dim, dtype)
