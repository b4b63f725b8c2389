"""What holds of every formula: text and tree correspond, and rewriting keeps values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flambeau.codegen import (
    FUNCTIONS,
    Binary,
    Call,
    Category,
    Compare,
    Expression,
    FormulaError,
    Let,
    Literal,
    Logical,
    Name,
    Select,
    Term,
    Unary,
    evaluate,
    fold,
    free_names,
    infer,
    inline,
    parse,
    substitute,
)

COUNT = 200
repeatable = settings(derandomize=True, max_examples=COUNT, deadline=None)

ARITHMETIC = ["+", "-", "*", "/", "&", "|", "^", "<<", ">>"]
literals = st.one_of(
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1, 2, 3, 100, 127, 128, 255]),
    st.floats().map(abs),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 0.1, float("inf")]),
).map(Literal)


CALLS = {
    arity: st.sampled_from([name for name, f in sorted(FUNCTIONS.items()) if f.arity == arity])
    for arity in (1, 2, 3)
}


def operations(part: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    """A node of any type over the parts."""
    return st.one_of(
        st.builds(Unary, st.sampled_from(["-", "~", "!"]), part),
        st.builds(Binary, st.sampled_from(ARITHMETIC), part, part),
        st.builds(Compare, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), part, part),
        st.builds(Logical, st.sampled_from(["&&", "||"]), part, part),
        st.builds(Select, part, part, part),
        *(st.builds(Call, CALLS[arity], st.tuples(*[part] * arity)) for arity in CALLS),
    )


def terms(*more: str) -> st.SearchStrategy[Term]:
    """Terms over a, b, c and some more names."""
    leaf = st.one_of(st.sampled_from(["a", "b", "c", *more]).map(Name), literals)
    return st.recursive(leaf, operations, max_leaves=8)


constants = st.recursive(
    st.one_of(literals, literals, literals, st.just(Name("a"))), operations, max_leaves=5
)
TERMS = [terms(), terms("t0"), terms("t0", "t1")]
any_term = TERMS[0]
expressions = st.one_of(
    any_term,
    st.builds(lambda t0, body: Let((("t0", t0),), body), TERMS[0], TERMS[1]),
    st.builds(
        lambda t0, t1, body: Let((("t0", t0), ("t1", t1)), body), TERMS[0], TERMS[1], TERMS[2]
    ),
)


def is_well_typed(tree: Expression, categories: dict[str, Category]) -> bool:
    try:
        infer(tree, categories)
    except FormulaError:
        return False
    return True


def categories_of(values: dict[str, object]) -> dict[str, Category]:
    kinds = {"b": Category.BOOL, "i": Category.INTEGER, "f": Category.FLOATING}
    return {name: kinds[np.asarray(value).dtype.kind] for name, value in values.items()}


def identical(first: np.ndarray, second: np.ndarray) -> bool:
    """Same type and bits, any nan being any nan."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.kind != "f":
        return bool((first == second).all())
    is_equal = (first == second) & (np.signbit(first) == np.signbit(second))
    return bool((is_equal | (np.isnan(first) & np.isnan(second))).all())


VALUES = [
    {"a": np.array([-2.5, 0.0, 1.0, np.nan]), "b": 3.0, "c": np.array(True)},
    {"a": np.array([-3, 0, 1, 120]), "b": 2, "c": np.array(False)},
    {"a": np.array([-0.0, 1e30, np.inf, 0.3]), "b": np.array([7]), "c": -1.5},
]


@given(expressions)
@repeatable
def test_text_parses_back_to_the_tree(tree: Expression) -> None:
    assert parse(str(tree)) == tree
    assert str(parse(str(tree))) == str(tree)


@given(st.text(alphabet="ab01. \n()+-*/<>=!&|^~?:;,xef%$", max_size=30))
@repeatable
def test_any_text_parses_or_raises_a_formula_error(text: str) -> None:
    try:
        tree = parse(text)
    except FormulaError as error:
        tree, column = None, error.column
    if tree is None:
        assert column is None or 0 <= column <= len(text)
    else:
        assert parse(str(tree)) == tree


@pytest.mark.parametrize("values", VALUES)
@given(tree=expressions)
@repeatable
def test_what_types_evaluates_to_its_category(tree: Expression, values: dict[str, object]) -> None:
    categories = categories_of(values)
    if not is_well_typed(tree, categories):
        with pytest.raises(FormulaError):
            evaluate(tree, values)
        return
    found = evaluate(tree, values)
    assert categories_of({"found": found})["found"] is infer(tree, categories)
    assert found.shape == (4,)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "uint8"])
@given(tree=constants, values=st.sampled_from(VALUES))
@repeatable
def test_folding_keeps_every_bit(tree: Expression, values: dict[str, object], dtype: str) -> None:
    if is_well_typed(tree, categories_of(values)):
        assert identical(evaluate(tree, values, dtype), evaluate(fold(tree), values, dtype))


@given(tree=expressions, value=any_term, values=st.sampled_from(VALUES))
@repeatable
def test_substitution_is_evaluation_of_the_value_first(
    tree: Expression, value: Term, values: dict[str, object]
) -> None:
    replaced = substitute(tree, {"a": value})
    assert free_names(replaced) <= (free_names(tree) - {"a"}) | free_names(value)
    if is_well_typed(value, categories_of(values)):
        inner = {**values, "a": evaluate(value, values)}
        if is_well_typed(tree, categories_of(inner)):
            assert identical(evaluate(replaced, values), evaluate(tree, inner))


@given(body=expressions, argument=any_term, values=st.sampled_from(VALUES))
@repeatable
def test_inlining_is_a_call(body: Expression, argument: Term, values: dict[str, object]) -> None:
    called = Binary("+", Call("f", (argument, Name("b"), Name("c"))), Name("a"))
    inlined = inline(called, {"f(a, b, c)": body})
    direct = substitute("call + a", {"call": substitute(body, {"a": argument})})
    if is_well_typed(direct, categories_of(values)):
        assert identical(evaluate(inlined, values), evaluate(direct, values))
