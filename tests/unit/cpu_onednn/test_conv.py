import numpy as np
import pytest

from flambeau_cpu.kernels import conv as NUMPY
from flambeau_cpu.onednn.kernels import conv as C
from flambeau_cpu.onednn.windows import is_last

pytestmark = pytest.mark.usefixtures("dnnl")

# x, w, stride, padding, dilation, groups
CASES = [
    ((5, 3, 9), (4, 3, 3), (2,), (1,), (1,), 1),
    ((6, 16, 13, 11), (32, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((7, 5, 12, 10), (6, 5, 3, 2), (2, 1), (1, 0), (1, 2), 1),
    ((4, 8, 9, 9), (12, 4, 3, 3), (1, 2), (1, 1), (1, 1), 2),
    ((3, 16, 10, 10), (16, 1, 3, 3), (1, 1), (1, 1), (1, 1), 16),
    ((9, 24, 7, 7), (40, 24, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((4, 24, 8, 8), (40, 24, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    ((2, 3, 40, 40), (8, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    ((3, 4, 5, 6, 7), (6, 4, 2, 3, 2), (1, 2, 1), (0, 1, 0), (1, 1, 2), 1),
]


def _last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def _near(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6 * np.abs(b).max())


def _formats(*arrays):
    yield arrays
    yield tuple(map(_last, arrays))
    yield tuple(a if i else _last(a) for i, a in enumerate(arrays))
    yield tuple(np.repeat(a, 2, -1)[..., ::2] for a in arrays)


@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), CASES)
def test_all_three(rng, everywhere, monkeypatch, x, w, stride, padding, dilation, groups):
    monkeypatch.setattr(C, "_SPEED", 10)  # many parts
    for plan in (C._forward_plan, C._input_grad_plan, C._weight_grad_plan):
        plan.cache_clear()
    rest = (stride, padding, dilation)
    x, w, b = (rng.standard_normal(s) for s in (x, w, w[:1]))
    extra = (0,) * len(stride)
    y = NUMPY.convolution(x, w, b, *rest, False, extra, groups)
    g = rng.standard_normal(y.shape)
    dx = NUMPY.convolution_input_grad(g, w, x.shape, *rest, groups)
    dw = NUMPY.convolution_weight_grad(g, x, w.shape, *rest, groups)
    for x1, g1, w1 in _formats(*(a.astype(np.float32) for a in (x, g, w))):
        b1 = b.astype(np.float32)
        out = everywhere(C.convolution, x1, w1, b1, *rest, False, extra, groups)
        _near(out, y)
        assert is_last(out) == is_last(x1)
        _near(C.convolution(x1, w1, None, *rest, False, extra, groups),
              y - b.reshape(-1, *(1,) * len(stride)))
        _near(everywhere(C.convolution_input_grad, g1, w1, x.shape, *rest, groups), dx)
        _near(everywhere(C.convolution_weight_grad, g1, x1, w.shape, *rest, groups), dw)


@pytest.mark.parametrize("extra", [(0, 0), (1, 0)])
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed(rng, everywhere, extra, groups):
    args = ((2, 2), (1, 0), (1, 2), True, extra, groups)
    x, w, b = (rng.standard_normal(s) for s in ((4, 6, 7, 8), (6, 5, 3, 3), (5 * groups,)))
    expected = NUMPY.convolution(x, w, b, *args)
    if expected is NotImplemented:  # NumPy's kernel does not know output padding
        assert any(extra)
        expected = NUMPY.convolution(x, w, b, *args[:4], (0, 0), groups)
    y = everywhere(C.convolution, *(a.astype(np.float32) for a in (x, w, b)), *args)
    assert y.shape[2] == expected.shape[2] + (extra[0] if y.shape != expected.shape else 0)
    _near(y[:, :, : expected.shape[2]], expected)


def test_windows_that_end_before_the_image_does(rng, everywhere):
    rest = ((3, 3), (0, 0), (1, 1))
    x, w = rng.standard_normal((2, 4, 12, 13)), rng.standard_normal((8, 4, 2, 2))
    y = NUMPY.convolution(x, w, None, *rest, False, (0, 0), 1)
    single = [a.astype(np.float32) for a in (x, w, y)]
    _near(everywhere(C.convolution, *single[:2], None, *rest, False, (0, 0), 1), y)
    dx = NUMPY.convolution_input_grad(y, w, x.shape, *rest, 1)
    _near(everywhere(C.convolution_input_grad, single[2], single[1], x.shape, *rest, 1), dx)


@pytest.mark.parametrize("bad", [
    {"stride": (0, 1)}, {"padding": (-1, 0)}, {"groups": 3}, {"bias": (5,)}, {"stride": (1,)},
    {"w": (8, 5, 3, 3)}, {"w": (8, 4, 30, 3)}, {"x": (0, 4, 8, 8)},
])
def test_leaves_bad_arguments_to_the_core(bad):
    a = {"x": (2, 4, 8, 8), "w": (8, 4, 3, 3), "bias": (8,), "stride": (1, 1), "padding": (0, 0),
         "groups": 1, **bad}
    x, w, b = (np.ones(a[n], np.float32) for n in ("x", "w", "bias"))
    assert C.convolution(
        x, w, b, a["stride"], a["padding"], (1, 1), False, (0, 0), a["groups"]) is NotImplemented


def test_plans_are_bounded():
    for plan in (C._forward_plan, C._input_grad_plan, C._weight_grad_plan):
        assert plan.cache_info().maxsize <= 512
