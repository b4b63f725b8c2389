"""Reductions in every form of their kernels, against NumPy in float64."""

from __future__ import annotations

import math
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from kernel_device import Device, c_backend, opencl_backend

from flambeau.backend import Layout, Strided, dtypes
from flambeau.backend.generated import C, Cuda, KernelSource, OpenCL, Traits
from flambeau.backend.generated.reduce import Reducer, accumulated, argument, formula
from flambeau.codegen.reduction import ArgReduction, Reduction, parse_reduction

Array = np.ndarray[Any, Any]

CASES: list[tuple[tuple[int, ...], tuple[int, ...] | None, tuple[int, ...] | None]] = [
    ((), None, None),
    ((7,), None, None),
    ((3, 4), (0,), None),
    ((5, 100), (1,), None),  # accumulators and a rest
    ((100, 5), (1,), (1, 0)),
    ((2, 3, 4, 5), (1, 3), (2, 0, 3, 1)),
    ((200, 45), (0,), None),  # columns that fill no strip
    ((3, 70_001), (1,), None),  # pieces of runs, and a rest
    ((70_001, 3), (0,), None),
    ((3, 4, 2003), (0, 2), None),  # a chunk per run
    ((3, 300, 300), (0, 2), None),  # many short runs
    ((9000, 2, 5), (0, 2), None),
    ((100_003,), None, None),
    ((3, 0), (0,), None),
]
"""Shape, reduced dimensions, and an order in which the dimensions are taken before."""


def numbers(shape: tuple[int, ...], order: Any = None, what: Any = np.float32) -> Array:
    x = np.asarray(np.random.default_rng(0).normal(size=shape) * 3).astype(what)
    return x if order is None else x.transpose(order)


@pytest.mark.parametrize(("shape", "dim", "order"), CASES)
def test_sum(device: Device, shape: Any, dim: Any, order: Any) -> None:
    x = numbers(shape, order)
    found = device.run("sum", x, dim=dim, keepdim=False)
    bound = 1e-5 + 1e-8 * np.max(np.abs(x).sum(dim), initial=0)  # an element is about 1
    np.testing.assert_allclose(found, x.sum(dim, np.float64), rtol=1e-6, atol=bound)


@pytest.mark.parametrize(("shape", "dim"), [
    ((5, 100), (1,)), ((200, 45), (0,)), ((100_003,), None), ((3, 5, 7), (0, 2))])
@pytest.mark.parametrize("op", ["amax", "amin", "argmax", "argmin"])
def test_extremes(device: Device, op: str, shape: Any, dim: Any) -> None:
    if op.startswith("arg") and dim and len(dim) > 1:
        dim = dim[:1]
    x = numbers(shape)
    np.testing.assert_array_equal(
        device.run(op, x, dim=dim[0] if op[:3] == "arg" and dim else dim, keepdim=True),
        getattr(np, op)(x, axis=dim[0] if op[:3] == "arg" and dim else dim, keepdims=True))


@pytest.mark.parametrize("shape", [(6,), (4, 90), (90, 4)])
def test_nan_wins_and_the_first_of_equals_counts(device: Device, shape: Any) -> None:
    x = np.zeros(shape, np.float32)
    assert device.run("argmax", x, dim=None, keepdim=False) == 0
    x.reshape(-1)[-3:-1] = math.nan
    assert device.run("argmin", x, dim=None, keepdim=False) == x.size - 3
    assert math.isnan(device.run("amax", x, dim=None, keepdim=False))
    x[...] = -math.inf
    assert device.run("argmax", x, dim=None, keepdim=False) == 0


@pytest.mark.parametrize("what", [
    np.bool_, np.uint8, np.int8, np.int32, np.int64, np.float16, ml_dtypes.bfloat16, np.float64,
    np.complex64])
def test_dtypes(c_device: Device, what: Any) -> None:
    x = numbers((7, 70)).astype(what)
    found = c_device.run("sum", x, dim=(1,), keepdim=False)
    wide = x.astype(np.float64) if x.dtype.itemsize == 2 else x
    assert found.dtype == (np.int64 if x.dtype.kind in "biu" else x.dtype)
    np.testing.assert_allclose(
        found.astype(wide.dtype) if x.dtype.kind in "fcV" else found,
        wide.sum(1, found.dtype if x.dtype.kind in "biu" else None),
        rtol={np.float16: 1e-3, ml_dtypes.bfloat16: 8e-3}.get(what, 1e-5))


def test_half_precision_is_summed_in_single(device: Device) -> None:
    ones = np.ones(5000, np.float16)
    assert device.run("sum", ones, dim=None, keepdim=False) == 5000  # 2048 + 1 is 2048 in half


