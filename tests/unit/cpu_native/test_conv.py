"""Convolutions in C against a sum over taps in float64, for every number of threads."""

import itertools

import numpy as np
import pytest

import flambeau
from flambeau_cpu.native.kernels import conv
from flambeau_cpu.native.library import runtime

if runtime() is None:
    pytest.skip("no C compiler is found on this machine", allow_module_level=True)

CASES = {
    "plain": ((2, 3, 9, 8), (4, 3, 3, 2), 1, 0, 1, 1),
    "strided": ((2, 3, 9, 8), (4, 3, 3, 3), 2, 1, 1, 1),
    "uneven": ((2, 3, 9, 8), (4, 3, 3, 2), (1, 3), (2, 0), (2, 1), 1),
    "groups": ((2, 4, 7, 7), (6, 2, 3, 3), 1, 1, 1, 2),
    "depthwise": ((2, 4, 7, 7), (8, 1, 3, 3), 2, 0, 1, 4),
    "pointwise": ((2, 32, 16, 16), (40, 32, 1, 1), 1, 0, 1, 1),
    "pointwise_strided": ((2, 8, 7, 7), (5, 8, 1, 1), 2, 0, 1, 1),
    "one_position": ((3, 3, 3, 3), (4, 3, 3, 3), 1, 0, 1, 1),
    "patches": ((2, 3, 16, 16), (24, 3, 8, 8), 8, 0, 1, 1),
    "stride_over_kernel": ((1, 4, 9, 9), (4, 4, 3, 3), 4, 0, 1, 1),
    "wide_padding": ((2, 5, 6, 6), (7, 5, 1, 1), 1, 2, 1, 1),
    "few_channels": ((4, 3, 32, 32), (6, 3, 5, 5), 1, 0, 1, 1),
    "first_layer": ((1, 3, 40, 50), (64, 3, 7, 7), 2, 3, 1, 1),
    "by_images": ((33, 20, 6, 6), (14, 20, 3, 3), 2, 1, 1, 1),
    "squares": ((34, 24, 5, 4), (26, 24, 3, 3), 1, 1, 1, 1),
    "squares_valid": ((32, 140, 6, 6), (130, 140, 3, 3), 1, 0, 1, 1),
    "chunks": ((3, 130, 10, 10), (40, 130, 3, 3), 1, 1, 1, 1),
    "1d": ((2, 4, 300), (5, 4, 7), 1, 3, 2, 1),
    "1d_padded": ((2, 3, 11), (4, 3, 3), 1, 4, 1, 1),
    "3d": ((2, 2, 5, 6, 7), (4, 2, 2, 3, 2), (1, 2, 1), (0, 1, 1), 1, 1),
    "3d_groups": ((2, 4, 8, 8, 8), (4, 2, 3, 3, 3), 1, 1, 1, 2),
}


@pytest.fixture
def rand():
    rng = np.random.default_rng(0)
    return lambda *shape: rng.standard_normal(shape).astype(np.float32)


def per_axis(value, n):
    return (value,) * n if isinstance(value, int) else value


def taps(x, w, stride, padding, dilation, counts):
    """For each tap its index and where the padded input meets it."""
    for at in itertools.product(*map(range, w.shape[2:])):
        yield (..., *at), (slice(None), slice(None), *(
            slice(t * d, t * d + s * (n - 1) + 1, s)
            for t, d, s, n in zip(at, dilation, stride, counts, strict=True)))


def oracle(x, w, g, stride, padding, dilation, groups):
    """Output and both gradients in float64, a tap at a time."""
    x, w, g = (a.astype(np.float64) for a in (x, w, g))
    edges = [(0, 0), (0, 0), *((p, p) for p in padding)]
    padded = np.pad(x, edges)
    y, dx, dw = np.zeros(g.shape), np.zeros(padded.shape), np.zeros(w.shape)
    c, o = w.shape[1], w.shape[0] // groups
    for tap, seen in taps(x, w, stride, padding, dilation, g.shape[2:]):
        for k in range(groups):
            ins, outs = slice(k * c, (k + 1) * c), slice(k * o, (k + 1) * o)
            part, factor = padded[seen][:, ins], w[outs][tap]
            y[:, outs] += np.einsum("oc,nc...->no...", factor, part)
            dx[seen][:, ins] += np.einsum("oc,no...->nc...", factor, g[:, outs])
            dw[outs][tap] += np.tensordot(
                g[:, outs], part, ([0, *range(2, g.ndim)], [0, *range(2, g.ndim)]))
    inner = tuple(slice(p, p + n) for p, n in zip(padding, x.shape[2:], strict=True))
    return y, dx[(..., *inner)], dw


def last(a):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)


def sliced(a):
    """The same values, every other element of a larger array."""
    whole = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    whole[..., ::2] = a
    return whole[..., ::2]


