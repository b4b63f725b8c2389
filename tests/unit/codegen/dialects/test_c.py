"""C: what it has not, and kernels that run."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, c_backend

from flambeau.backend import dtypes
from flambeau.backend.generated import C
from flambeau.codegen.block import Kernel, real


@pytest.mark.parametrize("call", [
    lambda c: c.shared("f32", "x", 3), lambda c: c.barrier(), lambda c: c.position("local", "i32"),
    lambda c: c.position("groups", "i32"),
])  # fmt: skip
def test_there_are_no_groups(call: Any) -> None:
    with pytest.raises(NotImplementedError, match="no groups"):
        call(C())


def test_a_kernel_runs_the_items_that_it_is_given(c_device: Device) -> None:
    kernel = Kernel(C(), "fb_stretch")
    x = kernel.buffer("x", dtypes.int32, True)
    with kernel.item(kernel.scalar("count", "i32"), "i32") as i:
        kernel.store(x, i, real("i32", "1"))
    source = kernel.finish()
    assert source.text.count("fb_item") == 4
    handle = c_device.backend.compile(source, 0)
    memory = np.zeros(10, np.int32)
    handle(memory.ctypes.data, 10, 3, 7)  # the last argument's item is not run
    assert memory.tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_atomic_sums_of_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    backend = c_backend()
    for what, word in ((dtypes.float32, "f32"), (dtypes.int64, "i64"), (dtypes.float64, "f64")):
        kernel = Kernel(C(), "fb_sum")
        x = kernel.buffer("x", what, True)
        with kernel.item(kernel.scalar("count", "i32"), "i32"):
            kernel.atomic_add(x, "0", kernel.literal(1, word))  # type: ignore[arg-type]
        handle = backend.compile(kernel.finish(), 0)
        memory = np.zeros(1, what.numpy)
        with ThreadPoolExecutor(4) as pool:  # ctypes gives up the interpreter lock
            for _ in range(4):
                pool.submit(handle, memory.ctypes.data, 0, 0, 100_000)
        assert memory[0] == 400_000


@pytest.mark.parametrize(("value", "want"), [(300.0, 44), (-1.0, 255), (255.9, 255), (-0.5, 0)])
def test_floats_wrap_to_bytes(c_device: Device, value: float, want: int) -> None:
    out = c_device.put(np.zeros(1, np.uint8))
    c_device.backend.kernels.out["copy"](out, c_device.put(np.array([value], np.float32)))
    assert c_device.get(out) == want


def test_literals_are_what_they_say(c_device: Device) -> None:
    kernel, dialect = Kernel(C(), "fb_literals"), C()
    x = kernel.buffer("x", dtypes.float64, True)
    values = [0.1, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.7976931348623157e308, 1 / 3, -2.5e-10]
    kernel.scalar("count", "i32")
    for i, value in enumerate(values):
        kernel.store(x, str(i), real("f64", dialect.literal(value, "f64")))
    memory = np.zeros(len(values))
    c_device.backend.compile(kernel.finish(), 0)(
        memory.ctypes.data, ctypes.c_int(0), ctypes.c_int64(0), ctypes.c_int64(1))
    np.testing.assert_array_equal(memory, values)
    assert np.signbit(memory[1])
