"""Reductions and normalisations that leave elements out: the functions of ``torch.masked``.

A mask is boolean and broadcasts to the input; True keeps an element.  What is left out is set to
the value that changes nothing, so a slice that is left out whole gives that value, or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import dtypes
from flambeau.dtypes import dtype as DType
from flambeau.tensor import Tensor

Dims = int | tuple[int, ...] | list[int] | None


def _canonical(input: Tensor, mask: Tensor | None) -> Tensor | None:
    """The mask in the input's shape.

    Raises:
        IndexError: if it has more dimensions than the input.
    """
    if mask is None:
        return None
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the "
            "input)")
    expanded: Tensor = mask.to(dtypes.bool).expand(input.shape)
    return expanded


def _filled(input: Tensor, mask: Tensor | None, value: Any) -> Tensor:
    kept = _canonical(input, mask)
    result: Tensor = input if kept is None else fb.where(kept, input, value)
    return result


def _extreme(what: DType, highest: bool) -> Any:
    if what.category >= 2:
        return math.inf if highest else -math.inf
    if what.category == 0:
        return highest
    limits = dtypes.iinfo(what)
    return limits.max if highest else limits.min


def _dims(dim: Dims) -> Any:
    return None if dim is None else [dim] if isinstance(dim, int) else list(dim)


def _whole(input: Tensor, dtype: DType | None) -> DType:
    """The dtype of a sum: int64 for integers and booleans."""
    if dtype is not None:
        return dtype
    return dtypes.int64 if input.dtype.category < 2 else input.dtype


def _floating(input: Tensor, dtype: DType | None) -> Tensor:
    if dtype is not None:
        return input.to(dtype)
    return input if input.dtype.category >= 2 else input.float()


# ---- reductions --------------------------------------------------------------------------------
def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The sum of the elements that are kept."""
    filled = _filled(input.to(_whole(input, dtype)), mask, 0)
    result: Tensor = fb.sum(filled, _dims(dim), bool(keepdim))
    return result


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The product of the elements that are kept."""
    result = _filled(input.to(_whole(input, dtype)), mask, 1)
    dims = range(input.ndim) if dim is None else _dims(dim)
    for d in sorted((d % max(input.ndim, 1) for d in dims), reverse=True):
        result = fb.prod(result, d, keepdim=True)
    if keepdim or not input.ndim:
        return result
    return result.squeeze(tuple(dims))


def cumsum(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """The running sum of the elements that are kept."""
    result: Tensor = fb.cumsum(_filled(input.to(_whole(input, dtype)), mask, 0), dim)
    return result


def cumprod(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """The running product of the elements that are kept."""
    result: Tensor = fb.cumprod(_filled(input.to(_whole(input, dtype)), mask, 1), dim)
    return result


def amax(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The greatest element that is kept."""
    x = input if dtype is None else input.to(dtype)
    filled = _filled(x, mask, _extreme(x.dtype, False))
    result: Tensor = fb.amax(filled, _dims(dim) or (), bool(keepdim))
    return result


