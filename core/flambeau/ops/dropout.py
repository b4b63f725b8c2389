"""Zeros and slopes at random: dropout and its kin.

The masks are drawn on the host, bit for bit PyTorch's, and kept as booleans for the backward
pass: one byte per element.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flambeau import dispatch, dtypes, rng
from flambeau.autograd.grad_mode import no_grad
from flambeau.device import META
from flambeau.interop import host_array
from flambeau.kind import kind_of
from flambeau.layout import Layout
from flambeau.ops.activation import leaky_relu
from flambeau.ops.create import ones_like, zeros_like
from flambeau.ops.random import draw_like, place, source
from flambeau.promotion import contiguous_like
from flambeau.registry import OPS, OpFunction, composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

_F = ("nn.functional",)

# The value that SELU approaches far below zero, negated: scale * alpha (Klambauer et al., 2017).
_SELU_LIMIT = 1.7580993408473766


# ---- masks -------------------------------------------------------------------------------------
def _masked_scale_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make.mask(3, 4), 2.0)
    yield sample(make(3, 4, 2), make.mask(3, 4, 1), 1.25)
    yield sample(make(4, 3).t(), make.mask(3, 4), 1.25)
    yield sample(make(0, 4), make.mask(0, 4), 2.0)
    yield sample(make(), make.mask(), 2.0)


def _masked_scale_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(TypeError, "must be Tensor", make(3), 1.0, 2.0)
    yield error(RuntimeError, "can't be cast", make.index(5, 3), make.mask(3), 2.0)


@composite(
    "masked_scale(Tensor self, Tensor mask, float scale) -> Tensor",
    formula="self * (mask * scale)",
    namespaces=("_internal",),
    method=False, out=False, inplace=True, samples=_masked_scale_samples,
    errors=_masked_scale_errors,
    derivatives={"self": lambda g, mask, scale: masked_scale(g, mask, scale)})
def masked_scale(self: Tensor, mask: Tensor, scale: float) -> Tensor:
    """``self * scale`` where the mask holds, ``self * 0`` elsewhere."""
    if self.dtype.category < 2:
        raise RuntimeError(
            f"result type {dtypes.get_default_dtype()!r} can't be cast to the desired output type "
            f"{self.dtype!r}: dropout needs a floating input")
    result: Tensor = self * (mask.to(self.dtype) * scale)
    return result


def _keep(input: Tensor, shape: tuple[int, ...] | None, p: float) -> Tensor:
    """A mask that is true with chance ``1 - p``, drawn in the order of the input's memory."""
    if input.dtype.is_complex:
        raise NotImplementedError(f"dropout is not implemented for {input.dtype.name}")
    kind = kind_of(input._kind.device, dtypes.bool)
    held = input.layout_()
    layout = Layout.of(held.shape, contiguous_like(held)) if shape is None else (
        Layout.contiguous(shape))
    return draw_like(kind, layout, _coins, None, "dropout", 1.0 - p)


def _coins(
    generator: rng.Generator, shape: tuple[int, ...], dtype_name: str, p: float
) -> np.ndarray[Any, Any]:
    return rng.bernoulli_scalar(generator, shape, p)


def _feature_shape(input: Tensor) -> tuple[int, ...]:
    """One element for each channel of each sample."""
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*input.shape[:2], *(1 for _ in input.shape[2:]))


