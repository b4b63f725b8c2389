"""Resizing of (N, C, *spatial): every mode is a weighted sum of elements, dimension by dimension.

Where the elements lie and how much they weigh follows PyTorch to the last bit: positions are
computed in the input's precision, single for nearest neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

import flambeau.fused  # noqa: F401  call paths
from flambeau import dtypes
from flambeau.caution import warn
from flambeau.construct import tensor
from flambeau.ops.adaptive_pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from flambeau.ops.layer_norm import wide
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

Array = np.ndarray[Any, Any]


class Taps(NamedTuple):
    """Result ``i`` of a dimension is the sum over ``t`` of ``weights[t, i] * x[places[t, i]]``."""

    places: Array
    weights: Array | None
    """Float64; None where there is one tap of weight 1."""


# ---- where elements lie and what they weigh ----------------------------------------------------
def _scale(size: int, count: int, factor: float | None, aligned: bool, real: Any) -> Any:
    """Elements of the input per element of the output."""
    if aligned:
        return real(size - 1) / real(count - 1) if count > 1 else real(0)
    return real(1.0 / factor) if factor else real(size) / real(count)


def _nearest(size: int, count: int, factor: float | None, exact: bool) -> Taps:
    scale = _scale(size, count, factor, False, np.float32)
    at = np.arange(count, dtype=np.float32)
    place = np.floor((at + np.float32(0.5 if exact else 0)) * scale).astype(np.int64)
    return Taps(np.minimum(place, size - 1)[None], None)


def _source(count: int, scale: Any, aligned: bool, real: Any) -> Array:
    """The position in the input of every element of the output."""
    at = np.arange(count, dtype=real)
    place: Array = scale * at if aligned else scale * (at + real(0.5)) - real(0.5)
    return place


def _linear(size: int, count: int, factor: float | None, aligned: bool, real: Any) -> Taps:
    at = _source(count, _scale(size, count, factor, aligned, real), aligned, real)
    at = np.maximum(at, real(0))
    first = np.minimum(np.floor(at).astype(np.int64), size - 1)
    part = np.clip(at - first.astype(real), 0, 1).astype(np.float64)
    return Taps(np.stack([first, np.minimum(first + 1, size - 1)]), np.stack([1 - part, part]))


def cubic_weights(t: Any, a: float = -0.75) -> tuple[Any, Any, Any, Any]:
    """Weights of four neighbours at fraction ``t``: R. Keys, "Cubic convolution", 1981."""

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _cubic(size: int, count: int, factor: float | None, aligned: bool, real: Any) -> Taps:
    at = _source(count, _scale(size, count, factor, aligned, real), aligned, real)
    first = np.floor(at)
    part = (at - first).astype(np.float64)
    places = [np.clip(first.astype(np.int64) + k, 0, size - 1) for k in (-1, 0, 1, 2)]
    return Taps(np.stack(places), np.stack(cubic_weights(part)))


def _triangle(x: Array) -> Array:
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def _keys(x: Array) -> Array:
    a, x = -0.5, np.abs(x)
    near: Array = ((a + 2) * x - (a + 3)) * x * x + 1
    far: Array = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS: Final[dict[str, tuple[Callable[[Array], Array], float]]] = {
    "linear": (_triangle, 1.0), "cubic": (_keys, 2.0), "lanczos": (_lanczos, 3.0)}
"""Antialiasing filters and how far they reach."""


def _smoothed(
    kind: str, size: int, count: int, factor: float | None, aligned: bool, real: Any
) -> Taps:
    """A filter as wide as the output's elements are in the input, as Pillow resizes."""
    scale = float(_scale(size, count, factor, aligned, real))
    filter_, reach = _FILTERS[kind]
    support = reach * max(scale, 1.0)
    narrow = 1 / scale if scale >= 1 else 1.0
    center = scale * (np.arange(count) + 0.5)
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    end = np.minimum((center + support + 0.5).astype(np.int64), size)
    offsets = np.arange(int((end - first).max(initial=1)))[:, None]
    inside = offsets < end - first
    weights = np.where(inside, filter_((offsets + first - center + 0.5) * narrow), 0.0)
    weights = weights / weights.sum(0)
    return Taps(np.minimum(first + offsets, np.maximum(end - 1, 0)), weights)


@lru_cache(maxsize=512)
def taps(
    kind: str, size: int, count: int, factor: float | None, aligned: bool, antialias: bool,
    double: bool,
) -> Taps:
    """The taps of a mode ("nearest", "nearest-exact", "linear", "cubic", "lanczos")."""
    real = np.float64 if double else np.float32
    if kind.startswith("nearest"):
        return _nearest(size, count, factor, kind == "nearest-exact")
    if antialias:
        return _smoothed(kind, size, count, factor, aligned, real)
    return (_linear if kind == "linear" else _cubic)(size, count, factor, aligned, real)


# ---- the internal ops --------------------------------------------------------------------------
def _weight(table: Taps, t: int, like: Tensor, dim: int) -> Tensor:
    assert table.weights is not None
    weight = tensor(table.weights[t], dtype=like.dtype, device=like.device)
    result: Tensor = weight.reshape((-1, *(1,) * (like.ndim - 1 - dim)))
    return result


