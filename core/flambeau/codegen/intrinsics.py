"""Four functions beyond the formula language, for the texts of :mod:`flambeau.codegen.mathematics`.

They depend on how wide a value is, which formulas of ops do not know.  In the texts of one
precision integers are as wide as the floats: 32 bits beside f32, 64 beside f64.
"""

from __future__ import annotations

from typing import Final

from flambeau.codegen.category import Category
from flambeau.codegen.functions import Function


def _integer(category: Category) -> Category:
    return Category.INTEGER


def _floating(category: Category) -> Category:
    return Category.FLOATING


INTRINSICS: Final[dict[str, Function]] = {
    function.name: function
    for function in (
        Function("as_bits", 1, _integer, Category.FLOATING, "the bits of a float as an integer"),
        Function("from_bits", 1, _floating, Category.INTEGER, "the float that has these bits"),
        Function(
            "to_integer", 1, _integer, Category.FLOATING,
            "the integral part; any integer at all where that does not fit, and for nan",
        ),
        Function("to_floating", 1, _floating, Category.INTEGER, "the nearest float, ties to even"),
    )
}  # fmt: skip
"""By name.  A target need not define ``to_integer`` out of range, but it must not trap: the texts
never let such a value decide a result."""
