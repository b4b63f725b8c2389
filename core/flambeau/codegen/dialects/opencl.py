"""OpenCL C 1.2.

Contraction is off, and buffers are never cut into sub-buffers: kernels take offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from flambeau.codegen.dialects.base import Index, Parameter, Register
from flambeau.codegen.dialects.clike import CLike

_LOOP = """\
static inline void {name}(__global {type} *p, {index} i, {type} v) {{
  volatile __global {word} *a = (volatile __global {word} *)(p + i);
  {word} old = *a, seen;
  do {{
    seen = old;
    old = {exchange}(a, seen, {as_word}({as_type}(seen) + v));
  }} while (old != seen);
}}"""


def _atomic(name: str, type_: str, word: str, exchange: str) -> str:
    return _LOOP.format(name=name, type=type_, index="long", word=word, exchange=exchange,
                        as_word=f"as_{word}", as_type=f"as_{type_}")


class OpenCL(CLike):
    """OpenCL C for devices of any kind."""

    name = "opencl"
    extension = "cl"
    flags = ("-cl-std=CL1.2",)
    global_ = "__global "
    widths = (16, 8, 4)
    types: ClassVar[dict[str, Any]] = {
        "bool": "bool", "i8": "char", "u8": "uchar", "i16": "short", "u16": "ushort",
        "i32": "int", "u32": "uint", "i64": "long", "u64": "ulong", "f32": "float",
        "f64": "double", "f16": "half", "bf16": "ushort",
    }
    basics: ClassVar[dict[str, Any]] = {
        **{name: (f"{word}({{0}})",) * 2 for name, word in {
            "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "rint",
            "abs": "fabs"}.items()},
        "fma": ("fma({0}, {1}, {2})",) * 2,
        "fmod": ("fmod({0}, {1})",) * 2,
        "as_bits": ("as_int({0})", "as_long({0})"),
        "from_bits": ("as_float({0})", "as_double({0})"),
    }
    header = "#pragma OPENCL FP_CONTRACT OFF"
    helpers: ClassVar[dict[str, Any]] = {
        "double": "#pragma OPENCL EXTENSION cl_khr_fp64 : enable",
        "fb_atomic_add_i64": "#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"
        "static inline void fb_atomic_add_i64(__global long *p, long i, long v) {\n"
        "  atom_add((volatile __global long *)(p + i), v);\n}",
        "fb_atomic_add_f64": "#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"
        + _atomic("fb_atomic_add_f64", "double", "long", "atom_cmpxchg"),
        "fb_atomic_add_i32": "static inline void fb_atomic_add_i32(__global int *p, long i, int v)"
        " {\n  atomic_add((volatile __global int *)(p + i), v);\n}",
        "fb_atomic_add_f32": _atomic("fb_atomic_add_f32", "float", "int", "atomic_cmpxchg"),
        "fb_load_f16": "#define fb_load_f16(p, i) vload_half((i), (p))",
        "fb_store_f16": "#define fb_store_f16(p, i, v) vstore_half_rte((v), (i), (p))",
        "fb_load_bf16": "#define fb_load_bf16(p, i) as_float((uint)(p)[i] << 16)",
        "fb_store_bf16": (
            "static inline ushort fb_to_bf16(float x) {\n"
            "  const uint u = as_uint(x);\n"
            "  return x != x ? 0x7fc0 : (ushort)((u + 0x7fff + ((u >> 16) & 1)) >> 16);\n}\n"
            "#define fb_store_bf16(p, i, v) ((p)[i] = fb_to_bf16(v))"),
    }

    def vector(
        self, target: Parameter, at: str, source: Parameter, place: str, count: int, adds: bool
    ) -> list[str]:
        value = f"vload{count}(0, {source.name} + ({place}))"
        if adds:
            value = f"vload{count}(0, {target.name} + ({at})) + {value}"
        return [f"vstore{count}({value}, 0, {target.name} + ({at}));"]

    def shared(self, register: Register, name: str, count: int) -> str:
        return f"__local {self.type(register)} {name}[{count}];"

    def barrier(self) -> str:
        return "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);"

    def position(self, what: Literal["item", "local", "group", "groups"], index: Index) -> str:
        word = {"item": "get_global_id", "local": "get_local_id", "group": "get_group_id",
                "groups": "get_num_groups"}[what]
        return f"({self.type(index)}){word}(0)"

    def kernel(
        self, name: str, parameters: Sequence[Parameter], functions: Sequence[str],
        body: Sequence[str], group_size: int,
    ) -> str:
        listed = ",\n    ".join(self.declarations(parameters))
        size = f"__attribute__((reqd_work_group_size({group_size}, 1, 1)))"
        lines = [f"__kernel {size}", f"void {name}(", f"    {listed}) {{"]
        return self.assembled(
            functions, "\n".join([*lines, *(f"  {line}" for line in body), "}"]))
