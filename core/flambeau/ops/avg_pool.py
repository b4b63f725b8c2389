"""Means of sliding windows, and power means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau.construct import tensor
from flambeau.layout import product
from flambeau.ops.activation import relu
from flambeau.ops.max_pool import check_counts, check_pooled, pool_geometry, pool_sizes
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor
from flambeau.windows import Geometry, fold, padded, windows

Ints = tuple[int, ...]
_WINDOWS = ("int[] kernel_size, int[] stride, int[] padding, bool ceil_mode, "
            "bool count_include_pad, int? divisor_override")


def _divisors(
    geometry: Geometry, sizes: Sequence[int], counts: Ints, include_pad: bool
) -> list[list[int]]:
    """How many elements count in each window, a factor per dimension."""
    result = []
    for d, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        pad, factors = geometry.padding[d], []
        for i in range(count):
            start = i * geometry.stride[d] - pad
            end = min(start + geometry.kernel[d], size + pad)
            factors.append(end - start if include_pad else min(end, size) - max(start, 0))
        result.append(factors)
    return result


def _divided(
    x: Tensor, geometry: Geometry, sizes: Sequence[int], include_pad: bool, override: int | None
) -> Tensor:
    """Sums of windows (N, C, *counts) as means."""
    n, counts = len(sizes), tuple(x.shape[2:])
    factors = _divisors(geometry, sizes, counts, include_pad)
    divisor: Any = override if override is not None else product(f[0] for f in factors)
    if override is None and any(len(set(f)) > 1 for f in factors):
        divisor = tensor(1, dtype=x.dtype, device=x.device)
        for d, f in enumerate(factors):
            along = tensor(f, dtype=x.dtype, device=x.device)
            divisor = divisor * along.reshape((-1, *(1,) * (n - 1 - d)))
    mean: Tensor = x.div(divisor, rounding_mode="trunc" if x.dtype.category == 1 else None)
    return mean


def _cases() -> Iterator[tuple[str, Ints, tuple[Any, ...]]]:
    yield "plain", (2, 3, 6, 4), ((2, 2), (2, 2), (0, 0), False, True, None)
    yield "overlap", (2, 3, 7, 6), ((3, 2), (2, 1), (1, 0), False, False, None)
    yield "ceil", (1, 2, 8, 7), ((3, 3), (2, 2), (1, 1), True, True, None)
    yield "ceil_inside", (1, 2, 8, 7), ((3, 3), (2, 2), (1, 1), True, False, None)
    yield "override", (1, 2, 6, 6), ((2, 2), (2, 2), (1, 1), False, True, 3)
    yield "1d", (2, 3, 7), ((3,), (2,), (1,), True, False, None)
    yield "3d", (1, 2, 4, 5, 4), ((2, 2, 2), (2, 2, 1), (0, 1, 0), False, True, None)
    yield "no_batch", (0, 2, 4, 4), ((2, 2), (2, 2), (0, 0), False, True, None)


def _window_samples(make: Make) -> Iterator[Sample]:
    for name, shape, options in _cases():
        yield Sample((make(*shape), *options), name=name)


def _spread_samples(make: Make) -> Iterator[Sample]:
    for name, shape, options in _cases():
        geometry = _geometry(*options[:4])
        out = (*shape[:2], *geometry.counts(shape[2:]))
        yield Sample((make(*out), shape, *options), name=name)


def _geometry(kernel: Ints, stride: Ints, padding: Ints, ceil_mode: bool) -> Geometry:
    return Geometry(tuple(kernel), tuple(stride), tuple(padding), (1,) * len(kernel), ceil_mode)


# ---- the internal ops --------------------------------------------------------------------------
def _windows_back(
    g: Tensor, needs: tuple[bool, ...], self_shape: Any, kernel_size: Ints, stride: Ints,
    padding: Ints, ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> tuple[Any, ...]:
    return (avg_pool_spread(g, self_shape, kernel_size, stride, padding, ceil_mode,
                            count_include_pad, divisor_override),)


@composite(
    f"avg_pool_windows(Tensor self, {_WINDOWS}) -> Tensor", method=False, out=False,
    namespaces=("_internal",), joint=_windows_back, template="fused", samples=_window_samples,
)
def avg_pool_windows(
    self: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Tensor:
    """The sum of every window divided by its number of elements, or by a number given."""
    geometry = _geometry(kernel_size, stride, padding, ceil_mode)
    sizes = self.shape[2:]
    n, counts = len(sizes), geometry.counts(sizes)
    whole = padded(self, geometry.padding, geometry.overhang(sizes, counts))
    total = windows(whole, geometry, counts).sum(tuple(range(2, 2 + n)))
    return _divided(total, geometry, sizes, count_include_pad, divisor_override)


def _spread_back(
    g: Tensor, needs: tuple[bool, ...], kernel_size: Ints, stride: Ints, padding: Ints,
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> tuple[Any, ...]:
    return (avg_pool_windows(
        g, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override),)


@composite(
    f"avg_pool_spread(Tensor grad, int[] size, {_WINDOWS}) -> Tensor", method=False, out=False,
    namespaces=("_internal",), joint=_spread_back, template="fused", samples=_spread_samples,
)
def avg_pool_spread(
    grad: Tensor, size: Ints, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Tensor:
    """The gradient of ``avg_pool_windows``: each window's shared out among its elements."""
    geometry = _geometry(kernel_size, stride, padding, ceil_mode)
    counts = tuple(grad.shape[2:])
    share = _divided(grad, geometry, size[2:], count_include_pad, divisor_override)
    shape = (*grad.shape[:2], *kernel_size, *counts)
    columns = share.reshape((*grad.shape[:2], *(1,) * len(counts), *counts)).expand(shape)
    return fold(columns, geometry, size[2:])