def _resample_back(
    g: Tensor, needs: tuple[bool, ...], self_shape: Any, dim: int, table: Taps
) -> tuple[Any, ...]:
    return (resample_adjoint(g, dim, table, self_shape[dim]),)


def _cases() -> Iterator[tuple[str, int, Taps]]:
    yield "nearest", 5, taps("nearest", 5, 7, None, False, False, False)
    yield "linear", 5, taps("linear", 5, 3, None, False, False, False)
    yield "cubic", 4, taps("cubic", 4, 9, None, True, False, False)
    yield "antialias", 9, taps("cubic", 9, 4, None, False, True, False)


@composite(
    "resample(Tensor self, int dim, Any table) -> Tensor", method=False, out=False,
    namespaces=("_internal",), joint=_resample_back, template="fused",
    samples=lambda make: iter([
        Sample((make(2, size, 3), 1, table), name=name) for name, size, table in _cases()]),
)
def resample(self: Tensor, dim: int, table: Taps) -> Tensor:
    """Weighted sums of elements along one dimension."""
    x = wide(self)
    total: Any = None
    for t, places in enumerate(table.places):
        part = x.index_select(dim, tensor(places, device=x.device))
        part = part if table.weights is None else part * _weight(table, t, x, dim)
        total = part if total is None else total + part
    result: Tensor = total.to(self.dtype)
    return result


def _adjoint_back(
    g: Tensor, needs: tuple[bool, ...], dim: int, table: Taps
) -> tuple[Any, ...]:
    return (resample(g, dim, table),)


@composite(
    "resample_adjoint(Tensor grad, int dim, Any table, int size) -> Tensor", method=False,
    out=False, namespaces=("_internal",), joint=_adjoint_back, template="fused",
    samples=lambda make: iter([
        Sample((make(2, table.places.shape[1], 3), 1, table, size), name=name)
        for name, size, table in _cases()]),
)
def resample_adjoint(grad: Tensor, dim: int, table: Taps, size: int) -> Tensor:
    """The gradient of ``resample`` for a dimension of a size."""
    g = wide(grad)
    shape = list(g.shape)
    shape[dim] = size
    total = g.new_zeros(tuple(shape))
    for t, places in enumerate(table.places):
        part = g if table.weights is None else g * _weight(table, t, g, dim)
        total = total.index_add(dim, tensor(places, device=g.device), part)
    result: Tensor = total.to(grad.dtype)
    return result


# ---- public ------------------------------------------------------------------------------------
MODES: Final = ("nearest", "linear", "bilinear", "bicubic", "trilinear", "lanczos", "area",
                "nearest-exact")
_RANK: Final = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5, "lanczos": 4}
_KIND: Final = {"linear": "linear", "bilinear": "linear", "trilinear": "linear",
                "bicubic": "cubic", "lanczos": "lanczos"}


def _check_mode(input: Tensor, mode: str, align_corners: Any, antialias: bool) -> None:
    """Refuse what PyTorch refuses.

    Raises:
        ValueError: for options that do not go with the mode.
        NotImplementedError: for a mode or rank that there is not.
    """
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            "linear | bilinear | bicubic | trilinear")
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input")
    if mode not in MODES or input.ndim not in (3, 4, 5):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the "
            f"modes: {' | '.join(MODES)} (got {mode})")
    if _RANK.get(mode, input.ndim) != input.ndim:
        raise NotImplementedError(
            f"Got {input.ndim}D input, but {mode} mode needs {_RANK[mode]}D input")
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError("Lanczos mode requires antialias=True, and align_corners False")
    if input.dtype.category != 2 and input.dtype is not dtypes.uint8:
        raise NotImplementedError(f"interpolate: not implemented for '{input.dtype.name}'")


def _targets(
    input: Tensor, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[tuple[int, ...], Sequence[float | None]]:
    """The output's sizes, and the factors that positions are computed from.

    Raises:
        ValueError: unless exactly one of size and factor is given, for all dimensions.
        TypeError: for sizes that are no integers.
        RuntimeError: for sizes below 1.
    """
    sizes = list(input.shape[2:])
    n = len(sizes)
    if (size is None) == (scale_factor is None):
        raise ValueError("either size or scale_factor should be defined" if size is None else
                         "only one of size or scale_factor should be defined")
    factors: Sequence[float | None] = (None,) * n
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        wanted = list(size) if isinstance(size, (list, tuple)) else [size] * n
        if not all(isinstance(v, (int, np.integer)) for v in wanted):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or "
                f"Tuple[int, int, int], but got size with types {[type(v) for v in wanted]}")
        _check_length(sizes, wanted, f"output size of {size}")
        counts = tuple(int(v) for v in wanted)
    else:
        given = scale_factor if isinstance(scale_factor, (list, tuple)) else (scale_factor,) * n
        _check_length(sizes, given, f"scale_factor of shape {scale_factor}")
        counts = tuple(
            math.floor(float(s) * float(f)) for s, f in zip(sizes, given, strict=True))
        if not recompute:
            factors = [float(f) for f in given]
    if min(*sizes, *counts) < 1:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {sizes} output "
            f"{list(counts)}")
    return counts, factors


