"""Generated convolutions against the definition."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from kernel_device import Device

from flambeau import dtypes
from flambeau.backend.generated import C, Cuda, Dialect, OpenCL, conv
from flambeau.codegen.kernels.conv import Columns, Direct, DirectWeights, Fold, Total, Window

Array = np.ndarray[Any, Any]
Ints = tuple[int, ...]


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


CASES = {
    "plain": ((2, 5, 9, 8), (20, 5, 3, 2), (1, 1), (0, 0), (1, 1), 1),
    "strided": ((3, 5, 13, 12), (20, 5, 3, 3), (2, 3), (1, 2), (1, 1), 1),
    "dilated": ((1, 3, 12, 13), (18, 3, 2, 3), (1, 2), (0, 3), (3, 2), 1),
    "groups": ((2, 6, 9, 9), (36, 3, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "depthwise": ((2, 3, 9, 9), (6, 1, 3, 3), (1, 2), (1, 1), (1, 1), 3),
    "few": ((2, 3, 9, 9), (10, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "pointwise": ((2, 3, 8, 7), (33, 3, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1d": ((2, 3, 40), (20, 3, 4), (3,), (2,), (1,), 1),
    "3d": ((2, 3, 5, 6, 4), (17, 3, 2, 2, 2), (1, 2, 1), (0, 1, 0), (1, 1, 1), 1),
}
Case = tuple[Ints, Ints, Ints, Ints, Ints, int]


def definition(x: Array, w: Array, case: Case) -> Array:
    """The sum over the elements of windows, in double precision."""
    _, _, stride, padding, dilation, groups = case
    n = len(stride)
    whole = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *((p, p) for p in padding)])
    counts = [(whole.shape[2 + d] - dilation[d] * (w.shape[2 + d] - 1) - 1) // stride[d] + 1
              for d in range(n)]
    y = np.zeros((x.shape[0], groups, w.shape[0] // groups, *counts))
    grouped = whole.reshape(x.shape[0], groups, -1, *whole.shape[2:])
    rows = w.astype(np.float64).reshape(groups, w.shape[0] // groups, *w.shape[1:])
    for tap in product(*map(range, w.shape[2:])):
        part = grouped[(..., *(
            slice(t * dilation[d], t * dilation[d] + (counts[d] - 1) * stride[d] + 1, stride[d])
            for d, t in enumerate(tap)))]
        y += np.einsum("goc,bgc...->bgo...", rows[(..., *tap)], part)
    return y.reshape(x.shape[0], w.shape[0], *counts)


def options(case: Case) -> dict[str, Any]:
    return dict(zip(("stride", "padding", "dilation", "groups"), case[2:], strict=True))


def adjoints(x: Array, w: Array, g: Array, case: Case) -> tuple[Array, Array]:
    """The gradients of ``(convolution * g).sum()``: it is linear in both, so element by element."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for result, of in ((dx, 0), (dw, 1)):
        for at in np.ndindex(*result.shape):
            one = np.zeros(result.shape)
            one[at] = 1
            y = definition(one, w, case) if of == 0 else definition(x, one, case)
            result[at] = (y * g).sum()
    return dx, dw


@pytest.mark.parametrize("name", CASES)
def test_forward(device: Device, name: str) -> None:
    case = CASES[name]
    x, w, b = draw(0, *case[0]), draw(1, *case[1]), draw(2, case[1][0])
    more = {"transposed": False, "output_padding": (0,) * len(case[2])}
    want = definition(x, w, case)
    got = device.run("convolution", x, w, None, **options(case), **more)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    got = device.run("convolution", x, w, b, **options(case), **more)
    np.testing.assert_allclose(
        got, want + b.reshape(-1, *(1,) * len(case[2])), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["strided", "groups", "pointwise", "1d", "few", "depthwise"])
def test_gradients(device: Device, name: str) -> None:
    case = CASES[name]
    case = (((3 if name == "few" else 1), *case[0][1:]), *case[1:])
    x, w = draw(0, *case[0]), draw(1, *case[1])
    g = draw(2, *definition(x, w, case).shape)
    dx, dw = adjoints(x, w, g, case)
    got = device.run("convolution_input_grad", g, w, input_size=x.shape, **options(case))
    np.testing.assert_allclose(got, dx, rtol=1e-4, atol=1e-4)
    got = device.run("convolution_weight_grad", g, x, weight_size=w.shape, **options(case))
    np.testing.assert_allclose(got, dw, rtol=1e-4, atol=2e-4)


