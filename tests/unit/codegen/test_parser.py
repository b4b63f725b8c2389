"""Text to tree: shape, precedence, and what is refused, where and in what words."""

from __future__ import annotations

import pickle

import pytest

from flambeau.codegen import (
    Binary,
    Call,
    Compare,
    FormulaError,
    Let,
    Literal,
    Logical,
    Name,
    Select,
    Unary,
    parse,
)
from flambeau.codegen.parser import MAX_DEPTH

a, b, c, d = map(Name, "abcd")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", a),
        ("12", Literal(12)),
        ("0x1F", Literal(31)),
        ("18446744073709551615", Literal(2**64 - 1)),
        ("1.", Literal(1.0)),
        (".5e-3", Literal(0.0005)),
        ("true", Literal(True)),
        ("inf", Literal(float("inf"))),
        ("nan", Literal(float("nan"))),
        ("pi", Literal(3.141592653589793)),
        ("-2", Unary("-", Literal(2))),
        ("- ~!a", Unary("-", Unary("~", Unary("!", a)))),
        ("a - b - c", Binary("-", Binary("-", a, b), c)),
        ("a - (b - c)", Binary("-", a, Binary("-", b, c))),
        ("a + b * c", Binary("+", a, Binary("*", b, c))),
        ("-a * b", Binary("*", Unary("-", a), b)),
        ("a << b + c", Binary("<<", a, Binary("+", b, c))),
        ("a | b ^ c & d", Binary("|", a, Binary("^", b, Binary("&", c, d)))),
        ("a || b && c", Logical("||", a, Logical("&&", b, c))),
        ("a + b < c", Compare("<", Binary("+", a, b), c)),
        ("(a & b) == c", Compare("==", Binary("&", a, b), c)),
        ("a < b && c < d", Logical("&&", Compare("<", a, b), Compare("<", c, d))),
        ("a ? b : c ? d : a", Select(a, b, Select(c, d, a))),
        ("a ? b ? c : d : a", Select(a, Select(b, c, d), a)),
        ("where(a, b, c)", Select(a, b, c)),
        ("f()", Call("f", ())),
        ("f(a, g(b ? c : d))", Call("f", (a, Call("g", (Select(b, c, d),))))),
        ("  a\n\t+ b ", Binary("+", a, b)),
        ("t = a; a * t", Let((("t", a),), Binary("*", a, Name("t")))),
        ("t = a; u = t; u", Let((("t", a), ("u", Name("t"))), Name("u"))),
        ("min + max", Binary("+", Name("min"), Name("max"))),
    ],
)
def test_tree(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("", "empty", 0),
        ("(a", "expected ')' to close the parenthesis, found the end", 2),
        ("f(a,", "expected a value", 4),
        ("f(a", "to close the arguments of f", 3),
        ("a b", "found 'b'", 2),
        ("a $ b", "found '$'", 2),
        ("a ? b", "expected ':'", 5),
        ("+a", "expected a value, found '+'", 0),
        ("a % b", "remainder(a, b)", 2),
        ("a ** b", "pow(a, b)", 2),
        ("a // b", "floor_divide", 2),
        ("a--b", "a - -b", 1),
        ("a++", "no '++'", 1),
        ("a and b", "write &&", 2),
        ("not a", "write !", 0),
        ("a < b < c", "do not chain", 6),
        ("a == b != c", "do not chain", 7),
        ("a & b == c", "parentheses", 2),
        ("a < b | c", "parentheses", 6),
        ("1.0f", "no suffix", 0),
        ("a + 2x", "malformed number '2x'", 4),
        ("1__0", "malformed", 0),
        ("0x", "malformed", 0),
        ("010", "octal", 0),
        ("1e999", "write inf", 0),
        ("18446744073709551616", "64 bits", 0),
        ("9" * 5000, "64 bits", 0),
        ("where(a, b)", "where takes 3 arguments (condition, a, b), got 2", 0),
        ("t = a", "expected ';' after the value of 't'", 5),
        ("t = a;", "lacks its result", 6),
        ("t = a; t = b; t", "bound twice", 7),
        ("t = t + 1; t", "used before it is bound", 0),
        ("u = t; t = a; u", "used before it is bound", 7),
        ("a; b", "only after a binding", 1),
        ("a;", "the result comes last", 1),
        ("pi = a; pi", "reserved", 0),
        ("a = = b", "expected a value", 4),
        ("a += b", "expected a value, found '='", 3),
    ],
)
def test_error(text: str, reason: str, column: int) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert reason in caught.value.reason
    assert caught.value.column == column
    assert isinstance(caught.value, ValueError)


def test_caret_stands_below_the_place_in_its_line() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("t = a;\n\tt % 2")
    assert str(caught.value).splitlines()[1:] == ["    \tt % 2", "    \t  ^"]


def test_a_long_line_is_shown_around_the_caret() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("a + " * 40 + "% + " + "a + " * 40 + "a")
    _, line, caret = str(caught.value).splitlines()
    assert len(line) < 120
    assert line[caret.index("^")] == "%"


def test_error_survives_pickling() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("a %")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.column) == (str(caught.value), 2)


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        ("f(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH, True),
        ("f(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), False),
        ("a + " * MAX_DEPTH + "a", True),
        ("a + " * (MAX_DEPTH + 1) + "a", False),
        ("- " * (MAX_DEPTH + 1) + "a", False),
        ("(" * 100_000, False),
    ],
    ids=["calls", "calls+1", "sum", "sum+1", "minus+1", "parentheses"],
)
def test_depth_is_limited(text: str, is_fine: bool) -> None:
    if is_fine:
        tree = parse(text)
        assert parse(str(tree)) == tree
    else:
        with pytest.raises(FormulaError, match="deep"):
            parse(text)


def test_any_number_of_bindings() -> None:
    text = "t0 = a; " + "".join(f"t{i} = t{i - 1} + a; " for i in range(1, 3000)) + "t2999"
    assert str(parse(text)) == text


def test_a_text_is_parsed_once() -> None:
    assert parse("a * 3 + 17") is parse("a * 3 + 17")
