"""Greatest values of sliding windows, and the inverse.

The forward remembers *which* element of each window won, one small number: its gradient is
written back there, and the flat indices that PyTorch returns are computed from it when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau import dtypes
from flambeau.autograd.grad_mode import MODE
from flambeau.errors import UnsupportedDtypeError
from flambeau.kind import kind_of
from flambeau.layout import product
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor
from flambeau.windows import Geometry, fold, padded, windows

Ints = tuple[int, ...]


# ---- arguments ---------------------------------------------------------------------------------
def pool_sizes(name: str, argument: str, value: Any, n: int) -> Ints:
    """A size for each spatial dimension.

    Raises:
        RuntimeError: for a list of another length.
    """
    if not isinstance(value, (tuple, list)):
        if isinstance(value, (float, str)):
            raise TypeError(
                f"{name}(): argument '{argument}' must be tuple of ints, not "
                f"{type(value).__name__}")
        return (int(value),) * n
    if len(value) not in (1, n):
        words = ("single int", "tuple of two ints", "tuple of three ints")[n - 1]
        either = "be omitted, a" if argument == "stride" else "either be a"
        raise RuntimeError(f"{name}: {argument} must {either} single int, or a {words}")
    return tuple(int(v) for v in value) * (n if len(value) == 1 else 1)


def pool_geometry(
    name: str, n: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Geometry:
    """The windows of a pooling op; a stride of None is the kernel's size.

    Raises:
        RuntimeError: for sizes that make no sense, as PyTorch.
    """
    if isinstance(kernel_size, list) or isinstance(stride, list) or isinstance(padding, list):
        kernel_size, stride, padding = (
            tuple(v) if isinstance(v, list) else v for v in (kernel_size, stride, padding))
    return _geometry(name, n, kernel_size, stride, padding, dilation, bool(ceil_mode))


@lru_cache(maxsize=1024)
def _geometry(
    name: str, n: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Geometry:
    kernel = pool_sizes(name, "kernel_size", kernel_size, n)
    steps = kernel if stride is None or stride == () else pool_sizes(name, "stride", stride, n)
    if any(k <= 0 for k in kernel):
        raise RuntimeError(f"{name}() kernel size should be greater than zero, but got {kernel}")
    if 0 in steps:
        raise RuntimeError(f"{name}() stride should not be zero")
    if any(s < 0 for s in steps):
        raise RuntimeError(f"{name}() stride should be greater than zero, but got {steps}")
    pads = pool_sizes(name, "padding", padding, n)
    gaps = pool_sizes(name, "dilation", dilation, n)
    if any(d <= 0 for d in gaps):
        raise RuntimeError(f"{name}() dilation should be greater than zero, but got {gaps}")
    for k, p, d in zip(kernel, pads, gaps, strict=True):
        if p < 0:
            raise RuntimeError(f"{name}() pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                f"{name}() padding should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}")
    return Geometry(kernel, steps, pads, gaps, ceil_mode)


def check_pooled(name: str, input: Tensor, n: int) -> None:
    """Refuse inputs that are not (N, C, *sizes) or (C, *sizes), or are empty but for the batch.

    Raises:
        RuntimeError: naming the shape.
        NotImplementedError: for booleans and complex numbers.
    """
    shape = input.shape
    if input.ndim not in (n + 1, n + 2) or 0 in shape[1 if input.ndim == n + 2 else 0 :]:
        raise RuntimeError(
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch "
            f"size for input, but got: {list(shape)}")
    if input.dtype is dtypes.bool or input.dtype.is_complex:
        raise NotImplementedError(f"{name}: not implemented for '{input.dtype.name}'")


def check_counts(input: Tensor, counts: Ints) -> None:
    """Refuse windows that do not fit.

    Raises:
        RuntimeError: naming the sizes.
    """
    if any(c < 1 for c in counts):
        sizes, outs = ("x".join(map(str, s)) for s in (input.shape[1:], counts))
        raise RuntimeError(
            f"Given input size: ({sizes}). Calculated output size: ({input.shape[1]}x{outs}). "
            "Output size is too small")


# ---- the internal ops --------------------------------------------------------------------------
def _lowest(d: dtypes.dtype) -> Any:
    if d.category == 2:
        return float("-inf")
    return dtypes.iinfo(d).min


def _code_dtype(input: Tensor, area: int) -> dtypes.dtype:
    """Of a position in a window: bytes if they suffice and the device holds them."""
    if area > 255:
        return dtypes.int64
    try:
        kind_of(input.device, dtypes.uint8)
    except UnsupportedDtypeError:
        return dtypes.int64
    return dtypes.uint8


_WINDOWS = "int[] kernel_size, int[] stride, int[] padding, int[] dilation, bool ceil_mode"


def _window_cases() -> Iterator[tuple[str, Ints, Geometry]]:
    yield "plain", (2, 3, 6, 4), Geometry((2, 2), (2, 2), (0, 0), (1, 1))
    yield "overlap", (2, 3, 7, 6), Geometry((3, 2), (2, 1), (1, 0), (1, 1))
    yield "dilated_ceil", (1, 2, 8, 7), Geometry((2, 3), (2, 2), (1, 1), (2, 1), True)
    yield "1d", (2, 3, 7), Geometry((3,), (2,), (1,), (1,), True)
    yield "3d", (1, 2, 4, 5, 4), Geometry((2, 2, 2), (2, 2, 1), (0, 1, 0), (1, 1, 1))
    yield "no_batch", (0, 2, 4, 4), Geometry((2, 2), (2, 2), (0, 0), (1, 1))


def _forward_samples(make: Make) -> Iterator[Sample]:
    for name, shape, geometry in _window_cases():
        yield Sample((make.distinct(*shape), *geometry), name=name)


def _scatter_samples(make: Make) -> Iterator[Sample]:
    for name, shape, geometry in _window_cases():
        out = (*shape[:2], *geometry.counts(shape[2:]))
        which = make.index(product(geometry.kernel), *out)
        yield Sample((make(*out), which, shape, *geometry), name=name)


def _gather_samples(make: Make) -> Iterator[Sample]:
    for name, shape, geometry in _window_cases():
        out = (*shape[:2], *geometry.counts(shape[2:]))
        yield Sample(
            (make(*shape), make.index(product(geometry.kernel), *out), *geometry), name=name)


def _flat_windows(input: Tensor, geometry: Geometry, border: Any) -> Tensor:
    """(N, C, *counts, area): the elements of every window side by side."""
    sizes = input.shape[2:]
    n, counts = len(sizes), geometry.counts(sizes)
    whole = padded(input, geometry.padding, geometry.overhang(sizes, counts), border)
    view = windows(whole, geometry, counts)
    order = (0, 1, *range(2 + n, 2 + 2 * n), *range(2, 2 + n))
    result: Tensor = view.permute(order).reshape(
        (*input.shape[:2], *counts, product(geometry.kernel)))
    return result


def _windows_back(
    g: Tensor, needs: tuple[bool, ...], self_shape: Any, which: Tensor, kernel_size: Ints,
    stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool,
) -> tuple[Any, ...]:
    return (max_pool_scatter(
        g, which, self_shape, kernel_size, stride, padding, dilation, ceil_mode),)


@composite(
    f"max_pool_windows(Tensor self, {_WINDOWS}) -> (Tensor out, Tensor which)",
    method=False, out=False, namespaces=("_internal",), joint=_windows_back, template="fused",
    samples=_forward_samples,
)
def max_pool_windows(
    self: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    """The greatest value of every window, and its position in the window; NaN counts as greatest.

    Of equal values the first one wins.
    """
    geometry = Geometry(kernel_size, stride, padding, dilation, ceil_mode)
    flat = _flat_windows(self, geometry, _lowest(self.dtype))
    which = flat.argmax(-1)
    out = flat.gather(-1, which.unsqueeze(-1)).squeeze(-1)
    return out, which.to(_code_dtype(self, product(kernel_size)))


@composite(
    f"max_pool_values(Tensor self, {_WINDOWS}) -> Tensor", method=False, out=False,
    namespaces=("_internal",), template="fused", samples=_forward_samples, dtypes="real",
)
def max_pool_values(
    self: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Tensor:
    """The greatest value of every window, where no gradient is wanted."""
    out: Tensor = max_pool_windows(self, kernel_size, stride, padding, dilation, ceil_mode)[0]
    return out


def _scatter_back(
    g: Tensor, needs: tuple[bool, ...], which: Tensor, kernel_size: Ints, stride: Ints,
    padding: Ints, dilation: Ints, ceil_mode: bool,
) -> tuple[Any, ...]:
    return max_pool_gather(g, which, kernel_size, stride, padding, dilation, ceil_mode), None


@composite(
    f"max_pool_scatter(Tensor grad, Tensor which, int[] size, {_WINDOWS}) -> Tensor",
    method=False, out=False, namespaces=("_internal",), joint=_scatter_back, template="fused",
    samples=_scatter_samples,
)
def max_pool_scatter(
    grad: Tensor, which: Tensor, size: Ints, kernel_size: Ints, stride: Ints, padding: Ints,
    dilation: Ints, ceil_mode: bool,
) -> Tensor:
    """The gradient of ``max_pool_windows``: each window's to the element that won."""
    from flambeau.ops.compare import where
    from flambeau.ops.create import arange

    geometry = Geometry(kernel_size, stride, padding, dilation, ceil_mode)
    counts = tuple(grad.shape[2:])
    places = arange(product(kernel_size), device=grad.device).reshape((-1, *(1,) * len(counts)))
    columns = where(which.unsqueeze(2) == places, grad.unsqueeze(2), 0.0)
    return fold(columns.reshape((*grad.shape[:2], *kernel_size, *counts)), geometry, size[2:])


