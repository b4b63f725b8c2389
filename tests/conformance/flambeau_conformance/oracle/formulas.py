"""Kernels made of the formulas that stand with the ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flambeau.codegen import evaluate, evaluate_reduction
from flambeau.registry import OPS, Op

Kernel = Callable[..., None]
ARG_REDUCTIONS: Final = {
    "argmax": "init: lowest; take: x > acc || isnan(x) && !isnan(acc)",
    "argmin": "init: highest; take: x < acc || isnan(x) && !isnan(acc)",
}
"""The reductions that ops name by a word."""


class FormulaKernels(dict[str, Kernel]):
    """A table of kernels: those given, and one for each op that has a formula."""

    def get(self, name: str, default: Any = None) -> Any:
        """The kernel of an op."""
        found = super().get(name)
        if found is None:
            op = OPS.get(name)
            made = None if op is None or op.kind != "primitive" else make(op)
            if made is None:
                return default
            self[name] = found = made
        return found


def make(op: Op) -> Kernel | None:
    """The kernel that an op's formula describes, or None if it has no formula."""
    if isinstance(op.formula, str):
        return _pointwise(op, op.formula)
    if op.reduction is not None:
        return _reduction(ARG_REDUCTIONS.get(op.reduction, op.reduction))
    return None


def _pointwise(op: Op, formula: str) -> Kernel:
    names = [op.schema.arguments[i].name for i in op.schema.tensor_positions]
    defaults = {
        a.name: a.default for a in op.schema.arguments
        if a.has_default and not a.is_tensor and isinstance(a.default, (bool, int, float))
    }

    def kernel(out: Any, *inputs: Any, **attributes: Any) -> None:
        values = defaults | attributes | dict(zip(names, inputs, strict=True))
        out[...] = evaluate(formula, values, _computation_type(out, inputs))

    return kernel


def _computation_type(out: Any, inputs: tuple[Any, ...]) -> np.dtype[Any]:
    """The type of the array that ranks highest: a condition beside numbers does not count."""
    arrays = [x.dtype for x in inputs if isinstance(x, np.ndarray)]
    numbers = [d for d in arrays if d != np.bool_]
    found: np.dtype[Any] = (numbers or arrays or [out.dtype])[0]
    return found


def _reduction(text: str) -> Kernel:
    def kernel(
        out: Any, x: Any, dim: Any = None, keepdim: bool = False, **attributes: Any
    ) -> None:
        # Accumulated in the result's type: integers are summed as int64.
        what = out.dtype if "take:" not in text else x.dtype
        out[...] = evaluate_reduction(text, x, dim, keepdim, dtype=what, attributes=attributes)

    return kernel
