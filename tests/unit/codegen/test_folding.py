"""Folding where it is exact, and nowhere else."""

from __future__ import annotations

import pytest

from flambeau.codegen import evaluate, fold, parse


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("self * (2 * 3 - 1)", "self * 5"),
        ("2 - 5", "-3"),
        ("2.0 * 3 + 0.5", "6.5"),
        ("1.0 / 4.0", "0.25"),
        ("1 / 4.0", "0.25"),
        ("- -3", "3"),
        ("-(2.0 - 3.0)", "1.0"),
        ("1 < 2", "true"),
        ("-0.5 < 0.25 && !false", "true"),
        ("t = 1 + 1; t * self", "t = 2; t * self"),
        ("f(1 + 1, 2 > 1 ? 3 * 3 : self)", "f(2, true ? 9 : self)"),
        ("4096.0 + 1.0", "4097.0"),
    ],
)
def test_folded(text: str, folded: str) -> None:
    assert fold(text) == parse(folded)


@pytest.mark.parametrize(
    "text",
    [
        "0.1 + 0.2",  # float32 has other neighbours
        "1.0 / 3.0",
        "300.5 * 2.0",  # 300.5 is no bfloat16
        "0.0 * 5.0",  # the sign of the zero
        "inf - inf",
        "nan == nan",
        "1.0 / 0.0",
        "1 / 2",  # an error, not a number
        "200 < 100",  # int8 wraps 200
        "-1 < 0",  # uint8 wraps -1
        "200 + 0.5",
        "true + 1",
        "-true",
        "- -true",
        "9223372036854775807 + 1",
        "self - self",
        "self * 1",
    ],
)
def test_left_alone(text: str) -> None:
    assert fold(text) == parse(text)


def test_why_not_folded_between_wrapping_numbers() -> None:
    assert evaluate("200 < 100", {}, "int8")
    assert evaluate("200 + 100", {}, "int8") == evaluate(fold("200 + 100"), {}, "int8") == 44