def _gather_back(
    g: Tensor, needs: tuple[bool, ...], self_shape: Any, which: Tensor, kernel_size: Ints,
    stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool,
) -> tuple[Any, ...]:
    return max_pool_scatter(
        g, which, self_shape, kernel_size, stride, padding, dilation, ceil_mode), None


@composite(
    f"max_pool_gather(Tensor self, Tensor which, {_WINDOWS}) -> Tensor",
    method=False, out=False, namespaces=("_internal",), joint=_gather_back, template="fused",
    samples=_gather_samples,
)
def max_pool_gather(
    self: Tensor, which: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints,
    ceil_mode: bool,
) -> Tensor:
    """Of every window the element at a position: the adjoint of ``max_pool_scatter``."""
    geometry = Geometry(kernel_size, stride, padding, dilation, ceil_mode)
    flat = _flat_windows(self, geometry, 0)
    result: Tensor = flat.gather(-1, which.to(dtypes.int64).unsqueeze(-1)).squeeze(-1)
    return result


def _flat_indices(which: Tensor, geometry: Geometry, sizes: Sequence[int]) -> Tensor:
    """Positions in windows as positions in the input's flattened spatial dimensions."""
    from flambeau.ops.create import arange

    rest = which.to(dtypes.int64)
    flat: Any = 0
    step, n = 1, len(sizes)
    for d in range(n - 1, -1, -1):
        within = rest % geometry.kernel[d]
        rest = rest.div(geometry.kernel[d], rounding_mode="floor")
        first = arange(which.shape[2 + d], device=which.device) * geometry.stride[d]
        first = (first - geometry.padding[d]).reshape((-1, *(1,) * (n - 1 - d)))
        place = (first + within * geometry.dilation[d]).clamp(0, sizes[d] - 1)
        flat = place * step + flat
        step *= sizes[d]
    result: Tensor = flat
    return result


