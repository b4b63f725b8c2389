"""Normalisation over the trailing dimensions: ``layer_norm`` and ``rms_norm``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau import dtypes
from flambeau.autograd.grad_mode import MODE
from flambeau.ops.pointwise import conj_of
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

Ints = Sequence[int]


def wide(x: Tensor) -> Tensor:
    """Half precision as single, in which it is computed; the rest as it is."""
    return x.to(dtypes.float32) if x.dtype.itemsize == 2 else x


def check_parameter_dtypes(name: str, input: Tensor, *parameters: Tensor | None) -> None:
    """Refuse integers, and parameters of another dtype; half precision takes single ones too.

    Raises:
        NotImplementedError: for integers.
        RuntimeError: for mixed dtypes.
    """
    if input.dtype.category < 2:
        raise NotImplementedError(f"{name}: not implemented for '{input.dtype.name}'")
    allowed = {input.dtype} | ({dtypes.float32} if input.dtype.itemsize == 2 else set())
    for p in parameters:
        if p is not None and p.dtype not in allowed:
            raise RuntimeError(
                f"{name}: mixed dtype: expect parameter to have the dtype of the input, "
                f"{input.dtype.name}, but got {p.dtype.name}. Convert one with .to(dtype).")


def _checked_dims(
    name: str, input: Tensor, shape: Any, weight: Tensor | None, bias: Tensor | None
) -> tuple[int, ...]:
    """The dimensions to normalise over, counted from the front.

    Raises:
        RuntimeError: if the shapes do not fit together.
    """
    wanted = list(shape)
    if not wanted:
        raise RuntimeError(
            f"{name}: Expected normalized_shape to be at least 1-dimensional, i.e., containing at "
            "least one element, but got normalized_shape = []")
    for word, p in (("weight", weight), ("bias", bias)):
        if p is not None and list(p.shape) != wanted:
            raise RuntimeError(
                f"{name}: Expected {word} to be of same shape as normalized_shape, but got {word} "
                f"of shape {list(p.shape)} and normalized_shape = {wanted}")
    if list(input.shape[-len(wanted) :]) != wanted:
        raise RuntimeError(
            f"{name}: Given normalized_shape={wanted}, expected input with shape "
            f"[*, {', '.join(map(str, wanted))}], but got input of size{list(input.shape)}")
    return tuple(range(input.ndim - len(wanted), input.ndim))


def moments(x: Tensor, dims: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor]:
    """The mean and ``1 / sqrt(variance + eps)`` over dimensions, which stay as size 1."""
    mean = x.mean(dims, keepdim=True)
    c = x - mean
    return mean, 1 / ((c * c).mean(dims, keepdim=True) + eps).sqrt()


def rows_back(gx: Tensor, xhat: Tensor, rstd: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The gradient of ``(x - mean) * rstd`` for ``x``, all three from ``xhat``'s dimensions."""
    along = (gx * xhat).mean(dims, keepdim=True)
    result: Tensor = rstd * (gx - gx.mean(dims, keepdim=True) - xhat * along)
    return result


def sum_leading(x: Tensor, count: int) -> Tensor:
    """The sum over the first dimensions."""
    result: Tensor = x.sum(tuple(range(count))) if count else x
    return result


# ---- layer norm --------------------------------------------------------------------------------
def _cases(make: Make) -> Iterator[tuple[str, Tensor, tuple[int, ...], Any, Any]]:
    yield "affine", make(3, 4, 5), (5,), make(5), make(5)
    yield "two_dims", make(3, 4, 5), (4, 5), make(4, 5), make(4, 5)
    yield "plain", make(3, 5), (5,), None, None
    yield "weight", make(5), (5,), make(5), None
    yield "transposed", make(5, 3).t(), (5,), make(5), make(5)
    yield "no_rows", make(0, 5), (5,), make(5), make(5)


def _native_samples(make: Make) -> Iterator[Sample]:
    for name, x, shape, weight, bias in _cases(make):
        yield Sample((x, shape, weight, bias, 1e-5), name=name)


def _layer_samples(make: Make) -> Iterator[Sample]:
    for name, x, shape, weight, bias in _cases(make):
        yield Sample((x, shape, weight, bias), name=name)


def _layer_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "expected input with shape \\[\\*, 5\\]", make(3, 4), (5,))
    yield error(RuntimeError, "same shape as normalized_shape", make(3, 4), (4,), make(3))
    yield error(RuntimeError, "at least 1-dimensional", make(3, 4), ())
    yield error(NotImplementedError, "int64", make.index(5, 3, 4), (4,))


def _layer_back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, normalized_shape: Any,
    weight: Tensor | None, eps: float, mean: Tensor, rstd: Tensor,
) -> tuple[Any, ...]:
    grads: tuple[Any, ...] = layer_norm_grads(
        g, input, mean, rstd, weight, len(normalized_shape), eps, *needs)
    return grads


