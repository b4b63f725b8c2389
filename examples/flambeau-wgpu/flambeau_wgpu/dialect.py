"""WGSL, the language of WebGPU, as a target of generated kernels.

What WGSL lacks is made up for:

- There are no pointers: a buffer is a global array, and numbers are words of a uniform buffer.
- Memory is words: bytes and halves are cut out of them, and written by compare-and-exchange,
  so that work items may write parts of one word.
- There are no integers but ``i32`` and ``u32``: narrower ones wrap after each operation, and 64-bit
  ones are ``vec2<u32>`` with the arithmetic of ``library.wgsl``.
- Floats may be rearranged by the compiler, and their operations pass through ``wg_keep`` to stop
  it; infinities and nan cannot be written, and are made from bits at run time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np

from flambeau.backend.generated import Dialect, Parameter
from flambeau_wgpu.library import needed_by

SIGNED: Final = {"i8": 24, "i16": 16, "i32": 0}
"""Registers held in ``i32``, and by how far a shift to the left and back makes them wrap."""
UNSIGNED: Final = {"u8": "0xffu", "u16": "0xffffu", "u32": ""}
"""Registers held in ``u32``, and the mask by which they wrap."""
WIDE: Final = ("i64", "u64")
ARITHMETIC: Final = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
WIDE_FUNCTIONS: Final = {
    "+": "wg_wide_add", "-": "wg_wide_sub", "*": "wg_wide_mul", "<<": "wg_wide_shl",
    "/": "wg_{}_div", "%": "wg_{}_rem", ">>": "wg_{}_shr",
}
ELEMENTS: Final = {"f32": "f32", "i32": "i32", "u32": "u32", "i64": "vec2<u32>",
                   "u64": "vec2<u32>"}
"""What arrays of elements of whole words hold."""
PARTS: Final = {
    "bool": ("wg_byte", "({} != 0u)", "select(0u, 1u, {})"),
    "u8": ("wg_byte", "{}", "({} & 0xffu)"),
    "i8": ("wg_byte", "((bitcast<i32>({} << 24u)) >> 24u)", "(bitcast<u32>({}) & 0xffu)"),
    "i16": ("wg_half", "((bitcast<i32>({} << 16u)) >> 16u)", "(bitcast<u32>({}) & 0xffffu)"),
    "f16": ("wg_half", "wg_f32_of_f16({})", "wg_f16({})"),
    "bf16": ("wg_half", "wg_f32_of_bf16({})", "wg_bf16({})"),
}
"""Storage types that share words: how bits are cut out, a value is made of them, and back."""
EXCHANGE: Final = """\
{{ var old = atomicLoad(&{place});
  loop {{
    let seen = atomicCompareExchangeWeak(&{place}, old, {new});
    if (seen.exchanged) {{ break; }}
    old = seen.old_value;
  }} }}"""
HAS_FMA: Final = "wg_has_fma"
RESERVED: Final = 2
"""Words of the arguments before the first number: 0, and how many groups there are."""


class Wgsl(Dialect):
    """WGSL.  Kernels that need ``fma`` have a constant ``wg_has_fma``, given when their pipeline is
    made: whether the adapter's rounds once; else it is composed of operations that do."""

    name = "wgsl"
    extension = "wgsl"
    types: ClassVar[dict[str, str]] = {
        "bool": "bool", "f32": "f32", **dict.fromkeys(SIGNED, "i32"),
        **dict.fromkeys(UNSIGNED, "u32"), **dict.fromkeys(WIDE, "vec2<u32>")}

    # ---- values ------------------------------------------------------------------------------
    def type(self, register: str) -> str:
        """The name of a type."""
        if register not in self.types:
            raise NotImplementedError(f"WGSL has no {register}")
        return self.types[register]

    def literal(self, value: bool | float, register: str) -> str:
        """A constant."""
        if register == "bool":
            return "true" if value else "false"
        if register == "f32":
            return _float(float(value))
        value = int(value)
        if register in WIDE:
            return f"vec2<u32>({value & 0xffffffff}u, {value >> 32 & 0xffffffff}u)"
        if register in UNSIGNED:
            return f"{value}u"
        if value == -(2**31):
            return "(-2147483647i - 1i)"
        return f"{value}i" if value >= 0 else f"({value}i)"

    def cast(self, text: str, source: str, target: str) -> str:
        """A conversion."""
        if source == target or {source, target} == set(WIDE):
            return text
        if target == "bool":
            return self.compare("!=", text, _zero(source), source)
        if source in WIDE:
            if target == "f32":
                return f"wg_f32_of_{source}({text})"
            text, source = f"{_grouped(text)}.x", "u32"
        elif target in WIDE:
            return _widened(text, source)
        elif source == "f32" and target in ("u8", "u16"):
            text, source = f"i32({text})", "i32"
        return _wrapped(f"{self.type(target)}({text})", target)

    def unary(self, operator: str, text: str, register: str) -> str:
        """``-``, ``~`` or ``!``."""
        if operator == "-" and register in WIDE:
            return f"wg_wide_sub({_zero(register)}, {text})"
        if operator == "-" and register in UNSIGNED:
            return _wrapped(f"(0u - {text})", register)
        return _wrapped(f"({operator}{text})", register)

    def binary(self, operator: str, left: str, right: str, register: str) -> str:
        """Arithmetic, bits, shifts."""
        if register == "f32":
            return f"wg_{ARITHMETIC[operator]}({left}, {right})"
        if register in WIDE and operator in WIDE_FUNCTIONS:
            return f"{WIDE_FUNCTIONS[operator].format(register)}({left}, {right})"
        if register == "bool" and operator == "^":
            return f"({left} != {right})"
        if register in SIGNED and operator == "%":
            return f"wg_rem({left}, {right})"
        if operator in ("<<", ">>"):
            right = f"u32({right})"
        return _wrapped(f"({left} {operator} {right})", register)

    def compare(self, operator: str, left: str, right: str, register: str) -> str:
        """A bool."""
        if operator == "!=" and register not in WIDE:
            return f"!({left} == {right})"  # naga writes != of floats as one that fails for nan
        if register in WIDE:
            return _compared(operator, left, right, f"wg_{register}_lt")
        if register == "bool" and operator != "==":
            return f"(u32({left}) {operator} u32({right}))"
        if register == "f32" and operator != "==":
            left = f"wg_keep({left})"  # else a select by this test becomes min() or max()
        return f"({left} {operator} {right})"

    def select(self, condition: str, when_true: str, when_false: str, register: str) -> str:
        """One of two values."""
        return f"select({when_false}, {when_true}, {condition})"

    def basic(self, function: str, arguments: Sequence[str], register: str) -> str:
        """What WGSL has, or ``library.wgsl``."""
        if function in ("min", "max"):
            test = self.compare("<" if function == "min" else ">", *arguments, register)
            return self.select(test, *arguments, register)
        if register not in ("f32", "i32"):
            raise NotImplementedError(f"WGSL has no {function} of {register}")
        names = {
            "as_bits": "bitcast<i32>", "from_bits": "wg_from_bits", "to_integer": "i32",
            "to_floating": "f32", "fma": "wg_fma", "fmod": "wg_fmod", "sqrt": "wg_sqrt",
        }
        return f"{names.get(function, function)}({', '.join(arguments)})"

    # ---- memory ------------------------------------------------------------------------------
    def load(self, buffer: Parameter, index: str) -> str:
        """An element."""
        if buffer.type not in PARTS:
            return f"b_{buffer.name}[{index}]"
        cut, value, _ = PARTS[buffer.type]
        place = _word(buffer, f"u32({index})")
        word = f"atomicLoad(&{place})" if buffer.is_written else place
        return value.format(f"{cut}({word}, u32({index}))")

    def store(self, buffer: Parameter, index: str, value: str) -> list[str]:
        """Statements that write an element."""
        if buffer.type not in PARTS:
            return [f"b_{buffer.name}[{index}] = {value};"]
        cut, _, bits = PARTS[buffer.type]
        shift, mask = ("(at & 3u) << 3u", "0xffu") if cut == "wg_byte" else (
            "(at & 1u) << 4u", "0xffffu")
        exchange = EXCHANGE.format(
            place=_word(buffer, "at"), new=f"(old & ~({mask} << shift)) | (bits << shift)")
        return [f"{{ let at = u32({index}); let shift = {shift}; let bits = {bits.format(value)};",
                *(f"  {line}" for line in exchange.splitlines()), "}"]

    def atomic_add(self, buffer: Parameter, index: str, value: str) -> list[str]:
        """Statements that add; of 64 bits the low words first, and then what they carry."""
        place = f"b_{buffer.name}[{index}]"
        match buffer.type:
            case "i32" | "u32":
                return [f"atomicAdd(&{place}, bitcast<u32>({value}));"]
            case "f32":
                return EXCHANGE.format(
                    place=place, new=f"bitcast<u32>(bitcast<f32>(old) + {value})").splitlines()
            case "i64" | "u64":
                low, high = (f"b_{buffer.name}[2 * ({index}){one}]" for one in ("", " + 1"))
                return [f"{{ let more = {value}; let low = atomicAdd(&{low}, more.x);",
                        f"  atomicAdd(&{high}, more.y + select(0u, 1u, low + more.x < low)); }}"]
        raise NotImplementedError(f"WGSL has no atomic addition to {buffer.type}")

    # ---- statements --------------------------------------------------------------------------
    def declare(self, register: str, name: str, value: str, is_mutable: bool) -> str:
        """A declaration."""
        return f"{'var' if is_mutable else 'let'} {name}: {self.type(register)} = {value};"

    def array(self, register: str, name: str, count: int) -> str:
        """A private array."""
        return f"var {name}: array<{self.type(register)}, {count}>;"

    def shared(self, register: str, name: str, count: int) -> str:
        """An array of the group; :meth:`kernel` puts it in front of the functions."""
        return f"var<workgroup> {name}: array<{self.type(register)}, {count}>;"

    def loop(self, register: str, name: str, start: str, stop: str, step: str) -> str:
        """The head of a counting loop."""
        return (f"for (var {name}: {self.type(register)} = {start}; {name} < {stop}; "
                f"{name} += {step}) {{")

    def barrier(self) -> str:
        """Of both kinds of memory."""
        return "workgroupBarrier(); storageBarrier();"

    def position(self, what: str, index: str) -> str:
        """A number of this work item."""
        if index != "i32":
            raise NotImplementedError("WGSL counts elements in 32 bits")
        return {"item": "i32(wg_group * wg_size + wg_local)", "local": "i32(wg_local)",
                "group": "i32(wg_group)", "groups": "i32(wg_args[0].y)"}[what]

    # ---- texts -------------------------------------------------------------------------------
    def function(
        self, name: str, parameters: Sequence[tuple[str, str]], result: str, body: Sequence[str]
    ) -> str:
        """The definition of a function."""
        listed = ", ".join(f"{n}: {self.type(r)}" for r, n in parameters)
        return "\n".join([f"fn {name}({listed}) -> {self.type(result)} {{",
                          *(f"  {line}" for line in body), "}"])

    def kernel(
        self, name: str, parameters: Sequence[Parameter], functions: Sequence[str],
        body: Sequence[str], group_size: int,
    ) -> str:
        """The whole source.  Groups beyond 65535 lie in a second dimension, whose last row may
        have more of them than were asked for."""
        shared = [line for line in body if line.startswith("var<workgroup>")]
        buffers = [p for p in parameters if p.is_buffer]
        added = {p.name for p in buffers if _is_added_to(p, body)}
        words = argument_words(parameters)
        lines = [
            f"@compute @workgroup_size({group_size})", f"fn {name}(",
            "    @builtin(workgroup_id) wg_id: vec3<u32>,",
            "    @builtin(num_workgroups) wg_count: vec3<u32>,",
            "    @builtin(local_invocation_index) wg_local: u32) {",
            f"  const wg_size = {group_size}u;",
            "  let wg_group = wg_id.y * wg_count.x + wg_id.x;",
            "  if (wg_group >= wg_args[0].y) { return; }",
            *(f"  let {p.name}: {self.type(p.type)} = {_argument(p, words[p.name])};"
              for p in parameters if not p.is_buffer),
            *(f"  {line}" for line in _with_words(body, added) if line not in shared), "}"]
        text = "\n\n".join([*functions, "\n".join(lines)])
        head = [f"@group(0) @binding(0) var<uniform> wg_args: array<vec4<u32>, "
                f"{-(-words['']//4)}>;"]
        head += [f"@group(0) @binding({i}) var<storage, read_write> b_{p.name}: "
                 f"array<{_elements(p, p.name in added)}>;" for i, p in enumerate(buffers, 1)]
        needed = "\n".join(needed_by(text))
        if HAS_FMA in needed:
            head.append(f"override {HAS_FMA}: bool = false;")
        return "\n".join([*head, *shared, "", needed, "", text, ""])


