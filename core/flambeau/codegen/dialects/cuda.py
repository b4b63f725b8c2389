"""CUDA C, for NVRTC: no header is included, so none need be installed.

Contraction is turned off by the compiler's flag ``--fmad=false``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from flambeau.codegen.dialects.base import Index, Parameter, Register
from flambeau.codegen.dialects.clike import CLike

_F64_ADD = """\
static __device__ inline void fb_atomic_add_{0}({1} *p, long long i, {1} v) {{
  atomicAdd({2}(p + i), {3}v);
}}"""


class Cuda(CLike):
    """CUDA C for compute capability 7 and later."""

    name = "cuda"
    extension = "cu"
    flags = ("--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false", "--std=c++17")
    suffix_i64 = "ll"
    function_qualifier = "static __device__ inline"
    types: ClassVar[dict[str, Any]] = {
        "bool": "bool", "i8": "signed char", "u8": "unsigned char", "i16": "short",
        "u16": "unsigned short", "i32": "int", "u32": "unsigned int", "i64": "long long",
        "u64": "unsigned long long", "f32": "float", "f64": "double", "f16": "unsigned short",
        "bf16": "unsigned short",
    }
    basics: ClassVar[dict[str, Any]] = {
        "fma": ("__fmaf_rn({0}, {1}, {2})", "__fma_rn({0}, {1}, {2})"),
        "sqrt": ("__fsqrt_rn({0})", "__dsqrt_rn({0})"),
        "floor": ("floorf({0})", "floor({0})"),
        "ceil": ("ceilf({0})", "ceil({0})"),
        "trunc": ("truncf({0})", "trunc({0})"),
        "round": ("rintf({0})", "rint({0})"),
        "fmod": ("fmodf({0}, {1})", "fmod({0}, {1})"),
        "abs": ("fabsf({0})", "fabs({0})"),
        "as_bits": ("__float_as_int({0})", "__double_as_longlong({0})"),
        "from_bits": ("__int_as_float({0})", "__longlong_as_double({0})"),
    }
    helpers: ClassVar[dict[str, Any]] = {
        "fb_atomic_add_f32": _F64_ADD.format("f32", "float", "", ""),
        "fb_atomic_add_f64": _F64_ADD.format("f64", "double", "", ""),
        "fb_atomic_add_i32": _F64_ADD.format("i32", "int", "", ""),
        "fb_atomic_add_i64": _F64_ADD.format(
            "i64", "long long", "(unsigned long long *)", "(unsigned long long)"),
        "fb_load_f16": (
            "static __device__ inline float fb_half_to_float(unsigned short h) {\n"
            '  float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); return f;\n}\n'
            "#define fb_load_f16(p, i) fb_half_to_float((p)[i])"),
        "fb_store_f16": (
            "static __device__ inline unsigned short fb_float_to_half(float f) {\n"
            '  unsigned short h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f)); return h;\n}\n'
            "#define fb_store_f16(p, i, v) ((p)[i] = fb_float_to_half(v))"),
        "fb_load_bf16": (
            "#define fb_load_bf16(p, i) __uint_as_float((unsigned int)(p)[i] << 16)"),
        "fb_store_bf16": (
            "static __device__ inline unsigned short fb_to_bf16(float x) {\n"
            "  const unsigned int u = __float_as_uint(x);\n"
            "  return x != x ? 0x7fc0 : (unsigned short)((u + 0x7fff + ((u >> 16) & 1)) >> 16);\n"
            "}\n#define fb_store_bf16(p, i, v) ((p)[i] = fb_to_bf16(v))"),
    }

    def shared(self, register: Register, name: str, count: int) -> str:
        return f"__shared__ {self.type(register)} {name}[{count}];"

    def barrier(self) -> str:
        return "__syncthreads();"

    def position(self, what: Literal["item", "local", "group", "groups"], index: Index) -> str:
        word = self.type(index)
        if what == "item":
            return f"({word})blockIdx.x * ({word})blockDim.x + ({word})threadIdx.x"
        place = {"local": "threadIdx", "group": "blockIdx", "groups": "gridDim"}[what]
        return f"({word}){place}.x"

    def kernel(
        self, name: str, parameters: Sequence[Parameter], functions: Sequence[str],
        body: Sequence[str], group_size: int,
    ) -> str:
        listed = ",\n    ".join(self.declarations(parameters))
        lines = [
            f'extern "C" __global__ void __launch_bounds__({group_size})', f"{name}(",
            f"    {listed}) {{"]
        return self.assembled(
            functions, "\n".join([*lines, *(f"  {line}" for line in body), "}"]))