def _check_length(sizes: Sequence[int], given: Sequence[Any], what: str) -> None:
    if len(given) != len(sizes):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(sizes)} and {what}. Please provide one value per "
            "dimension of an input in (N, C, d1, d2, ...,dK) format.")


def _resized(
    input: Tensor, counts: tuple[int, ...], factors: Sequence[float | None], kind: str,
    aligned: bool, antialias: bool,
) -> Any:
    double = input.dtype is dtypes.float64
    x: Any = input
    for d in range(len(counts) - 1, -1, -1):
        size, count = x.shape[2 + d], counts[d]
        if size == count and factors[d] in (None, 1.0):
            continue
        x = resample(x, 2 + d, taps(kind, size, count, factors[d], aligned, antialias, double))
    return x.clone() if x is input else x


def _samples(make: Make) -> Iterator[Sample]:
    x, image, volume = make(2, 3, 5), make(2, 3, 5, 4), make(1, 2, 3, 4, 2)
    for mode in ("nearest", "nearest-exact", "area"):
        yield Sample((x, 7), {"mode": mode}, name=f"1d_{mode}")
        yield Sample((volume, (5, 3, 4)), {"mode": mode}, name=f"3d_{mode}")
    yield Sample((image,), {"scale_factor": 1.7}, name="scale_factor")
    for aligned in (False, True):
        for mode, t in (("linear", x), ("bilinear", image), ("bicubic", image),
                        ("trilinear", volume)):
            yield Sample((t, (7, 3, 5)[: t.ndim - 2]), {"mode": mode, "align_corners": aligned},
                         name=f"{mode}_{'aligned' if aligned else 'plain'}")
    yield Sample((image, (3, 7)), {"mode": "bicubic", "antialias": True}, name="antialias")


def _errors(make: Make) -> Iterator[ErrorSample]:
    x = make(1, 2, 4, 4)
    yield error(ValueError, "either size or scale_factor", x)
    yield error(ValueError, "only one of", x, 3, 2.0)
    yield error(ValueError, "same number of spatial dimensions", x, (3, 3, 3))
    yield error(ValueError, "align_corners option", x, 3, align_corners=True)
    yield error(NotImplementedError, "linear mode needs 3D input", x, 3, mode="linear")
    yield error(NotImplementedError, "3D, 4D and 5D", make(4, 4), 3)
    yield error(RuntimeError, "greater than 0", x, 0)


@composite(
    "interpolate(Tensor input, Any size=None, Any scale_factor=None, str mode='nearest', "
    "bool? align_corners=None, bool? recompute_scale_factor=None, bool antialias=False) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, samples=_samples, errors=_errors,
)
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """Resize (N, C, *spatial) to ``size``, or by ``scale_factor``.

    Args:
        mode: "nearest", "nearest-exact", "area", or by rank "linear" (3), "bilinear", "bicubic",
            "lanczos" (4), "trilinear" (5).
        align_corners: let corner elements keep their values, not the corners of their areas.
        recompute_scale_factor: compute positions from the sizes, not from ``scale_factor``.
        antialias: smooth when shrinking.
    """
    _check_mode(input, mode, align_corners, antialias)
    counts, factors = _targets(input, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        pools = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)
        return pools[input.ndim - 3](input, counts)
    kind = _KIND.get(mode, mode)
    if input.dtype is dtypes.uint8 and not mode.startswith("nearest"):
        whole = _resized(input.to(dtypes.float32), counts, factors, kind, bool(align_corners),
                         antialias)
        return whole.round().clamp(0, 255).to(dtypes.uint8)
    return _resized(input, counts, factors, kind, bool(align_corners), antialias)


def _deprecated(name: str) -> None:
    warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.")


def _old_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(ValueError, "either size or scale_factor", make(1, 2, 4, 4))
    yield error(NotImplementedError, "3D, 4D and 5D|bilinear mode needs 4D", make(4, 4), 3)


_OLD: Final[dict[str, Any]] = {
    "namespaces": ("nn.functional",), "method": False, "out": False, "errors": _old_errors}


@composite(
    "upsample(Tensor input, Any size=None, Any scale_factor=None, str mode='nearest', "
    "bool? align_corners=None) -> Tensor",
    samples=lambda make: iter([Sample((make(1, 2, 3, 4), None, 2), name="double")]), **_OLD)
def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:
    """Deprecated name of ``interpolate``."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@composite(
    "upsample_nearest(Tensor input, Any size=None, Any scale_factor=None) -> Tensor",
    samples=lambda make: iter([Sample((make(1, 2, 3, 4), (2, 5)), name="size")]), **_OLD)
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Any:
    """Deprecated: ``interpolate`` with mode "nearest"."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor)


@composite(
    "upsample_bilinear(Tensor input, Any size=None, Any scale_factor=None) -> Tensor",
    samples=lambda make: iter([Sample((make(1, 2, 3, 4), (2, 5)), name="size")]), **_OLD)
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Any:
    """Deprecated: ``interpolate`` with mode "bilinear" and aligned corners."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", True)
