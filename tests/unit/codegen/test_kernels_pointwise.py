"""Pointwise kernels: strides, broadcasting, numbers, plans, and which calls are declined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, opencl_backend
from recorder import GPU, Recorder

from flambeau.backend import Layout, Strided, dtypes
from flambeau.backend.generated import C, Cuda, OpenCL
from flambeau.backend.generated.formulas import result_dtype
from flambeau.backend.generated.pointwise import PointwiseKernel
from flambeau.codegen.kernels.indexing import collapse, in_memory_order, index_register
from flambeau.codegen.kernels.pointwise import Input, Pointwise
from flambeau.registry import OPS

Array = np.ndarray[Any, Any]
DIALECTS = [C(), OpenCL(), Cuda()]


def numbers(*shape: int, what: Any = np.float32) -> Array:
    return np.random.default_rng(0).integers(-8, 8, shape).astype(what)


# ---- values -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("a", "b"), [
    (numbers(3, 4), numbers(3, 4)), (numbers(3, 4), numbers(4)), (numbers(3, 1), numbers(1, 4)),
    (numbers(4, 3).T, numbers(3, 4)), (numbers(4, 3).T, numbers(4, 3).T),
    (numbers(6, 8)[1::2, ::3], numbers(3, 3)), (numbers(2, 3, 4).transpose(1, 2, 0), numbers(4, 2)),
    (numbers(), numbers(5)), (numbers(), numbers()), (numbers(0, 3), numbers(3)),
    (numbers(3001), numbers(1)), (np.broadcast_to(numbers(4), (3, 4)), numbers(3, 1)),
], ids=lambda x: str(x.shape))  # fmt: skip
def test_strides_and_broadcasting(device: Device, a: Array, b: Array) -> None:
    found = device.run("add", a, b)
    np.testing.assert_array_equal(found, a + b)


def test_the_memory_order_of_the_first_input_is_kept(c_device: Device) -> None:
    x = numbers(2, 3, 4, 5).transpose(0, 2, 3, 1)
    assert c_device.native("exp", x).layout.strides == tuple(s // 4 for s in x.strides)
    gapped = numbers(4, 6).T[::2]
    assert c_device.native("exp", gapped).layout.strides == (1, 3)
    assert c_device.native("exp", np.broadcast_to(numbers(4), (3, 4))).layout.is_contiguous


def test_numbers_are_not_part_of_the_kernel(c_device: Device) -> None:
    x = numbers(5)
    native = c_device.put(x)
    mul = c_device.backend.kernels.fresh["mul"]
    known = len(c_device.backend._programs)
    for number in (0.5, 3.0, 2, -1.5):
        np.testing.assert_array_equal(c_device.get(mul(native, number)), x * number)
    assert len(c_device.backend._programs) <= known + 1


def test_factors_of_one_and_others(c_device: Device) -> None:
    a, b = numbers(5), numbers(5)[::-1].copy()
    for alpha in (1, 2, 1, 0.5):
        np.testing.assert_array_equal(c_device.run("add", a, b, alpha=alpha), a + alpha * b)
        np.testing.assert_array_equal(c_device.run("rsub", a, b, alpha=alpha), b - alpha * a)


def test_attributes_that_a_call_leaves_out(c_device: Device) -> None:
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    want = np.where(x > 0, x, x * np.float32(0.01))
    for given in ({}, {"negative_slope": 0.01}, {}):
        np.testing.assert_array_equal(c_device.run("leaky_relu", x, **given), want)
    np.testing.assert_allclose(
        c_device.run("leaky_relu", x, negative_slope=0.5), np.where(x > 0, x, x / 2))
    kernel = PointwiseKernel(
        c_device.backend, "two", "a * b + c", ["a", "b"], defaults={"c": 0.25})
    native = c_device.put(x)
    np.testing.assert_allclose(c_device.get(kernel.fresh(native, 2.0)), x * 2 + 0.25)
    np.testing.assert_allclose(c_device.get(kernel.fresh(native, 3.0, c=1.0)), x * 3 + 1)
    np.testing.assert_allclose(c_device.get(kernel.fresh(native, native)), x * x + 0.25)


@pytest.mark.parametrize("number", [0, 0.0, 2, 2.5, True])
@pytest.mark.parametrize("what", [np.float32, np.int32])
def test_categories_of_numbers_are_told_apart(
    c_device: Device, what: Any, number: float
) -> None:
    x = numbers(5, what=what)
    c_device.run("add", x, 0)
    c_device.run("add", x.astype(np.float32), 0.0)
    found = c_device.run("add", x, number)
    if what is np.int32 and isinstance(number, float):
        assert found is NotImplemented
    else:
        assert found.dtype == what
        np.testing.assert_array_equal(found, x + what(number))


def test_out_is_one_of_the_inputs(c_device: Device) -> None:
    x, y = numbers(3, 4), numbers(3, 4).T.copy().T
    out = c_device.put(x)
    assert c_device.backend.kernels.out["mul"](out, out, c_device.put(y)) is None
    np.testing.assert_array_equal(c_device.get(out), x * y)
    c_device.backend.kernels.out["neg"](out, out)
    np.testing.assert_array_equal(c_device.get(out), -x * y)


def test_writing_to_a_part_of_a_buffer(c_device: Device) -> None:
    whole = c_device.put(np.zeros((4, 6), np.float32))
    part = Strided(whole.buffer, whole.dtype, Layout.of((2, 3), (12, 2), 1))
    c_device.backend.kernels.out["fill"](part, value=7.0)
    want = np.zeros((4, 6), np.float32)
    want[::2, 1::2] = 7
    np.testing.assert_array_equal(c_device.get(whole), want)


@pytest.mark.parametrize("source", ["bool", "uint8", "int64", "float16", "float64", "complex64"])
@pytest.mark.parametrize("target", ["bool", "uint8", "int64", "float16", "float64", "complex64"])
def test_conversions(c_device: Device, source: str, target: str) -> None:
    x = np.array([0, 1, 2, 3, 7, 100], source)
    want = x.real.astype(target) if x.dtype.kind == "c" and target != "complex64" else (
        x.astype(target))
    out = c_device.put(np.zeros(6, target))
    c_device.backend.kernels.out["copy"](out, c_device.put(x))
    np.testing.assert_array_equal(c_device.get(out), want)


# ---- composites ---------------------------------------------------------------------------------
def native(what: Any, *shape: int) -> Strided:
    return Strided(np.zeros(0, np.uint8), what, Layout.contiguous(shape))


F32, F16, I32, BOOL = dtypes.float32, dtypes.float16, dtypes.int32, dtypes.bool


@pytest.mark.parametrize(("text", "arguments", "want"), [
    ("a + b", (F32, F32), F32), ("a + b", (F32, F16), None), ("a + b", (F32, I32), None),
    ("a + b", (F32, BOOL), F32), ("a + b", (F32, 2), F32), ("a + b", (I32, 2), I32),
    ("a + b", (I32, 2.5), None), ("a + b", (F32, 1j), None), ("a < b", (F32, F32), BOOL),
    ("a < b", (I32, 2.5), None), ("a + b", (BOOL, BOOL), None), ("a && b", (BOOL, BOOL), BOOL),
    ("abs(a)", (dtypes.complex64, 0), dtypes.float32), ("a / b", (I32, I32), None),
    ("exp(a)", (I32, 0), None), ("a", (F32, "word"), F32), ("a + b", (F32, None), None),
    ("a ? b : 0", (BOOL, F16), F16),
])  # fmt: skip
def test_dtypes_that_follow_from_the_arguments(
    text: str, arguments: tuple[Any, ...], want: Any
) -> None:
    given = {
        name: native(x, 2) if isinstance(x, type(F32)) else x
        for name, x in zip("ab", arguments, strict=True)}
    assert result_dtype(text, given) is want


@pytest.mark.parametrize(("op", "arguments", "attributes"), [
    ("gelu", (I32,), {"approximate": "none"}), ("gelu", (F32,), {"approximate": "other"}),
    ("hardshrink", (I32,), {"lambd": 1}), ("isposinf", (dtypes.complex64,), {}),
    ("floor_divide", (I32, I32), {}), ("clamp_to_tensors", (I32, 3, None), {}),
    ("masked_fill", (F32, I32, 1.0), {}), ("masked_fill", (I32, BOOL, 1.5), {}),
    ("round", (I32,), {"decimals": 1}), ("heaviside", (F32, I32), {}), ("relu", (BOOL,), {}),
    ("masked_scale", (I32, BOOL), {"scale": 2.0}), ("nan_to_num", (I32,), {}),
    ("square", (BOOL,), {}), ("deg2rad", (dtypes.complex64,), {}), ("hypot", (I32, I32), {}),
    ("bitwise_not", (F32,), {}), ("gt", (dtypes.complex64, dtypes.complex64), {}),
])  # fmt: skip
def test_calls_that_are_left_to_the_decomposition(
    op: str, arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> None:
    recorder = Recorder("recorder", OpenCL(), GPU)
    given = [native(x, 3) if isinstance(x, type(F32)) else x for x in arguments]
    assert recorder.kernels.fresh[op](*given, **attributes) is NotImplemented
    assert recorder.kernels.fresh[op](*given, **attributes) is NotImplemented
    assert recorder.launches == 0


@pytest.mark.parametrize("op", ["floor_divide", "fmod", "trunc_divide"])
def test_a_kernel_takes_all_calls_of_a_kind_or_none(op: str) -> None:
    """What took two integers once is called for all integers: divisors must be looked at."""
    recorder = Recorder("recorder", OpenCL(), GPU)
    x = native(I32, 3)
    for other in (x, 2, 0):
        assert recorder.kernels.fresh[op](x, other) is NotImplemented
    assert isinstance(recorder.kernels.fresh[op](native(F32, 3), 2), Strided)


@pytest.mark.parametrize("op", [
    "gelu", "silu", "mish", "softplus", "scaled_elu", "hardswish", "erfinv", "sinc", "signbit",
    "asinh", "log10", "nan_to_num", "logaddexp", "addcmul", "lerp", "gelu_backward",
    "silu_backward", "sigmoid_backward", "masked_scale", "ne",
])  # fmt: skip
def test_composites_are_one_launch(op: str) -> None:
    recorder = Recorder("recorder", OpenCL(), GPU)
    arguments = OPS[op].schema.arguments
    tensors = [native(BOOL if a.name == "mask" else F32, 3) for a in arguments if a.is_tensor]
    attributes = {
        a.name: a.default if a.has_default else {"str": "none"}.get(a.type, 2.0)
        for a in arguments if not a.is_tensor}
    found = recorder.kernels.fresh[op](*tensors, **attributes)
    assert isinstance(found, Strided)
    assert recorder.launches == 1


# ---- plans --------------------------------------------------------------------------------------
def test_layouts_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder("recorder", OpenCL(), GPU)
    a, b = native(F32, 3, 4), native(F32, 4)
    mask = native(BOOL, 3, 4)
    calls = [("add", (a, b), {}), ("add", (a, 2.0), {}), ("exp", (a,), {}),
             ("select_where", (mask, a, b), {}), ("leaky_relu", (a,), {"negative_slope": 0.1})]
    for op, given, attributes in calls:
        recorder.kernels.fresh[op](*given, **attributes)
    recorder.kernels.out["add"](a, a, b)
    monkeypatch.setattr(PointwiseKernel, "plan", None)
    for op, given, attributes in calls:
        recorder.kernels.fresh[op](*given, **attributes)
    recorder.kernels.out["add"](a, a, b)
    assert recorder.launches == 12


def test_plans_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flambeau.backend.generated.pointwise.PLANS_AT_MOST", 4)
    recorder = Recorder("recorder", OpenCL(), GPU)
    kernel = PointwiseKernel(recorder, "double", "x + x", ["x"])
    for n in range(1, 10):
        kernel.fresh(native(F32, n))
    assert 1 <= len(kernel.plans) <= 4
    assert recorder.launches == 9


def test_nothing_is_launched_for_nothing() -> None:
    recorder = Recorder("recorder", OpenCL(), GPU)
    assert recorder.kernels.fresh["exp"](native(F32, 0, 3)).shape == (0, 3)
    recorder.kernels.out["fill"](native(F32, 0), value=1.0)
    assert recorder.launches == 0


# ---- walks --------------------------------------------------------------------------------------
def test_dimensions_collapse() -> None:
    assert collapse((2, 3, 4), [(12, 4, 1), (12, 4, 1)]) == ((24,), ((1,), (1,)))
    assert collapse((2, 3, 4), [(12, 4, 1), (0, 4, 1)]) == ((2, 12), ((12, 1), (0, 1)))
    assert collapse((2, 1, 4), [(4, 9, 1)]) == ((8,), ((1,),))
    assert collapse((1, 1), [(5, 7)]) == ((), ((),))
    assert in_memory_order((3, 4), [(1, 3), (1, 3)]) == ((12,), ((1,), (1,)))


def test_indices_are_wide_only_where_they_must_be() -> None:
    assert index_register(100, [(0, (100,), (1,))]) == "i32"
    assert index_register(2**31, [(0, (2**31,), (1,))]) == "i64"
    assert index_register(10, [(2**30, (10,), (1,))]) == "i64"  # two parts per element
    assert index_register(10, [(2**29, (10,), (1,))]) == "i32"
    assert index_register(2**31 - 100, []) == "i64"  # items are rounded up to groups


# ---- texts --------------------------------------------------------------------------------------
def spec(**changes: Any) -> Pointwise:
    given: dict[str, Any] = {
        "name": "test", "formula": "a + b", "inputs": (Input("a", F32), Input("b", F32)),
        "out": F32, "floating": "f32", "integer": "i32", "steps": ("1", "1", "1"),
        "index": "i32", "group_size": 64}
    return Pointwise(**given | changes)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_contiguous_elements_are_indexed_without_a_division(dialect: Any) -> None:
    text = spec().source(dialect).text
    assert " / " not in text
    assert " % " not in text
    assert "in_a[p_2]" in text
    assert "y_ = (x_ + x_2);" in text
    assert "out[p_] = y_;" in text


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_what_is_repeated_is_not_indexed(dialect: Any) -> None:
    text = spec(steps=("?1", "?1", "00")).source(dialect).text
    assert text.count(" / ") == 1
    assert "step_b" not in text


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_parameters_are_those_of_the_text(dialect: Any) -> None:
    inputs = (Input("a", F32), Input("s", None, "f32"), Input("z", None, "f32", True))
    source = spec(formula="a * s", inputs=inputs, steps=("?1", "?0")).source(dialect)
    assert [p.name for p in source.parameters] == [
        "out", "in_a", "count", "start_out", "start_a", "size_1", "step_out_0", "step_a_0",
        "number_s", "number_z_re", "number_z_im"]
    for parameter in source.parameters:
        assert parameter.name in source.text


@pytest.mark.parametrize("n", [1, 63, 64, 255, 256, 257, 1000, 1024])
def test_several_elements_per_item(n: int) -> None:
    backend = opencl_backend()
    traits = replace(backend.traits(0), group_size=64, per_item=4)
    backend.traits = lambda index: traits
    device = Device(backend)
    x = numbers(n)
    out = device.put(x)
    np.testing.assert_array_equal(device.run("add", x, numbers(1)), x + numbers(1))
    backend.kernels.out["mul"](out, out, out)
    np.testing.assert_array_equal(device.get(out), x * x)
    np.testing.assert_array_equal(device.run("neg", numbers(n, 4).T[1:]), -numbers(n, 4).T[1:])


@pytest.mark.parametrize("n", [1, 15, 16, 17, 63, 64, 65, 200])
@pytest.mark.parametrize("lanes", [1, 32])
def test_rows_of_every_length(lanes: int, n: int) -> None:
    device = Device(opencl_backend(lanes))
    x, row, column = numbers(5, n), numbers(n), numbers(5, 1)
    np.testing.assert_array_equal(device.run("add", x, row), x + row)
    np.testing.assert_array_equal(device.run("mul", column, x), x * column)
    np.testing.assert_array_equal(device.run("add", row, column), row + column)
    whole = numbers(3, 5, 2 * n)[:, 1:4, ::2]
    np.testing.assert_array_equal(device.run("add", whole, numbers(3, 1, 1)), whole +
                                  numbers(3, 1, 1))


@pytest.mark.parametrize("n", [2, 15, 16, 17, 33, 100])
def test_tensors_that_lie_across(n: int) -> None:
    device = Device(opencl_backend())
    x, y = numbers(70, n), numbers(n, 70)
    np.testing.assert_array_equal(device.run("add", x, y.T), x + y.T)
    np.testing.assert_array_equal(device.run("mul", y, x.T), y * x.T)
    deep = numbers(3, 70, n)
    np.testing.assert_array_equal(device.run("add", deep, y.T), deep + y.T)
    z = numbers(4, n, 20)
    out = device.put(np.zeros((n, 20, 4), np.float32))
    device.backend.kernels.out["copy"](out, device.put(z.transpose(1, 2, 0)))
    np.testing.assert_array_equal(device.get(out), z.transpose(1, 2, 0))


@pytest.mark.parametrize("dialect", DIALECTS[1:], ids=lambda d: d.name)
def test_groups_find_their_row_with_one_division(dialect: Any) -> None:
    text = spec(steps=("?1", "?1", "01"), by_rows=True).source(dialect).text
    assert text.count(" / ") == 1
    assert "row_ = (group_ / count)" in text or "row_ = group_ / count" in text
    assert "if (at_ < size_1) {" in text


@pytest.mark.parametrize("dialect", DIALECTS[1:], ids=lambda d: d.name)
def test_several_elements_are_read_before_one_is_written(dialect: Any) -> None:
    text = spec(per_item=4).source(dialect).text
    whole, rest = text.split("for (")
    assert whole.rindex("in_a[") < whole.index("out[")
    assert whole.count("out[p_") == 4
    assert rest.count("out[p_") == 1


def test_group_sizes_stand_in_the_text() -> None:
    assert "reqd_work_group_size(128, 1, 1)" in spec(group_size=128).source(OpenCL()).text
    assert "__launch_bounds__(128)" in spec(group_size=128).source(Cuda()).text
