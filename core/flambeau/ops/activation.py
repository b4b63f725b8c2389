"""Activation functions.

Those with a backward op of their own keep one tensor for it, and let a backend fuse both ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.formulas import for_floats, for_reals
from flambeau.layout import wrap_dim
from flambeau.ops.compare import where
from flambeau.ops.pointwise import abs, erf, exp, expm1, log1p, maximum, minimum, tanh, to_floating
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample, unary, unary_errors
from flambeau.tensor import Tensor

_BOTH = ("", "nn.functional")
_F: dict[str, Any] = {
    "namespaces": ("nn.functional",), "samples": unary(), "errors": unary_errors, "method": False,
    "inplace": True,
}


def _pair(make: Make, *numbers: Any) -> Iterator[Sample]:
    yield sample(make(3, 4), make(3, 4), *numbers)
    yield sample(make(4, 3).t(), make(3, 4), *numbers)
    yield sample(make(0, 3), make(0, 3), *numbers)


def _backward(*numbers: Any) -> dict[str, Any]:
    """Facts of an op ``(grad, saved tensor, numbers)`` that is only called by derivatives."""
    return {"namespaces": ("_internal",), "template": "fused", "method": False, "out": False,
            "samples": lambda make: _pair(make, *numbers)}


def _floating_only(name: str, self: Tensor) -> None:
    if self.dtype.category < 2:
        raise NotImplementedError(f"{name} is not implemented for {self.dtype.name}")


# ---- rectifiers --------------------------------------------------------------------------------
@composite("threshold_backward(Tensor grad, Tensor tested, Scalar threshold) -> Tensor",
    formula="tested <= threshold ? 0 : grad",
           **_backward(0))
def threshold_backward(grad: Tensor, tested: Tensor, threshold: Any) -> Any:
    """The gradient where a tensor is above a threshold (or NaN), else 0."""
    return where(tested <= threshold, 0.0, grad)


@composite(
    "relu(Tensor self) -> Tensor", namespaces=_BOTH, template="unary", inplace=True,
    dtypes="real", derivatives={"self": lambda g, out: threshold_backward(g, out, 0)},
    samples=unary(), errors=unary_errors, formula="maximum(self, 0)",
)
def relu(self: Tensor) -> Any:
    """max(x, 0)."""
    if self.dtype is dtypes.bool:
        raise RuntimeError("Boolean inputs not supported for relu")
    return maximum(self, 0)


@composite(
    "threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor",
    formula="self <= threshold ? value : self",
    **{**_F, "namespaces": _BOTH, "dtypes": "real",
       "samples": lambda make: iter([sample(make(3, 4), 1, 2), sample(make(0, 4), 1, 2)]),
       "errors": lambda make: iter([error(TypeError, "must be Tensor", 1.5, 1, 2)])},
    derivatives={"self": lambda g, self, threshold: threshold_backward(g, self, threshold)},
)
def threshold(self: Tensor, threshold: Any, value: Any) -> Any:
    """x where it is above the threshold, else the value."""
    return where(self <= threshold, value, self)


@composite("leaky_relu_backward(Tensor grad, Tensor self, float negative_slope) -> Tensor",
    formula="self > 0 ? grad : grad * negative_slope",
           **_backward(0.1))
def leaky_relu_backward(grad: Tensor, self: Tensor, negative_slope: float) -> Any:
    """The gradient, times the slope where x is not positive."""
    return where(self > 0, grad, grad * negative_slope)


@composite(
    "leaky_relu(Tensor self, float negative_slope=0.01) -> Tensor",
    formula="self > 0 ? self : self * negative_slope", template="unary", **_F,
    derivatives={"self": lambda g, self, negative_slope: leaky_relu_backward(
        g, self, negative_slope)},
)
def leaky_relu(self: Tensor, negative_slope: float = 0.01) -> Any:
    """x where positive, else ``negative_slope * x``."""
    _floating_only("leaky_relu", self)
    return where(self > 0, self, self * negative_slope)


def _hardtanh_grad(g: Tensor, self: Tensor, min_val: Any, max_val: Any) -> Any:
    return where((self <= min_val) | (self >= max_val), 0.0, g)


@composite(
    "hardtanh(Tensor self, Scalar min_val=-1.0, Scalar max_val=1.0) -> Tensor",
    formula="minimum(maximum(self, min_val), max_val)",
    derivatives={"self": _hardtanh_grad}, **_F,
)
def hardtanh(self: Tensor, min_val: Any = -1.0, max_val: Any = 1.0) -> Any:
    """x limited to [min_val, max_val], in the dtype of x."""
    if self.dtype is dtypes.bool:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if self.dtype.category == 1:
        min_val, max_val = int(min_val), int(max_val)
    return minimum(maximum(self, min_val), max_val)


# ---- logistic ----------------------------------------------------------------------------------
@composite("sigmoid_backward(Tensor grad, Tensor output) -> Tensor",
    formula="grad * conj((1 - output) * output)",
    **_backward())
def sigmoid_backward(grad: Tensor, output: Tensor) -> Any:
    """The gradient of sigmoid from its result."""
    return grad * ((1 - output) * output).conj()


@composite(
    "sigmoid(Tensor self) -> Tensor", namespaces=_BOTH, template="unary", inplace=True,
    dtypes="floating_complex", derivatives={"self": lambda g, out: sigmoid_backward(g, out)},
    samples=unary(), errors=unary_errors, formula="1 / (1 + exp(-self))",
)
def sigmoid(self: Tensor) -> Any:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + exp(-to_floating(self)))


@composite("logsigmoid_backward(Tensor grad, Tensor self) -> Tensor",
    formula="grad * (1 / (1 + exp(self)))",
    **_backward())
def logsigmoid_backward(grad: Tensor, self: Tensor) -> Any:
    """The gradient times sigmoid(-x)."""
    return grad * sigmoid(-self)


@composite(
    "logsigmoid(Tensor self) -> Tensor",
    formula=for_reals("minimum(self, 0) - log1p(exp(-abs(self)))"),
    template="unary", **{**_F, "inplace": False},
    derivatives={"self": lambda g, self: logsigmoid_backward(g, self)},
)
def logsigmoid(self: Tensor) -> Any:
    """log(sigmoid(x)), without overflow."""
    _floating_only("logsigmoid", self)
    return minimum(self, 0) - log1p(exp(-abs(self)))


@composite("silu_backward(Tensor grad, Tensor self) -> Tensor",
    formula="s = 1 / (1 + exp(-self)); grad * conj(s * (1 + self * (1 - s)))",
    **_backward())
def silu_backward(grad: Tensor, self: Tensor) -> Any:
    """The gradient times s (1 + x (1 - s)), s being sigmoid(x)."""
    s = sigmoid(self)
    return grad * (s * (1 + self * (1 - s))).conj()


@composite(
    "silu(Tensor self) -> Tensor",
    formula="self * (1 / (1 + exp(-self)))",
    template="unary", **{**_F, "dtypes": "floating_complex"},
    derivatives={"self": lambda g, self: silu_backward(g, self)},
)
def silu(self: Tensor) -> Any:
    """x * sigmoid(x)."""
    _floating_only("silu", self)
    return self * sigmoid(self)


@composite(
    "softplus_backward(Tensor grad, Tensor self, Scalar beta, Scalar threshold) -> Tensor",
    formula=for_reals(
        "b = self * beta; b > threshold ? grad : grad * (1 / (1 + exp(-b)))"),
    **_backward(2, 3),
)
def softplus_backward(grad: Tensor, self: Tensor, beta: Any, threshold: Any) -> Any:
    """The gradient times sigmoid(beta x); as it is beyond the threshold."""
    scaled = self * beta
    return where(scaled > threshold, grad, grad * sigmoid(scaled))


@composite(
    "softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor",
    formula="b = self * beta; b > threshold ? self : log1p(exp(minimum(b, threshold))) / beta",
    template="unary",
    **{**_F, "inplace": False, "samples": lambda make: iter([
        *unary()(make), sample(make(3, 4), 2, 1)])},
    derivatives={"self": lambda g, self, beta, threshold: softplus_backward(
        g, self, beta, threshold)},
)
def softplus(self: Tensor, beta: Any = 1, threshold: Any = 20) -> Any:
    """log(1 + exp(beta x)) / beta; x itself beyond the threshold."""
    _floating_only("softplus", self)
    scaled = self * beta
    return where(scaled > threshold, self, log1p(exp(minimum(scaled, threshold))) / beta)


_SOFTPLUS = "self > 20 ? self : log1p(exp(minimum(self, 20)))"


@composite("mish_backward(Tensor grad, Tensor self) -> Tensor",
    formula=(
        f"t = tanh({_SOFTPLUS}); grad * (t + self * (1 / (1 + exp(-self))) * (1 - t * t))"),
    **_backward())
def mish_backward(grad: Tensor, self: Tensor) -> Any:
    """The gradient times t + x s (1 - t^2), t being tanh(softplus(x)) and s sigmoid(x)."""
    t = tanh(softplus(self))
    return grad * (t + self * sigmoid(self) * (1 - t * t))


@composite(
    "mish(Tensor self) -> Tensor",
    formula=f"self * tanh({_SOFTPLUS})", template="unary", **_F,
    derivatives={"self": lambda g, self: mish_backward(g, self)},
)
def mish(self: Tensor) -> Any:
    """x * tanh(softplus(x)) (Misra, 2019)."""
    _floating_only("mish", self)
    return self * tanh(softplus(self))


# ---- GELU --------------------------------------------------------------------------------------
_ROOT_HALF = math.sqrt(0.5)
_ROOT_2_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _gelu_samples(make: Make) -> Iterator[Sample]:
    yield from unary()(make)
    yield sample(make(3, 4), approximate="tanh")


def _gelu_errors(make: Make) -> Iterator[ErrorSample]:
    yield from unary_errors(make)
    yield error(RuntimeError, "either none or tanh", make(3), approximate="erf")
    yield error(NotImplementedError, "not implemented for int64", make.index(3, 2))


def _gelu_value(self: Any, approximate: str) -> str | None:
    if approximate == "none":
        return f"self * ((erf(self * {_ROOT_HALF!r}) + 1) * 0.5)"
    inner = f"self * (1 + self * self * {_CUBIC!r}) * {_ROOT_2_PI!r}"
    return f"self * (1 + tanh({inner})) * 0.5" if approximate == "tanh" else None


def _gelu_slope(grad: Any, self: Any, approximate: str) -> str:
    if approximate == "none":
        return (
            f"density = exp(self * self * -0.5) * {_ROOT_2_PI / 2!r};"
            f"grad * ((erf(self * {_ROOT_HALF!r}) + 1) * 0.5 + self * density)")
    return (
        f"square = self * self; t = tanh(self * (1 + square * {_CUBIC!r}) * {_ROOT_2_PI!r});"
        f"slope = (1 - t * t) * ((1 + square * {3 * _CUBIC!r}) * {_ROOT_2_PI!r});"
        "grad * ((1 + t + self * slope) * 0.5)")


@composite("gelu_backward(Tensor grad, Tensor self, str approximate) -> Tensor",
    formula=_gelu_slope,
           **_backward("none"))
def gelu_backward(grad: Tensor, self: Tensor, approximate: str) -> Any:
    """The gradient times the slope of x P(x): the distribution plus x times the density."""
    if approximate == "none":
        density = exp(self * self * -0.5) * (_ROOT_2_PI / 2)
        return grad * ((erf(self * _ROOT_HALF) + 1) * 0.5 + self * density)
    square = self * self
    t = tanh(self * (1 + square * _CUBIC) * _ROOT_2_PI)
    slope = (1 - t * t) * ((1 + square * (3 * _CUBIC)) * _ROOT_2_PI)
    return grad * ((1 + t + self * slope) * 0.5)


@composite(
    "gelu(Tensor self, *, str approximate='none') -> Tensor",
    formula=_gelu_value, template="unary",
    **{**_F, "samples": _gelu_samples, "errors": _gelu_errors, "inplace": False},
    derivatives={"self": lambda g, self, approximate: gelu_backward(g, self, approximate)},
)
def gelu(self: Tensor, approximate: str = "none") -> Any:
    """x times the normal distribution function, or its fit by tanh (Hendrycks, Gimpel, 2016)."""
    _floating_only("gelu", self)
    if approximate == "none":
        return self * ((erf(self * _ROOT_HALF) + 1) * 0.5)
    if approximate != "tanh":
        raise RuntimeError("approximate argument must be either none or tanh.")
    return self * (1 + tanh(self * (1 + self * self * _CUBIC) * _ROOT_2_PI)) * 0.5


# ---- exponential -------------------------------------------------------------------------------
@composite(
    "elu_backward(Tensor grad, Tensor self, Scalar alpha, Scalar scale, Scalar input_scale) "
    "-> Tensor",
    formula=(
        "grad * (self > 0 ? scale : "
        "exp(minimum(self, 0) * input_scale) * (alpha * scale * input_scale))"),
    **_backward(1.5, 2.0, 0.5),
)
def elu_backward(grad: Tensor, self: Tensor, alpha: Any, scale: Any, input_scale: Any) -> Any:
    """The gradient of :func:`scaled_elu`."""
    left = exp(minimum(self, 0) * input_scale) * (alpha * scale * input_scale)
    return grad * where(self > 0, float(scale), left)


@composite(
    "scaled_elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor",
    formula=(
        "self > 0 ? self * scale : expm1(minimum(self, 0) * input_scale) * (alpha * scale)"),
    **{**_F, "namespaces": ("_internal",)}, template="unary",
    derivatives={"self": lambda g, self, alpha, scale, input_scale: elu_backward(
        g, self, alpha, scale, input_scale)},
)
def scaled_elu(self: Tensor, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Any:
    """``scale * x`` where positive, else ``scale * alpha * (exp(input_scale * x) - 1)``."""
    _floating_only("elu", self)
    left = expm1(minimum(self, 0) * input_scale) * (alpha * scale)
    return where(self > 0, self * scale, left)


@composite("elu(Tensor self, Scalar alpha=1.0) -> Tensor", template="front", **_F)
def elu(self: Tensor, alpha: Any = 1.0) -> Any:
    """x where positive, else ``alpha * (exp(x) - 1)``."""
    return scaled_elu(self, alpha)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@composite("selu(Tensor self) -> Tensor", template="front", **{**_F, "namespaces": _BOTH})
def selu(self: Tensor) -> Any:
    """The self-normalising exponential unit (Klambauer et al., 2017)."""
    return scaled_elu(self, _SELU_ALPHA, _SELU_SCALE)


@composite(
    "celu(Tensor self, Scalar alpha=1.0) -> Tensor", template="front",
    **{**_F, "namespaces": _BOTH},
)
def celu(self: Tensor, alpha: Any = 1.0) -> Any:
    """x where positive, else ``alpha * (exp(x / alpha) - 1)``."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return scaled_elu(self, alpha, 1, 1 / alpha)


