"""The canonical text."""

from __future__ import annotations

import pytest

from flambeau.codegen import parse
from flambeau.codegen.printing import render


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("((a))+(b*c)", "a + b * c"),
        ("(a+b)*c", "(a + b) * c"),
        ("a-(b-c)", "a - (b - c)"),
        ("(a-b)-c", "a - b - c"),
        ("- -a", "-(-a)"),
        ("a - -b", "a - -b"),
        ("-(a+b)", "-(a + b)"),
        ("!(a<b)", "!(a < b)"),
        ("(a&b)==c", "(a & b) == c"),
        ("a&(b==c)", "a & (b == c)"),
        ("(a<b)<c", "(a < b) < c"),
        ("(a<b)||c", "a < b || c"),
        ("(a||b)&&c", "(a || b) && c"),
        ("(a?b:c)?a:b", "(a ? b : c) ? a : b"),
        ("a?b:(c?a:b)", "a ? b : c ? a : b"),
        ("(a?b:c)+1", "(a ? b : c) + 1"),
        ("f((a),(b?a:c))", "f(a, b ? a : c)"),
        ("where(a,b,c)", "a ? b : c"),
        ("0x10+1e3+true+inf", "16 + 1000.0 + true + inf"),
        ("t=a;\n t*t", "t = a; t * t"),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


def test_columns_point_at_operators() -> None:
    tree = parse("f(a) ? -b : c + 1")
    text, columns = render(tree)
    assert {text[column] for column in columns.values()} == set("fa?-bc+1")
