"""The type checker: categories, and errors that show the place."""

from __future__ import annotations

import pytest

from flambeau.codegen import (
    FUNCTIONS,
    Binary,
    Call,
    Category,
    FormulaError,
    Let,
    Literal,
    Name,
    infer,
    infer_terms,
    inline,
    parse,
)

BOOL, INTEGER, FLOATING, COMPLEX = Category
NAMES = {"p": BOOL, "i": INTEGER, "x": FLOATING, "z": COMPLEX}


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("p", BOOL),
        ("true", BOOL),
        ("1", INTEGER),
        ("1.0", FLOATING),
        ("-p", INTEGER),
        ("-x", FLOATING),
        ("~p", BOOL),
        ("~i", INTEGER),
        ("!z", BOOL),
        ("p + p", INTEGER),
        ("p * x", FLOATING),
        ("i - z", COMPLEX),
        ("i / x", FLOATING),
        ("x / z", COMPLEX),
        ("p & p", BOOL),
        ("p | i", INTEGER),
        ("p << p", INTEGER),
        ("i >> 1", INTEGER),
        ("i < x", BOOL),
        ("z == 1", BOOL),
        ("x && z", BOOL),
        ("p ? p : p", BOOL),
        ("x ? i : z", COMPLEX),
        ("t = i; t + x", FLOATING),
        ("exp(i)", FLOATING),
        ("exp(z)", COMPLEX),
        ("erf(p)", FLOATING),
        ("floor(i)", INTEGER),
        ("floor(x)", FLOATING),
        ("abs(z)", FLOATING),
        ("abs(i)", INTEGER),
        ("maximum(p, p)", BOOL),
        ("maximum(i, x)", FLOATING),
        ("pow(p, p)", INTEGER),
        ("pow(i, z)", COMPLEX),
        ("remainder(p, i)", INTEGER),
        ("floor_divide(i, 2)", INTEGER),
        ("trunc_divide(i, x)", FLOATING),
        ("fma(i, i, x)", FLOATING),
        ("isnan(z)", BOOL),
        ("real(z)", FLOATING),
        ("conj(z)", COMPLEX),
        ("atan2(i, i)", FLOATING),
    ],
)
def test_category(text: str, category: Category) -> None:
    assert infer(text, NAMES) is category
    assert infer(parse(text), NAMES) is category


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("x +  foo * 2", "unknown name 'foo'", 5),
        ("x + xx", "did you mean 'x'?", 4),
        ("expm(x)", "unknown function 'expm': did you mean 'expm1'?", 0),
        ("1 + exp(x, 2)", "exp takes 1 argument, got 2", 4),
        ("pow(x)", "pow takes 2 arguments, got 1", 0),
        ("fma()", "fma takes 3 arguments, got 0", 0),
        ("x + i /  2", "got integer / integer", 6),
        ("p / p", "floor_divide(a, b) or trunc_divide(a, b)", 2),
        ("i & x", "'&' works on bool and integer bits, got integer and floating", 2),
        ("x << 1", "'<<'", 2),
        ("~x", "'~'", 0),
        ("1.0 ^ 2", "'^'", 4),
        ("z < 1", "no order: '<'", 2),
        ("erf(z)", "erf takes no complex argument", 0),
        ("maximum(x, z)", "no complex", 0),
        ("floor(z)", "no complex", 0),
        ("t = x; u + t", "unknown name 'u'", 7),
    ],
)
def test_error(text: str, reason: str, column: int) -> None:
    with pytest.raises(FormulaError) as caught:
        infer(text, NAMES)
    assert reason in caught.value.reason
    assert (caught.value.text, caught.value.column) == (text, column)


def test_error_in_a_tree_shows_its_canonical_text() -> None:
    tree = inline("square(x)&i", {"square": "a*a"})
    with pytest.raises(FormulaError) as caught:
        infer(tree, NAMES)
    assert str(caught.value).splitlines()[1:] == [
        "    square = x * x; square & i",
        "                           ^",
    ]


def test_numbers_of_dtype_categories_will_do() -> None:
    assert infer("a + b", {"a": 1, "b": 2}) is FLOATING


def test_names_that_are_not_used_do_no_harm() -> None:
    assert infer("t = x; t", {"x": BOOL, "t": COMPLEX}) is BOOL


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (Let((("t", Literal(1)), ("t", Literal(2))), Name("t")), "bound twice"),
        (Let((("t", Binary("+", Name("t"), Literal(1))),), Name("t")), "used before it is bound"),
    ],
)
def test_trees_that_no_text_gives(tree: Let, reason: str) -> None:
    with pytest.raises(FormulaError, match=reason):
        infer(tree, {"t": INTEGER})


def test_infer_terms() -> None:
    found = infer_terms("t = x > 0; t ? abs(z) : i + 1", NAMES)
    assert {str(term): category for term, category in found.items()} == {
        "x": FLOATING,
        "0": INTEGER,
        "x > 0": BOOL,
        "t": BOOL,
        "z": COMPLEX,
        "abs(z)": FLOATING,
        "i": INTEGER,
        "1": INTEGER,
        "i + 1": INTEGER,
        "t ? abs(z) : i + 1": FLOATING,
    }


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_take_all_categories_up_to_their_limit(name: str) -> None:
    function = FUNCTIONS[name]
    for category in Category:
        call = Call(name, (Name("a"),) * function.arity)
        if category <= function.limit:
            assert infer(call, {"a": category}) is function.rule(category)
        else:
            with pytest.raises(FormulaError, match=f"no {category} argument"):
                infer(call, {"a": category})