# ---- public ------------------------------------------------------------------------------------
def max_pool(
    name: str, n: int, input: Tensor, geometry: Geometry, return_indices: bool
) -> Any:
    """Pool (N, C, *sizes) or (C, *sizes)."""
    check_pooled(name, input, n)
    if input.ndim == n + 1:
        found = max_pool(name, n, input.unsqueeze(0), geometry, return_indices)
        return tuple(t.squeeze(0) for t in found) if return_indices else found.squeeze(0)
    check_counts(input, geometry.counts(input.shape[2:]))
    if not return_indices and not (MODE.enabled and input.requires_grad):
        return max_pool_values(input, *geometry)
    out, which = max_pool_windows(input, *geometry)
    if not return_indices:
        return out
    return out, _flat_indices(which, geometry, input.shape[2:])


def _samples(n: int) -> Any:
    def samples(make: Make) -> Iterator[Sample]:
        shape = (2, 3, *(7, 6, 5)[:n])
        yield Sample((make.distinct(*shape), 2), name="plain")
        yield Sample((make.distinct(*shape), 3, 2, 1), name="padded")
        yield Sample((make.distinct(*shape), 2, 2, 1, 2), {"ceil_mode": True}, name="ceil_mode")
        yield Sample((make.distinct(*shape), 2), {"return_indices": True}, name="indices")
        yield Sample((make.distinct(*shape[1:]), 2), name="unbatched")

    return samples


