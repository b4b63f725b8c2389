"""The elementary functions of the formula language for sources in C.

A source that says ``#include "mathematics.h"`` can call ``fb_exp_f32(x)``, ``fb_exp_f64(x)`` and so
on: :data:`FUNCTIONS`, with the names of ``docs/formula-language.md``, and :data:`MORE`.  They are
``static inline`` and free of branches (but ``lgamma``), so loops over them become vectors.  The
texts and their errors are those of ``docs/mathematics.md``: the same bits as on every device.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

HEADER: Final = "mathematics.h"
FUNCTIONS: Final = (
    "exp", "exp2", "expm1", "log", "log2", "log1p", "pow", "rsqrt", "sin", "cos", "tan", "asin",
    "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc",
    "lgamma",
)
MORE: Final[Mapping[str, str]] = {"sigmoid": "1 / (1 + exp(-x))"}
"""Functions of one argument that are formulas themselves."""


@cache
def header() -> str:
    """The text of ``mathematics.h``."""
    from flambeau.backend.generated import Block, C, Scalars

    dialect = C()
    block = Block(dialect)
    for floating in ("f32", "f64"):
        scalars = Scalars(block, floating, "i32", {})
        for name in FUNCTIONS:
            scalars.defined(name)
        for name, formula in MORE.items():
            scalars.define(f"fb_{name}_{floating}", ["x"], formula)
    return "#pragma once\n" + dialect.assembled([*block.functions.values()], "")
