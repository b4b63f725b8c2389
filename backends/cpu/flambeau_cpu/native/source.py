"""The C texts of kernels from scalar formulas: loops over elements side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from flambeau.backend import dtypes
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import CODES

STAGED: Final = {"float16": CODES["e"]}
"""Dtypes that the engine converts, because compilers find no vectors for that, and their codes."""
LIGHT_TASK: Final = 32768
HEAVY_TASK: Final = 8192
"""Elements: with functions an element costs several times what it costs to move it."""
_VERSION: Final = 4
"""Of :func:`source`: to be counted up when it writes another text."""
_HEAD: Final = '#include "pointwise.h"\n'
_LARGE: Final = re.compile(r"fb_(sin|cos|tan)_large_(f32|f64)\(x_in\)")
_WITH_LARGE: Final = frozenset({"sin", "cos", "tan", "sinc"})
"""Ops whose results are nan where a part for large angles, which they seldom need, is left out."""


@dataclass(frozen=True)
class Spec:
    """What a kernel is generated from, as :class:`flambeau.codegen.kernels.pointwise.Pointwise`."""

    name: str
    formula: str
    inputs: tuple[Any, ...]
    out: Any
    floating: Any
    integer: Any

    @property
    def tensors(self) -> list[Any]:
        """The dtypes of the result and the arrays."""
        return [self.out, *(x.dtype for x in self.inputs if x.dtype is not None)]

    @property
    def numbers(self) -> list[Any]:
        """The inputs that are none."""
        return [x for x in self.inputs if x.dtype is None]


@cache
def library(spec: Spec) -> Library:
    """The library of a kernel: ``run(engine, result, arrays..., numbers...)``."""
    from flambeau.backend.generated import version

    letters = "".join("d" if _member(x) == "f" else "i" for x in spec.numbers)
    return Library(
        f"pointwise-{spec.name}", {"run": f"Ip{'a' * len(spec.tensors)}{letters}"},
        lambda: source(spec), f"{_HEAD}{version()}\n{_VERSION}\n{spec}")


def source(spec: Spec) -> str:
    """The text of a kernel."""
    from flambeau.backend.generated import C, Kernel, Scalars, Value

    dialect = C()
    kernel = Kernel(dialect, "block")
    out = kernel.buffer("out", _seen(spec.out), True)
    values: dict[str, Value] = {}
    for x in spec.inputs:
        if x.dtype is not None:
            buffer = kernel.buffer(f"in_{x.name}", _seen(x.dtype))
            values[x.name] = kernel.load(buffer, "i")
        else:
            values[x.name] = Value(x.number, (f"number_{x.name}",))
    scalars = Scalars(kernel, spec.floating, spec.integer, values)
    kernel.store(out, "i", _converted(kernel, spec.out, scalars.evaluate(spec.formula)))
    parts = [*kernel.functions.values()]
    loop = _loop(dialect, kernel, spec)
    if spec.name in _WITH_LARGE:
        parts += [*_without_large(parts), f"static {loop.replace('block(', 'exact(')}",
                  f"static {_quick(loop)}", _two_ways(spec)]
    else:
        parts.append(f"static {loop}")
    text = dialect.assembled(parts, "")
    return f"{_HEAD}{text}\n{_entry(spec, HEAVY_TASK if kernel.functions else LIGHT_TASK)}"


def _loop(dialect: Any, kernel: Any, spec: Spec) -> str:
    pointers = [
        f"  {text} = (void *)places[{o}];"
        for o, text in enumerate(dialect.declarations(kernel.parameters))]
    numbers = [
        f"  const {dialect.type(x.number)} number_{x.name} = "
        f"({dialect.type(x.number)})numbers[{k}].{_member(x)};"
        for k, x in enumerate(spec.numbers)]
    return "\n".join([
        "void block(char *const *places, i64 n, const fb_number *numbers) {",
        *pointers, *numbers, "  FB_INDEPENDENT", "  for (i64 i = 0; i < n; ++i) {",
        *(f"    {line}" for line in kernel.lines), "  }", "}"])


def _converted(kernel: Any, out: Any, value: Any) -> Any:
    """A value on its way to narrower elements: floats wrap as integers of 64 bits do, and are
    rounded once."""
    value = kernel.let(value, "y")
    if value.register in ("f32", "f64") and out.category == 1 and out.itemsize < 8:
        return kernel.cast(value, "i64")
    if value.register == "f64" and out.name in STAGED:
        return kernel.rounded_to_odd(value)
    return value


def _seen(what: Any) -> Any:
    """The dtype in which a kernel sees elements."""
    return dtypes.float32 if what.name in STAGED else what


def _member(x: Any) -> str:
    return "f" if x.number in ("f32", "f64") else "i"


# ---- large angles --------------------------------------------------------------------------------
def _without_large(functions: list[str]) -> list[str]:
    """The functions that have a part for large angles, giving nan there."""
    return [
        re.sub(r"fb_(sin|cos|tan)_(f32|f64)\(", r"quick_\1_\2(",
               _LARGE.sub('__builtin_nan("")', text))
        for text in functions if _LARGE.search(text) and "_large_" not in text.partition("(")[0]]


def _quick(loop: str) -> str:
    return re.sub(
        r"fb_(sin|cos|tan)_(f32|f64)\(", r"quick_\1_\2(", loop.replace("block(", "quick("))


def _two_ways(spec: Spec) -> str:
    """A block that leaves the part for large angles out, and starts anew where that gives nan."""
    sizes = [_seen(t).itemsize for t in spec.tensors]
    what = "f64" if _seen(spec.out).itemsize == 8 else (
        "unsigned short" if _seen(spec.out).itemsize == 2 else "f32")
    is_nan = "(y[i] & 0x7fff) > 0x7f80" if what == "unsigned short" else "y[i] != y[i]"
    moved = ", ".join(f"places[{o}] + k * {size}" for o, size in enumerate(sizes))
    return f"""\