@pytest.mark.parametrize("shape", [(1 << 20,), (1 << 19, 2), (2, 1 << 19), (1 << 14, 2, 32)])
def test_errors_grow_slowly(c_device: Device, shape: tuple[int, ...]) -> None:
    """A plain loop is off by 1e-4 of the sum here, a sum of pairs by 1e-7."""
    x = np.random.default_rng(0).random(shape, np.float32) + np.float32(0.1)
    dim = (0,) if shape[-1] == 2 else (0, 2) if len(shape) == 3 else (len(shape) - 1,)
    found = c_device.run("sum", x, dim=dim, keepdim=False)
    np.testing.assert_allclose(found, x.sum(dim, np.float64), rtol=4e-7)


def test_no_elements(c_device: Device) -> None:
    empty = np.empty((0, 3), np.float32)
    np.testing.assert_array_equal(c_device.run("sum", empty, dim=(0,), keepdim=False), [0, 0, 0])
    np.testing.assert_array_equal(c_device.run("prod", empty, dim=0, keepdim=False), [1, 1, 1])
    with pytest.raises(IndexError, match="non-zero size"):
        c_device.run("amax", empty, dim=(0,), keepdim=False)


def test_results_may_lie_anywhere(c_device: Device) -> None:
    x = numbers((6, 5, 4))
    out = np.zeros((4, 9, 6), np.float32)[:, 3:4, :].transpose(2, 1, 0)
    native = c_device.put(out)
    c_device.backend.kernels.out["sum"](native, c_device.put(x), dim=(1,), keepdim=True)
    np.testing.assert_allclose(c_device.get(native), x.sum(1, keepdims=True), rtol=1e-5)


# ---- composites ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("shape", "dim"), [
    ((4, 90), (1,)), ((90, 4), (0,)), ((2, 5, 40), (0, 2)), ((70_001,), None)])
def test_moments(device: Device, shape: Any, dim: Any) -> None:
    x = numbers(shape) + np.float32(100)  # the difference of two large sums would have no digits
    variance, mean = device.run("variance", x, dim=dim, correction=1, keepdim=False)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(dim, ddof=1), rtol=2e-5)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(dim, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(
        device.run("mean", x, dim=dim, keepdim=False), x.astype(np.float64).mean(dim), rtol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5, math.inf, -math.inf])
def test_norms(c_device: Device, order: float) -> None:
    x = numbers((3, 70))
    np.testing.assert_allclose(
        c_device.run("vector_norm", x, ord=order, dim=(1,), keepdim=False, dtype=None),
        np.linalg.norm(x.astype(np.float64), order, 1), rtol=2e-5)


