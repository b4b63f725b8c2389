"""Sampling images at given points: ``grid_sample``, and the grids of affine maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from flambeau import dtypes
from flambeau.caution import warn
from flambeau.ops.compare import where
from flambeau.ops.create import linspace
from flambeau.ops.interpolate import cubic_weights
from flambeau.ops.join import stack
from flambeau.ops.layer_norm import wide
from flambeau.ops.matmul import matmul
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

INTERPOLATIONS: Final = ("bilinear", "nearest", "bicubic")
PADDINGS: Final = ("zeros", "border", "reflection")


# ---- positions ---------------------------------------------------------------------------------
def _unnormalized(at: Any, size: int, aligned: bool) -> Any:
    """From [-1, 1] to elements: -1 and 1 are the centers of the outer ones, or their far edges."""
    return (at + 1) * ((size - 1) / 2) if aligned else ((at + 1) * size - 1) / 2


def _clipped(at: Any, size: int) -> Any:
    return at.clamp(0, size - 1)


def _reflected(at: Any, size: int, aligned: bool) -> Any:
    """Folded back at the centers of the outer elements, or at their far edges."""
    low, span = (0.0, size - 1.0) if aligned else (-0.5, float(size))
    if span == 0:
        return at * 0
    distance = (at - low).abs()
    flips = (distance / span).floor().detach()
    rest = distance - flips * span
    return where(flips % 2 == 0, rest, span - rest) + low


def _padded(at: Any, size: int, padding: str, aligned: bool) -> Any:
    if padding == "zeros":
        return at
    if padding == "reflection":
        at = _reflected(at, size, aligned)
    return _clipped(at, size)


def _gathered(flat: Tensor, places: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Elements (N, C, *grid) at integer places (N, *grid) per dimension; 0 outside."""
    index: Any = 0
    inside: Any = None
    for at, size in zip(places, sizes, strict=True):
        within = (at >= 0) & (at < size)
        inside = within if inside is None else inside & within
        index = index * size + at.clamp(0, size - 1).to(dtypes.int64)
    batch, channels = flat.shape[:2]
    grid = tuple(index.shape[1:])
    index = index.reshape((batch, 1, -1)).expand((batch, channels, -1))
    found = flat.gather(2, index).reshape((batch, channels, *grid))
    return where(inside.unsqueeze(1), found, 0.0)


