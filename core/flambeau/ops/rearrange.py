"""Elements in another order or several times: flip, roll, rotate, repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dim, wrap_dims
from flambeau.ops.create import arange
from flambeau.ops.index import scatter_add
from flambeau.ops.index_dim import index_select
from flambeau.ops.join import cat
from flambeau.ops.scan import cumsum
from flambeau.ops.shape import expand, reshape, transpose
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _ints(values: Any) -> tuple[int, ...]:
    return tuple(map(int, values)) if isinstance(values, (tuple, list)) else (int(values),)


# ---- flip --------------------------------------------------------------------------------------
@composite(
    "flip(Tensor self, int[]... dims) -> Tensor", dtypes="all", out=False,
    derivatives={"self": lambda g, dims: flip(g, dims)},
    samples=lambda make: iter([
        sample(make(3, 4), (0,)), sample(make(3, 4), (0, -1)), sample(make(4, 3).t(), (1,)),
        sample(make(), (0,)), sample(make(0, 3), (0, 1)), sample(make(2, 3), ())]),
    errors=lambda make: iter([
        error(IndexError, "Dimension out of range", make(3), (1,)),
        error(RuntimeError, "appears multiple times", make(3, 3), (0, 0))]),
)
def flip(self: Tensor, dims: Sequence[int]) -> Tensor:
    """A copy with the order of some dimensions reversed."""
    flipped = self
    for dim in wrap_dims(_ints(dims), self.ndim):
        if self.ndim:
            order = arange(self.shape[dim] - 1, -1, -1, device=self.device)
            flipped = index_select(flipped, dim, order)
    return flipped if flipped is not self else self.clone()


@composite(
    "fliplr(Tensor self) -> Tensor", dtypes="all", out=False,
    samples=lambda make: iter([sample(make(2, 3)), sample(make(2, 3, 4))]),
    errors=lambda make: iter([error(RuntimeError, ">= 2-d", make(3))]),
)
def fliplr(self: Tensor) -> Tensor:
    """A copy with the second dimension reversed."""
    if self.ndim < 2:
        raise RuntimeError("fliplr(): Input must be >= 2-d.")
    result: Tensor = flip(self, (1,))
    return result


@composite(
    "flipud(Tensor self) -> Tensor", dtypes="all", out=False,
    samples=lambda make: iter([sample(make(3)), sample(make(2, 3, 4))]),
    errors=lambda make: iter([error(RuntimeError, ">= 1-d", make())]),
)
def flipud(self: Tensor) -> Tensor:
    """A copy with the first dimension reversed."""
    if self.ndim < 1:
        raise RuntimeError("flipud(): Input must be >= 1-d.")
    result: Tensor = flip(self, (0,))
    return result


# ---- roll and rotate ---------------------------------------------------------------------------
def _roll_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 1)
    yield sample(make(3, 4), -1, 0)
    yield sample(make(3, 4), (5, 2), (0, 1))
    yield sample(make(3, 4), (1, 1), (1, 1))
    yield sample(make(4, 3).t(), 2, 1)
    yield sample(make(), 2)
    yield sample(make(0, 3), 1, 0)


def _roll_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must align", make(3, 4), (1, 2), (0,))
    yield error(RuntimeError, "required", make(3), ())
    yield error(IndexError, "out of range", make(3), 1, 1)


def _negative(shifts: Any) -> tuple[int, ...]:
    return tuple(-s for s in _ints(shifts))


@composite(
    "roll(Tensor self, int[1] shifts, int[1]? dims=None) -> Tensor", dtypes="all", out=False,
    derivatives={"self": lambda g, shifts, dims: roll(g, _negative(shifts), dims)},
    samples=_roll_samples, errors=_roll_errors,
)
def roll(self: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """A copy shifted along dimensions, what leaves at the end coming in at the front.

    Without ``dims`` the flattened tensor is shifted.
    """
    steps, axes = _ints(shifts), () if dims is None else _ints(dims)
    if not steps:
        raise RuntimeError("roll(): `shifts` required")
    if not axes and len(steps) == 1:
        return reshape(roll(reshape(self, (-1,)), steps, (0,)), self.shape)  # type: ignore[no-any-return]
    if len(steps) != len(axes):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}")
    if not self.ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    rolled = self
    for step, axis in zip(steps, axes, strict=True):
        dim = wrap_dim(axis, self.ndim)
        n = self.shape[dim]
        at = -step % n if n else 0
        if at:
            rolled = cat([rolled.narrow(dim, at, n - at), rolled.narrow(dim, 0, at)], dim)
    return rolled if rolled is not self else self.clone()


@composite(
    "rot90(Tensor self, int k=1, int[] dims=(0, 1)) -> Tensor", dtypes="all", out=False,
    samples=lambda make: iter([
        sample(make(2, 3)), sample(make(2, 3), 2), sample(make(2, 3, 4), -1, (1, 2)),
        sample(make(2, 3), 4)]),
    errors=lambda make: iter([
        error(RuntimeError, "rotation dims == 2", make(2, 3), 1, (0,)),
        error(RuntimeError, "to be different", make(2, 3), 1, (0, 0)),
        error(RuntimeError, "total dims >= 2", make(3))]),
)
def rot90(self: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy rotated ``k`` times by 90 degrees in the plane of two dimensions."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if self.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {self.ndim}")
    a, b = (wrap_dim(d, self.ndim) for d in dims)
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and "
            f"dim1 = {dims[1]}")
    turned: Tensor
    if k % 4 == 1:
        turned = transpose(flip(self, (b,)), a, b)
    elif k % 4 == 2:
        turned = flip(self, (a, b))
    elif k % 4 == 3:
        turned = flip(transpose(self, a, b), (b,))
    else:
        turned = self.clone()
    return turned


# ---- repeat ------------------------------------------------------------------------------------
def _repeat_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3), (2, 2))
    yield sample(make(2, 3), (3, 1, 2))
    yield sample(make(3, 2).t(), (1, 1))
    yield sample(make(), (2, 3))
    yield sample(make(2, 3), (0, 1))
    yield sample(make(0, 3), (2, 2))


def _repeat_back(g: Tensor, self_shape: Sequence[int], repeats: Any) -> Tensor:
    times = _ints(repeats)
    lead = len(times) - len(self_shape)
    sizes = [1] * lead + list(self_shape)
    pairs = [n for pair in zip(times, sizes, strict=True) for n in pair]
    summed = reshape(g, pairs).sum(tuple(range(0, len(pairs), 2))) if pairs else g
    result: Tensor = reshape(summed, tuple(self_shape))
    return result


@composite(
    "repeat(Tensor self, int[]... repeats) -> Tensor", dtypes="all", out=False,
    namespaces=("_internal",), method=True, derivatives={"self": _repeat_back},
    samples=_repeat_samples,
    errors=lambda make: iter([
        error(RuntimeError, "can not be smaller", make(2, 3), (2,)),
        error(RuntimeError, "negative dimension", make(2, 3), (2, -1))]),
)
def repeat(self: Tensor, repeats: Any) -> Tensor:
    """A copy in which each dimension is there several times; more numbers make new dimensions."""
    times = _ints(repeats)
    lead = len(times) - self.ndim
    if lead < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor: got repeats {list(times)} for a tensor of shape {list(self.shape)}")
    sizes = [1] * lead + list(self.shape)
    target = [r * n for r, n in zip(times, sizes, strict=True)]
    if any(r < 0 for r in times):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(target)}: {target}")
    # Beside each dimension stands a new one, along which it is expanded.
    single = reshape(self, [n for size in sizes for n in (1, size)])
    wide = expand(single, [n for pair in zip(times, sizes, strict=True) for n in pair])
    result: Tensor = reshape(wide.clone(), target)
    return result


@composite(
    "tile(Tensor self, int[]... dims) -> Tensor", dtypes="all", out=False,
    samples=lambda make: iter([
        sample(make(2, 3), (2,)), sample(make(2, 3), (2, 1, 2)), sample(make(), (2,))]),
    errors=lambda make: iter([error(RuntimeError, "negative dimension", make(2, 3), (-1,))]),
)
def tile(self: Tensor, dims: Any) -> Tensor:
    """``repeat`` with missing leading numbers taken as 1."""
    times = _ints(dims)
    result: Tensor = repeat(self, (1,) * (self.ndim - len(times)) + times)
    return result


def _interleave_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3), 2)
    yield sample(make(2, 3), 3, 0)
    yield sample(make(2, 3), 2, -1)
    yield sample(make(4, 3).t(), make.index(3, 3), 0)
    yield sample(make(3), make.index(3, 3) * 0)
    yield sample(make(), 2)


def _interleave_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "non-negative", make(3), -1)
    yield error(RuntimeError, "same size as input", make(3), make.index(3, 2), 0)
    yield error(RuntimeError, "can not be negative", make(3), make.index(1, 3) - 1, 0)
    yield error(RuntimeError, "1D", make(3), make.index(2, 3, 1), 0)


@composite(
    "repeat_interleave(Tensor self, Any repeats=None, int? dim=None, *, int? output_size=None) "
    "-> Tensor",
    dtypes="all", out=False, samples=_interleave_samples, errors=_interleave_errors,
)
def repeat_interleave(
    self: Tensor, repeats: Any = None, dim: int | None = None, output_size: int | None = None
) -> Tensor:
    """Each element of a dimension several times in a row; flattened if ``dim`` is None.

    Args:
        repeats: a number, or a tensor of a number per element.  With ``self`` alone, it is
            taken as the numbers, and the result are the indices.
        output_size: size of the result, which saves waiting for an asynchronous device.
    """
    if repeats is None:
        return _interleaved(self, output_size)
    if dim is None:
        self, dim = reshape(self, (-1,)), 0
    dim = wrap_dim(dim, self.ndim)
    if not self.ndim:
        self = reshape(self, (1,))
    size = self.shape[dim]
    if isinstance(repeats, Tensor) and repeats.numel() != 1:
        if repeats.ndim == 1 and repeats.shape[0] != size:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{repeats.shape[0]} and input.size({dim}) = {size}")
        return index_select(self, dim, _interleaved(repeats, output_size))  # type: ignore[no-any-return]
    times = int(repeats)
    if times < 0:
        raise RuntimeError(f"Repeats must be non-negative, got {times}")
    _check_size(times * size, output_size)
    shape = list(self.shape)
    wide = expand(self.unsqueeze(dim + 1), [*shape[: dim + 1], times, *shape[dim + 1 :]])
    shape[dim] = times * size
    result: Tensor = reshape(wide.clone(), shape)
    return result


def _check_size(size: int, wanted: int | None) -> None:
    if wanted is not None and wanted != size:
        raise RuntimeError(
            f"repeat_interleave: Invalid output_size, expected {size} but got {wanted}")


def _interleaved(repeats: Tensor, output_size: int | None) -> Tensor:
    """Index i as often as ``repeats[i]`` says."""
    if repeats.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            f"repeats has to be int64 or int32 tensor, got {repeats.dtype.name}")
    if repeats.numel() and int(repeats.amin()) < 0:
        raise RuntimeError("repeats can not be negative")
    ends = cumsum(repeats, 0)
    total = int(ends[-1]) if repeats.numel() else 0
    _check_size(total, output_size)
    # One step up where each element ends; ends behind the last place are cut off.
    steps = ends.new_zeros(total + 1)
    marks: Tensor = scatter_add(steps, 0, ends, ends.new_ones(ends.shape))
    result: Tensor = cumsum(marks.narrow(0, 0, total), 0)
    return result