def test_logarithms_of_sums_do_not_overflow(device: Device) -> None:
    x = np.array([[1000, 1001, -1000, 0], [-math.inf] * 4, [math.inf, 1, 2, 3],
                  [math.nan, 1, 2, 3], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(
        device.run("logsumexp", x, dim=(1,), keepdim=False),
        [1001.31326, -math.inf, math.inf, math.nan, math.log(4)], rtol=1e-6)


def test_truth_and_counts(device: Device) -> None:
    x = np.array([[0, 2, 0], [1, 1, 5], [0, 0, 0]], np.float32)
    assert device.run("all", x, dim=(1,), keepdim=False).tolist() == [False, True, False]
    assert device.run("any", x, dim=(1,), keepdim=False).tolist() == [True, True, False]
    assert device.run("any", x.astype(np.uint8), dim=None, keepdim=False).dtype == np.uint8
    assert device.run("count_nonzero", x, dim=(0,)).tolist() == [1, 2, 1]


@pytest.mark.parametrize(("op", "pick"), [("max_along", np.argmax), ("min_along", np.argmin)])
@pytest.mark.parametrize("what", [np.float32, np.bool_, np.int64])
def test_extremes_with_their_places(device: Device, op: str, pick: Any, what: Any) -> None:
    x = numbers((6, 80)).astype(what)
    values, places = device.run(op, x, dim=1, keepdim=False)
    np.testing.assert_array_equal(places, pick(x, 1))
    np.testing.assert_array_equal(values, np.take_along_axis(x, pick(x, 1)[:, None], 1)[:, 0])


def test_what_a_kernel_does_not_compute_is_declined(c_device: Device) -> None:
    run = c_device.native
    assert run("mean", np.ones(3, np.int32), dim=None, keepdim=False, dtype=None) is NotImplemented
    assert run("mean", np.ones(3, np.complex64), dim=None) is NotImplemented
    assert run("variance", np.ones(0, np.float32), dim=None, correction=1,
               keepdim=False) is NotImplemented


# ---- texts ---------------------------------------------------------------------------------------
class Recorder:
    """What a reducer needs of a backend, with sources for handles."""

    def __init__(self, dialect: Any, **traits: int) -> None:
        self.dialect, self.found = dialect, Traits(**traits)

    def traits(self, index: int) -> Traits:
        return self.found

    def program(self, key: Any, make: Any, index: int) -> KernelSource:
        source: KernelSource = make()
        return source


def plan(dialect: Any, shape: tuple[int, ...], dim: Any, text: str = "init: 0; acc + x",
         **traits: int) -> Any:
    parsed = parse_reduction(text)
    states = argument(parsed) if isinstance(parsed, ArgReduction) else formula(parsed, accumulated)
    reducer = Reducer(Recorder(dialect, **traits), "sum", states)  # type: ignore[arg-type]
    return reducer.plan(
        Strided(None, dtypes.float32, Layout.contiguous(shape)), dim, False, None, None, 0)


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_few_results_of_many_elements_take_two_launches(dialect: Any) -> None:
    first, last = plan(dialect, (1 << 20,), None, group_size=1).steps
    assert (first.groups, last.groups) == (32, 1)
    assert [p.name for p in first.handle.parameters][:2] == ["in_0", "out_0"]
    (only,) = plan(dialect, (100, 1 << 14), 1, group_size=1).steps
    assert only.groups == 100


@pytest.mark.parametrize("dialect", [OpenCL(), Cuda()], ids=lambda d: d.name)
def test_groups_share_memory(dialect: Any) -> None:
    (step,) = plan(dialect, (5, 1000), 1, group_size=64, lanes=128).steps
    text = step.handle.text
    assert (step.groups, step.handle.group_size) == (5, 128)
    assert text.count(dialect.barrier()) == 8  # the states, and 7 halvings
    assert "shared_[128]" in text


def test_columns_are_neighbours() -> None:
    (step,) = plan(OpenCL(), (50, 100), 0, group_size=64).steps
    assert "in_0[p_ + j_" in step.handle.text
    assert "acc_[64]" in step.handle.text
    assert step.groups == 2


def test_how_work_is_dealt_out_does_not_depend_on_units() -> None:
    few, many = (plan(OpenCL(), (3, 1 << 18), 1, group_size=64, lanes=32, units=units)
                 for units in (1, 100))
    assert [(s.groups, s.scalars, s.handle.text) for s in few.steps] == [
        (s.groups, s.scalars, s.handle.text) for s in many.steps]


def test_complex_sums_have_two_numbers() -> None:
    states = formula(Reduction("0", "acc + x"), accumulated)
    found = states(dtypes.complex64, None, "i32")
    assert found is not None
    assert found[0].registers == ("f32", "f32")


# ---- mutants -------------------------------------------------------------------------------------
class WithoutBarriers(OpenCL):
    """What a kernel is without its barriers."""

    def barrier(self) -> str:
        return ";"


def check_rows(device: Device) -> None:
    """The check that mutants must fail: rows that fill no group, no vector and no strip."""
    x = numbers((300, 101))
    for dim in (1, 0):
        np.testing.assert_allclose(
            device.run("sum", x, dim=(dim,), keepdim=False), x.sum(dim, np.float64),
            rtol=1e-5, atol=1e-4)


def test_rows_find_a_missing_barrier() -> None:
    check_rows(Device(opencl_backend(32)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_rows(Device(opencl_backend(32, WithoutBarriers())))


@pytest.mark.parametrize(("tail", "instead"), [
    (r"for \(int at_ = done_; at_ < run;", "for (int at_ = done_; at_ < 0;"),  # of a row
    (r"(for \(int (step_\w*) = done_; \2 < )", r"\g<1>0 * "),  # of the rows of a strip
    (r"column_ >= own_", "column_ >= own_ + 37"),  # of the columns
], ids=["row", "steps", "columns"])
def test_rows_find_a_dropped_tail(
    monkeypatch: pytest.MonkeyPatch, tail: str, instead: str
) -> None:
    monkeypatch.setenv("CFLAGS", "-O1")
    backend = c_backend()
    compiled, changed = type(backend).compile, []

    def without_tail(self: Any, source: KernelSource, index: int) -> Any:
        text, count = re.subn(tail, instead, source.text)
        changed.append(count)
        return compiled(self, KernelSource(
            source.name, text, source.parameters, source.group_size), index)

    check_rows(Device(backend))
    monkeypatch.setattr(type(backend), "compile", without_tail)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_rows(Device(type(backend)()))
    assert any(changed)