def amin(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The smallest element that is kept."""
    x = input if dtype is None else input.to(dtype)
    filled = _filled(x, mask, _extreme(x.dtype, True))
    result: Tensor = fb.amin(filled, _dims(dim) or (), bool(keepdim))
    return result


def argmax(
    input: Tensor, dim: int | None = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The index of the greatest element that is kept, in the dtype of the input, as in PyTorch."""
    x = input if dtype is None else input.to(dtype)
    filled = _filled(x, mask, _extreme(x.dtype, False))
    result: Tensor = fb.argmax(filled, dim, bool(keepdim)).to(x.dtype)
    return result


def argmin(
    input: Tensor, dim: int | None = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The index of the smallest element that is kept, in the dtype of the input, as in PyTorch."""
    x = input if dtype is None else input.to(dtype)
    filled = _filled(x, mask, _extreme(x.dtype, True))
    result: Tensor = fb.argmin(filled, dim, bool(keepdim)).to(x.dtype)
    return result


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    """How many elements are kept."""
    kept = _canonical(input, mask)
    ones = fb.ones(input.shape, dtype=dtypes.int64, device=input.device) if kept is None else (
        kept.to(dtypes.int64))
    result: Tensor = fb.sum(ones, _dims(dim), keepdim)
    return result


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The mean of the elements that are kept; NaN if there are none."""
    x = _floating(input, dtype)
    count = _count(x, dim, bool(keepdim), mask)
    return sum(x, dim, keepdim=keepdim, mask=mask) / count


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The lower median of the elements that are kept; NaN if there are none.

    Raises:
        ValueError: for integers, if a slice is left out whole.
    """
    x = input if dtype is None else input.to(dtype)
    if x.dtype.category < 2:
        if bool((_count(x, dim, False, mask) == 0).any()):
            raise ValueError("masked median expects no fully masked out rows if dtype is not "
                             "floating point")
        found = fb.nanmedian(_filled(x.double(), mask, math.nan), dim, keepdim).values
        return found.to(x.dtype)  # type: ignore[no-any-return]
    result: Tensor = fb.nanmedian(_filled(x, mask, math.nan), dim, keepdim).values
    return result


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool | None = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:
    """The vector norm of the elements that are kept."""
    order = 2.0 if ord is None else ord
    filled = _filled(_floating(input, dtype), mask, 0 if order >= 0 else math.inf)
    result: Tensor = fb.linalg.vector_norm(filled, order, _dims(dim), bool(keepdim))
    return result


def _variance(
    input: Tensor, dim: Dims, unbiased: bool | None, correction: float | None, keepdim: bool,
    dtype: DType | None, mask: Tensor | None,
) -> Tensor:
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    less = correction if correction is not None else 0.0 if unbiased is False else 1.0
    x = _floating(input, dtype)
    middle = mean(x, dim, keepdim=True, mask=mask)
    away = x - middle
    square = away * away.conj() if x.dtype.is_complex else away * away
    total = sum(square, dim, keepdim=keepdim, mask=mask)
    count = _count(x, dim, keepdim, mask).to(x.dtype.to_real())
    return total / (count - less).clamp(min=0)


def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool | None = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The variance of the elements that are kept."""
    return _variance(input, dim, unbiased, correction, bool(keepdim), dtype, mask)


def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool | None = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The standard deviation of the elements that are kept."""
    found = _variance(input, dim, unbiased, correction, bool(keepdim), dtype, mask)
    return found.sqrt()


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The logarithm of the sum of exponentials of the elements that are kept."""
    dims = list(range(input.ndim)) if dim is None else _dims(dim)
    filled = _filled(_floating(input, dtype), mask, -math.inf)
    result: Tensor = fb.logsumexp(filled, dims, bool(keepdim)).to(dtype or input.dtype)
    return result


# ---- elementwise -------------------------------------------------------------------------------
def _normaliser(name: str, fill: float, doc: str) -> Callable[..., Tensor]:
    def function(
        input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
    ) -> Tensor:
        apply = getattr(fb.nn.functional, name)
        result: Tensor = apply(_filled(_floating(input, dtype), mask, fill), dim)
        return result

    function.__name__, function.__qualname__, function.__doc__ = name, name, doc
    return function


softmax = _normaliser("softmax", -math.inf, "Softmax over the elements that are kept; else 0.")
log_softmax = _normaliser(
    "log_softmax", -math.inf, "Log-softmax over the elements that are kept; else -inf.")
softmin = _normaliser("softmin", math.inf, "Softmin over the elements that are kept; else 0.")


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Elements divided by the norm of those that are kept (at least ``eps``); else 0."""
    x = input if dtype is None else input.to(dtype)
    size = norm(x, ord, dim, keepdim=True, mask=mask)
    return _filled(x, mask, 0) / size.clamp(min=eps)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: DType | None = None,
    input_mask: Tensor | None = None, other_mask: Tensor | None = None,
) -> Tensor:
    """log(exp(input) + exp(other)), of what is kept of each."""
    a, b = (t if dtype is None else t.to(dtype) for t in (input, other))
    result: Tensor = fb.logaddexp(
        _filled(a, input_mask, -math.inf), _filled(b, other_mask, -math.inf))
    return result