# ---- piecewise linear --------------------------------------------------------------------------
@composite(
    "hardsigmoid(Tensor self) -> Tensor",
    formula="minimum(maximum(self + 3, 0), 6) / 6",
    **_F,
    derivatives={"self": lambda g, self: where((self > -3) & (self < 3), g * (1 / 6), 0.0)},
)
def hardsigmoid(self: Tensor) -> Any:
    """x / 6 + 1/2, limited to [0, 1]."""
    _floating_only("hardsigmoid", self)
    return minimum(maximum(self + 3, 0), 6) / 6


@composite(
    "hardswish(Tensor self) -> Tensor",
    formula="self * minimum(maximum(self + 3, 0), 6) / 6",
    **_F,
    derivatives={"self": lambda g, self: where(
        self <= -3, 0.0, where(self < 3, g * (self / 3 + 0.5), g))},
)
def hardswish(self: Tensor) -> Any:
    """x * hardsigmoid(x) (Howard et al., 2019)."""
    _floating_only("hardswish", self)
    return self * minimum(maximum(self + 3, 0), 6) / 6


def _shrink_grad(g: Tensor, self: Tensor, lambd: Any) -> Any:
    return where((self >= -lambd) & (self <= lambd), 0.0, g)


@composite(
    "hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor",
    formula=for_floats("self >= -lambd && self <= lambd ? 0 : self"),
    **{**_F, "namespaces": _BOTH, "method": True, "inplace": False},
    derivatives={"self": _shrink_grad},
)
def hardshrink(self: Tensor, lambd: Any = 0.5) -> Any:
    """x where its size is above ``lambd``, else 0."""
    _floating_only("hardshrink", self)
    return where((self >= -lambd) & (self <= lambd), 0.0, self)