def _errors(n: int) -> Any:
    def errors(make: Make) -> Iterator[ErrorSample]:
        x = make(2, 3, *(8,) * n)
        yield error(RuntimeError, "batch mode", make(3), 2)
        yield error(RuntimeError, "greater than zero", x, -1)
        yield error(RuntimeError, "should not be zero", x, 2, 0)
        yield error(RuntimeError, "at most half", x, 2, padding=2)
        yield error(RuntimeError, "too small", x, 9)
        yield error(RuntimeError, "must either be a single int", x, (2,) * (n + 1))

    return errors


_SCHEMA = ("(Tensor input, int[{n}] kernel_size, int[{n}]? stride=None, int[{n}] padding=0, "
           "int[{n}] dilation=1, bool ceil_mode=False{more}) -> {returns}")


def _make_max_pool(n: int) -> Any:
    name = f"max_pool{n}d"

    def pool(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:
        geometry = pool_geometry(name, n, kernel_size, stride, padding, dilation, ceil_mode)
        return max_pool(name, n, input, geometry, return_indices)

    pool.__doc__ = (
        f"The greatest values of windows over the last {n} dimension(s); with ``return_indices``\n"
        "also their positions in the flattened spatial dimensions.")
    return composite(
        name + _SCHEMA.format(n=n, more=", bool return_indices=False", returns="Any"),
        namespaces=("", "nn.functional"), method=False, out=False, template="front",
        samples=_samples(n), errors=_errors(n),
    )(pool)


def _make_with_indices(n: int) -> Any:
    name = f"max_pool{n}d"

    def pool(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:
        geometry = pool_geometry(name, n, kernel_size, stride, padding, dilation, ceil_mode)
        return max_pool(name, n, input, geometry, True)

    pool.__doc__ = f"``{name}`` with ``return_indices=True``."
    return composite(
        f"{name}_with_indices" + _SCHEMA.format(
            n=n, more=", bool return_indices=False", returns="(Tensor, Tensor)"),
        namespaces=("", "nn.functional") if n == 1 else ("nn.functional",), method=False,
        out=False, template="front", errors=_errors(n),
        samples=lambda make: (s for s in _samples(n)(make) if s.name != "indices"),
    )(pool)


max_pool1d, max_pool2d, max_pool3d = (_make_max_pool(n) for n in (1, 2, 3))
max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = (
    _make_with_indices(n) for n in (1, 2, 3))
