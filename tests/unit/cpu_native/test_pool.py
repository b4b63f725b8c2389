"""Pooling in C against loops over windows, for both memory formats and any number of threads."""

from itertools import product

import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.native.kernels.avg_pool import kernels as avg
from flambeau_cpu.native.kernels.max_pool import kernels as greatest
from flambeau_cpu.native.library import runtime
from flambeau_cpu.windows import plan

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")

CASES = [  # shape, kernel, stride, padding, dilation, ceil_mode
    ((2, 3, 6, 4), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 3, 7, 83), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 19, 9, 75), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((1, 5, 8, 37), (2, 3), (3, 1), (1, 1), (2, 2), True),
    ((2, 3, 70), (3,), (1,), (1,), (1,), False),
    ((2, 3, 70), (4,), (4,), (2,), (1,), True),
    ((2, 17, 4, 5, 40), (2, 2, 2), (2, 2, 1), (0, 1, 0), (1, 1, 1), False),
    ((1, 2, 5, 5), (5, 5), (5, 5), (2, 2), (1, 1), False),
]
DTYPES = [np.float32, np.float64]


def last_in_memory(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


PLACES = [np.ascontiguousarray, last_in_memory]


def draw(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def run(table, name, *arrays, **settings):
    result = table.fresh[name][1](*arrays, **settings)
    assert result is not NotImplemented
    return result


def settings_of(case):
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    return dict(zip(names, case[1:], strict=True))


def windows(case):
    """For every window its place, and for every element that exists its number and place."""
    shape, kernel, stride, padding, dilation, _ = case
    p = plan(shape[2:], *case[1:])
    for window in np.ndindex(*p.counts):
        found = []
        for number, element in enumerate(product(*map(range, kernel))):
            at = tuple(w * s - pad + e * d for w, s, pad, e, d in zip(
                window, stride, padding, element, dilation, strict=True))
            if all(0 <= a < n for a, n in zip(at, shape[2:], strict=True)):
                found.append((number, at))
        yield window, found


def greatest_of(x, case):
    counts = plan(case[0][2:], *case[1:]).counts
    out, which = np.empty((*x.shape[:2], *counts), x.dtype), np.empty((*x.shape[:2], *counts), int)
    for window, found in windows(case):
        values = np.stack([x[(..., *at)] for _, at in found], -1)
        best = values.argmax(-1)
        at = (slice(None), slice(None), *window)
        out[at] = np.take_along_axis(values, best[..., None], -1)[..., 0]
        which[at] = np.array([number for number, _ in found])[best]
    return out, which


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", PLACES)
def test_greatest_values_and_their_gradient(case, dtype, place):
    x = place(draw(case[0], dtype))
    wanted, which_wanted = greatest_of(x, case)
    out, which = run(greatest, "max_pool_windows", x, **settings_of(case))
    np.testing.assert_array_equal(out, wanted)
    np.testing.assert_array_equal(which, which_wanted)
    np.testing.assert_array_equal(
        run(greatest, "max_pool_values", x, **settings_of(case)), wanted)
    dx = np.zeros_like(x)
    grad = draw(out.shape, dtype, 1)
    for window, found in windows(case):
        at = (slice(None), slice(None), *window)
        for number, place_of in found:
            dx[(..., *place_of)] += np.where(which_wanted[at] == number, grad[at], 0)
    got = run(greatest, "max_pool_scatter", grad, which, size=case[0], **settings_of(case))
    np.testing.assert_allclose(got, dx, rtol=1e-6, atol=1e-6)
    if out[0, 0].size > 1:  # of a single window per image nobody can tell the format
        assert (out.strides, got.strides) == (place(wanted).strides, place(dx).strides)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CASES[:3])
def test_nan_equals_and_infinities(case, place):
    x = draw(case[0]).round()
    x[0, 0] = -np.inf
    x[1, 1, 1::3] = np.nan
    x = place(x)
    out, which = run(greatest, "max_pool_windows", x, **settings_of(case))
    wanted, which_wanted = greatest_of(x, case)  # argmax: the first NaN, the first of equals
    np.testing.assert_array_equal(out, wanted)
    np.testing.assert_array_equal(which, which_wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [c for c in CASES if set(c[4]) == {1}])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("divisor", [None, 3])
def test_means_and_their_gradient(case, dtype, place, pad, divisor):
    shape, kernel, stride, padding, _, ceil_mode = case
    x, grad = place(draw(shape, dtype)), None
    settings = {"kernel_size": kernel, "stride": stride, "padding": padding,
                "ceil_mode": ceil_mode, "count_include_pad": pad, "divisor_override": divisor}
    out = run(avg, "avg_pool_windows", x, **settings)
    assert out.strides == place(out).strides
    grad, dx = place(draw(out.shape, dtype, 1)), np.zeros(shape)
    for window, found in windows(case):
        area = 1
        for w, s, p, k, n in zip(window, stride, padding, kernel, shape[2:], strict=True):
            area *= min(w * s - p + k, n + p) - (w * s - p)
        count = divisor or (area if pad else len(found))
        at = (slice(None), slice(None), *window)
        wanted = sum(x[(..., *a)].astype(np.float64) for _, a in found) / count
        np.testing.assert_allclose(out[at], wanted, rtol=1e-5, atol=1e-6)
        for _, a in found:
            dx[(..., *a)] += grad[at] / count
    got = run(avg, "avg_pool_spread", grad, size=shape, **settings)
    np.testing.assert_allclose(got, dx, rtol=1e-5, atol=1e-6)
    if out[0, 0].size > 1:
        assert got.strides == place(dx.astype(dtype)).strides


def test_positions_outside_the_input_get_nothing():
    case = CASES[2]
    which = np.zeros((2, 19, 5, 38), np.uint8)  # the first element of border windows is padding
    dx = run(greatest, "max_pool_scatter", np.ones(which.shape, np.float32), which, size=case[0],
             **settings_of(case))
    assert dx.sum() == 2 * 19 * 4 * 37


def test_what_does_not_fit_is_declined():
    x, case = np.zeros((2, 3, 6, 4), np.int64), CASES[0]
    assert greatest.fresh["max_pool_windows"][1](x, **settings_of(case)) is NotImplemented
    large = settings_of(((1, 1, 20, 20), (16, 16), (1, 1), (0, 0), (1, 1), False))
    x = np.zeros((1, 1, 20, 20), np.float32)
    assert greatest.fresh["max_pool_windows"][1](x, **large) is NotImplemented


@pytest.mark.parametrize("place", PLACES)
def test_results_do_not_depend_on_the_number_of_threads(place):
    case = ((16, 24, 40, 41), (3, 3), (2, 2), (1, 1), (1, 1), False)
    x, before, results = place(draw(case[0])), fb.get_num_threads(), []
    settings = {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1), "ceil_mode": False,
                "count_include_pad": True, "divisor_override": None}
    try:
        for count in (1, 2, 3):
            fb.set_num_threads(count)
            out, which = run(greatest, "max_pool_windows", x, **settings_of(case))
            mean = run(avg, "avg_pool_windows", x, **settings)
            results.append((
                out, which, mean, run(avg, "avg_pool_spread", mean, size=case[0], **settings),
                run(greatest, "max_pool_scatter", out, which, size=case[0], **settings_of(case))))
    finally:
        fb.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_equal(results[0], other)
