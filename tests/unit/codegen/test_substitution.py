"""Substitution and inlining: nothing captured, nothing computed twice, no deep trees."""

from __future__ import annotations

import pytest

from flambeau.codegen import FormulaError, evaluate, free_names, inline, parse, substitute, walk

SIGMOID = "t = exp(-abs(self)); self >= 0 ? 1 / (1 + t) : t / (1 + t)"


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("a + b", {"a": "c"}, "c + b"),
        ("a * a", {"a": "2"}, "2 * 2"),
        ("a * a", {"a": "-2.0"}, "-2.0 * -2.0"),
        ("a - b", {"a": "b", "b": "a"}, "b - a"),
        ("a * a", {"a": "b + c"}, "a = b + c; a * a"),
        ("a * a", {"a": "a + 1"}, "a_1 = a + 1; a_1 * a_1"),
        ("t = a; t * b", {"b": "t"}, "t_1 = a; t_1 * t"),
        ("t = a; t * b", {"b": "t = c; t * t"}, "t = c; b = t * t; t_1 = a; t_1 * b"),
        ("t = a; t * t", {"t": "c"}, "t = a; t * t"),
        ("a", {"zz": "1"}, "a"),
        ("a_1 = a * 2; a_1 + a", {"a": "a + 1"}, "a_1 = a + 1; a_1_1 = a_1 * 2; a_1_1 + a_1"),
    ],
)
def test_substitute(text: str, values: dict[str, str], result: str) -> None:
    assert substitute(text, values) == parse(result)


@pytest.mark.parametrize(
    ("text", "definitions", "result"),
    [
        (
            "sigmoid(self) * self",
            {"sigmoid": SIGMOID},
            "t = exp(-abs(self)); sigmoid = self >= 0 ? 1 / (1 + t) : t / (1 + t); sigmoid * self",
        ),
        ("relu(a + b)", {"relu": "maximum(self, 0)"}, "self = a + b; maximum(self, 0)"),
        ("f(a) + f(a)", {"f": "self * 2"}, "f = a * 2; f_1 = a * 2; f + f_1"),
        (
            "lerp(a, 2.0, b)",
            {"lerp(self, end, weight)": "self + weight * (end - self)"},
            "a + b * (2.0 - a)",
        ),
        ("f(g(a))", {"f": "self + 1", "g": "self * 2"}, "self = a * 2; self + 1"),
        ("f(a)", {"f": "g(self) + 1", "g": "self * 2"}, "g = a * 2; g + 1"),
        ("t = f(a); t * t", {"f": "t = self; t + 1"}, "t = a; t_1 = t + 1; t_1 * t_1"),
        ("first(a, exp(b))", {"first(x, y)": "x"}, "a"),
        ("zero()", {"zero()": "0"}, "0"),
        ("exp(a)", {"exp": "self + 1"}, "a + 1"),
        ("exp(a)", {"f": "self"}, "exp(a)"),
    ],
)
def test_inline(text: str, definitions: dict[str, str], result: str) -> None:
    assert inline(text, definitions) == parse(result)


@pytest.mark.parametrize(
    ("text", "definitions", "reason"),
    [
        ("f(a, b)", {"f": "self"}, r"f takes 1 argument\(s\), got 2"),
        ("f(a)", {"f": "x + y"}, r"'f' needs its parameters in order, as in f\(x, y\)"),
        ("f(a)", {"f(x)": "x + y"}, r"y is not a parameter of f\(x\)"),
        ("f(a)", {"f(x, x)": "x"}, "named twice"),
        ("f(a)", {"f + 1": "x"}, "a signature is a name"),
        ("f(a)", {"f(2)": "x"}, "a signature is a name"),
        ("f(a)", {"f": "f(self)"}, "calls itself: f -> f"),
        ("f(a)", {"f": "g(self)", "g": "f(self)"}, "calls itself: f -> g -> f"),
    ],
)
def test_inline_error(text: str, definitions: dict[str, str], reason: str) -> None:
    with pytest.raises(FormulaError, match=reason):
        inline(text, definitions)


def test_inlined_formula_computes_what_the_call_would() -> None:
    silu = inline("sigmoid(self * 2) * self", {"sigmoid": SIGMOID})
    x = [-3.0, 0.0, 1.5]
    inner = evaluate(SIGMOID, {"self": evaluate("2 * x", {"x": x})})
    assert (evaluate(silu, {"self": x}) == inner * x).all()


def test_a_long_chain_of_ops_stays_flat_and_linear() -> None:
    tree = parse("self")
    for _ in range(100):
        tree = substitute("t = tanh(self); (t + self) * t", {"self": tree})
    assert free_names(tree) == {"self"}
    assert sum(1 for _ in walk(tree)) < 100 * 10
    assert parse(str(tree)) == tree
    assert hash(tree) == hash(parse(str(tree)))
