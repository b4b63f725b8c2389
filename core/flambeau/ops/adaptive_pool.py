"""Pooling to a given size, and pooling of windows placed at random.

Adaptive windows along a dimension of ``n`` elements with ``m`` results run from ``i * n // m`` to
``ceil((i + 1) * n / m)``: they differ in length by one, and overlap, unless ``m`` divides ``n``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import flambeau.fused  # noqa: F401  call paths
from flambeau import dtypes
from flambeau.autograd.grad_mode import no_grad
from flambeau.construct import tensor
from flambeau.layout import product
from flambeau.ops.avg_pool import avg_pool_windows
from flambeau.ops.matmul import matmul
from flambeau.ops.max_pool import max_pool, pool_sizes
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor
from flambeau.windows import Geometry

Ints = tuple[int, ...]


def _sizes(name: str, input: Tensor, output_size: Any, n: int) -> Ints:
    """The output's sizes; None keeps the input's.

    Raises:
        RuntimeError: for an input of another rank, an empty dimension, or a negative size.
        ValueError: for an input of fewer dimensions than there are sizes.
    """
    shape = input.shape
    if n > 1 and isinstance(output_size, (tuple, list)) and input.ndim <= len(output_size):
        raise ValueError(f"{name}(): Input dimension should be at least {len(output_size) + 1}")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got {list(shape)}")
    for d in range(input.ndim - n, input.ndim):
        if not shape[d]:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"input has sizes {list(shape)} with dimension {d} being empty")
    if input.dtype.category != 2:
        raise NotImplementedError(f"{name}: not implemented for '{input.dtype.name}'")
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(wanted) != n:
        raise RuntimeError(f"{name}: output_size must be {n} numbers, got {list(wanted)}")
    sizes = tuple(
        shape[d - n] if size is None else int(size) for d, size in enumerate(wanted))
    if any(size < 0 for size in sizes):
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{list(sizes)}")
    return sizes


def _even_windows(sizes: Sequence[int], counts: Ints) -> Geometry | None:
    """Windows side by side, where every count divides its size."""
    if any(not c or n % c for n, c in zip(sizes, counts, strict=True)):
        return None
    kernel = tuple(n // c for n, c in zip(sizes, counts, strict=True))
    zeros, ones = (0,) * len(kernel), (1,) * len(kernel)
    return Geometry(kernel, kernel, zeros, ones)


def _spans(size: int, count: int) -> list[tuple[int, int]]:
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


# ---- means -------------------------------------------------------------------------------------
def _mean_matrix(size: int, count: int, like: Tensor) -> Tensor:
    """(size, count): what each element contributes to each mean."""
    weights = np.zeros((size, count))
    for i, (start, end) in enumerate(_spans(size, count)):
        weights[start:end, i] = 1 / (end - start)
    result: Tensor = tensor(weights, dtype=like.dtype, device=like.device)
    return result


def _adaptive_mean(name: str, input: Tensor, output_size: Any, n: int) -> Any:
    counts = _sizes(name, input, output_size, n)
    if input.ndim == n + 1:
        return _adaptive_mean(name, input.unsqueeze(0), output_size, n).squeeze(0)
    sizes = input.shape[2:]
    if all(c == 1 for c in counts):
        return input.mean(tuple(range(2, 2 + n)), keepdim=True)
    geometry = _even_windows(sizes, counts)
    if geometry is not None:
        kernel, stride, padding, _, _ = geometry
        return avg_pool_windows(input, kernel, stride, padding, False, True, None)
    out: Any = input
    for d, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        if size != count:
            weights = _mean_matrix(size, count, input)
            out = matmul(out.transpose(2 + d, -1), weights).transpose(2 + d, -1)
    return out.contiguous()


def _samples(n: int, **kwargs: Any) -> Any:
    def samples(make: Make) -> Iterator[Sample]:
        shape, uneven = (2, 3, *(8, 6, 4)[:n]), (2, 3, *(7, 5, 4)[:n])
        yield Sample((make.distinct(*shape), 2), kwargs, name="even")
        yield Sample((make.distinct(*uneven), 3), kwargs, name="uneven")
        yield Sample((make.distinct(*shape), 1), kwargs, name="global")
        yield Sample((make.distinct(*uneven[1:]), (5, None, 3)[:n]), kwargs, name="unbatched")
        yield Sample((make(0, *shape[1:]), 2), kwargs, name="no_batch")

    return samples


def _errors(n: int) -> Any:
    def errors(make: Make) -> Iterator[ErrorSample]:
        yield error(RuntimeError, "Expected", make(3), 2)
        yield error(RuntimeError, "output_size must be", make(2, 3, *(4,) * n), (2,) * (n + 1))
        yield error(RuntimeError, "greater than or equal to 0", make(2, 3, *(4,) * n), -1)
        yield error(RuntimeError, "being empty", make(2, 3, *(0,) * n), 2)
        yield error(NotImplementedError, "int64", make.index(5, 2, 3, *(4,) * n), 2)

    return errors


def _make_adaptive_avg(n: int) -> Any:
    name = f"adaptive_avg_pool{n}d"

    def pool(input: Tensor, output_size: Any) -> Any:
        return _adaptive_mean(name, input, output_size, n)

    pool.__doc__ = f"Means of windows over the last {n} dimension(s), to a given size."
    return composite(
        f"{name}(Tensor input, Any output_size) -> Tensor", method=False, out=False,
        namespaces=("", "nn.functional") if n == 1 else ("nn.functional",), template="front",
        samples=_samples(n), errors=_errors(n),
    )(pool)


# ---- greatest values ---------------------------------------------------------------------------
def _places(sizes: Sequence[int], counts: Ints) -> np.ndarray[Any, Any]:
    """(prod(counts), greatest area): flat positions of every window's elements.

    Shorter windows repeat their last element, which never wins against its first occurrence.
    """
    flat: Any = np.zeros((), np.int64)
    for size, count in zip(sizes, counts, strict=True):
        spans = _spans(size, count)
        length = max((end - start for start, end in spans), default=1)
        along = np.array(
            [[min(start + k, end - 1) for k in range(length)] for start, end in spans], np.int64
        ).reshape(count, length)
        flat = flat[..., None, None] * size + along
    order = (*range(0, flat.ndim, 2), *range(1, flat.ndim, 2))
    areas = flat.shape[1::2]
    result: np.ndarray[Any, Any] = flat.transpose(order).reshape(
        product(counts), product(areas))
    return result


def pick_greatest(input: Tensor, places: Tensor, counts: Ints) -> tuple[Any, Any]:
    """Of candidates at flat positions (N, C, prod(counts), area), the greatest and where it is."""
    flat = input.flatten(2)
    batch, channels, windows, area = places.shape
    with no_grad():
        found = flat.gather(2, places.reshape((batch, channels, windows * area)))
        which = found.reshape(places.shape).argmax(-1, keepdim=True)
        where = places.gather(-1, which).squeeze(-1)
    shape = (batch, channels, *counts)
    return flat.gather(2, where).reshape(shape), where.reshape(shape)


def _adaptive_max(
    name: str, input: Tensor, output_size: Any, n: int, return_indices: bool
) -> Any:
    counts = _sizes(name, input, output_size, n)
    if input.ndim == n + 1:
        found = _adaptive_max(name, input.unsqueeze(0), output_size, n, return_indices)
        return tuple(t.squeeze(0) for t in found) if return_indices else found.squeeze(0)
    sizes = input.shape[2:]
    geometry = _even_windows(sizes, counts)
    if geometry is not None and input.shape[1]:
        return max_pool(name, n, input, geometry, return_indices)
    if not product(counts):
        out = input.new_empty((*input.shape[:2], *counts))
        return (out, out.to(dtypes.int64)) if return_indices else out
    table = tensor(_places(sizes, counts), device=input.device)
    out, where = pick_greatest(input, table.expand((*input.shape[:2], *table.shape)), counts)
    return (out, where) if return_indices else out


def _make_adaptive_max(n: int, with_indices: bool) -> Any:
    name = f"adaptive_max_pool{n}d"

    def pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return _adaptive_max(name, input, output_size, n, return_indices or with_indices)

    pool.__doc__ = (
        f"Greatest values of windows over the last {n} dimension(s), to a given size; with\n"
        "``return_indices`` also their positions in the flattened spatial dimensions.")
    public = f"{name}_with_indices" if with_indices else name
    returns = "(Tensor, Tensor)" if with_indices else "Any"
    return composite(
        f"{public}(Tensor input, Any output_size, bool return_indices=False) -> {returns}",
        method=False, out=False, template="front", samples=_samples(n), errors=_errors(n),
        namespaces=("", "nn.functional") if n == 1 and not with_indices else ("nn.functional",),
    )(pool)


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (
    _make_adaptive_avg(n) for n in (1, 2, 3))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (
    _make_adaptive_max(n, False) for n in (1, 2, 3))
(adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices,
 adaptive_max_pool3d_with_indices) = (_make_adaptive_max(n, True) for n in (1, 2, 3))


# ---- windows placed at random ------------------------------------------------------------------
def _starts(samples: Tensor, size: int, count: int, kernel: int) -> Tensor:
    """(N, C, count): where windows begin, by B. Graham, "Fractional Max-Pooling", section 2.

    Pseudo-random sequences ``floor((i + u) * step) - floor(u * step)``, the last window flush with
    the end.
    """
    from flambeau.ops.create import arange
    from flambeau.ops.join import cat

    last: Tensor = samples.new_full((*samples.shape, 1), size - kernel).to(dtypes.int64)
    if count == 1:
        return last
    step = (size - kernel) / (count - 1)
    u = samples.unsqueeze(-1)
    i = arange(count - 1, device=samples.device, dtype=samples.dtype)
    begun = ((i + u) * step).to(dtypes.int64) - (u * step).to(dtypes.int64)
    result: Tensor = cat([begun, last], -1)
    return result


def _fractional(
    name: str, n: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any,
    return_indices: bool, samples: Tensor | None,
) -> Any:
    if input.ndim == n + 1:
        found = _fractional(
            name, n, input.unsqueeze(0), kernel_size, output_size, output_ratio, True, samples)
        out, where = (t.squeeze(0) for t in found)
        return (out, where) if return_indices else out
    kernel = pool_sizes(name, "kernel_size", kernel_size, n)
    sizes = input.shape[2:]
    counts = _fractional_counts(name, sizes, n, kernel, output_size, output_ratio)
    if samples is None:
        from flambeau.ops.random import rand

        samples = rand(*input.shape[:2], n, dtype=input.dtype, device=input.device)
    samples = samples[: input.shape[0]]  # an input without a batch uses the first ones
    out, where = pick_greatest(
        input, _random_places(samples, sizes, counts, kernel), counts)
    return (out, where) if return_indices else out


def _fractional_counts(
    name: str, sizes: Sequence[int], n: int, kernel: Ints, output_size: Any, output_ratio: Any
) -> Ints:
    """The output's sizes, given or as a fraction of the input's.

    Raises:
        ValueError: unless exactly one of the two is given, or for a ratio outside (0, 1).
        RuntimeError: if the windows do not fit.
    """
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
        if len(ratios) != n or not all(0 < r < 1 for r in ratios):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1 (got {output_ratio})")
        counts = tuple(int(s * r) for s, r in zip(sizes, ratios, strict=True))
    else:
        counts = pool_sizes(name, "output_size", output_size, n)
    for size, count, k in zip(sizes, counts, kernel, strict=True):
        if count + k - 1 > size:
            raise RuntimeError(f"{name}: pool size {k} too large relative to input size {size}")
    return counts


def _random_places(
    samples: Tensor, sizes: Sequence[int], counts: Ints, kernel: Ints
) -> Tensor:
    """(N, C, prod(counts), prod(kernel)): flat positions of every window's elements."""
    from flambeau.ops.create import arange

    n = len(sizes)
    flat: Any = 0
    for d in range(n):
        # of two dimensions the first random number belongs to the last one, as in PyTorch
        u = samples.select(-1, n - 1 - d if n == 2 else d)
        starts = _starts(u, sizes[d], counts[d], kernel[d])
        along = starts.unsqueeze(-1) + arange(kernel[d], device=samples.device)
        before, after = (1,) * d, (1,) * (n - 1 - d)
        shape = (*samples.shape[:2], *before, counts[d], *after, *before, kernel[d], *after)
        flat = flat * sizes[d] + along.reshape(shape)
    result: Tensor = flat.reshape((*samples.shape[:2], product(counts), product(kernel)))
    return result