def _check_chance(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _inverse(keep: float, what: dtypes.dtype) -> float:
    """``1 / keep``, computed in float32 for all but float64."""
    if what is dtypes.float64:
        return 1.0 / keep
    return float(np.float32(1.0) / np.float32(keep))


# ---- zeros at random ---------------------------------------------------------------------------
def _drop(
    input: Tensor, p: float, training: bool, inplace: bool, features: bool = False
) -> Tensor:
    _check_chance(p)
    if not input.numel() or p == 0.0 or not training:
        return input
    if p == 1.0:
        return input.mul_(0) if inplace else input * 0
    mask = _keep(input, _feature_shape(input) if features else None, p)
    scale = _inverse(1.0 - p, input.dtype)
    op = OPS["masked_scale"]
    function = op.inplace_function if inplace else op.function
    assert function is not None
    result: Tensor = function(input, mask, scale)
    return result


def _drop_samples(*shapes: tuple[int, ...]) -> Callable[[Make], Iterator[Sample]]:
    def samples(make: Make) -> Iterator[Sample]:
        for shape in shapes:
            yield sample(make(*shape), 0.25, True)
        yield sample(make(*shapes[0][::-1]).transpose(0, -1), 0.6, True)
        yield sample(make(*shapes[0]), 0.25, False)
        yield sample(make(*shapes[0]), 1.0, True)

    return samples


def _drop_errors(*shape: int) -> Callable[[Make], Iterator[ErrorSample]]:
    def errors(make: Make) -> Iterator[ErrorSample]:
        yield error(ValueError, "between 0 and 1", make(*shape), 1.5, True)
        yield error(TypeError, "must be Tensor", 0.5, 0.5, False)

    return errors


def _dropping(
    signature: str, samples: Any, errors: Any, **facts: Any
) -> Callable[[OpFunction], OpFunction]:
    return composite(
        signature, method=False, out=False, is_random=True, samples=samples, errors=errors,
        **{"namespaces": _F, "template": "front", **facts})


@_dropping(
    "dropout(Tensor self, float p=0.5, bool training=True, bool inplace=False) -> Tensor",
    _drop_samples((3, 4), (2, 3, 5), (0, 3)), _drop_errors(3))
def dropout(self: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Elements set to zero with chance ``p`` and the others divided by ``1 - p``, in training."""
    return _drop(self, p, training, inplace)


@_dropping(
    "dropout1d(Tensor self, float p=0.5, bool training=True, bool inplace=False) -> Tensor",
    _drop_samples((2, 3, 4), (3, 4)), _drop_errors(2, 3, 4))
def dropout1d(self: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Whole channels of ``(N, C, L)`` or ``(C, L)`` set to zero with chance ``p``."""
    _check_chance(p)
    if self.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {self.ndim}D input: it drops "
            "channels of (N, C, L) or (C, L)")
    return _drop_channels(self, p, training, inplace, unbatched=self.ndim == 2)


@_dropping(
    "dropout2d(Tensor self, float p=0.5, bool training=True, bool inplace=False) -> Tensor",
    _drop_samples((2, 3, 4, 5)), _drop_errors(2, 3, 4, 5))
def dropout2d(self: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Whole channels of ``(N, C, H, W)`` set to zero with chance ``p``.

    Three dimensions are taken as ``(N, C, L)``, with a warning, as in PyTorch.
    """
    _check_chance(p)
    if self.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L). Use dropout1d for it.",
            UserWarning, stacklevel=2)
    elif self.ndim != 4:
        _warn_of_shape("dropout2d", self.ndim)
    return _drop_channels(self, p, training, inplace)


@_dropping(
    "dropout3d(Tensor self, float p=0.5, bool training=True, bool inplace=False) -> Tensor",
    _drop_samples((2, 3, 2, 2, 3), (3, 2, 2, 3)), _drop_errors(2, 3, 2, 2, 3))
def dropout3d(self: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)`` set to zero with chance ``p``."""
    _check_chance(p)
    if self.ndim not in (4, 5):
        _warn_of_shape("dropout3d", self.ndim)
    return _drop_channels(self, p, training, inplace, unbatched=self.ndim != 5)


def _warn_of_shape(name: str, ndim: int) -> None:
    warnings.warn(
        f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an "
        "error in a future release. Use dropout to drop single elements.",
        UserWarning, stacklevel=3)


def _drop_channels(
    input: Tensor, p: float, training: bool, inplace: bool, unbatched: bool = False
) -> Tensor:
    if not unbatched:
        return _drop(input, p, training, inplace, features=True)
    result = _drop(input.unsqueeze(0), p, training, inplace, features=True)
    return input if inplace else result.squeeze(0)


@_dropping(
    "feature_dropout(Tensor self, float p, bool train) -> Tensor",
    _drop_samples((2, 3, 4), (2, 3)), _drop_errors(2, 3), namespaces=("",), inplace=True)
def feature_dropout(self: Tensor, p: float, train: bool) -> Tensor:
    """Whole channels of ``(N, C, ...)`` set to zero with chance ``p``, the others scaled."""
    return _drop(self, p, train, False, features=True)


# ---- SELU's limit at random --------------------------------------------------------------------
def _drop_alpha(
    input: Tensor, p: float, training: bool, inplace: bool, features: bool = False
) -> Tensor:
    """Dropout to SELU's lower limit, then an affine map that keeps mean and variance."""
    _check_chance(p)
    if not input.numel() or p == 0.0 or not training:
        return input
    if p == 1.0:
        return input.mul_(0) if inplace else input * 0
    mask = _keep(input, _feature_shape(input) if features else None, p)
    if input.dtype.category < 2:
        raise RuntimeError(f"alpha_dropout needs a floating input, got {input.dtype!r}")
    a = 1.0 / math.sqrt((_SELU_LIMIT * _SELU_LIMIT * p + 1.0) * (1.0 - p))
    with no_grad():
        kept = mask.to(input.dtype)
        shift = (kept + -1.0) * (_SELU_LIMIT * a) + _SELU_LIMIT * a * p
        kept = kept * a
    result: Tensor = input.mul_(kept).add_(shift) if inplace else input * kept + shift
    return result


@_dropping(
    "alpha_dropout(Tensor self, float p=0.5, bool training=False, bool inplace=False) -> Tensor",
    _drop_samples((3, 4), (2, 3, 5), (0, 3)), _drop_errors(3))
def alpha_dropout(self: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Dropout for SELU networks: mean and variance stay (Klambauer et al., 2017)."""
    return _drop_alpha(self, p, training, inplace)


@_dropping(
    "feature_alpha_dropout(Tensor self, float p=0.5, bool training=False, bool inplace=False) "
    "-> Tensor", _drop_samples((2, 3, 4), (2, 3)), _drop_errors(2, 3))
def feature_alpha_dropout(self: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Alpha dropout of whole channels of ``(N, C, ...)``."""
    return _drop_alpha(self, p, training, inplace, features=True)


# ---- with the mask -----------------------------------------------------------------------------
def _native_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 0.25, True)
    yield sample(make(3, 4), 0.25, False)
    yield sample(make(3, 4), 1.0, True)
    yield sample(make(0, 4), 0.5, True)


@_dropping(
    "native_dropout(Tensor self, float p, bool? train) -> (Tensor, Tensor)",
    _native_samples, _drop_errors(3), namespaces=("",), template="general")
def native_dropout(self: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """Dropout's result together with its mask; ``train=None`` counts as True."""
    _check_chance(p)
    if train is False or not self.numel():
        return self.clone(), ones_like(self, dtype=dtypes.bool)
    mask = _keep(self, None, p)
    return self * mask * (1.0 / (1.0 - p) if p < 1.0 else 0.0), mask


# ---- slopes at random --------------------------------------------------------------------------
def _rrelu_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 0.1, 0.4, True)
    yield sample(make(4, 3).t(), 0.1, 0.4, True)
    yield sample(make(3, 4))
    yield sample(make(0, 4), 0.1, 0.4, True)


def _rrelu_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "Lower bound", make(3), 0.5, 0.2, True)
    yield error(TypeError, "must be Tensor", 0.5)


@_dropping(
    "rrelu(Tensor self, float lower=0.125, float upper=0.3333333333333333, "
    "bool training=False, bool inplace=False) -> Tensor",
    _rrelu_samples, _rrelu_errors, namespaces=("", "nn.functional"))
def rrelu(self: Tensor, lower: float, upper: float, training: bool, inplace: bool) -> Tensor:
    """``x`` above zero, elsewhere ``x`` times a slope uniform in [lower, upper).

    In evaluation the slope is the middle of the range (Xu et al., 2015).
    """
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if self.dtype.category != 2:
        raise NotImplementedError(f"rrelu is not implemented for {self.dtype.name}")
    if not training:
        leaky: Any = OPS["leaky_relu"].inplace_function if inplace else leaky_relu
        return leaky(self, (lower + upper) / 2)  # type: ignore[no-any-return]
    slopes = _slopes(self, lower, upper)
    result: Tensor = self.mul_(slopes) if inplace else (self * slopes).to(self.dtype)
    return result


def _slopes(input: Tensor, lower: float, upper: float) -> Tensor:
    """1 where the input is above zero or NaN, elsewhere drawn; float32 for half types."""
    wide = dtypes.float64 if input.dtype is dtypes.float64 else dtypes.float32
    kind = kind_of(input._kind.device, wide)
    if kind.device is META:
        return dispatch.empty(kind, Layout.contiguous(input.shape))
    low, high = (float(wide.numpy.type(x)) for x in (lower, upper))
    below = host_array(input) <= 0
    slopes = np.ones(below.shape, wide.numpy)
    drawn = rng.uniform(source(None, "rrelu"), int(below.sum()), "float64")
    slopes[below] = drawn * (high - low) + low
    return place(kind, slopes)


# ---- categories at random ----------------------------------------------------------------------
def _gumbel_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4))
    yield sample(make(3, 4), 0.5, False, 1e-10, 0)
    yield sample(make(4, 3).t(), 2.0, True)


