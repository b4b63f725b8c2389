"""How far results may be from the oracle's: one table, by dtype and class of op.

An entry ``(relative, absolute)`` counts units of the dtype's machine epsilon: the error may be
``eps * (relative * |want| + absolute * scale)``, the scale being the greatest value that takes
part (at least 1).  Integers and booleans are always exact.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from flambeau.codegen import (
    Binary,
    Call,
    Reduction,
    parse,
    parse_reduction,
    walk,
)
from flambeau.dtypes import dtype, finfo
from flambeau.registry import Op

OpClass = Literal[
    "exact", "arithmetic", "function", "reduction", "product", "composite", "gradient", "training"
]
Bound = tuple[float, float]

TABLE: Final[dict[OpClass, dict[str, Bound]]] = {
    # values are moved, compared or selected
    "exact": {"float16": (0, 0), "bfloat16": (0, 0), "float32": (0, 0), "float64": (0, 0)},
    # each result is rounded once, or a product and a sum are rounded
    "arithmetic": {
        "float16": (1, 0.5), "bfloat16": (1, 0.5), "float32": (1, 0.5), "float64": (1, 0.5),
    },
    # transcendental functions: 4 units in the last place, near their zeros more
    "function": {
        "float16": (2, 1), "bfloat16": (2, 1), "float32": (4, 2), "float64": (8, 4),
    },
    # sums and products of a few elements in any order, half precision accumulated in single
    "reduction": {
        "float16": (1, 0.5), "bfloat16": (1, 0.5), "float32": (8, 4), "float64": (8, 4),
    },
    "product": {
        "float16": (1, 0.5), "bfloat16": (1, 0.5), "float32": (16, 8), "float64": (16, 8),
    },
    # several ops, each rounded
    "composite": {
        "float16": (16, 8), "bfloat16": (8, 4), "float32": (64, 32), "float64": (256, 128),
    },
    "gradient": {
        "float16": (32, 16), "bfloat16": (16, 8), "float32": (128, 64), "float64": (512, 256),
    },
    # losses of a training of some steps, which amplifies differences
    "training": {
        "float16": (64, 64), "bfloat16": (64, 64), "float32": (20000, 2000),
        "float64": (1e6, 1e5),
    },
}  # fmt: skip

EXACT_FUNCTIONS: Final = frozenset({
    "abs", "ceil", "conj", "floor", "imag", "isinf", "isnan", "maximum", "minimum", "real",
    "round", "sign", "trunc",
})  # fmt: skip
ARITHMETIC_FUNCTIONS: Final = frozenset({"fma", "fmod", "remainder", "rsqrt", "sqrt"})
BY_NAME: Final[dict[str, OpClass]] = {
    "argmax": "exact", "argmin": "exact", "copy": "exact", "cumsum": "reduction",
    "fill": "exact", "gather": "exact", "matmul": "product", "scatter_add": "reduction",
    "scatter_elements": "exact", "sort_stable": "exact", "arange_steps": "arithmetic",
}  # fmt: skip
"""Primitives without a formula that tells."""


def bound(what: dtype, group: OpClass) -> tuple[float, float]:
    """Relative and absolute error allowed."""
    if what.category < 2:
        return 0.0, 0.0
    real = what.to_real()
    relative, absolute = TABLE[group][real.name]
    if what.is_complex and group == "arithmetic":  # products of parts
        relative, absolute = relative + 3, absolute + 1
    eps = finfo(real).eps
    return relative * eps, absolute * eps


def class_of(op: Op, what: dtype) -> OpClass:
    """The class of an op at a dtype, by its formula if it has one."""
    group = _class_of(op)
    if group == "exact" and what.is_complex and isinstance(op.formula, str) and (
            "abs(" in op.formula):
        return "function"  # a modulus is rounded
    return group


@cache
def _class_of(op: Op) -> OpClass:
    if op.kind == "view":
        return "exact"
    if op.kind == "composite":
        return "composite"
    if op.name in BY_NAME:
        return BY_NAME[op.name]
    if op.reduction is not None:
        found = parse_reduction(op.reduction)
        assert isinstance(found, Reduction)
        return "exact" if _class_of_formula(found.combine) == "exact" else "reduction"
    return _class_of_formula(op.formula) if isinstance(op.formula, str) else "product"


def _class_of_formula(formula: str) -> OpClass:
    group: OpClass = "exact"
    for node in walk(parse(formula)):
        if isinstance(node, Call):
            if node.function in ARITHMETIC_FUNCTIONS:
                group = "arithmetic"
            elif node.function not in EXACT_FUNCTIONS:
                return "function"
        elif isinstance(node, Binary) and node.operator in "+-*/":
            group = "arithmetic"
    return group
