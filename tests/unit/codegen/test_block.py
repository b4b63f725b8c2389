"""Statements: names, loops, loads and stores, in every dialect."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from kernel_device import Device

from flambeau.backend import dtypes
from flambeau.codegen.block import Block, Kernel, Value, real
from flambeau.codegen.dialects import C, Cuda, Dialect, OpenCL

DIALECTS = [C(), OpenCL(), Cuda()]
every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)


# ---- names ---------------------------------------------------------------------------------------
def test_fresh_names_are_never_used_twice() -> None:
    block = Block(C())
    names = [block.fresh(hint) for hint in ("t", "t", "u", "t")]
    assert names == ["t_", "t_2", "u_", "t_3"]


def test_let_names_what_is_no_name_yet() -> None:
    block = Block(C())
    assert block.let(real("f32", "x")).text == "x"
    assert block.let(real("f32", "x + 1")).text == "t_"
    pair = block.let(Value("f32", ("a + b", "c")), "z")
    assert pair.parts == ("z_r_", "c")
    assert block.lines == ["const float t_ = x + 1;", "const float z_r_ = a + b;"]


def test_parts_are_assigned_at_once() -> None:
    block = Block(C())
    z = block.variable(Value("f32", ("a", "b")), "z")
    block.assign(z, Value("f32", (f"{z.parts[0]} - {z.parts[1]}", f"{z.parts[0]} + 1")))
    *_, first, second = block.lines
    assert (first, second) == ("z_r_ = t_r_;", "z_i_ = t_i_;")


def test_braces_nest() -> None:
    block = Block(C())
    with block.loop("i32", "0", "n") as i, block.when(f"{i} > 2"):
        block.line("f();")
    assert block.lines == [
        "for (int i_ = 0; i_ < n; ++i_) {", "  if (i_ > 2) {", "    f();", "  }", "}"]


# ---- kernels -------------------------------------------------------------------------------------
def copying(dialect: Dialect, source: Any, target: Any, size: int = 64) -> str:
    """A kernel that copies elements from one dtype to another."""
    kernel = Kernel(dialect, "fb_test", size)
    x, y = kernel.buffer("x", source), kernel.buffer("y", target, True)
    count = kernel.scalar("count", "i32")
    with kernel.item(count, "i32") as i:
        kernel.store(y, i, kernel.load(x, i))
    return kernel.finish().text


@every_dialect
def test_only_what_is_written_is_not_const(dialect: Dialect) -> None:
    text = copying(dialect, dtypes.float32, dtypes.int32)
    assert f"{dialect.global_}const float *x" in text  # type: ignore[attr-defined]
    assert f"{dialect.global_}int *y" in text  # type: ignore[attr-defined]
    assert "y[item_] = ((int)x_);" in text


@every_dialect
def test_items_beyond_the_count_do_nothing(dialect: Dialect) -> None:
    text = copying(dialect, dtypes.float32, dtypes.float32)
    assert ("if (item_ < count) {" in text) == dialect.has_groups


@every_dialect
def test_complex_elements_are_two_reals(dialect: Dialect) -> None:
    text = copying(dialect, dtypes.float32, dtypes.complex64)
    assert "y[2 * (item_)] = x_;" in text
    assert "y[2 * (item_) + 1] = 0.0f;" in text


@every_dialect
def test_narrow_floats_go_through_helpers(dialect: Dialect) -> None:
    text = copying(dialect, dtypes.float16, dtypes.bfloat16)
    assert "fb_load_f16(x, item_)" in text
    assert "fb_store_bf16(y, item_, x_)" in text
    assert text.index("fb_store_bf16") < text.index("fb_test")


@every_dialect
def test_numbers_are_never_bools_of_the_language(dialect: Dialect) -> None:
    kernel = Kernel(dialect, "fb_test", 1)
    kernel.scalar("flag", "bool")
    text = kernel.finish().text
    assert "bool flag" not in text
    assert "Bool flag" not in text


@every_dialect
def test_parts_of_complex_numbers_are_added_atomically(dialect: Dialect) -> None:
    kernel = Kernel(dialect, "fb_test", 64)
    y = kernel.buffer("y", dtypes.complex64, True)
    kernel.atomic_add(y, "p", Value("f32", ("a", "b")))
    text = kernel.finish().text
    assert "fb_atomic_add_f32(y, 2 * (p), a);" in text
    assert "fb_atomic_add_f32(y, 2 * (p) + 1, b);" in text


def test_groups_belong_to_devices_that_have_them() -> None:
    for dialect in (OpenCL(), Cuda()):
        kernel = Kernel(dialect, "fb_test", 32)
        name = kernel.shared("f32", 32)
        kernel.barrier()
        text = kernel.finish().text
        assert f"{name}[32]" in text
        assert "barrier" in text or "__syncthreads" in text
    with pytest.raises(NotImplementedError, match="no groups"):
        Kernel(C(), "fb_test").barrier()


# ---- one rounding --------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["float16", "bfloat16"])
def test_doubles_are_rounded_once(c_device: Device, what: str) -> None:
    narrow = np.float16 if what == "float16" else ml_dtypes.bfloat16
    digits = 11 if what == "float16" else 8
    # Just above and below the middle of two neighbours, by less than single precision can tell.
    middle = 1 + 2.0**-digits
    near = [middle + sign * 2.0**-k for k in (24, 25, 30, 40, 52) for sign in (1, -1)]
    values = np.array([*near, *(-x for x in near), middle, middle + 2.0 ** (1 - digits), 0.0, -0.0,
                       np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300, 65519.99999999, 65520.0,
                       5.9604644775390625e-08 * (0.5 + 1e-12), 3.3961e38, 3.39615e38])
    x = c_device.put(values)
    out = c_device.put(np.zeros(values.size, narrow))
    c_device.backend.kernels.out["copy"](out, x)
    with np.errstate(over="ignore"):
        want = np.array([_nearest(v, narrow) for v in values]).astype(np.float64)
    np.testing.assert_array_equal(c_device.get(out).astype(np.float64), want)


def _nearest(value: float, narrow: Any) -> Any:
    """The nearest number of a format, ties to even: the direct conversion, checked on both sides.

    ml_dtypes converts doubles through single precision, so neighbours are compared here.
    """
    found = narrow(value)
    if not np.isfinite(value) or not np.isfinite(float(found)):
        return found
    bits = np.array(found).view(np.uint16)
    around = [np.array(int(bits) + k, np.uint16).view(narrow)[()] for k in (-1, 0, 1)
              if 0 <= int(bits) + k < 2**16]
    around = [x for x in around if np.isfinite(float(x))]
    return min(around, key=lambda x: (abs(float(x) - value), int(np.array(x).view(np.uint16)) & 1))