LAYOUTS = {"contiguous": np.ascontiguousarray, "channels_last": last, "sliced": sliced}


def on_threads(call):
    """The result on one thread, which must be that on two and three."""
    before = flambeau.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            flambeau.set_num_threads(count)
            results.append(call())
    finally:
        flambeau.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    return results[0]


def close(a, b, dtype):
    scale = max(np.abs(b).max(), 1e-6)
    np.testing.assert_allclose(a / scale, b / scale, 0, 5e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_all_three(rand, case, dtype, layout):
    shape, kernel, stride, padding, dilation, groups = CASES[case]
    n = len(shape) - 2
    stride, padding, dilation = (per_axis(v, n) for v in (stride, padding, dilation))
    arrange = LAYOUTS[layout]
    x, w, b = (rand(*s).astype(dtype) for s in (shape, kernel, kernel[:1]))
    counts = [(m + 2 * p - d * (k - 1) - 1) // s + 1 for m, p, d, k, s in zip(
        shape[2:], padding, dilation, kernel[2:], stride, strict=True)]
    g = rand(shape[0], kernel[0], *counts).astype(dtype)
    y, dx, dw = oracle(x, w, g, stride, padding, dilation, groups)
    rest = (stride, padding, dilation)
    x, g = arrange(x), arrange(g)
    bias = b.reshape(-1, *(1,) * n)
    close(on_threads(lambda: conv.convolution(
        x, w, b, *rest, False, (0,) * n, groups)) - bias, y, dtype)
    close(on_threads(lambda: conv.convolution_input_grad(
        g, arrange(w), shape, *rest, groups)), dx, dtype)
    close(on_threads(lambda: conv.convolution_weight_grad(
        g, x, kernel, *rest, groups)), dw, dtype)
    # a transposed convolution is the gradient, with positions left over and a bias
    extra = tuple(m - ((c - 1) * s - 2 * p + d * (k - 1) + 1) for m, c, s, p, d, k in zip(
        shape[2:], counts, stride, padding, dilation, kernel[2:], strict=True))
    more = rand(shape[1]).astype(dtype)
    if all(e < s for e, s in zip(extra, stride, strict=True)):
        close(on_threads(lambda: conv.convolution(
            g, w, more, *rest, True, extra, groups)) - more.reshape(-1, *(1,) * n), dx, dtype)


@pytest.mark.parametrize("channels", [3, 20])
def test_layout_of_the_output(rand, channels):
    x, w = rand(4, channels, 8, 8), rand(16, channels, 3, 3)
    rest = (None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1)
    assert conv.convolution(x, w, *rest).flags.c_contiguous
    for a, b in ((last(x), w), (x, last(w))):
        y = conv.convolution(a, b, *rest)
        assert np.moveaxis(y, 1, -1).flags.c_contiguous
        np.testing.assert_array_equal(y, conv.convolution(x, w, *rest))


@pytest.mark.parametrize("dtype", [flambeau.float16, flambeau.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    x = flambeau.randn(2, 8, 9, 9).to(dtype)
    w = flambeau.randn(6, 8, 3, 3).to(dtype)
    y = flambeau.conv2d(x, w, padding=1)
    assert y.dtype is dtype
    exact = flambeau.conv2d(x.float(), w.float(), padding=1).to(dtype)
    assert flambeau.equal(y, exact)


def test_what_does_not_fit_is_declined(rand):
    x, w = rand(2, 4, 6, 6), rand(6, 4, 3, 3)
    rest = ((1, 1), (0, 0), (1, 1))
    for a, b, groups in ((x, w[:, :3], 1), (x, rand(6, 4, 7, 3), 1), (x, w, 2),
                         (x, w.astype(np.float64), 1), (x[:0], w, 1)):
        result = conv.convolution(a, b, None, *rest, False, (0, 0), groups)
        assert result is NotImplemented
    grad = rand(2, 6, 4, 4)
    assert conv.convolution_input_grad(grad[:, :, 1:], w, x.shape, *rest, 1) is NotImplemented
    assert conv.convolution_weight_grad(grad, x, (6, 4, 3, 2), *rest, 1) is NotImplemented


def test_a_nan_stays_in_its_window(rand):
    x, w = rand(2, 3, 12, 12), rand(4, 3, 3, 3)
    x[0, 1, 5, 6] = np.nan
    y = conv.convolution(x, w, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1)
    where = np.zeros((2, 12, 12), bool)
    where[0, 4:7, 5:8] = True
    assert (np.isnan(y) == where[:, None]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 5, 7, 11), (2, 70, 33), (40, 6, 28, 28), (1, 1, 2, 3, 4)])
def test_sum_of_channels(rand, shape, dtype):
    x = rand(*shape).astype(dtype)
    exact = x.sum((0, *range(2, x.ndim)), dtype=np.float64)
    close(on_threads(lambda: conv.channel_sum(x)), exact, dtype)
