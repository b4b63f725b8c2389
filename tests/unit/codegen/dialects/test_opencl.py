"""OpenCL C: address spaces, extensions, groups."""

from __future__ import annotations

import pytest

from flambeau.backend import dtypes
from flambeau.backend.generated import OpenCL
from flambeau.codegen.block import Kernel
from flambeau.codegen.dialects import Parameter


def kernel_of(*whats: dtypes.dtype) -> str:
    """A kernel that does nothing with buffers of dtypes."""
    kernel = Kernel(OpenCL(), "fb_k", 64)
    for n, what in enumerate(whats):
        kernel.buffer(f"b{n}", what)
    return kernel.finish().text


def test_contraction_is_off() -> None:
    assert kernel_of(dtypes.float32).startswith("#pragma OPENCL FP_CONTRACT OFF")


def test_double_precision_is_asked_for_only_where_it_is_used() -> None:
    assert "cl_khr_fp64" not in kernel_of(dtypes.float32, dtypes.int64, dtypes.float16)
    text = kernel_of(dtypes.float64)
    assert text.index("cl_khr_fp64 : enable") < text.index("double *b0")


def test_half_precision_needs_no_extension() -> None:
    text = kernel_of(dtypes.float16)
    assert "cl_khr_fp16" not in text
    assert "__global const half *b0" in text


def test_wide_atomics_ask_for_their_extension() -> None:
    p = Parameter("y", "f64", True, True)
    text = OpenCL().kernel("fb_k", [p], [], OpenCL().atomic_add(p, "i", "v"), 64)
    assert "cl_khr_int64_base_atomics : enable" in text
    assert "cl_khr_fp64 : enable" in text
    narrow = Parameter("y", "f32", True, True)
    text = OpenCL().kernel("fb_k", [narrow], [], OpenCL().atomic_add(narrow, "i", "v"), 64)
    assert "int64" not in text


def test_groups() -> None:
    d = OpenCL()
    assert d.shared("f32", "s", 64) == "__local float s[64];"
    assert "CLK_LOCAL_MEM_FENCE" in d.barrier()
    assert "CLK_GLOBAL_MEM_FENCE" in d.barrier()


@pytest.mark.parametrize(("what", "word"), [
    ("item", "get_global_id"), ("local", "get_local_id"), ("group", "get_group_id"),
    ("groups", "get_num_groups")])
def test_positions(what: str, word: str) -> None:
    assert OpenCL().position(what, "i32") == f"(int){word}(0)"  # type: ignore[arg-type]
    assert OpenCL().position(what, "i64") == f"(long){word}(0)"  # type: ignore[arg-type]