@composite(
    "native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, "
    "float eps) -> (Tensor out, Tensor mean, Tensor rstd)",
    method=False, out=False, joint=_layer_back, template="fused", samples=_native_samples,
    errors=lambda make: iter([
        error(RuntimeError, "expected input with shape", make(3, 4), (5,), None, None, 1e-5),
        error(RuntimeError, "same shape as normalized_shape", make(3, 4), (4,), make(3), None,
              1e-5)]),
)
def native_layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``layer_norm``, with the mean and the reciprocal standard deviation of every row."""
    check_parameter_dtypes("layer_norm", input, weight, bias)
    dims = _checked_dims("layer_norm", input, normalized_shape, weight, bias)
    x = wide(input)
    mean, rstd = moments(x, dims, eps)
    out = (x - mean) * rstd
    out = out if weight is None else out * weight
    out = out if bias is None else out + bias
    held = input.dtype if weight is None else weight.dtype
    return out.to(input.dtype), mean.to(held), rstd.to(held)


def _layer_grads_samples(make: Make) -> Iterator[Sample]:
    for name, x, shape, weight, _ in _cases(make):
        dims = tuple(range(x.ndim - len(shape), x.ndim))
        stats = [t.detach() for t in moments(x.detach(), dims, 1e-5)]
        yield Sample(
            (make(*x.shape), x, *stats, weight, len(shape), 1e-5, True, weight is not None, True),
            name=name)


@composite(
    "layer_norm_grads(Tensor grad, Tensor input, Tensor mean, Tensor rstd, Tensor? weight, "
    "int count, float eps, bool for_input, bool for_weight, bool for_bias) "
    "-> (Tensor, Tensor, Tensor)",
    namespaces=("_internal",), method=False, out=False, template="fused",
    samples=_layer_grads_samples,
)
def layer_norm_grads(
    grad: Tensor, input: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor | None, count: int,
    eps: float, for_input: bool, for_weight: bool, for_bias: bool,
) -> tuple[Any, ...]:
    """The gradients of ``layer_norm`` for input, weight and bias; None where not wanted."""
    lead = input.ndim - count
    dims = tuple(range(lead, input.ndim))
    g, x = wide(grad), wide(input)
    if MODE.enabled or x is not input:  # they depend on the input, or were rounded
        mean, rstd = moments(x, dims, eps)
    xhat = (x - mean) * rstd
    gx = g if weight is None else g * weight
    return (
        rows_back(gx, xhat, rstd, dims).to(input.dtype) if for_input else None,
        sum_leading(g * xhat, lead) if for_weight else None,
        sum_leading(g, lead) if for_bias else None,
    )


@composite(
    "layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, "
    "float eps=1e-05, bool cudnn_enable=True) -> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, template="front",
    samples=_layer_samples, errors=_layer_errors,
)
def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5, cudnn_enable: bool = True,
) -> Any:
    """Zero mean and unit variance over the trailing dimensions, then ``* weight + bias``.

    The variance is the biased one, plus ``eps``.
    """
    if isinstance(normalized_shape, int):
        raise TypeError(
            "layer_norm(): argument 'normalized_shape' (position 2) must be tuple of ints, not int")
    return native_layer_norm(input, normalized_shape, weight, bias, eps)[0]


# ---- rms norm ----------------------------------------------------------------------------------
def _rms(x: Tensor, dims: tuple[int, ...], eps: float | None, held: dtypes.dtype) -> Tensor:
    """``1 / sqrt(mean of squares + eps)``; without eps, the input dtype's own."""
    least = float(dtypes.finfo(held).eps) if eps is None else eps
    result: Tensor = 1 / ((x * x).mean(dims, keepdim=True) + least).sqrt()
    return result


def _rms_back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, normalized_shape: Any,
    weight: Tensor | None, eps: float | None,
) -> tuple[Any, ...]:
    grads: tuple[Any, ...] = rms_norm_grads(
        g, input, weight, len(normalized_shape), eps, *needs)
    return grads


@composite(
    "rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) "
    "-> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, joint=_rms_back,
    template="fused", errors=lambda make: iter([
        error(RuntimeError, "expected input with shape", make(3, 4), (5,)),
        error(RuntimeError, "same shape as normalized_shape", make(3, 4), (4,), make(3))]),
    samples=lambda make: iter([
        Sample((x, shape, weight), {"eps": 1e-6 if weight is None else None}, name=name)
        for name, x, shape, weight, _ in _cases(make)]),
)
def rms_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divided by the root mean square over the trailing dimensions, then ``* weight``."""
    if input.dtype.category < 2:
        raise NotImplementedError(f"rms_norm: not implemented for '{input.dtype.name}'")
    dims = _checked_dims("rms_norm", input, normalized_shape, weight, None)
    x = wide(input)
    out = x * _rms(x, dims, eps, input.dtype)
    out = out if weight is None else out * weight
    result: Tensor = out.to(input.dtype)
    return result


@composite(
    "rms_norm_grads(Tensor grad, Tensor input, Tensor? weight, int count, float? eps, "
    "bool for_input, bool for_weight) -> (Tensor, Tensor)",
    namespaces=("_internal",), method=False, out=False, template="fused",
    samples=lambda make: iter([
        Sample((make(*x.shape), x, weight, len(shape), 1e-6, True, weight is not None), name=name)
        for name, x, shape, weight, _ in _cases(make)]),
)
def rms_norm_grads(
    grad: Tensor, input: Tensor, weight: Tensor | None, count: int, eps: float | None,
    for_input: bool, for_weight: bool,
) -> tuple[Any, ...]:
    """The gradients of ``rms_norm`` for input and weight; None where not wanted."""
    lead = input.ndim - count
    dims = tuple(range(lead, input.ndim))
    g, x = wide(grad), wide(input)
    scale = conj_of(_rms(x, dims, eps, input.dtype))
    xhat = conj_of(x) * scale
    dx = None
    if for_input:
        gx = g if weight is None else g * conj_of(weight)
        dx = (scale * (gx - xhat * (gx * xhat).mean(dims, keepdim=True))).to(input.dtype)
    return dx, sum_leading(g * xhat, lead) if for_weight else None
