"""Discrete Fourier transforms.

Three primitives, which no backend must have: complex to complex, real to complex and back.  They
are linear, so the derivative of each is another of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.ops.complex import conj, real
from flambeau.ops.create import arange
from flambeau.ops.join import cat
from flambeau.ops.pad import pad
from flambeau.ops.rearrange import roll
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

NONE, ROOT, ALL = 0, 1, 2
"""What a transform of n points is divided by: 1, sqrt(n) or n."""
_FORWARD: Final = {None: NONE, "backward": NONE, "ortho": ROOT, "forward": ALL}
_INVERSE: Final = {None: ALL, "backward": ALL, "ortho": ROOT, "forward": NONE}


# ---- primitives --------------------------------------------------------------------------------
def _complex_rule(self: Tensor, dim: Sequence[int], scale: int, forward: bool) -> Plan:
    attributes = {"dim": tuple(dim), "scale": scale, "forward": forward}
    return Plan((self,), (Result(self.shape, self.dtype),), attributes)


def _half_rule(self: Tensor, dim: Sequence[int], scale: int) -> Plan:
    shape = list(self.shape)
    shape[dim[-1]] = shape[dim[-1]] // 2 + 1
    results = (Result(shape, self.dtype.to_complex()),)
    return Plan((self,), results, {"dim": tuple(dim), "scale": scale})


def _real_rule(self: Tensor, dim: Sequence[int], scale: int, size: int) -> Plan:
    shape = list(self.shape)
    shape[dim[-1]] = size
    results = (Result(shape, self.dtype.to_real()),)
    return Plan((self,), results, {"dim": tuple(dim), "scale": scale, "size": size})


def _of_complex(*rest: Any) -> Callable[[Make], Iterator[Sample]]:
    def samples(make: Make) -> Iterator[Sample]:
        yield sample(make(3, 4), [1], NONE, *rest)
        yield sample(make(2, 3, 4), [0, 2], ROOT, *rest)
        yield sample(make(4, 3).t(), [1], ALL, *rest)

    return samples


def _of_real(make: Make) -> Iterator[Sample]:
    if make.dtype.itemsize > 2:
        yield sample(make(3, 4), [1], NONE)
        yield sample(make(2, 3, 5), [0, 2], ROOT)
        yield sample(make(4, 3).t(), [1], ALL)


def _back(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 3), [1], NONE, 4)
    yield sample(make(2, 3, 3), [0, 2], ROOT, 5)
    yield sample(make(4, 1), [1], ALL, 1)


fft_complex: Any = primitive(
    "fft_complex(Tensor self, int[] dim, int scale, bool forward) -> Tensor",
    doc="The transform of complex numbers over some dimensions.",
    rule=_complex_rule, dtypes="complex", namespaces=("_internal",), is_required=False,
    derivatives={
        "self": lambda g, dim, scale, forward: fft_complex(g, dim, scale, not forward)},
    samples=_of_complex(True),
)
fft_half = primitive(
    "fft_half(Tensor self, int[] dim, int scale) -> Tensor",
    doc="The transform of real numbers, of the last of the dimensions the half that is not "
    "implied by symmetry.",
    rule=_half_rule, namespaces=("_internal",), is_required=False,
    derivatives={"self": lambda g, dim, scale, self_shape: _half_grad(g, dim, scale, self_shape)},
    samples=_of_real,
)
fft_real = primitive(
    "fft_real(Tensor self, int[] dim, int scale, int size) -> Tensor",
    doc="The inverse transform of such a half: real numbers, ``size`` of them in the last of the "
    "dimensions.",
    rule=_real_rule, dtypes="complex", namespaces=("_internal",), is_required=False,
    derivatives={"self": lambda g, dim, scale: _real_grad(g, dim, scale)},
    samples=_back,
)


def _half_grad(g: Tensor, dim: Sequence[int], scale: int, shape: Sequence[int]) -> Any:
    """The adjoint of taking half: the other half is zero, and only the real part counts."""
    full = _resized(g, dim[-1], shape[dim[-1]])
    return real(fft_complex(full, dim, scale, False))


def _real_grad(g: Tensor, dim: Sequence[int], scale: int) -> Any:
    """The adjoint of completing by symmetry: what stands for two counts twice."""
    result = fft_half(g, dim, scale)
    last, doubled = dim[-1], g.shape[dim[-1]] - result.shape[dim[-1]]
    if doubled <= 0:
        return result
    first, rest = result.narrow(last, 0, 1), result.narrow(last, 1, doubled) * 2
    return cat([first, rest, result.narrow(last, doubled + 1, result.shape[last] - doubled - 1)],
               last)


# ---- arguments ---------------------------------------------------------------------------------
def _scale(name: str, norm: str | None, table: dict[str | None, int]) -> int:
    if norm not in table:
        raise RuntimeError(
            f'{name}: invalid normalization mode: "{norm}"; it is "forward", "backward" or "ortho"')
    return table[norm]


def _resized(x: Tensor, dim: int, size: int) -> Any:
    """Cut, or filled up with zeros at the end."""
    have = x.shape[dim]
    if size == have:
        return x
    if size < have:
        return x.narrow(dim, 0, size)
    return pad(x, [0, 0] * (x.ndim - 1 - dim) + [0, size - have])


def _as_complex(name: str, x: Tensor) -> Any:
    x = _as_floating(name, x)
    return x.to(x.dtype.to_complex())


def _as_floating(name: str, x: Tensor) -> Any:
    if x.dtype.category < 2:
        return x.to(dtypes.get_default_dtype())
    if x.dtype.itemsize == 2:
        raise RuntimeError(f"{name}: unsupported dtype {x.dtype.name}; convert with .float()")
    return x


def _as_real(name: str, x: Tensor) -> Any:
    if x.dtype.is_complex:
        raise RuntimeError(
            f"{name} expects a floating point input tensor, but got {x.dtype.name}")
    return _as_floating(name, x)


def _dims_and_sizes(
    name: str, x: Tensor, s: Sequence[int] | int | None, dim: Sequence[int] | int | None
) -> tuple[list[int], list[int]]:
    """The dimensions that are transformed, and how many points of each.

    Raises:
        RuntimeError: if a dimension is named twice, or the lengths of both lists differ.
    """
    sizes = [s] if isinstance(s, int) else None if s is None else list(s)
    if dim is not None:
        dims = [wrap_dim(d, x.ndim) for d in ([dim] if isinstance(dim, int) else dim)]
    elif sizes is not None:
        if len(sizes) > x.ndim:
            raise RuntimeError(
                f"{name}: Got shape with {len(sizes)} values but input tensor only has {x.ndim} "
                "dimensions.")
        dims = list(range(x.ndim - len(sizes), x.ndim))
    else:
        dims = list(range(x.ndim))
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"{name}: FFT dims must be unique, got {dims}")
    if sizes is None:
        sizes = [x.shape[d] for d in dims]
    if len(sizes) != len(dims):
        raise RuntimeError(
            f"{name}: When given, dim and shape arguments must have the same length, got "
            f"{len(dims)} and {len(sizes)}")
    sizes = [x.shape[d] if n == -1 else n for n, d in zip(sizes, dims, strict=True)]
    for n in sizes:
        if n < 1:
            raise RuntimeError(f"{name}: Invalid number of data points ({n}) specified")
    return dims, sizes


def _fitted(x: Tensor, dims: Sequence[int], sizes: Sequence[int]) -> Any:
    for d, n in zip(dims, sizes, strict=True):
        x = _resized(x, d, n)
    return x


# ---- the eight kinds of transforms, over any dimensions ----------------------------------------
def _fftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None, forward: bool) -> Any:
    dims, sizes = _dims_and_sizes(name, x, s, dim)
    scale = _scale(name, norm, _FORWARD if forward else _INVERSE)
    x = _fitted(_as_complex(name, x), dims, sizes)
    return fft_complex(x, dims, scale, forward) if dims else x


def _rfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Any:
    dims, sizes = _dims_and_sizes(name, x, s, dim)
    _check_some(name, dims)
    x = _fitted(_as_real(name, x), dims, sizes)
    return fft_half(x, dims, _scale(name, norm, _FORWARD))


def _ihfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Any:
    dims, sizes = _dims_and_sizes(name, x, s, dim)
    _check_some(name, dims)
    scale = _scale(name, norm, _INVERSE)
    half = conj(fft_half(_fitted(_as_real(name, x), dims, sizes), dims[-1:], scale))
    return fft_complex(half, dims[:-1], scale, False) if dims[:-1] else half


def _to_real(
    name: str, x: Tensor, s: Any, dim: Any
) -> tuple[Tensor, list[int], int]:
    """The complex half, the dimensions, and the number of real points in the last of them."""
    dims, sizes = _dims_and_sizes(name, x, s, dim)
    _check_some(name, dims)
    given = s if s is None or isinstance(s, int) else list(s)[-1]
    last = 2 * (x.shape[dims[-1]] - 1) if given is None or given == -1 else sizes[-1]
    if last < 1:
        raise RuntimeError(f"{name}: Invalid number of data points ({last}) specified")
    return _fitted(_as_complex(name, x), dims, [*sizes[:-1], last // 2 + 1]), dims, last


def _irfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Any:
    half, dims, last = _to_real(name, x, s, dim)
    return fft_real(half, dims, _scale(name, norm, _INVERSE), last)


def _hfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Any:
    half, dims, last = _to_real(name, x, s, dim)
    scale = _scale(name, norm, _FORWARD)
    if dims[:-1]:
        half = fft_complex(half, dims[:-1], scale, True)
    return fft_real(conj(half), dims[-1:], scale, last)


def _check_some(name: str, dims: list[int]) -> None:
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")


# ---- what people call --------------------------------------------------------------------------
def _line_samples(make: Make) -> Iterator[Sample]:
    if make.dtype.itemsize > 2:
        yield sample(make(5))
        yield sample(make(3, 4), 6)
        yield sample(make(4, 3), 3, 0, "ortho")
        yield sample(make(4, 3).t(), norm="forward")


def _plane_samples(make: Make) -> Iterator[Sample]:
    if make.dtype.itemsize > 2:
        yield sample(make(3, 4))
        yield sample(make(2, 4, 3), (3, 4))
        yield sample(make(2, 4, 3), None, (0, 2), "ortho")
        yield sample(make(4, 3).t(), norm="forward")


def _line_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "Invalid number of data points", make(4), 0)
    yield error(RuntimeError, "invalid normalization mode", make(4), norm="both")
    yield error(IndexError, "Dimension out of range", make(4), None, 1)


def _plane_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must be unique", make(3, 4), None, (0, 0))
    yield error(RuntimeError, "same length", make(3, 4), (3,), (0, 1))
    yield error(RuntimeError, "invalid normalization mode", make(3, 4), norm="both")


def _register(
    name: str, words: str, takes: str, function: Callable[..., Any], *settings: Any
) -> None:
    """The op over one dimension, over two, and over any number."""
    def register(suffix: str, sizes: str, dim: str, where: str, samples: Any, errors: Any) -> None:
        full = f"{name}{suffix}"

        def transform(self: Tensor, sizes: Any, dim: Any, norm: str | None = None) -> Any:
            return function(full, self, sizes, dim, norm, *settings)

        transform.__doc__ = words.format(where)
        composite(
            f"fft_{full}(Tensor self, {sizes}, {dim}, str? norm=None) -> Tensor",
            namespaces=("fft",), dtypes=takes, samples=samples, errors=errors, method=False,
        )(transform)

    register("", "int? n=None", "int dim=-1", "a dimension", _line_samples, _line_errors)
    register("2", "int[]? s=None", "int[] dim=(-2, -1)", "two dimensions", _plane_samples,
             _plane_errors)
    register("n", "int[]? s=None", "int[]? dim=None", "some or all dimensions", _plane_samples,
             _plane_errors)


_register("fft", "The discrete Fourier transform over {}.", "floating_complex", _fftn, True)
_register("ifft", "The inverse Fourier transform over {}.", "floating_complex", _fftn, False)
_register("rfft", "The transform of real numbers over {}: the half that symmetry does not imply.",
          "floating", _rfftn)
_register("irfft", "Real numbers from the half of their transform over {}.", "floating_complex",
          _irfftn)
_register("hfft", "The real transform over {} of half of a signal with Hermitian symmetry.",
          "floating_complex", _hfftn)
_register("ihfft", "Half of the inverse transform of real numbers over {}.", "floating", _ihfftn)


# ---- frequencies and shifts --------------------------------------------------------------------
def _shift_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(5))
    yield sample(make(3, 4))
    yield sample(make(3, 4), 1)
    yield sample(make(2, 3, 4), (0, 2))


def _shift_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "Dimension out of range", make(3), 1)


def _shifted(x: Tensor, dim: Any, by: Callable[[int], int]) -> Any:
    dims = list(range(x.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return roll(x, [by(x.shape[wrap_dim(d, x.ndim)]) for d in dims], dims) if dims else x


@composite(
    "fft_fftshift(Tensor self, int[]? dim=None) -> Tensor", namespaces=("fft",), dtypes="all",
    method=False, samples=_shift_samples, errors=_shift_errors,
)
def fftshift(self: Tensor, dim: Any = None) -> Any:
    """Frequencies in ascending order, 0 in the middle."""
    return _shifted(self, dim, lambda n: n // 2)


@composite(
    "fft_ifftshift(Tensor self, int[]? dim=None) -> Tensor", namespaces=("fft",), dtypes="all",
    method=False, samples=_shift_samples, errors=_shift_errors,
)
def ifftshift(self: Tensor, dim: Any = None) -> Any:
    """The inverse of ``fftshift``."""
    return _shifted(self, dim, lambda n: (n + 1) // 2)


def fftfreq(n: int, d: float = 1.0, **options: Any) -> Any:
    """The frequencies of a transform of n points, in cycles per unit.

    Args:
        n: number of points.
        d: distance between two of them, in the unit.
        options: ``dtype``, ``device``, ``requires_grad``.
    """
    grad = options.pop("requires_grad", False)
    at = arange(n, **options)
    at = at if at.dtype.category >= 2 else at.to(dtypes.get_default_dtype())
    half = math.ceil(n / 2)
    result = cat([at[:half], at[half:] - n]) * (1.0 / (n * d))
    return result.requires_grad_(grad)


def rfftfreq(n: int, d: float = 1.0, **options: Any) -> Any:
    """The frequencies of the half of a transform of n real points, in cycles per unit."""
    grad = options.pop("requires_grad", False)
    at = arange(n // 2 + 1, **options)
    at = at if at.dtype.category >= 2 else at.to(dtypes.get_default_dtype())
    return (at * (1.0 / (n * d))).requires_grad_(grad)
