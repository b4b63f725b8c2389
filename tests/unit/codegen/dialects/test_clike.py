"""What C, OpenCL C and CUDA C write alike: literals, conversions, operations, helpers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from flambeau.codegen.dialects import C, Cuda, OpenCL, Parameter

DIALECTS = [C(), OpenCL(), Cuda()]
every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
REGISTERS: list[Any] = ["bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"]


# ---- literals -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "register", "text"), [
    (True, "bool", "1"), (False, "bool", "0"), (5, "i32", "5"), (-5, "i32", "(-5)"),
    (2**32 - 1, "u32", "4294967295u"), (-(2**31), "i32", "(-2147483647 - 1)"), (200, "u8", "200"),
    (1, "f32", "1.0f"), (0.1, "f32", "0.1f"), (0.1, "f64", "0.1"), (-2.5, "f64", "(-2.5)"),
    (1e300, "f64", "1e+300"), (1e-45, "f32", "1e-45f"), (-0.0, "f64", "(-0.0)"),
])  # fmt: skip
def test_literals(value: Any, register: Any, text: str) -> None:
    for dialect in DIALECTS:
        assert dialect.literal(value, register) == text


@every_dialect
def test_literals_of_64_bits(dialect: Any) -> None:
    assert re.fullmatch(r"9223372036854775807l+", dialect.literal(2**63 - 1, "i64"))
    assert re.fullmatch(r"\(-9223372036854775807l+ - 1\)", dialect.literal(-(2**63), "i64"))
    assert re.fullmatch(r"18446744073709551615ul+", dialect.literal(2**64 - 1, "u64"))


@every_dialect
@pytest.mark.parametrize("register", ["f32", "f64"])
def test_what_is_not_finite_is_made_of_bits(dialect: Any, register: Any) -> None:
    bits = {"f32": ("0x7f800000", "0x7fc00000"), "f64": ("0x7ff0000000000000",
                                                        "0x7ff8000000000000")}[register]
    assert bits[0] in dialect.literal(np.inf, register)
    assert dialect.literal(-np.inf, register).startswith("(-")
    assert bits[1] in dialect.literal(np.nan, register)


def test_doubles_too_large_for_single_precision_are_infinite() -> None:
    assert C().literal(1e39, "f32") == C().literal(np.inf, "f32")


@pytest.mark.parametrize("value", np.random.default_rng(0).normal(size=20).tolist())
def test_literals_of_single_precision_are_exact(value: float) -> None:
    text = C().literal(value, "f32").strip("()")
    assert np.float32(text.removesuffix("f")) == np.float32(value)


# ---- operations ---------------------------------------------------------------------------------
@every_dialect
@pytest.mark.parametrize("register", ["i8", "i16", "i32", "i64"])
@pytest.mark.parametrize("operator", ["+", "-", "*", "<<"])
def test_signed_integers_wrap(dialect: Any, operator: str, register: Any) -> None:
    unsigned = dialect.type("u64" if register == "i64" else "u32")
    name = dialect.type(register)
    assert dialect.binary(operator, "a", "b", register) == (
        f"(({name})(({unsigned})a {operator} ({unsigned})b))")


@every_dialect
def test_narrow_integers_are_brought_back_to_their_width(dialect: Any) -> None:
    assert dialect.binary("+", "a", "b", "u8") == f"(({dialect.type('u8')})(a + b))"
    assert dialect.unary("~", "a", "u8") == f"(({dialect.type('u8')})~a)"
    assert dialect.binary("&", "a", "b", "u8") == "(a & b)"
    assert dialect.binary("/", "a", "b", "i32") == "(a / b)"


@every_dialect
def test_conversions(dialect: Any) -> None:
    assert dialect.cast("x", "f32", "f32") == "x"
    assert dialect.cast("x", "f32", "bool") == "(x != 0)"
    assert dialect.cast("x", "f32", "u8") == f"(({dialect.type('u8')})(int)x)"
    assert dialect.cast("x", "i64", "i32") == "((int)x)"


@every_dialect
@pytest.mark.parametrize("function", [
    "fma", "sqrt", "floor", "ceil", "trunc", "round", "fmod", "abs", "as_bits", "to_integer"])
@pytest.mark.parametrize("register", ["f32", "f64"])
def test_every_basic_function(dialect: Any, function: str, register: Any) -> None:
    arity = {"fma": 3, "fmod": 2}.get(function, 1)
    text = dialect.basic(function, ["x", "y", "z"][:arity], register)
    assert all(name in text for name in ["x", "y", "z"][:arity])
    assert "{" not in text


@every_dialect
def test_basic_functions_of_integers(dialect: Any) -> None:
    assert dialect.basic("min", ["a", "b"], "i32") == "(a < b ? a : b)"
    assert dialect.basic("max", ["a", "b"], "i64") == "(a > b ? a : b)"
    assert dialect.basic("to_floating", ["a"], "i32") == "((float)a)"
    assert dialect.basic("to_floating", ["a"], "i64") == "((double)a)"
    assert "a" in dialect.basic("from_bits", ["a"], "i32")


# ---- memory -------------------------------------------------------------------------------------
@every_dialect
def test_bools_take_a_byte(dialect: Any) -> None:
    p = Parameter("x", "bool", True)
    assert dialect.load(p, "i") == "(x[i] != 0)"
    assert dialect.declarations([p])[0].endswith("char *x")


@every_dialect
@pytest.mark.parametrize("register", REGISTERS)
def test_every_type_can_be_declared(dialect: Any, register: Any) -> None:
    name = dialect.type(register)
    assert dialect.declare(register, "v", "1", False) == f"const {name} v = 1;"
    assert dialect.declare(register, "v", "1", True) == f"{name} v = 1;"
    assert dialect.array(register, "v", 4) == f"{name} v[4];"


@every_dialect
def test_loops(dialect: Any) -> None:
    assert dialect.loop("i32", "i", "0", "n", "1") == "for (int i = 0; i < n; ++i) {"
    assert dialect.loop("i32", "i", "a", "n", "2") == "for (int i = a; i < n; i += 2) {"
    assert dialect.while_("x > 0") == "while (x > 0) {"


# ---- texts --------------------------------------------------------------------------------------
@every_dialect
def test_only_helpers_that_occur_are_written(dialect: Any) -> None:
    p = [Parameter("x", "f16", True), Parameter("y", "f32", True, True)]
    text = dialect.kernel("fb_k", p, [], [f"y[0] = {dialect.load(p[0], '0')};"], 64)
    assert text.count("fb_load_f16") == 2
    assert "bf16" not in text
    assert "atomic" not in text


@every_dialect
@pytest.mark.parametrize("word", ["f32", "f64", "i32", "i64"])
def test_atomic_sums_have_their_helper(dialect: Any, word: Any) -> None:
    p = Parameter("y", word, True, True)
    body = dialect.atomic_add(p, "i", "v")
    text = dialect.kernel("fb_k", [p], [], body, 64)
    assert body == [f"fb_atomic_add_{word}(y, i, v);"]
    assert text.index(f"fb_atomic_add_{word}") < text.index("fb_k")


@every_dialect
def test_helpers_stand_after_those_that_they_need(dialect: Any) -> None:
    p = Parameter("y", "bf16", True, True)
    text = dialect.kernel("fb_k", [p], [], dialect.store(p, "0", "1.0f"), 64)
    for found in re.finditer(r"\b(fb_\w+)\(", text):
        assert text.index(found[1]) <= found.start()
    assert text.index("fb_to_bf16") < text.index("fb_store_bf16(y")
