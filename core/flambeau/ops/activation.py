"""Activation functions and the softmax family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.ops.compare import where
from flambeau.ops.pointwise import erf, exp, log, log1p, maximum, tanh
from flambeau.registry import composite
from flambeau.samples import Make, Sample, dim_errors, error, sample, unary, unary_errors
from flambeau.tensor import Tensor

_BOTH = ("", "nn.functional")
_SQRT_HALF = 0.7071067811865476
_INV_SQRT_2PI = 0.3989422804014327
_TANH_SCALE = 0.7978845608028654  # sqrt(2/pi)


@composite(
    "relu(Tensor self) -> Tensor", inplace=True, dtypes="real",
    derivatives={"self": lambda g, out: where(out > 0, g, 0.0)},
    samples=unary(), errors=unary_errors, formula="maximum(self, 0)",
)
def relu(self: Tensor) -> Tensor:
    """max(x, 0)."""
    if self.dtype is dtypes.bool:
        raise RuntimeError("Boolean inputs not supported for relu")
    result: Tensor = maximum(self, 0)
    return result


@composite(
    "sigmoid(Tensor self) -> Tensor", inplace=True,
    derivatives={"self": lambda g, out: g * ((1 - out) * out).conj()},
    samples=unary(), errors=unary_errors, formula="1 / (1 + exp(-self))",
)
def sigmoid(self: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + exp(-self))  # type: ignore[no-any-return]


def _silu_grad(g: Tensor, self: Tensor) -> Tensor:
    s = sigmoid(self)
    result: Tensor = g * (s * (1 + self * (1 - s)))
    return result


@composite(
    "silu(Tensor self) -> Tensor", namespaces=("nn.functional",),
    derivatives={"self": _silu_grad}, samples=unary(), errors=unary_errors,
)
def silu(self: Tensor) -> Tensor:
    """x * sigmoid(x)."""
    result: Tensor = self * sigmoid(self)
    return result


def _gelu_samples(make: Make) -> Iterator[Sample]:
    yield from unary()(make)
    yield sample(make(3, 4), approximate="tanh")


def _gelu_grad(g: Tensor, self: Tensor, approximate: str) -> Tensor:
    if approximate == "none":
        density = exp(self * self * -0.5) * _INV_SQRT_2PI
        result: Tensor = g * ((erf(self * _SQRT_HALF) + 1) * 0.5 + self * density)
        return result
    cube = self * self * self
    t = tanh((self + cube * 0.044715) * _TANH_SCALE)
    slope = (1 - t * t) * (_TANH_SCALE * (1 + 3 * 0.044715 * self * self))
    result = g * (0.5 * (1 + t) + 0.5 * self * slope)
    return result


@composite(
    "gelu(Tensor self, *, str approximate='none') -> Tensor", namespaces=("nn.functional",),
    derivatives={"self": _gelu_grad}, samples=_gelu_samples, errors=unary_errors,
)
def gelu(self: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function; ``approximate="tanh"`` is the usual fit."""
    if approximate == "none":
        exact: Tensor = self * ((erf(self * _SQRT_HALF) + 1) * 0.5)
        return exact
    if approximate != "tanh":
        raise RuntimeError("approximate argument must be either none or tanh.")
    cube = self * self * self
    fit: Tensor = self * 0.5 * (1 + tanh((self + cube * 0.044715) * _TANH_SCALE))
    return fit


# ---- softmax -----------------------------------------------------------------------------------
def _softmax_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), -1)
    yield sample(make(3, 4), 0)
    yield sample(make(4, 3).t(), 1)
    yield sample(make(2, 3, 4), 1)
    yield sample(make(), 0)
    yield sample(make(0, 3), 1)


def _shifted(self: Tensor, dim: int, dtype: Any) -> Tensor:
    from flambeau.promotion import cast

    if dtype is not None:
        self = cast(self, dtype)
    if not self.dtype.is_floating_point:
        raise RuntimeError(f"softmax: not implemented for '{self.dtype.name}'")
    wrap_dim(dim, self.ndim)
    if not self.numel():
        return self
    shifted: Tensor = self - self.amax(dim, keepdim=True)
    return shifted


@composite(
    "softmax(Tensor self, int dim, dtype? dtype=None) -> Tensor",
    derivatives={"self": lambda g, out, dim: (g - (g * out).sum(dim, keepdim=True)) * out},
    samples=_softmax_samples, errors=dim_errors,
)
def softmax(self: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) divided by its sum along a dimension."""
    e = exp(_shifted(self, dim, dtype))
    result: Tensor = e / e.sum(dim, keepdim=True)
    return result


@composite(
    "log_softmax(Tensor self, int dim, dtype? dtype=None) -> Tensor",
    derivatives={"self": lambda g, out, dim: g - exp(out) * g.sum(dim, keepdim=True)},
    samples=_softmax_samples, errors=dim_errors,
)
def log_softmax(self: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of softmax, without overflow."""
    shifted = _shifted(self, dim, dtype)
    result: Tensor = shifted - log(exp(shifted).sum(dim, keepdim=True))
    return result


# ---- the rest ----------------------------------------------------------------------------------
_F: dict[str, Any] = {
    "namespaces": ("nn.functional",), "samples": unary(), "errors": unary_errors, "method": False}


