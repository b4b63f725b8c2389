"""Nodes: equality, immutability, and the questions that are asked of trees."""

from __future__ import annotations

import dataclasses
import math

import pytest

from flambeau.codegen import (
    Binary,
    Category,
    FormulaError,
    Let,
    Literal,
    Name,
    Unary,
    constant,
    free_names,
    parse,
    walk,
)


def test_literals_of_equal_numbers_differ_by_category() -> None:
    assert len({Literal(1), Literal(1.0), Literal(True)}) == 3
    assert Literal(True).category is Category.BOOL


def test_nan_equals_itself_as_a_node() -> None:
    assert Literal(float("nan")) == Literal(-float("nan")) == Literal(math.nan)


@pytest.mark.parametrize("value", [-1, -0.5, -0.0, 2**64])
def test_literal_refuses(value: float) -> None:
    with pytest.raises(FormulaError):
        Literal(value)


@pytest.mark.parametrize("value", ["1", None, 1j])
def test_literal_refuses_other_types(value: object) -> None:
    with pytest.raises(TypeError, match="a literal is a bool, int or float"):
        Literal(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "term"),
    [
        (-3, Unary("-", Literal(3))),
        (-0.0, Unary("-", Literal(0.0))),
        (-math.inf, Unary("-", Literal(math.inf))),
        (0, Literal(0)),
        (True, Literal(True)),
        (2.5, Literal(2.5)),
    ],
)
def test_constant(value: float, term: object) -> None:
    assert constant(value) == term


def test_nodes_are_immutable_and_slotted() -> None:
    node = parse("a + 1")
    assert isinstance(node, Binary)
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.operator = "-"  # type: ignore[misc]
    assert not hasattr(node, "__dict__")
    assert hash(node) == hash(parse("a  +  1"))


def test_walk_is_in_the_order_of_the_text() -> None:
    found = [str(node) for node in walk(parse("t = a * 2; f(t, b) ? -t : c"))]
    assert found[1:] == ["a * 2", "a", "2", "f(t, b) ? -t : c", "f(t, b)", "t", "b", "-t", "t", "c"]


def test_free_names() -> None:
    assert free_names(parse("t = a * b; f(t) + c + pi")) == {"a", "b", "c"}
    assert free_names(parse("2")) == frozenset()
    # A tree, unlike a text, can use a name before it binds it.
    early = Let((("u", Name("t")), ("t", Literal(1))), Name("u"))
    assert free_names(early) == {"t"}