# ---- public ------------------------------------------------------------------------------------
def _pool(
    name: str, n: int, input: Tensor, geometry: Geometry, include_pad: bool, override: int | None
) -> Any:
    check_pooled(name, input, n)
    if input.ndim == n + 1:
        return _pool(name, n, input.unsqueeze(0), geometry, include_pad, override).squeeze(0)
    check_counts(input, geometry.counts(input.shape[2:]))
    if override == 0:
        raise RuntimeError(f"{name}(): divisor must be not zero")
    kernel, stride, padding, _, ceil_mode = geometry
    return avg_pool_windows(
        input, kernel, stride, padding, ceil_mode, bool(include_pad), override)


def _samples(n: int) -> Any:
    def samples(make: Make) -> Iterator[Sample]:
        shape = (2, 3, *(7, 6, 5)[:n])
        yield Sample((make(*shape), 2), name="plain")
        yield Sample((make(*shape), 3, 2, 1), {"count_include_pad": False}, name="padded")
        yield Sample((make(*shape), 2, 2, 1), {"ceil_mode": True}, name="ceil_mode")
        yield Sample((make(*shape[1:]), 2), name="unbatched")
        if n > 1:
            yield Sample((make(*shape), 2), {"divisor_override": 5}, name="divisor_override")

    return samples


def _errors(n: int) -> Any:
    def errors(make: Make) -> Iterator[ErrorSample]:
        x = make(2, 3, *(8,) * n)
        yield error(RuntimeError, "batch mode", make(3), 2)
        yield error(RuntimeError, "greater than zero", x, -1)
        yield error(RuntimeError, "at most half", x, 2, padding=2)
        yield error(RuntimeError, "too small", x, 9)

    return errors


def _facts(n: int) -> dict[str, Any]:
    return {"method": False, "out": False, "template": "front", "samples": _samples(n),
            "errors": _errors(n)}


_SCHEMA = ("(Tensor input, int[{n}] kernel_size, int[{n}]? stride=None, int[{n}] padding=0, "
           "bool ceil_mode=False, bool count_include_pad=True{more}) -> Tensor")


@composite("avg_pool1d" + _SCHEMA.format(n=1, more=""), namespaces=("", "nn.functional"),
           **_facts(1))
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Any:
    """The means of windows over the last dimension."""
    geometry = pool_geometry("avg_pool1d", 1, kernel_size, stride, padding, 1, ceil_mode)
    return _pool("avg_pool1d", 1, input, geometry, count_include_pad, None)


def _make_avg_pool(n: int) -> Any:
    name = f"avg_pool{n}d"

    def pool(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        geometry = pool_geometry(name, n, kernel_size, stride, padding, 1, ceil_mode)
        return _pool(name, n, input, geometry, count_include_pad, divisor_override)

    pool.__doc__ = f"""The means of windows over the last {n} dimensions.

    Sums are divided by the window's number of elements, those in the padding counted if
    ``count_include_pad``; or by ``divisor_override``."""
    return composite(
        name + _SCHEMA.format(n=n, more=", int? divisor_override=None"),
        namespaces=("nn.functional",), **_facts(n))(pool)


avg_pool2d, avg_pool3d = _make_avg_pool(2), _make_avg_pool(3)


def _make_lp_pool(n: int) -> Any:
    name = f"lp_pool{n}d"
    average = (avg_pool1d, avg_pool2d, avg_pool3d)[n - 1]

    def pool(
        input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None,
        ceil_mode: bool = False,
    ) -> Any:
        area = product(pool_sizes(name, "kernel_size", kernel_size, n))
        mean = average(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
        # a negative mean (of odd powers) has no root that is real: as in PyTorch it counts as 0
        return (mean.sign() * relu(mean.abs()) * area).pow(1.0 / norm_type)

    pool.__doc__ = f"The ``norm_type``-norms of windows over the last {n} dimension(s)."
    return composite(
        f"{name}(Tensor input, float norm_type, int[{n}] kernel_size, int[{n}]? stride=None, "
        "bool ceil_mode=False) -> Tensor",
        namespaces=("nn.functional",), method=False, out=False,
        samples=lambda make: iter([
            Sample((make(2, 3, *(6, 6, 6)[:n], low=0.1, high=2), 2.0, 2), name="euclidean"),
            Sample((make(3, *(7, 6, 5)[:n], low=0.1, high=2), 3, 2, 1), name="cubic")]),
        errors=lambda make: iter([error(RuntimeError, "too small", make(2, 3, *(4,) * n), 2, 5)]),
    )(pool)


lp_pool1d, lp_pool2d, lp_pool3d = (_make_lp_pool(n) for n in (1, 2, 3))