def _gumbel_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "Dimension out of range", make(3), dim=2)
    yield error(TypeError, "must be Tensor", 0.5)


@_dropping(
    "gumbel_softmax(Tensor logits, float tau=1, bool hard=False, float eps=1e-10, int dim=-1) "
    "-> Tensor", _gumbel_samples, _gumbel_errors, template="general")
def gumbel_softmax(logits: Tensor, tau: float, hard: bool, eps: float, dim: int) -> Tensor:
    """A sample of the Gumbel-softmax distribution of temperature ``tau`` (Jang et al., 2017).

    Args:
        hard: give one-hot vectors, with the gradient of the soft ones.
        eps: without effect, as in PyTorch.
    """
    noise = draw_like(
        logits._kind, Layout.contiguous(logits.shape), rng.exponential, None, "gumbel_softmax")
    soft: Tensor = ((logits - noise.log()) / tau).softmax(dim)
    if not hard:
        return soft
    best = soft.detach().argmax(dim, keepdim=True)
    one_hot: Tensor = zeros_like(soft).scatter_(dim, best, 1.0)
    return one_hot - soft.detach() + soft


# ---- PyTorch's functions with all arguments required -------------------------------------------
def _plain(function: Any) -> tuple[Any, Any]:
    """``f(input, p, train)`` and its in-place form of a function of ``nn.functional``."""

    def new(input: Tensor, p: float, train: bool) -> Any:
        _check_plain(p)
        return function(input, p, train)

    def written(input: Tensor, p: float, train: bool) -> Any:
        _check_plain(p)
        return function(input, p, train, True)

    for made, name in ((new, function.__name__), (written, f"{function.__name__}_")):
        made.__name__ = made.__qualname__ = name
        made.__doc__ = function.op.doc
    return new, written


def _check_plain(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")


plain_dropout, plain_dropout_ = _plain(dropout)
plain_alpha_dropout, plain_alpha_dropout_ = _plain(alpha_dropout)
plain_feature_alpha_dropout, plain_feature_alpha_dropout_ = _plain(feature_alpha_dropout)
