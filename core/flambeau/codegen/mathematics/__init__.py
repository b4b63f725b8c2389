"""The elementary functions as texts of the formula language: one source for every dialect.

The texts use ``+ - * /``, comparisons, selects, integers, the language's exact or correctly rounded
functions (``fma sqrt floor ceil trunc round fmod abs``), the intrinsics of
:mod:`flambeau.codegen.intrinsics`, and each other.  A target that computes these as IEEE 754 says
gives the same bits as every other.  ``docs/mathematics.md`` has the measured errors.

Integers in the texts of f32 have 32 bits, in those of f64 they have 64, and wrap.  Shifts are by
less than the width and ``>>`` keeps the sign.
"""

from __future__ import annotations

import functools
import importlib
from typing import Final

from flambeau.codegen.category import Category
from flambeau.codegen.expression import Expression
from flambeau.codegen.functions import FUNCTIONS, Function, floating
from flambeau.codegen.intrinsics import INTRINSICS
from flambeau.codegen.mathematics.formats import FORMATS, Precision
from flambeau.codegen.parser import parse

__all__ = ["CALLABLE", "PARAMETERS", "Precision", "complex_definition", "definition"]

_MODULES: Final = {
    "exponential": ("exp", "exp2", "expm1", "half_exp"),
    "logarithm": ("log", "log1p", "log2"),
    "power": ("pow", "rsqrt"),
    "inverse_trigonometric": ("acos", "asin", "atan", "atan2"),
    "gamma": ("lgamma",),
    "error_function": ("erf", "erfc"),
    "hyperbolic": ("acosh", "asinh", "atanh", "cosh", "sinh", "tanh"),
    "trigonometric": ("sin", "cos", "tan", "sin_large", "cos_large", "tan_large"),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}

PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    name: ("a", "b") if name in ("atan2", "pow") else ("x",) for name in _MODULE_OF
}
"""The functions that have a definition, and the names of their arguments.  Some are no functions
of the language, but parts of others' definitions."""

_PARTS: Final = {
    name: Function(name, len(parameters), floating, Category.FLOATING, "a part of a definition")
    for name, parameters in PARAMETERS.items()
    if name not in FUNCTIONS
}
CALLABLE: Final[dict[str, Function]] = FUNCTIONS | INTRINSICS | _PARTS
"""What the texts may call, for :func:`flambeau.codegen.infer_terms`."""


@functools.cache
def definition(function: str, precision: Precision) -> Expression:
    """The formula of a function of floats, over the names in :data:`PARAMETERS`.

    Raises:
        KeyError: for a function that has no definition.
    """
    module = importlib.import_module(f"{__name__}.{_MODULE_OF[function]}")
    return parse(module.TEXTS[function](FORMATS[precision]))


@functools.cache
def complex_definition(function: str) -> tuple[Expression, Expression]:
    """The real and the imaginary part of a function of complex numbers, for both precisions.

    The formulas are over ``re`` and ``im``, the parts of the argument, and for ``pow`` and
    ``divide`` (re + i im over re2 + i im2) over ``re2`` and ``im2``.

    Raises:
        KeyError: for a function that has no definition.
    """
    from flambeau.codegen.mathematics.complex_numbers import TEXTS

    real, imaginary = TEXTS[function]()
    return parse(real), parse(imaginary)
