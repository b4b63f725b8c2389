"""Generated pooling against the definition."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from kernel_device import Device

from flambeau import dtypes
from flambeau.backend.generated import C, Cuda, Dialect, OpenCL
from flambeau.codegen.kernels.conv import Window
from flambeau.codegen.kernels.pool import Divisor, MaxGather, MaxPool, Mean, Spread
from flambeau.windows import Geometry

Array = np.ndarray[Any, Any]

CASES = {
    "plain": ((2, 3, 6, 4), Geometry((2, 2), (2, 2), (0, 0), (1, 1))),
    "overlap": ((2, 3, 7, 6), Geometry((3, 2), (2, 1), (1, 0), (1, 1))),
    "ceil": ((1, 2, 8, 7), Geometry((3, 3), (2, 2), (1, 1), (1, 1), True)),
    "1d": ((2, 3, 40), Geometry((3,), (2,), (1,), (1,), True)),
    "3d": ((1, 2, 4, 5, 4), Geometry((2, 2, 2), (2, 2, 1), (0, 1, 0), (1, 1, 1))),
}
DILATED = ((1, 2, 8, 9), Geometry((2, 3), (2, 2), (1, 1), (3, 2), True))
OPTIONS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def options(geometry: Geometry) -> dict[str, Any]:
    return dict(zip(OPTIONS, geometry, strict=True))


def windows(shape: tuple[int, ...], geometry: Geometry) -> Any:
    """Per window its place, and per element in the input its number and its place."""
    sizes = shape[2:]
    for y in np.ndindex(*geometry.counts(sizes)):
        elements = []
        for number, tap in enumerate(product(*map(range, geometry.kernel))):
            at = tuple(
                y[d] * geometry.stride[d] - geometry.padding[d] + t * geometry.dilation[d]
                for d, t in enumerate(tap))
            if all(0 <= z < n for z, n in zip(at, sizes, strict=True)):
                elements.append((number, at))
        yield y, elements


def max_pool(x: Array, geometry: Geometry) -> tuple[Array, Array]:
    shape = (*x.shape[:2], *geometry.counts(x.shape[2:]))
    out, which = np.zeros(shape, x.dtype), np.zeros(shape, np.uint8)
    for y, elements in windows(x.shape, geometry):
        for n, c in np.ndindex(*x.shape[:2]):
            values = [x[(n, c, *at)] for _, at in elements]
            best = int(np.argmax(values))
            out[(n, c, *y)], which[(n, c, *y)] = values[best], elements[best][0]
    return out, which


@pytest.mark.parametrize("name", [*CASES, "dilated"])
def test_greatest_values(device: Device, name: str) -> None:
    shape, geometry = CASES.get(name, DILATED)
    x = draw(0, *shape)
    want = max_pool(x, geometry)
    out, which = device.run("max_pool_windows", x, **options(geometry))
    np.testing.assert_array_equal(out, want[0])
    np.testing.assert_array_equal(which, want[1])
    assert which.dtype == np.uint8
    np.testing.assert_array_equal(
        device.run("max_pool_values", x, **options(geometry)), want[0])


def test_nan_is_greatest_and_the_first_of_equals_wins(device: Device) -> None:
    x = np.array([[[1, 1, 2, np.nan, 0, np.nan, -np.inf, -np.inf]]], np.float32)
    out, which = device.run("max_pool_windows", x, **options(Geometry((2,), (2,), (0,), (1,))))
    np.testing.assert_array_equal(out, [[[1, np.nan, np.nan, -np.inf]]])
    np.testing.assert_array_equal(which, [[[0, 1, 1, 0]]])
    whole = np.array([[[-5, -7, 3, 3]]], np.int64)
    out, which = device.run("max_pool_windows", whole, **options(Geometry((2,), (2,), (1,), (1,))))
    np.testing.assert_array_equal(out, [[[-5, 3, 3]]])
    np.testing.assert_array_equal(which, [[[1, 1, 0]]])


@pytest.mark.parametrize("name", [*CASES, "dilated"])
def test_gradients_of_greatest_values(device: Device, name: str) -> None:
    shape, geometry = CASES.get(name, DILATED)
    x = draw(0, *shape)
    _, which = max_pool(x, geometry)
    g = draw(1, *which.shape)
    want, taken = np.zeros(shape), np.zeros(which.shape)
    for y, elements in windows(shape, geometry):
        for n, c in np.ndindex(*shape[:2]):
            at = dict(elements)[which[(n, c, *y)]]
            want[(n, c, *at)] += g[(n, c, *y)]
            taken[(n, c, *y)] = x[(n, c, *at)]
    got = device.run("max_pool_scatter", g, which, size=shape, **options(geometry))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    got = device.run("max_pool_gather", x, which, **options(geometry))
    np.testing.assert_array_equal(got, taken.astype(np.float32))


@pytest.mark.parametrize("counts_padding", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_means(device: Device, name: str, counts_padding: bool) -> None:
    shape, geometry = CASES[name]
    x = draw(0, *shape)
    wanted = (*shape[:2], *geometry.counts(shape[2:]))
    out, dx, g = np.zeros(wanted), np.zeros(shape), draw(1, *wanted)
    for y, elements in windows(shape, geometry):
        area = len(elements)
        if counts_padding:  # what lies in the padding, but not behind it
            area = int(np.prod([
                min(y[d] * s - p + k, n + p) - (y[d] * s - p) for d, (k, s, p, n) in enumerate(
                    zip(*geometry[:3], shape[2:], strict=True))]))
        for _, at in elements:
            out[(..., *y)] += x[(..., *at)] / area
            dx[(..., *at)] += g[(..., *y)] / area
    more = {k: v for k, v in options(geometry).items() if k != "dilation"} | {
        "count_include_pad": counts_padding, "divisor_override": None}
    np.testing.assert_allclose(
        device.run("avg_pool_windows", x, **more), out, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        device.run("avg_pool_spread", g, size=shape, **more), dx, rtol=1e-4, atol=1e-5)


def test_given_divisor(device: Device) -> None:
    x = draw(0, 2, 3, 8)
    got = device.run("avg_pool_windows", x, kernel_size=(4,), stride=(4,), padding=(0,),
                     ceil_mode=False, count_include_pad=True, divisor_override=3)
    np.testing.assert_allclose(got, x.reshape(2, 3, 2, 4).sum(-1) / 3, rtol=1e-5, atol=1e-6)


def test_strided_inputs(device: Device) -> None:
    _, geometry = CASES["overlap"]
    x = np.moveaxis(draw(0, 2, 7, 6, 3), -1, 1)[:, 1:]
    out, _ = device.run("max_pool_windows", x, **options(geometry))
    np.testing.assert_array_equal(out, max_pool(x, geometry)[0])


def test_empty_batch(c_device: Device) -> None:
    x = np.zeros((0, 2, 4, 4), np.float32)
    geometry = CASES["plain"][1]
    assert c_device.run("max_pool_values", x, **options(geometry)).shape == (0, 2, 2, 2)


def test_what_does_not_fit_is_declined(c_device: Device) -> None:
    shape, geometry = CASES["plain"]
    x = draw(0, *shape)
    run = c_device.native
    assert run("max_pool_values", x[0], **options(geometry)) is NotImplemented
    assert run("max_pool_values", x > 0, **options(geometry)) is NotImplemented
    assert run("max_pool_values", x[:, :, :1], **options(geometry)) is NotImplemented
    more = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0), "ceil_mode": False,
            "count_include_pad": True, "divisor_override": 0}
    assert run("avg_pool_windows", x, **more) is NotImplemented
    whole = x.astype(np.int64)
    assert run("avg_pool_windows", whole, **{**more, "divisor_override": 1}) is NotImplemented


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_texts(dialect: Dialect) -> None:
    window, how = Window((3, 2), (2, 1), (1, 0), (1, 1)), Divisor(False, False)
    sources = [
        MaxPool(dtypes.float16, dtypes.uint8, window, "i32", 64),
        MaxGather(dtypes.float32, dtypes.int64, window, "i64", 64),
        Mean(dtypes.bfloat16, how, window, "i32", 64),
        Spread(dtypes.float64, None, how, window, "i32", 64),
    ]
    texts = [s.source(dialect).text for s in sources]
    assert "which" in texts[0] and "which" not in texts[3]
    alone = MaxPool(dtypes.float16, None, window, "i32", 64).source(dialect)
    assert [p.name for p in alone.parameters][:2] == ["out", "input"]
