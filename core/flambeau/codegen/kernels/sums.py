"""Sums of products: what they are computed in, and how one more is added."""

from __future__ import annotations

from flambeau.codegen.block import Block, Value, is_float, real
from flambeau.codegen.dialects.base import STORAGE, Register, register_of
from flambeau.dtypes import dtype


def accumulator(what: dtype) -> Register:
    """What products of elements are summed in: narrow integers in 32 bits, halves in f32."""
    register = register_of(STORAGE[what.name])
    return "i32" if register in ("i8", "u8", "i16", "u16", "bool") else register


def zero(block: Block, what: dtype, hint: str) -> Value:
    """A variable for a sum."""
    register = accumulator(what)
    parts = (block.dialect.literal(0, register),) * (2 if what.is_complex else 1)
    return block.variable(Value(register, parts), hint)


def multiply_add(block: Block, total: Value, a: Value, b: Value) -> None:
    """Add a product to a sum."""
    d, register = block.dialect, total.register

    def fused(x: str, y: str, z: str) -> str:
        if is_float(register):
            return d.basic("fma", [x, y, z], register)
        return d.binary("+", z, d.binary("*", x, y, register), register)

    if not total.is_complex:
        block.assign(total, real(register, fused(a.text, b.text, total.text)))
        return
    (ar, ai), (br, bi) = a.parts, b.parts
    minus = d.unary("-", ai, register)
    re, im = total.parts
    block.assign(total, Value(register, (
        fused(minus, bi, fused(ar, br, re)), fused(ai, br, fused(ar, bi, im)))))