# ---- interpolation -----------------------------------------------------------------------------
def _corners(flat: Tensor, at: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Linear in every dimension: a weighted sum over the corners of the cell around a point."""
    low = [a.detach().floor() for a in at]
    total: Any = None
    for corner in range(2 ** len(at)):
        places, weight = [], None
        for d, (a, first) in enumerate(zip(at, low, strict=True)):
            up = corner >> d & 1
            share = a - first if up else 1 - (a - first)
            places.append(first + 1 if up else first)
            weight = share if weight is None else weight * share
        part = _gathered(flat, places, sizes) * weight.unsqueeze(1)  # type: ignore[union-attr]
        total = part if total is None else total + part
    return total


def _sixteen(
    flat: Tensor, at: Sequence[Any], sizes: Sequence[int], padding: str, aligned: bool
) -> Any:
    """Cubic in both dimensions."""
    low = [a.detach().floor() for a in at]
    weights = [cubic_weights(a - first) for a, first in zip(at, low, strict=True)]
    total: Any = None
    for i in range(4):
        for j in range(4):
            places = [
                _padded(first + k - 1, size, padding, aligned)
                for first, k, size in zip(low, (i, j), sizes, strict=True)
            ]
            weight = (weights[0][i] * weights[1][j]).unsqueeze(1)
            part = _gathered(flat, places, sizes) * weight
            total = part if total is None else total + part
    return total


def _sampled(
    input: Tensor, grid: Tensor, mode: str, padding: str, aligned: bool
) -> Any:
    sizes = input.shape[2:]
    n = len(sizes)
    held = input.dtype
    input, grid = wide(input), wide(grid)
    # the grid's last dimension counts from the input's last one: x, y, z
    at = [
        _unnormalized(grid.select(-1, n - 1 - d), size, aligned) for d, size in enumerate(sizes)]
    flat = input.reshape((*input.shape[:2], -1))
    if mode == "bicubic":
        return _sixteen(flat, at, sizes, padding, aligned).to(held)
    at = [_padded(a, size, padding, aligned) for a, size in zip(at, sizes, strict=True)]
    if mode == "nearest":
        out = _gathered(flat, [a.detach().round() for a in at], sizes)
        if grid.requires_grad:  # a gradient of zeros, as that of round
            out = out + grid.sign().sum(-1).unsqueeze(1) * 0
        return out.to(held)
    return _corners(flat, at, sizes).to(held)


def _check(input: Tensor, grid: Tensor, mode: str) -> None:
    """Refuse what PyTorch refuses.

    Raises:
        RuntimeError: for shapes and dtypes that do not fit.
        NotImplementedError: for integers.
    """
    n = input.ndim - 2
    shapes = f"input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
    if input.dtype.category != 2:
        raise NotImplementedError(f"grid_sampler: not implemented for '{input.dtype.name}'")
    if input.dtype is not grid.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have the same dtype, but input has "
            f"{input.dtype.name} and grid has {grid.dtype.name}. Convert one with .to(dtype).")
    if input.ndim and grid.ndim and input.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got " + shapes)
    if grid.shape[-1] != n:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {n} in last dimension, but got grid with "
            f"sizes {list(grid.shape)}")
    if n not in (2, 3) or grid.ndim != input.ndim:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            "got " + shapes)
    for d in range(2, input.ndim):
        if not input.shape[d]:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(input.shape)} with dimension {d} being empty")
    if mode == "bicubic" and n != 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def _samples(make: Make) -> Iterator[Sample]:
    for name, mode, padding, aligned in (
        ("zeros", "bilinear", "zeros", False), ("border", "bilinear", "border", True),
        ("reflection", "bilinear", "reflection", False), ("nearest", "nearest", "zeros", False),
        ("cubic", "bicubic", "border", True),
    ):
        grid = make(2, 2, 3, 2, low=-1.3, high=1.3)
        yield Sample((make(2, 3, 4, 5), grid, mode, padding, aligned), name=name)
    yield Sample((make(1, 2, 3, 4, 2), make(1, 2, 2, 2, 3, low=-1.3, high=1.3)),
                 {"align_corners": False}, name="volume")


def _errors(make: Make) -> Iterator[ErrorSample]:
    x, grid = make(1, 2, 4, 4), make(1, 3, 3, 2)
    options = {"align_corners": False}
    yield error(ValueError, "expected mode", x, grid, "cubic", **options)
    yield error(ValueError, "expected padding_mode", x, grid, "bilinear", "same", **options)
    yield error(RuntimeError, "size 2 in last dimension", x, make(1, 3, 3, 3), **options)
    yield error(RuntimeError, "same batch size", x, make(2, 3, 3, 2), **options)


def _warn_default() -> None:
    warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
        "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
        "documentation of grid_sample for details.")


@composite(
    "grid_sample(Tensor input, Tensor grid, str mode='bilinear', str padding_mode='zeros', "
    "bool? align_corners=None) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, samples=_samples, errors=_errors,
)
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """Values of (N, C, H, W) or (N, C, D, H, W) at the points of a grid (N, ..., 2 or 3).

    Args:
        grid: coordinates in [-1, 1], in the order x, y, z: x along the last dimension.
        mode: "bilinear", "nearest", or for images "bicubic".
        padding_mode: what lies outside: "zeros", the "border", or its "reflection".
        align_corners: -1 and 1 are the centers of the corner elements, not their corners.
    """
    if mode not in INTERPOLATIONS:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'")
    if padding_mode not in PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'")
    if align_corners is None:
        _warn_default()
    _check(input, grid, mode)
    return _sampled(input, grid, mode, padding_mode, bool(align_corners))


def _sampler_errors(make: Make) -> Iterator[ErrorSample]:
    x, grid = make(1, 2, 4, 4), make(1, 3, 3, 2)
    yield error(RuntimeError, "expected|same batch size", x, make(2, 3, 3, 2), 0, 0, False)
    yield error(RuntimeError, "expected", x, make(1, 3, 3, 3), 0, 0, False)
    yield error(TypeError, "must be int", x, grid, "bilinear", 0, False)


def _make_sampler(name: str, rank: int | None) -> Any:
    def sampler(
        input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int,
        align_corners: bool,
    ) -> Any:
        if rank is not None and not input.ndim == grid.ndim == rank:
            raise RuntimeError(
                f"grid_sampler(): expected {rank}D input and grid with same number of dimensions, "
                f"but got input with sizes {list(input.shape)} and grid with sizes "
                f"{list(grid.shape)}")
        mode = INTERPOLATIONS[interpolation_mode]
        _check(input, grid, mode)
        return _sampled(input, grid, mode, PADDINGS[padding_mode], align_corners)

    sampler.__doc__ = "``grid_sample`` with modes given by number, in the order they are listed."
    return composite(
        f"{name}(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, "
        "bool align_corners) -> Tensor",
        method=False, out=False, errors=_sampler_errors, samples=lambda make: (
            Sample((s.args[0], s.args[1], 0, 1, False), name=s.name)
            for s in _samples(make) if (s.name == "volume") == name.endswith("3d")),
    )(sampler)


grid_sampler, grid_sampler_2d, grid_sampler_3d = (
    _make_sampler(name, rank) for name, rank in (
        ("grid_sampler", None), ("grid_sampler_2d", 4), ("grid_sampler_3d", 5)))


# ---- affine grids ------------------------------------------------------------------------------
def _coordinates(count: int, like: Tensor, aligned: bool) -> Any:
    """The centers of elements in [-1, 1]."""
    if count <= 1:
        return linspace(0, 0, count, dtype=like.dtype, device=like.device)
    at = linspace(-1, 1, count, dtype=like.dtype, device=like.device)
    return at if aligned else at * ((count - 1) / count)


@composite(
    "affine_grid(Tensor theta, int[] size, bool? align_corners=None) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False,
    samples=lambda make: iter([
        Sample((make(2, 2, 3), (2, 1, 3, 4), False), name="image"),
        Sample((make(2, 2, 3), (2, 1, 3, 1), True), name="aligned"),
        Sample((make(1, 3, 4), (1, 2, 2, 3, 2), False), name="volume")]),
    errors=lambda make: iter([
        error(ValueError, "shape Nx2x3", make(2, 3), (1, 1, 2, 2), False),
        error(NotImplementedError, "4D and 5D sizes", make(1, 2, 3), (1, 1, 2), False),
        error(ValueError, "positive output size", make(1, 2, 3), (1, 1, 0, 2), False)]),
)
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Any:
    """The grid (N, H, W, 2) or (N, D, H, W, 3) for ``grid_sample`` of affine maps.

    Args:
        theta: matrices (N, 2, 3) or (N, 3, 4).
        size: of the image to be sampled, (N, C, H, W) or (N, C, D, H, W).
    """
    size = tuple(int(v) for v in size)
    if theta.dtype.category != 2:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}.")
    if theta.ndim != 3 or theta.shape[1:] != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got "
            f"{theta.shape}.")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if align_corners is None:
        _warn_default()
    if theta.shape[0] != size[0]:
        raise RuntimeError(
            f"affine_grid: Expected a matrix for each of {size[0]} images, got {theta.shape[0]}")
    spatial = size[2:]
    axes = [
        _coordinates(count, theta, bool(align_corners))
        .reshape((-1, *(1,) * (n - 1 - d))).expand(spatial)
        for d, count in enumerate(spatial)
    ]
    ones = theta.new_ones(spatial)
    base = stack([*axes[::-1], ones], -1).reshape((1, -1, n + 1))
    points = matmul(base.expand((size[0], -1, n + 1)), theta.transpose(1, 2))
    return points.reshape((size[0], *spatial, n))
