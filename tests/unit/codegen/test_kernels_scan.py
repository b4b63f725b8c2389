"""Running sums, products and extremes in every form of their kernels, against NumPy."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, c_backend, opencl_backend

from flambeau.backend.generated import C, Cuda, KernelSource, OpenCL
from flambeau.codegen.category import Category
from flambeau.codegen.kernels.scan import Carry, Scan
from flambeau.codegen.kernels.states import Formula
from flambeau.codegen.reduction import Reduction
from flambeau.dtypes import float32

Array = np.ndarray[Any, Any]

CASES: list[tuple[tuple[int, ...], int, tuple[int, ...] | None]] = [
    ((), 0, None),
    ((5,), 0, None),
    ((3, 4), 0, None),
    ((4, 3), 1, (1, 0)),
    ((6, 101), 1, None),
    ((101, 70), 0, None),  # columns that fill no strip
    ((2, 3, 40, 5), 2, (1, 0, 2, 3)),
    ((70_001,), 0, None),  # chunks
    ((2, 70_001), 1, None),
    ((70_001, 2), 0, None),
    ((3, 0), 1, None),
    ((0, 3), 1, None),
]
"""Shape, dimension, and an order in which the dimensions are taken before."""


def numbers(shape: tuple[int, ...], order: Any = None, what: Any = np.float32) -> Array:
    """Small whole numbers: every sum of them is exact."""
    x = np.asarray(np.random.default_rng(0).integers(-4, 5, shape)).astype(what)
    return x if order is None else x.transpose(order)


@pytest.mark.parametrize(("shape", "dim", "order"), CASES)
def test_cumsum(device: Device, shape: Any, dim: int, order: Any) -> None:
    x = numbers(shape, order)
    want = np.cumsum(x, dim) if x.ndim else x
    np.testing.assert_array_equal(device.run("cumsum", x, dim=dim), want)


@pytest.mark.parametrize(("shape", "dim", "order"), CASES)
@pytest.mark.parametrize(("op", "ufunc"), [("cummax_along", np.maximum)])
def test_cumulative_extremes(
    device: Device, op: str, ufunc: Any, shape: Any, dim: int, order: Any
) -> None:
    x = numbers(shape, order)
    values, places = device.run(op, x, dim=dim)
    want = ufunc.accumulate(x, dim) if x.ndim else x
    np.testing.assert_array_equal(values, want)
    if x.ndim:
        at = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
        last = np.maximum.accumulate(np.where(x == want, at, 0), dim)
        np.testing.assert_array_equal(places, last)  # of equal values the last one


def test_nan_stays_once_it_has_come(device: Device) -> None:
    x = np.array([1, 3, np.nan, 5, np.nan, 2], np.float32)
    values, places = device.run("cummin_along", x, dim=0)
    np.testing.assert_array_equal(values, [1, 1, *[np.nan] * 4])
    assert places.tolist() == [0, 0, 2, 2, 4, 4]


@pytest.mark.parametrize("what", [np.int32, np.int64, np.float16, np.float64, np.complex64])
def test_dtypes(c_device: Device, what: Any) -> None:
    x = numbers((5, 9)).astype(what)
    found = c_device.run("cumsum", x, dim=1)
    assert found.dtype == (np.int64 if x.dtype.kind == "i" else x.dtype)
    np.testing.assert_array_equal(found, np.cumsum(x, 1))


def test_products_and_logarithms(device: Device) -> None:
    x = np.random.default_rng(0).random((7, 50)).astype(np.float32) + np.float32(0.5)
    np.testing.assert_allclose(
        device.run("cumprod", x, dim=1, dtype=None), np.cumprod(x.astype(np.float64), 1), rtol=1e-5)
    np.testing.assert_allclose(
        device.run("logcumsumexp", 100 * x, dim=1),
        np.logaddexp.accumulate(100 * x.astype(np.float64), 1), rtol=1e-5)


def test_in_place(c_device: Device) -> None:
    x = numbers((2, 70_001))
    native = c_device.put(x)
    c_device.backend.kernels.out["cumsum"](native, native, dim=1)
    np.testing.assert_array_equal(c_device.get(native), np.cumsum(x, 1))


# ---- texts ---------------------------------------------------------------------------------------
SUM = Formula("f32", "i32", Reduction("0", "acc + x"), Category.FLOATING)


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
@pytest.mark.parametrize("form", ["row", "column"])
def test_items_have_rows(dialect: Any, form: Any) -> None:
    spec = Scan("cumsum", SUM, float32, (float32,), form, 64, ("?1", "?1"), "??", True, "i32", 1)
    source = spec.source(dialect)
    assert [p.name for p in source.parameters if p.is_buffer] == ["x", "out_0", "state_0"]
    assert ("acc_[64]" in source.text) == (form == "column")
    assert dialect.name == "c" or dialect.barrier() not in source.text


@pytest.mark.parametrize("dialect", [OpenCL(), Cuda()], ids=lambda d: d.name)
def test_groups_scan_tiles(dialect: Any) -> None:
    spec = Scan("cumsum", SUM, float32, (float32,), "group", 32, ("?", "?"), "11", False, "i32", 32)
    text = spec.source(dialect).text
    assert text.count(dialect.barrier()) == 2 + 2 * 5  # around the tile, and in each step
    assert "tile_ += 32" in text


def test_states_before_each_chunk_are_written_in_place() -> None:
    source = Carry("cumsum", SUM, "i32", 64).source(OpenCL())
    assert [(p.name, p.is_written) for p in source.parameters if p.is_buffer] == [
        ("state_0", True)]


# ---- mutants -------------------------------------------------------------------------------------
class WithoutBarriers(OpenCL):
    """What a kernel is without its barriers."""

    def barrier(self) -> str:
        return ";"


def check_rows(device: Device) -> None:
    """The check that mutants must fail: rows that fill no tile and no chunk."""
    for shape in ((40, 1001), (2, 70_001)):
        x = numbers(shape)
        np.testing.assert_array_equal(device.run("cumsum", x, dim=1), np.cumsum(x, 1))


def test_rows_find_a_missing_barrier() -> None:
    check_rows(Device(opencl_backend(32)))
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check_rows(Device(opencl_backend(32, WithoutBarriers())))


@pytest.mark.parametrize(("part", "instead"), [
    (r"at_ < n;", "at_ < n - 1;"),  # the last element of a row
    (r"state_0\[before_\]", "0"),  # what came before a chunk
], ids=["tail", "carry"])
def test_rows_find_a_dropped_part(
    monkeypatch: pytest.MonkeyPatch, part: str, instead: str
) -> None:
    monkeypatch.setenv("CFLAGS", "-O1")
    backend = c_backend()
    compiled = type(backend).compile

    def without(self: Any, source: KernelSource, index: int) -> Any:
        return compiled(self, KernelSource(
            source.name, re.sub(part, instead, source.text), source.parameters,
            source.group_size), index)

    check_rows(Device(backend))
    monkeypatch.setattr(type(backend), "compile", without)
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check_rows(Device(type(backend)()))
