"""C11 with the builtins that GCC and Clang share; for the host.

A kernel is a function that runs the work items from ``fb_first`` up to ``fb_last``: the caller
gives each thread a stretch of them.  There are no groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from flambeau.codegen.dialects.base import FLOATS, Index, Parameter, Register
from flambeau.codegen.dialects.clike import CLike

_ATOMIC = """\
static inline void fb_atomic_add_{0}({1} *p, long long i, {1} v) {{
  {2} *a = ({2} *)(p + i), old = __atomic_load_n(a, __ATOMIC_RELAXED), new;
  do {{
    {1} x;
    __builtin_memcpy(&x, &old, sizeof x);
    x += v;
    __builtin_memcpy(&new, &x, sizeof x);
  }} while (!__atomic_compare_exchange_n(
      a, &old, new, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}}"""


class C(CLike):
    """C for the host's compiler."""

    name = "c"
    extension = "c"
    flags = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
             "-fno-strict-aliasing", "-shared", "-fPIC")
    has_groups = False
    suffix_i64 = "ll"
    types: ClassVar[dict[str, Any]] = {
        "bool": "_Bool", "i8": "signed char", "u8": "unsigned char", "i16": "short",
        "u16": "unsigned short", "i32": "int", "u32": "unsigned int", "i64": "long long",
        "u64": "unsigned long long", "f32": "float", "f64": "double", "f16": "unsigned short",
        "bf16": "unsigned short",
    }
    basics: ClassVar[dict[str, Any]] = {
        **{name: (f"__builtin_{word}f({{0}})", f"__builtin_{word}({{0}})") for name, word in {
            "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "rint",
            "abs": "fabs"}.items()},
        "fma": ("__builtin_fmaf({0}, {1}, {2})", "__builtin_fma({0}, {1}, {2})"),
        "fmod": ("__builtin_fmodf({0}, {1})", "__builtin_fmod({0}, {1})"),
        "as_bits": ("fb_float_bits({0})", "fb_double_bits({0})"),
        "from_bits": ("fb_bits_float({0})", "fb_bits_double({0})"),
    }
    helpers: ClassVar[dict[str, Any]] = {
        "fb_float_bits": "static inline int fb_float_bits(float x) "
        "{ int i; __builtin_memcpy(&i, &x, 4); return i; }",
        "fb_bits_float": "static inline float fb_bits_float(int i) "
        "{ float x; __builtin_memcpy(&x, &i, 4); return x; }",
        "fb_double_bits": "static inline long long fb_double_bits(double x) "
        "{ long long i; __builtin_memcpy(&i, &x, 8); return i; }",
        "fb_bits_double": "static inline double fb_bits_double(long long i) "
        "{ double x; __builtin_memcpy(&x, &i, 8); return x; }",
        **{f"fb_atomic_add_{r}": f"#define fb_atomic_add_{r}(p, i, v) "
           "((void)__atomic_fetch_add((p) + (i), (v), __ATOMIC_RELAXED))" for r in ("i32", "i64")},
        "fb_atomic_add_f32": _ATOMIC.format("f32", "float", "int"),
        "fb_atomic_add_f64": _ATOMIC.format("f64", "double", "long long"),
        "fb_load_f16": "static inline float fb_load_f16(const unsigned short *p, long long i) "
        "{ _Float16 h; __builtin_memcpy(&h, p + i, 2); return (float)h; }",
        "fb_store_f16": "static inline void fb_store_f16(unsigned short *p, long long i, float v) "
        "{ _Float16 h = (_Float16)v; __builtin_memcpy(p + i, &h, 2); }",
        "fb_load_bf16": "#define fb_load_bf16(p, i) "
        "fb_bits_float((int)((unsigned int)(p)[i] << 16))",
        "fb_store_bf16": (
            "static inline unsigned short fb_to_bf16(float x) {\n"
            "  const unsigned int u = (unsigned int)fb_float_bits(x);\n"
            "  return x != x ? 0x7fc0 : (unsigned short)((u + 0x7fff + ((u >> 16) & 1)) >> 16);\n"
            "}\n#define fb_store_bf16(p, i, v) ((p)[i] = fb_to_bf16(v))"),
    }

    def cast(self, text: str, source: Register, target: Register) -> str:
        if source == "bool" and target in FLOATS:  # compilers find vectors for this one
            return self.select(text, self.literal(1, target), self.literal(0, target), target)
        return super().cast(text, source, target)

    def shared(self, register: Register, name: str, count: int) -> str:
        raise NotImplementedError("kernels in C have no groups")

    def barrier(self) -> str:
        raise NotImplementedError("kernels in C have no groups")

    def position(self, what: Literal["item", "local", "group", "groups"], index: Index) -> str:
        if what != "item":
            raise NotImplementedError("kernels in C have no groups")
        return "fb_item" if index == "i64" else f"({self.type(index)})fb_item"

    def kernel(
        self, name: str, parameters: Sequence[Parameter], functions: Sequence[str],
        body: Sequence[str], group_size: int,
    ) -> str:
        listed = ",\n    ".join(
            [*self.declarations(parameters), "const long long fb_first",
             "const long long fb_last"])
        lines = [
            f"void {name}(", f"    {listed}) {{",
            "  for (long long fb_item = fb_first; fb_item < fb_last; ++fb_item) {",
            *(f"    {line}" for line in body), "  }", "}"]
        return self.assembled(functions, "\n".join(lines))
