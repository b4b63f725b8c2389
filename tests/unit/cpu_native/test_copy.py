"""Copies, casts, fills and joins in C against NumPy's."""

import numpy as np
import pytest

from flambeau_cpu.kernels import memory as plain
from flambeau_cpu.native.copy import copied, copied_to, filled
from flambeau_cpu.native.kernels import join
from flambeau_cpu.native.kernels import memory as native
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")

REAL = ["?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
LAYOUTS = {
    "flat": lambda x: x, "transposed": lambda x: x.swapaxes(0, 2), "slices": lambda x: x[:, ::2],
    "permuted": lambda x: x.transpose(1, 2, 0), "backwards": lambda x: x[:, :, ::-1],
    "expanded": lambda x: np.broadcast_to(x[:1], x.shape), "empty": lambda x: x[:0],
    "none": lambda x: x[0, 0, 0, ...],
}


def numbers(dtype, shape=(67, 70, 130)):
    x = np.random.default_rng(0).integers(-100, 100, shape)
    return (abs(x) if np.dtype(dtype).kind == "u" else x).astype(dtype)


@pytest.mark.parametrize("dtype", [*REAL, "c8"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_of_every_layout(layout, dtype):
    x = LAYOUTS[layout](numbers(dtype))
    out = np.empty(x.shape, dtype)
    assert copied(out, x)
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_into_every_layout(layout):
    if layout in ("expanded", "none"):
        pytest.skip("not to be written to")
    out = LAYOUTS[layout](numbers("f4"))
    x = -numbers("f4", out.shape)
    assert copied(out, x)
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("source", REAL)
@pytest.mark.parametrize("target", REAL)
def test_casts_are_those_of_numpy_kernels(source, target):
    x = numbers(source, (99, 50))
    if x.dtype.kind == "f":
        x[:2] = [[0.5], [-1.75]]
        x[3, :3] = [np.nan, 300.6, 65000] if x.dtype.itemsize > 2 and target[0] == "f" else 100
        if target in ("i1", "u1", "i2", "i4"):
            x[4] = 1e4 if x.dtype.itemsize == 2 else 5e9
    out, wanted = np.empty((99, 50), target), np.empty((99, 50), target)
    assert copied_to(out, x)
    with np.errstate(all="ignore"):
        plain.copy(wanted, x)
    np.testing.assert_array_equal(out, wanted)


def test_double_precision_is_rounded_once_to_half():
    x = np.float64(1) + np.float64(2.0**-11) + np.array([0, 2.0**-40, -(2.0**-40)])
    out = np.empty(3, np.float16)
    assert copied_to(out, x)
    np.testing.assert_array_equal(out, x.astype(np.float16))


def test_bfloat16():
    from ml_dtypes import bfloat16

    x = np.random.default_rng(0).standard_normal(999).astype(np.float32)
    out = np.empty(999, bfloat16)
    assert copied_to(out, x)
    np.testing.assert_array_equal(out, x.astype(bfloat16))
    back = np.empty(999, np.float32)
    assert copied_to(back, out)
    np.testing.assert_array_equal(back, out.astype(np.float32))


def test_memory_that_is_shared_in_part_is_left_to_numpy():
    x = np.arange(99.0)
    assert not copied(x[1:], x[:-1])
    assert copied(x, x)
    assert copied(x[50:], x[:49])


def test_clones_keep_dense_orders():
    x = numbers("f4")
    assert native.to_copy(x.transpose(0, 2, 1)).strides == x.transpose(0, 2, 1).strides
    assert native.to_copy(x[:, ::2]).flags.c_contiguous
    assert native.to_copy(x, memory_format="any") is NotImplemented


@pytest.mark.parametrize(("dtype", "value"), [
    ("f4", -1.5), ("f8", np.nan), ("i8", -3), ("u1", 255), ("?", True), ("f2", 0.1),
    ("c8", 1 - 2j)])
def test_fills(dtype, value):
    for out in (np.zeros((300, 70), dtype), np.zeros((300, 70), dtype)[::3, ::2]):
        assert filled(out, value)
        np.testing.assert_array_equal(out, np.full(out.shape, value, dtype))


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_joins(dim):
    x = numbers("f4", (4, 5, 6))
    y = x.swapaxes(0, 2).copy().swapaxes(0, 2)
    np.testing.assert_array_equal(join._cat([x, y, x], dim), np.concatenate([x, y, x], dim))


def test_joins_that_do_not_fit_are_declined():
    x = numbers("f4", (4, 5))
    assert join._cat([x, x[:, :3]], 0) is NotImplemented
    assert join._cat([x, x.astype("f8")], 0) is NotImplemented
    assert join._cat([x, x], 2) is NotImplemented
