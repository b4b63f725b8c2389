"""Kernels from formulas: every layout against NumPy, bit-equal for any number of threads."""

import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.native.library import failures, runtime
from flambeau_cpu.native.pointwise import Pointwise

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")


def floats(*shape, dtype=np.float32):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


LAYOUTS = {
    "flat": lambda: (floats(7, 5), floats(7, 5)),
    "many": lambda: (floats(70001), floats(70001)),
    "row": lambda: (floats(700, 90), floats(90)),
    "short rows": lambda: (floats(4000, 10), floats(10)),
    "column": lambda: (floats(700, 90), floats(700, 1)),
    "short columns": lambda: (floats(4000, 10), floats(4000, 1)),
    "first is smaller": lambda: (floats(5), floats(700, 5)),
    "outer": lambda: (floats(300, 1), floats(1, 200)),
    "channels": lambda: (floats(3, 4, 50, 7), floats(4, 1, 1)),
    "channels last": lambda: (
        floats(3, 9, 10, 4).transpose(0, 3, 1, 2), floats(3, 9, 10, 4).transpose(0, 3, 1, 2)),
    "bias of channels last": lambda: (floats(3, 9, 10, 64).transpose(0, 3, 1, 2), floats(64, 1, 1)),
    "transposed": lambda: (floats(300, 200), floats(200, 300).T),
    "both transposed": lambda: (floats(300, 200).T, floats(300, 200).T),
    "batches of transposed": lambda: (floats(3, 130, 70), floats(3, 70, 130).transpose(0, 2, 1)),
    "slices": lambda: (floats(100, 300)[::2, ::3], floats(50, 100)),
    "backwards": lambda: (floats(70000), floats(70000)[::-1]),
    "five dimensions": lambda: (
        floats(2, 3, 4, 5, 6).transpose(4, 1, 2, 0, 3), floats(6, 3, 4, 2, 5)),
    "no dimension": lambda: (floats(), floats(9)),
    "numbers": lambda: (floats(9), 2.5),
    "number first": lambda: (2.5, floats(900)),
    "empty": lambda: (floats(0, 3), floats(3)),
    "one": lambda: (floats(1, 1), floats(1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.float16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout, dtype):
    a, b = (x if x.__class__ is float else np.asarray(x * 9, dtype) for x in LAYOUTS[layout]())
    if layout.startswith("number") and dtype in (np.int16, np.float16):
        pytest.skip("NumPy promotes")
    result = Pointwise("sub").fresh(a, b)
    assert result is not NotImplemented, failures
    wanted = np.subtract(a, b)
    assert result.dtype == wanted.dtype
    np.testing.assert_array_equal(result, wanted)


def test_results_keep_the_memory_order_of_their_inputs():
    x = floats(3, 9, 10, 4).transpose(0, 3, 1, 2)
    assert Pointwise("exp").fresh(x).strides == x.strides
    assert Pointwise("add").fresh(x, floats(4, 1, 1)).strides == x.strides
    assert Pointwise("exp").fresh(floats(30, 40).T).strides == (4, 160)


def test_a_large_result_is_written_past_the_caches():
    a, b = floats(7_000_003), floats(7_000_003)
    np.testing.assert_array_equal(Pointwise("add").fresh(a, b), a + b)
    c = floats(7000, 1003)
    np.testing.assert_array_equal(Pointwise("add").fresh(c, c[0]), c + c[0])
    d = floats(1003, 7000)
    np.testing.assert_array_equal(Pointwise("add").fresh(c, d.T), c + d.T)


@pytest.mark.parametrize("threads", [2, 3])
def test_results_do_not_depend_on_the_number_of_threads(threads):
    x, y = floats(300, 777), floats(777, 300).T
    before = fb.get_num_threads()
    try:
        fb.set_num_threads(1)
        alone = [Pointwise("gelu").fresh(x), Pointwise("atan2").fresh(x, y)]
        fb.set_num_threads(threads)
        together = [Pointwise("gelu").fresh(x), Pointwise("atan2").fresh(x, y)]
    finally:
        fb.set_num_threads(before)
    for a, b in zip(alone, together, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("shape", [(70001,), (300, 40)])
def test_the_output_may_be_an_input(shape):
    a, b = floats(*shape), floats(*shape)
    wanted = a + b
    assert Pointwise("add").out(a, a, b) is None
    np.testing.assert_array_equal(a, wanted)
    c = floats(*shape)[::2]
    wanted = b[::2] * c
    assert Pointwise("mul").out(c, b[::2], c) is None
    np.testing.assert_array_equal(c, wanted)


def test_an_output_of_another_shape_or_dtype_is_declined():
    a = floats(4, 5)
    assert Pointwise("add").out(floats(5), a, a) is NotImplemented
    assert Pointwise("add").out(floats(4, 5, dtype=np.float64), a, a) is NotImplemented
    assert Pointwise("add").fresh(a, floats(3)) is NotImplemented


@pytest.mark.parametrize("a", [
    floats(9).astype(np.complex64), np.arange(3), np.array([True, False])])
def test_what_a_kernel_does_not_take_is_declined(a):
    assert Pointwise("exp", "fV").fresh(a) is NotImplemented


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "sinc"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
def test_large_angles_beside_small_ones(name, dtype):
    x = np.random.default_rng(0).uniform(-20, 20, 3001).astype(dtype)
    x[[5, 900, 2999]] = [60000, np.inf, np.nan]
    oracle = np.sinc if name == "sinc" else getattr(np, name)
    with np.errstate(invalid="ignore"):
        wanted = oracle(x.astype(np.float64)).astype(dtype)
    tolerance = {"f4": 1e-6, "f8": 1e-14, "f2": 1e-3}[dtype]
    for y in (Pointwise(name).fresh(x), x):
        if y is x:
            assert Pointwise(name).out(x, x) is None
        np.testing.assert_allclose(y, wanted, tolerance, tolerance)


def test_large_angles_in_bfloat16():
    from ml_dtypes import bfloat16

    x = np.array([1, 60000, 2, np.nan], bfloat16)
    found, wanted = Pointwise("sin").fresh(x), np.sin(x.astype(np.float32)).astype(bfloat16)
    np.testing.assert_array_equal(found.astype(np.float32), wanted.astype(np.float32))


def test_scalars_of_numpy_are_arrays_without_dimensions():
    for result in (Pointwise("exp").unary()(np.float32(1)), Pointwise("exp").fresh(np.float32(1))):
        assert result.shape == ()
        assert result.dtype == np.float32
    assert Pointwise("add").binary()(np.float32(1), np.float32(2)) == 3
    np.testing.assert_array_equal(Pointwise("add").fresh(np.float32(1), floats(3)), 1 + floats(3))


def test_mixed_dtypes_are_declined():
    assert Pointwise("add").fresh(floats(3), np.arange(3)) is NotImplemented
    assert Pointwise("add").fresh(np.arange(3), 2.5) is NotImplemented


def test_half_precision_is_rounded_once():
    x = np.linspace(-9, 9, 4001).astype(np.float16)
    wanted = np.exp(x.astype(np.float64))
    found = Pointwise("exp").fresh(x)
    assert found.dtype == np.float16
    error = np.abs(found - wanted) / np.spacing(wanted.astype(np.float16))
    assert error.max() < 0.501


def test_bfloat16():
    from ml_dtypes import bfloat16

    x = floats(5001).astype(bfloat16)
    np.testing.assert_array_equal(Pointwise("mul").fresh(x, x), x * x)


@pytest.mark.parametrize(("exponent", "wanted"), [
    (2, np.square), (3, lambda x: x * x * x), (0.5, np.sqrt), (-1, np.reciprocal),
    (1, np.positive)])
def test_common_powers_are_products_and_roots(exponent, wanted):
    from flambeau_cpu.native.kernels.pointwise import _POWERS

    power = Pointwise("pow", variants={"exponent": _POWERS})
    x = abs(floats(999))
    np.testing.assert_array_equal(power.fresh(x, exponent), wanted(x))
    np.testing.assert_allclose(power.fresh(x, 2.5), x**2.5, 1e-6)


def test_masks():
    condition, a, b = floats(300, 200) > 0, floats(300, 200), floats(200)
    where = Pointwise("select_where")
    np.testing.assert_array_equal(where.fresh(condition, a, b), np.where(condition, a, b))
    fill = Pointwise("masked_fill")
    np.testing.assert_array_equal(
        fill.fresh(a, condition[0], -1.0), np.where(condition[0], np.float32(-1), a))


def test_large_tensors_go_through_kernels_in_c(monkeypatch):
    seen = []
    general = Pointwise.made
    monkeypatch.setattr(
        Pointwise, "made", lambda self, *args: seen.append(self.name) or general(self, *args))
    x = fb.randn(70, 1000, 3)
    y = fb.atan2(x, x.abs() + 1)
    assert "atan2" in seen
    np.testing.assert_allclose(
        y.numpy(), np.arctan2(x.numpy(), np.abs(x.numpy()) + 1), 1e-6, 1e-7)
