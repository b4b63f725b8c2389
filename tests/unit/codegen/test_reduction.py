"""Reduction formulas: their text form, categories and errors."""

from __future__ import annotations

import pytest

from flambeau.codegen import ArgReduction, Category, FormulaError, Reduction, parse_reduction

BOOL, INTEGER, FLOATING, COMPLEX = Category


@pytest.mark.parametrize(
    ("text", "reduction"),
    [
        ("init: 0; acc + x", Reduction("0", "acc + x")),
        ("init:0;combine:acc+x", Reduction("0", "acc+x")),
        ("acc + x; init: 0", Reduction("0", "acc + x")),
        (
            "init: 0; map: t = x - 1; t * t; acc + x; final: acc / n",
            Reduction("0", "acc + x", "t = x - 1; t * t", "acc / n"),
        ),
        (
            "init: lowest; u = acc; x > u ? x : u",
            Reduction("lowest", "u = acc; x > u ? x : u"),
        ),
        ("init: 0; p ? acc : x", Reduction("0", "p ? acc : x")),
        ("init: true; acc == x", Reduction("true", "acc == x")),
        ("init: lowest; take: x > acc", ArgReduction("lowest", "x > acc")),
        ("init: highest; map: -x; take: x < acc", ArgReduction("highest", "x < acc", "-x")),
    ],
)
def test_text_form(text: str, reduction: object) -> None:
    assert parse_reduction(text) == reduction


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("acc + x", "needs its identity"),
        ("init: 0", "needs a combine step"),
        ("init: 0; acc + x;", "empty"),
        ("init: 0; acc + x; acc * x", "one part 'combine'"),
        ("init: 0; init: 1; acc + x", "one part 'init'"),
        ("init: 0; t = acc", "ends with a binding"),
        ("init: lowest; take: x > acc; final: acc", "no combine and no final"),
    ],
)
def test_text_form_error(text: str, reason: str) -> None:
    with pytest.raises(FormulaError, match=reason):
        parse_reduction(text)


@pytest.mark.parametrize(
    ("text", "element", "state", "result"),
    [
        ("init: 0; acc + x", BOOL, INTEGER, INTEGER),
        ("init: 0; acc + x", INTEGER, INTEGER, INTEGER),
        ("init: 0; acc + x", COMPLEX, COMPLEX, COMPLEX),
        ("init: 0; acc + x; final: acc / n", FLOATING, FLOATING, FLOATING),
        ("init: lowest; maximum(acc, x)", BOOL, BOOL, BOOL),
        ("init: -inf; maximum(acc, x)", FLOATING, FLOATING, FLOATING),
        ("init: false; map: x != 0; acc || x", COMPLEX, BOOL, BOOL),
        ("init: 0; map: abs(x); acc + x", COMPLEX, FLOATING, FLOATING),
        ("init: 0; acc + x; final: acc != 0", FLOATING, FLOATING, BOOL),
        ("init: lowest; take: x > acc", FLOATING, FLOATING, INTEGER),
    ],
)
def test_categories(text: str, element: Category, state: Category, result: Category) -> None:
    assert parse_reduction(text).infer(element) == (state, result)


@pytest.mark.parametrize(
    ("text", "element", "reason"),
    [
        ("init: -inf; maximum(acc, x)", INTEGER, "init: is floating while the state is integer"),
        ("init: acc; acc + x", INTEGER, "init: unknown name 'acc'"),
        ("init: lowest; acc + x", COMPLEX, "init: unknown name 'lowest'"),
        ("init: 0; acc + y", FLOATING, "combine: unknown name 'y'"),
        ("init: 0; map: acc; acc + x", FLOATING, "map: unknown name 'acc'"),
        ("init: false; acc || x", FLOATING, "combine: gives bool from floating: let map give bool"),
        ("init: 0; acc + x; final: acc / n", INTEGER, "final: '/' divides floating"),
        ("init: lowest; take: x - acc", FLOATING, "take: must be a condition"),
        ("init: lowest; take: x > acc", COMPLEX, "take: complex values have no order"),
    ],
)
def test_category_error(text: str, element: Category, reason: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_reduction(text).infer(element)
    assert caught.value.reason.startswith(reason)


def test_attributes() -> None:
    norm = Reduction("0", "acc + x", map="pow(abs(x), p)", final="pow(acc, 1.0 / p)")
    assert norm.infer(COMPLEX, {"p": FLOATING}) == (FLOATING, FLOATING)
    with pytest.raises(FormulaError, match="'n' is a name of every reduction"):
        norm.infer(FLOATING, {"p": FLOATING, "n": INTEGER})


def test_parts_are_not_parsed_before_they_are_needed() -> None:
    broken = Reduction("0", "acc +", final="acc %")
    with pytest.raises(FormulaError, match="combine: expected a value"):
        broken.infer(FLOATING)
