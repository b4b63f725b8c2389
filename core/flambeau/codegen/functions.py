"""The functions that formulas call: how many arguments each takes, and the category it gives.

A printer of kernels and the interpreter each hold one implementation per row; a test holds them
to this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from flambeau.codegen.category import Category

Rule: TypeAlias = Callable[[Category], Category]
"""From the highest category among the arguments to that of the result."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language."""

    name: str
    arity: int
    rule: Rule
    limit: Category
    """The highest category that an argument may have."""
    meaning: str


def same(category: Category) -> Category:
    """Results are what arguments are."""
    return category


def number(category: Category) -> Category:
    """Arithmetic: bools count as integers."""
    return max(category, Category.INTEGER)


def floating(category: Category) -> Category:
    """Results are floating or complex; bools and integers convert first."""
    return max(category, Category.FLOATING)


def real(category: Category) -> Category:
    """Results are real."""
    return min(category, Category.FLOATING)


def boolean(category: Category) -> Category:
    """Results are bools."""
    return Category.BOOL


def _rows(
    limit: Category, rule: Rule, arity: int, meanings: dict[str, str]
) -> Iterator[tuple[str, Function]]:
    for name, meaning in meanings.items():
        yield name, Function(name, arity, rule, limit, meaning)


FUNCTIONS: Final[dict[str, Function]] = dict(
    [
        *_rows(Category.COMPLEX, floating, 1, {
            "exp": "e to the power x",
            "exp2": "2 to the power x",
            "expm1": "exp(x) - 1, accurate near 0",
            "log": "natural logarithm",
            "log2": "logarithm to base 2",
            "log1p": "log(1 + x), accurate near 0",
            "sqrt": "square root",
            "rsqrt": "1 / sqrt(x)",
            "sin": "sine",
            "cos": "cosine",
            "tan": "tangent",
            "asin": "inverse sine",
            "acos": "inverse cosine",
            "atan": "inverse tangent",
            "sinh": "hyperbolic sine",
            "cosh": "hyperbolic cosine",
            "tanh": "hyperbolic tangent",
            "asinh": "inverse hyperbolic sine",
            "acosh": "inverse hyperbolic cosine",
            "atanh": "inverse hyperbolic tangent",
        }),
        *_rows(Category.FLOATING, floating, 1, {
            "erf": "error function",
            "erfc": "1 - erf(x), accurate where it is small",
            "lgamma": "logarithm of |gamma(x)|",
        }),
        *_rows(Category.FLOATING, floating, 2, {
            "atan2": "angle of the point (x = b, y = a)",
        }),
        *_rows(Category.FLOATING, same, 1, {
            "floor": "largest integral value not above x",
            "ceil": "smallest integral value not below x",
            "round": "nearest integral value, halves to the even one",
            "trunc": "integral part",
            "sign": "-1, 0 or 1; 0 for nan",
        }),
        *_rows(Category.FLOATING, same, 2, {
            "maximum": "the greater; nan if either is; the first if they are equal",
            "minimum": "the lesser; nan if either is; the first if they are equal",
        }),
        *_rows(Category.FLOATING, number, 2, {
            "remainder": "a - b * floor(a / b): the sign of b",
            "fmod": "a - b * trunc(a / b): the sign of a",
            "floor_divide": "a / b rounded down",
            "trunc_divide": "a / b rounded towards 0",
        }),
        *_rows(Category.FLOATING, number, 3, {
            "fma": "a * b + c, rounded once",
        }),
        *_rows(Category.COMPLEX, number, 2, {
            "pow": "a to the power b",
        }),
        *_rows(Category.COMPLEX, real, 1, {
            "abs": "magnitude",
            "real": "real part",
            "imag": "imaginary part",
        }),
        *_rows(Category.COMPLEX, same, 1, {
            "conj": "complex conjugate",
        }),
        *_rows(Category.COMPLEX, boolean, 1, {
            "isnan": "whether x, or a part of it, is nan",
            "isinf": "whether x, or a part of it, is infinite",
        }),
    ]
)  # fmt: skip