def argument_words(parameters: Sequence[Parameter]) -> dict[str, int]:
    """The word at which each number of a kernel begins, and under "" how many words there are."""
    places, at = {}, RESERVED
    for p in parameters:
        if not p.is_buffer:
            places[p.name] = at
            at += 2 if p.type in WIDE else 1
    places[""] = at
    return places


def _argument(parameter: Parameter, at: int) -> str:
    words = [f"wg_args[{i // 4}].{'xyzw'[i % 4]}" for i in (at, at + 1)]
    match parameter.type:
        case "bool":
            return f"{words[0]} != 0u"
        case "i64" | "u64":
            return f"vec2<u32>({words[0]}, {words[1]})"
        case "f32":
            return f"bitcast<f32>({words[0]})"
    return words[0] if parameter.type in UNSIGNED else f"bitcast<i32>({words[0]})"


def _elements(parameter: Parameter, is_added_to: bool) -> str:
    if is_added_to or (parameter.type in PARTS and parameter.is_written):
        return "atomic<u32>"
    return "u32" if parameter.type in PARTS else ELEMENTS[parameter.type]


def _is_added_to(parameter: Parameter, body: Sequence[str]) -> bool:
    """Whether a kernel adds to elements of whole words."""
    word = f"(&b_{parameter.name}["
    return parameter.type not in PARTS and any(word in line for line in body)