def _softshrink_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "greater or equal to 0", make(3), -1.0)


@composite(
    "softshrink(Tensor self, Scalar lambd=0.5) -> Tensor",
    **{**_F, "errors": _softshrink_errors, "inplace": False}, derivatives={"self": _shrink_grad},
)
def softshrink(self: Tensor, lambd: Any = 0.5) -> Any:
    """x moved towards 0 by ``lambd``, 0 if it is nearer."""
    _floating_only("softshrink", self)
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    moved = where(self > 0, self - lambd, self + lambd)
    return where((self >= -lambd) & (self <= lambd), 0.0, moved)


# ---- others ------------------------------------------------------------------------------------
@composite("softsign(Tensor self) -> Tensor",
    formula="self / (1 + abs(self))",
    **{**_F, "inplace": False})
def softsign(self: Tensor) -> Any:
    """x / (1 + |x|)."""
    return self / (1 + abs(self))


@composite("tanhshrink(Tensor self) -> Tensor",
    formula="self - tanh(self)",
    **{**_F, "inplace": False})
def tanhshrink(self: Tensor) -> Any:
    """x - tanh(x)."""
    return self - tanh(self)


def _glu_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must be even", make(3, 3))
    yield error(RuntimeError, "0-dimensional", make())
    yield error(IndexError, "Dimension out of range", make(4), 1)