def test_transposed_is_the_adjoint(device: Device) -> None:
    case = ((2, 4, 8, 7), (18, 4, 3, 2), (2, 1), (1, 0), (1, 2), 1)
    y, w, b = draw(0, *definition(draw(0, *case[0]), draw(1, *case[1]), case).shape), draw(
        1, *case[1]), draw(2, 4)
    x = draw(3, *case[0])
    got = device.run(
        "convolution", y, w, b, transposed=True, output_padding=(1, 0), **options(case))
    assert got.shape == x.shape
    left = ((got - b[:, None, None]) * x).sum(dtype=np.float64)
    np.testing.assert_allclose(left, (y * definition(x, w, case)).sum(), rtol=1e-4)


def test_images_in_several_blocks(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv, "WORKSPACE", 1 << 14)
    case = ((7, 5, 11, 10), (20, 5, 3, 3), (1, 1), (1, 1), (1, 1), 1)
    x, w = draw(0, *case[0]), draw(1, *case[1])
    y = definition(x, w, case)
    more = {"transposed": False, "output_padding": (0, 0)}
    got = device.run("convolution", x, w, None, **options(case), **more)
    np.testing.assert_allclose(got, y, rtol=1e-4, atol=1e-4)
    g = draw(2, *y.shape)
    dw = device.run("convolution_weight_grad", g, x, weight_size=w.shape, **options(case))
    np.testing.assert_allclose((dw * w).sum(dtype=np.float64), (g * y).sum(), rtol=1e-4)
    dx = device.run("convolution_input_grad", g, w, input_size=x.shape, **options(case))
    np.testing.assert_allclose((dx * x).sum(dtype=np.float64), (g * y).sum(), rtol=1e-4)


def test_channels_last_and_offsets(device: Device) -> None:
    case = CASES["strided"]
    x = np.moveaxis(np.moveaxis(draw(0, *case[0]), 1, -1).copy(), -1, 1)
    w = draw(1, 23, *case[1][1:])[3:]
    got = device.run("convolution", x, w, None, transposed=False, output_padding=(0, 0),
                     **options(case))
    np.testing.assert_allclose(got, definition(x, w, case), rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_declined(c_device: Device) -> None:
    x, w, case = draw(0, 2, 3, 8, 8), draw(1, 4, 3, 3, 3), {
        "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "transposed": False,
        "output_padding": (0, 0), "groups": 1}
    for given, more in (
        ((x, w[:, :2], None), {}), ((x, w, draw(2, 5)), {}), ((x[0], w, None), {}),
        ((x, w.astype(np.float64), None), {}), ((x, w, None), {"stride": (0, 1)}),
        ((x, w, None), {"groups": 2}), ((x[:, :, :2], w, None), {}), ((x[:0], w, None), {}),
        ((x, w, None), {"padding": (-1, 0)}), ((x, w, None), {"dilation": (1,)})):
        assert c_device.native("convolution", *given, **{**case, **more}) is NotImplemented


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_texts(dialect: Dialect) -> None:
    window = Window((3, 2), (2, 1), (1, 0), (1, 3))
    padded = Columns(dtypes.float16, window, False, 32, "i32").source(dialect).text
    assert ">= 0" in padded  # the padded dimension is tested
    free = Columns(dtypes.float16, window._replace(padding=(0, 0)), True, 32, "i32")
    assert ">= 0" not in free.source(dialect).text
    fold = Fold(dtypes.float32, window, True, "i64", 64).source(dialect).text
    assert "* 2 ==" in fold  # only places that a stride reaches
    assert "fb_conv_direct" in Direct(
        dtypes.complex64, window, 4, False, "i32", 16).source(dialect).text
    assert "fb_conv_weights" in DirectWeights(
        dtypes.float16, window, 4, "i64", 16).source(dialect).text
    assert "fb_total" in Total(dtypes.float16, "i32", 64).source(dialect).text