def _with_words(body: Sequence[str], added: set[str]) -> list[str]:
    """Refuse plain access to arrays of atomic words: no family needs both in one kernel."""
    for name in added:
        plain = re.compile(rf"(?<!&)\bb_{name}\[")
        if any(plain.search(line) for line in body):
            raise NotImplementedError(f"WGSL: {name} is added to and also read or written")
    return list(body)


def _word(buffer: Parameter, at: str) -> str:
    return f"b_{buffer.name}[{at} >> {2 if PARTS[buffer.type][0] == 'wg_byte' else 1}u]"


def _grouped(text: str) -> str:
    return text if re.fullmatch(r"\w+", text) else f"({text})"


def _wrapped(text: str, register: str) -> str:
    if by := SIGNED.get(register):
        return f"(({text} << {by}u) >> {by}u)"
    return f"({text} & {mask})" if (mask := UNSIGNED.get(register)) else text


def _widened(text: str, source: str) -> str:
    if source == "f32":
        return f"wg_i64_of_f32({text})"
    return f"wg_wide({text})" if source in SIGNED else f"vec2<u32>(u32({text}), 0u)"


def _compared(operator: str, left: str, right: str, less: str) -> str:
    """A comparison of two vectors by one function, or of their parts."""
    if operator in ("==", "!="):
        return f"{'all' if operator == '==' else 'any'}({left} {operator} {right})"
    if operator in (">", "<="):
        left, right = right, left
    return f"{'!' if operator in ('<=', '>=') else ''}{less}({left}, {right})"


def _zero(register: str) -> str:
    if register in WIDE:
        return "vec2<u32>(0u, 0u)"
    return {"f32": "0.0f"}.get(register, "0i" if register in SIGNED else "0u")


def _float(value: float) -> str:
    with np.errstate(over="ignore"):
        rounded = np.float32(value)
    if math.isfinite(rounded) and abs(rounded) >= np.finfo(np.float32).tiny:
        return f"{rounded!s}f" if rounded > 0 else f"({rounded!s}f)"
    return f"wg_constant({int(rounded.view(np.uint32))}u)"
