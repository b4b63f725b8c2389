"""The stable sort, against NumPy's."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_device import Device, c_backend

from flambeau.backend.generated import C, Cuda, KernelSource, OpenCL
from flambeau.codegen.kernels.sort import RUN, Sort
from flambeau.dtypes import bfloat16, float32

Array = np.ndarray[Any, Any]


def wanted(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    """Values and places; NaN counts as greatest, equal elements keep their order."""
    if not x.ndim:
        return x, np.zeros((), np.int64)
    keys = x.astype(np.float32) if x.dtype.kind == "V" else x
    if descending:
        order = np.flip(np.argsort(np.flip(keys, dim), axis=dim, kind="stable"), dim)
        order = x.shape[dim] - 1 - order
    else:
        order = np.argsort(keys, axis=dim, kind="stable")
    return np.take_along_axis(x, order, dim), order


def check(device: Device, x: Array, dim: int, descending: bool) -> None:
    values, places = device.run("sort_stable", x, dim=dim, descending=descending)
    want, order = wanted(x, dim, descending)
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(values.astype(want.dtype), want)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("shape", "dim", "order"), [
    ((), 0, None), ((1,), 0, None), ((RUN,), 0, None), ((5, RUN + 1), 1, None),
    ((3, 4), 0, None), ((40, 3), 0, (1, 0)), ((2, 300, 3), 1, None), ((2, 3, 65), 2, (1, 0, 2)),
    ((5000,), 0, None), ((3, 0), 1, None), ((0, 3), 1, None),
])
def test_shapes(device: Device, shape: Any, dim: int, order: Any, descending: bool) -> None:
    x = np.asarray(np.random.default_rng(0).integers(0, 50, shape)).astype(np.float32)
    x = x if order is None else x.transpose(order)
    dim = dim if order is None else order.index(dim)
    check(device, x, dim, descending)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("what", [
    np.bool_, np.uint8, np.int8, np.int64, np.float16, ml_dtypes.bfloat16, np.float64])
def test_dtypes(c_device: Device, what: Any, descending: bool) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (2, 200)).astype(what)
    check(c_device, x, 1, descending)


@pytest.mark.parametrize("descending", [False, True])
def test_nan_counts_as_greatest(device: Device, descending: bool) -> None:
    x = np.random.default_rng(0).normal(size=500).astype(np.float32)
    x[::7], x[::11], x[::13] = np.nan, np.inf, -np.inf
    check(device, x, 0, descending)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(-3, 3), max_size=200), st.booleans())
def test_any_list(c_device: Device, numbers: list[int], descending: bool) -> None:
    check(c_device, np.array(numbers, np.int32), 0, descending)


# ---- texts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_merges_find_their_place_by_bisection(dialect: Any) -> None:
    text = Sort(float32, False, True, ("?", "?"), "11", True, "i32", 1).source(dialect).text
    assert "while (low_ < high_)" in text
    assert "places[" in text


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_runs_are_sorted_in_private_memory(dialect: Any) -> None:
    text = Sort(bfloat16, True, False, ("?",), "?", False, "i32", 1).source(dialect).text
    assert f"values_[{RUN}]" in text
    assert "fb_load_bf16(in_values" in text


# ---- mutants -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("part", "instead"), [
    (r": n\)", ": n - 1)"),  # the last stretch of a row
    (r"(length_ = .*);", r"\1 - 1;"),  # the last element of a run
    (r"\(j_ < right_count_\)", "(j_ <= right_count_)"),  # the end of a run that is merged
], ids=["stretch", "run", "merge"])
def test_sorted_rows_find_a_mutant(
    monkeypatch: pytest.MonkeyPatch, part: str, instead: str
) -> None:
    monkeypatch.setenv("CFLAGS", "-O1")
    backend = c_backend()
    compiled, changed = type(backend).compile, []

    def mutated(self: Any, source: KernelSource, index: int) -> Any:
        text, count = re.subn(part, instead, source.text)
        changed.append(count)
        return compiled(self, KernelSource(
            source.name, text, source.parameters, source.group_size), index)

    x = np.random.default_rng(0).normal(size=(2, 3001)).astype(np.float32)
    check(Device(backend), x, 1, False)
    monkeypatch.setattr(type(backend), "compile", mutated)
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check(Device(type(backend)()), x, 1, False)
    assert any(changed)