def _fractional_samples(n: int, kwargs: dict[str, Any]) -> Any:
    def samples(make: Make) -> Iterator[Sample]:
        x = make.distinct(2, 3, *(8, 7, 6)[:n])
        places = make(2, 3, n, low=0, high=1, requires_grad=False)
        options = {**kwargs, "_random_samples": places}
        yield Sample((x, 2), {"output_size": 3, **options}, name="size")
        yield Sample((x, (3, 2, 2)[:n]), {"output_ratio": 0.5, **options}, name="ratio")

    return samples


def _make_fractional(n: int, with_indices: bool) -> Any:
    name = f"fractional_max_pool{n}d"

    def pool(
        input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> Any:
        return _fractional(name, n, input, kernel_size, output_size, output_ratio,
                           return_indices or with_indices, _random_samples)

    pool.__doc__ = (
        f"Greatest values of windows placed at random over the last {n} dimensions.\n\n"
        "The output's size is given, or as a fraction of the input's.")
    public = f"{name}_with_indices" if with_indices else name
    returns = "(Tensor, Tensor)" if with_indices else "Any"
    return composite(
        f"{public}(Tensor input, Any kernel_size, Any output_size=None, Any output_ratio=None, "
        f"bool return_indices=False, Any _random_samples=None) -> {returns}",
        namespaces=("nn.functional",), method=False, out=False, is_random=True,
        samples=_fractional_samples(n, {}),
        errors=lambda make: iter([
            error(ValueError, "either an output_size", make(2, 3, *(6,) * n), 2),
            error(RuntimeError, "too large", make(2, 3, *(6,) * n), 4, 4)]),
    )(pool)


fractional_max_pool2d, fractional_max_pool3d = (_make_fractional(n, False) for n in (2, 3))
fractional_max_pool2d_with_indices, fractional_max_pool3d_with_indices = (
    _make_fractional(n, True) for n in (2, 3))