static void block(char *const *places, i64 n, const fb_number *numbers) {{
  for (i64 k = 0; k < n; k += 512) {{
    const i64 m = fb_min(512, n - k);
    {what} y[512];
    int has_nan = 0;
    char *there[] = {{{moved}}};
    char *const out = there[0];
    there[0] = (char *)y;
    quick(there, m, numbers);
    for (i64 i = 0; i < m; ++i) has_nan |= {is_nan};
    there[0] = out;
    if (has_nan) exact(there, m, numbers);
    else __builtin_memcpy(out, y, m * sizeof *y);
  }}
}}"""


# ---- the entry -----------------------------------------------------------------------------------
def _entry(spec: Spec, task: int) -> str:
    """The function that is called, and what it tells the engine."""
    tensors, numbers = spec.tensors, spec.numbers
    codes = ", ".join(str(STAGED.get(t.name, 0)) for t in tensors)
    sizes = ", ".join(str(t.itemsize) for t in tensors)
    parameters = ["fb_engine engine", *(f"const array *x{o}" for o in range(len(tensors)))]
    parameters += [f"{'f64' if _member(x) == 'f' else 'i64'} n{k}" for k, x in enumerate(numbers)]
    given = ", ".join(f"{{.{_member(x)} = n{k}}}" for k, x in enumerate(numbers)) or "{0}"
    arrays = ", ".join(f"x{o}" for o in range(len(tensors)))
    return (
        f"static const fb_kernel kernel = {{block, {len(tensors)}, {{{codes}}}, {{{sizes}}}, "
        f"{task}}};\ni64 run({', '.join(parameters)}) {{\n"
        f"  const array *const x[] = {{{arrays}}};\n"
        f"  const fb_number numbers[] = {{{given}}};\n  return engine(&kernel, x, numbers);\n}}\n")
