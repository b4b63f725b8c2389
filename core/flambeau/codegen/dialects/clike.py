"""What C, OpenCL C and CUDA C have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from flambeau.codegen.dialects.base import FLOATS, SIZES, Dialect, Parameter, Register

_INTEGERS = {"i8": "u8", "i16": "u16", "i32": "u32", "i64": "u64"}


class CLike(Dialect):
    """A language of the C family.  Signed integers wrap by going through unsigned ones."""

    types: ClassVar[dict[str, str]]
    """Names of the register types, and of the storage types ``f16`` and ``bf16``."""
    basics: ClassVar[dict[str, tuple[str, str]]]
    """The basic functions' formats of f32 and f64, in ``{0}``, ``{1}``, ``{2}``."""
    helpers: ClassVar[dict[str, str]] = {}
    """Texts put in front of a kernel when a word occurs in it; one may need those before it."""
    header: ClassVar[str] = ""
    """What every source begins with."""
    suffix_i64: ClassVar[str] = "l"
    global_: ClassVar[str] = ""
    """The address space of buffers, with a space after it."""

    # ---- values ------------------------------------------------------------------------------
    def type(self, register: str) -> str:
        return self.types[register]

    def literal(self, value: bool | float, register: Register) -> str:
        if register == "bool":
            return "1" if value else "0"
        if register in FLOATS:
            return self._float(float(value), register)
        value = int(value)
        if register == "i64":
            low = -(2**63)
            return f"(-{2**63 - 1}{self.suffix_i64} - 1)" if value == low else (
                f"{value}{self.suffix_i64}")
        if register == "u64":
            return f"{value}u{self.suffix_i64}"
        if register == "u32":
            return f"{value}u"
        if value == -(2**31):
            return f"(-{2**31 - 1} - 1)"
        return f"{value}" if value >= 0 else f"({value})"

    def _float(self, value: float, register: Register) -> str:
        suffix = "f" if register == "f32" else ""
        if math.isnan(value):
            return self.basic("from_bits", [
                "0x7fc00000" if suffix else f"0x7ff8000000000000{self.suffix_i64}"],
                "i32" if suffix else "i64")
        if math.isinf(value):
            return self.basic("from_bits", [
                "0x7f800000" if suffix else f"0x7ff0000000000000{self.suffix_i64}"],
                "i32" if suffix else "i64") if value > 0 else f"(-{self._float(-value, register)})"
        if suffix:
            import numpy as np

            with np.errstate(over="ignore"):
                rounded = float(np.float32(value))
            if math.isinf(rounded):
                return self._float(rounded, register)
            text = str(np.float32(value))  # the fewest digits that round to it
        else:
            text = repr(value)
        text = text if any(c in text for c in ".en") else text + ".0"
        return f"{text}{suffix}" if math.copysign(1, value) > 0 else f"({text}{suffix})"

    def cast(self, text: str, source: Register, target: Register) -> str:
        if source == target:
            return text
        if target == "bool":
            return f"({text} != 0)"
        if source in FLOATS and target not in FLOATS and SIZES[target] < 4:
            return f"(({self.type(target)})(int){text})"  # wraps, as PyTorch's conversions do
        return f"(({self.type(target)}){text})"

    def unary(self, operator: str, text: str, register: Register) -> str:
        if operator == "-" and register in _INTEGERS:
            unsigned = self.type(_INTEGERS[register])
            return f"(({self.type(register)})(0 - ({unsigned}){text}))"
        if operator == "~":
            return f"(({self.type(register)})~{text})"
        return f"({operator}{text})"

    def binary(self, operator: str, left: str, right: str, register: Register) -> str:
        if register in _INTEGERS and operator in "+-*<<":
            # of at least 32 bits: products of narrower ones would be signed after promotion
            wide = self.type("u64" if register == "i64" else "u32")
            return f"(({self.type(register)})(({wide}){left} {operator} ({wide}){right}))"
        if register in FLOATS or SIZES[register] >= 4 or operator in "&|^":
            return f"({left} {operator} {right})"
        return f"(({self.type(register)})({left} {operator} {right}))"

    def compare(self, operator: str, left: str, right: str, register: Register) -> str:
        return f"({left} {operator} {right})"

    def select(self, condition: str, when_true: str, when_false: str, register: Register) -> str:
        return f"({condition} ? {when_true} : {when_false})"

    def basic(self, function: str, arguments: Sequence[str], register: Register) -> str:
        if function in ("min", "max"):
            a, b = arguments
            return f"({a} {'<' if function == 'min' else '>'} {b} ? {a} : {b})"
        if function == "to_integer":
            return f"(({self.type('i32' if register == 'f32' else 'i64')}){arguments[0]})"
        if function == "to_floating":
            return f"(({self.type('f32' if register == 'i32' else 'f64')}){arguments[0]})"
        wide = register in ("f64", "i64")
        return self.basics[function][wide].format(*arguments)

    # ---- memory ------------------------------------------------------------------------------
    def load(self, buffer: Parameter, index: str) -> str:
        place = f"{buffer.name}[{index}]"
        if buffer.type in ("f16", "bf16"):
            return f"fb_load_{buffer.type}({buffer.name}, {index})"
        return f"({place} != 0)" if buffer.type == "bool" else place

    def store(self, buffer: Parameter, index: str, value: str) -> list[str]:
        if buffer.type in ("f16", "bf16"):
            return [f"fb_store_{buffer.type}({buffer.name}, {index}, {value});"]
        return [f"{buffer.name}[{index}] = {value};"]

    def atomic_add(self, buffer: Parameter, index: str, value: str) -> list[str]:
        return [f"fb_atomic_add_{buffer.type}({buffer.name}, {index}, {value});"]

    # ---- statements --------------------------------------------------------------------------
    def declare(self, register: Register, name: str, value: str, is_mutable: bool) -> str:
        return f"{'' if is_mutable else 'const '}{self.type(register)} {name} = {value};"

    def array(self, register: Register, name: str, count: int) -> str:
        return f"{self.type(register)} {name}[{count}];"

    def loop(self, register: Register, name: str, start: str, stop: str, step: str) -> str:
        forward = f"++{name}" if step == "1" else f"{name} += {step}"
        return f"for ({self.type(register)} {name} = {start}; {name} < {stop}; {forward}) {{"

    # ---- texts -------------------------------------------------------------------------------
    function_qualifier: ClassVar[str] = "static inline"

    def function(
        self, name: str, parameters: Sequence[tuple[Register, str]], result: Register,
        body: Sequence[str],
    ) -> str:
        listed = ", ".join(f"{self.type(r)} {n}" for r, n in parameters)
        lines = [f"{self.function_qualifier} {self.type(result)} {name}({listed}) {{"]
        return "\n".join([*lines, *(f"  {line}" for line in body), "}"])

    def buffer(self, parameter: Parameter) -> str:
        """The declaration of a buffer among a kernel's parameters."""
        const = "" if parameter.is_written else "const "
        kind = "u8" if parameter.type == "bool" else parameter.type
        return f"{self.global_}{const}{self.types[kind]} *{self.restrict}{parameter.name}"

    restrict: ClassVar[str] = ""
    """A word that promises that buffers do not overlap; outputs may be inputs, so there is none."""

    def declarations(self, parameters: Sequence[Parameter]) -> list[str]:
        """A kernel's parameters; a bool comes as a byte, because OpenCL C allows nothing else."""
        return [
            self.buffer(p) if p.is_buffer
            else f"const {self.types['u8' if p.type == 'bool' else p.type]} {p.name}"
            for p in parameters
        ]

    def assembled(self, functions: Sequence[str], kernel: str) -> str:
        """The whole source: header, the helpers that occur, functions, kernel."""
        text = "\n\n".join([*functions, kernel])
        needed: list[str] = []
        for word, helper in reversed(self.helpers.items()):
            if word in text or any(word in h for h in needed):
                needed.insert(0, helper)
        return "\n".join([self.header, *needed, "", text, ""]).lstrip("\n")
