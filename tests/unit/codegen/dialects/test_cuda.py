"""CUDA C for NVRTC: no headers, one rounding per operation, groups."""

from __future__ import annotations

import pytest

from flambeau.backend import dtypes
from flambeau.backend.generated import Cuda
from flambeau.codegen.block import Kernel


def test_no_header_is_included() -> None:
    kernel = Kernel(Cuda(), "fb_k", 256)
    x, y = kernel.buffer("x", dtypes.float16), kernel.buffer("y", dtypes.bfloat16, True)
    with kernel.item(kernel.scalar("count", "i32"), "i32") as i:
        kernel.store(y, i, kernel.load(x, i))
    text = kernel.finish().text
    assert "#include" not in text
    assert 'extern "C" __global__ void __launch_bounds__(256)' in text
    assert "cvt.f32.f16" in text


def test_contraction_and_flushing_are_off() -> None:
    assert {"--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"} <= {*Cuda.flags}


@pytest.mark.parametrize(("function", "single", "double"), [
    ("sqrt", "__fsqrt_rn(x)", "__dsqrt_rn(x)"), ("round", "rintf(x)", "rint(x)"),
    ("as_bits", "__float_as_int(x)", "__double_as_longlong(x)"),
])  # fmt: skip
def test_functions(function: str, single: str, double: str) -> None:
    assert Cuda().basic(function, ["x"], "f32") == single
    assert Cuda().basic(function, ["x"], "f64") == double


def test_groups() -> None:
    d = Cuda()
    assert d.shared("i64", "s", 32) == "__shared__ long long s[32];"
    assert d.barrier() == "__syncthreads();"
    assert d.position("local", "i32") == "(int)threadIdx.x"
    assert d.position("item", "i64") == (
        "(long long)blockIdx.x * (long long)blockDim.x + (long long)threadIdx.x")


def test_functions_run_on_the_device() -> None:
    text = Cuda().function("fb_f", [("f32", "x")], "f32", ["return x;"])
    assert text.startswith("static __device__ inline float fb_f(float x) {")