@composite("leaky_relu(Tensor self, float negative_slope=0.01) -> Tensor", **_F)
def leaky_relu(self: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where positive, else ``negative_slope * x``."""
    result: Tensor = where(self > 0, self, self * negative_slope)
    return result


@composite("elu(Tensor self, float alpha=1.0) -> Tensor", **_F)
def elu(self: Tensor, alpha: float = 1.0) -> Tensor:
    """x where positive, else ``alpha * (exp(x) - 1)``."""
    negative = self.clamp(max=0).expm1() * alpha
    result: Tensor = where(self > 0, self, negative)
    return result


@composite("softplus(Tensor self, float beta=1, float threshold=20) -> Tensor", **_F)
def softplus(self: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta x)) / beta; x itself beyond the threshold."""
    scaled = self * beta
    soft = log1p(exp(scaled.clamp(max=threshold))) / beta
    result: Tensor = where(scaled > threshold, self, soft)
    return result


@composite("logsigmoid(Tensor self) -> Tensor", **_F)
def logsigmoid(self: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow."""
    result: Tensor = self.clamp(max=0) - log1p(exp(-self.abs()))
    return result


@composite("hardtanh(Tensor self, float min_val=-1.0, float max_val=1.0) -> Tensor", **_F)
def hardtanh(self: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x limited to [min_val, max_val]."""
    result: Tensor = self.clamp(min_val, max_val)
    return result




@composite("selu(Tensor self) -> Tensor", **{**_F, "namespaces": _BOTH, "inplace": True})
def selu(self: Tensor) -> Tensor:
    """The self-normalising exponential unit (Klambauer et al., 2017)."""
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    negative = self.clamp(max=0).expm1() * (alpha * scale)
    result: Tensor = where(self > 0, self * scale, negative)
    return result


@composite(
    "celu(Tensor self, Scalar alpha=1.0) -> Tensor",
    **{**_F, "namespaces": _BOTH, "inplace": True},
)
def celu(self: Tensor, alpha: float = 1.0) -> Tensor:
    """x where positive, else ``alpha * (exp(x / alpha) - 1)``."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    negative = (self.clamp(max=0) / alpha).expm1() * alpha
    result: Tensor = where(self > 0, self, negative)
    return result


@composite("mish(Tensor self) -> Tensor", **_F)
def mish(self: Tensor) -> Tensor:
    """x * tanh(softplus(x))."""
    result: Tensor = self * tanh(softplus(self))
    return result


@composite("hardsigmoid(Tensor self) -> Tensor", **_F)
def hardsigmoid(self: Tensor) -> Tensor:
    """x / 6 + 1/2, limited to [0, 1]."""
    result: Tensor = (self + 3).clamp(0, 6) / 6
    return result


@composite("hardswish(Tensor self) -> Tensor", **_F)
def hardswish(self: Tensor) -> Tensor:
    """x * hardsigmoid(x)."""
    result: Tensor = self * (self + 3).clamp(0, 6) / 6
    return result


@composite("softsign(Tensor self) -> Tensor", **_F)
def softsign(self: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    result: Tensor = self / (1 + self.abs())
    return result


@composite("tanhshrink(Tensor self) -> Tensor", **_F)
def tanhshrink(self: Tensor) -> Tensor:
    """x - tanh(x)."""
    result: Tensor = self - tanh(self)
    return result


@composite("hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor", **{**_F, "namespaces": _BOTH})
def hardshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """x where its magnitude is above ``lambd``, else 0."""
    result: Tensor = where((self >= -lambd) & (self <= lambd), 0.0, self)
    return result


@composite("softshrink(Tensor self, float lambd=0.5) -> Tensor", **_F)
def softshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by ``lambd``, 0 if nearer."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    result: Tensor = where(self > lambd, self - lambd, where(self < -lambd, self + lambd, 0.0))
    return where(self != self, self, result)  # type: ignore[no-any-return]


@composite(
    "threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor",
    **{**_F, "namespaces": _BOTH, "inplace": True,
       "samples": lambda make: iter([sample(make(3, 4), 0.5, 0.2)]),
       "errors": lambda make: iter([error(TypeError, "must be Tensor", 1.5, 0.5, 0.2)])},
)
def threshold(self: Tensor, threshold: Any, value: Any) -> Tensor:
    """x where above the threshold, else a value."""
    result: Tensor = where(self <= threshold, value, self)
    return result


@composite(
    "glu(Tensor self, int dim=-1) -> Tensor",
    **{**_F, "samples": lambda make: iter([sample(make(3, 4)), sample(make(4, 3), 0)])},
)
def glu(self: Tensor, dim: int = -1) -> Tensor:
    """The first half of a dimension times the sigmoid of the second."""
    if not self.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = wrap_dim(dim, self.ndim)
    if self.shape[dim] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {self.shape[dim]}")
    first, second = self.chunk(2, dim)
    result: Tensor = first * sigmoid(second)
    return result


@composite(
    "prelu(Tensor self, Tensor weight) -> Tensor",
    **{**_F, "namespaces": _BOTH, "method": True,
       "samples": lambda make: iter([sample(make(2, 3, 4), make(3)), sample(make(2, 3), make(1))]),
       "errors": lambda make: iter([
           error(RuntimeError, "Mismatch of parameter numbers", make(2, 3), make(2))])},
)
def prelu(self: Tensor, weight: Tensor) -> Tensor:
    """x where positive, else ``weight * x`` with one weight, or one per channel."""
    if weight.numel() != 1:
        if not self.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = self.shape[1] if self.ndim > 1 else 1
        if channels != weight.numel():
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}.")
        weight = weight.reshape([-1 if d == 1 else 1 for d in range(self.ndim)])
    else:
        weight = weight.reshape(())
    result: Tensor = where(self > 0, self, weight * self)
    return result