@composite(
    "glu(Tensor self, int dim=-1) -> Tensor",
    **{**_F, "inplace": False, "errors": _glu_errors,
       "samples": lambda make: iter([sample(make(3, 4)), sample(make(4, 3), 0)])},
)
def glu(self: Tensor, dim: int = -1) -> Any:
    """The first half of a dimension times the sigmoid of the second (Dauphin et al., 2017)."""
    if not self.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = wrap_dim(dim, self.ndim)
    if self.shape[dim] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {self.shape[dim]}")
    first, second = self.chunk(2, dim)
    return first * sigmoid(second)


def _prelu_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "channel size", make(2, 3), make(4))
    yield error(RuntimeError, "scalar or 1-D", make(2, 3), make(1, 3))
    yield error(RuntimeError, "to be the same", make(2, 3), make.index(2, 3))


@composite(
    "prelu(Tensor self, Tensor weight) -> Tensor", namespaces=_BOTH, out=False,
    errors=_prelu_errors,
    samples=lambda make: iter([sample(make(2, 3, 4), make(3)), sample(make(2, 3), make(1)),
                               sample(make(3), make())]),
)
def prelu(self: Tensor, weight: Tensor) -> Any:
    """x where positive, else ``weight * x`` with one weight, or one per channel (dimension 1)."""
    if weight.dtype is not self.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported: expected the dtypes of input and weight to be "
            f"the same, got {self.dtype.name} and {weight.dtype.name}")
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1-D tensor, but got: ndim = {weight.ndim}")
    if weight.numel() == 1:
        weight = weight.reshape(())
    else:
        channels = self.shape[1] if self.ndim > 1 else 1
        if channels != weight.numel():
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}.")
        weight = weight.reshape([-1 if d == 1 else 1 for d in range(self.ndim)])
    return where(self > 0, self, weight * self)
