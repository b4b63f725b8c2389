"""The definitions evaluated by NumPy: what every target must compute, bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from flambeau.codegen.category import Category
from flambeau.codegen.expression import Expression, Term
from flambeau.codegen.inference import tree_of
from flambeau.codegen.interpreter import Evaluation, rounded, types_for
from flambeau.codegen.intrinsics import INTRINSICS
from flambeau.codegen.mathematics import PARAMETERS, Precision, definition
from flambeau.codegen.numerics import Array

_TYPES: Final[dict[Precision, tuple[type[np.generic], type[np.generic]]]] = {
    "f32": (np.float32, np.int32),
    "f64": (np.float64, np.int64),
}


def evaluate_definition(function: str, precision: Precision, *values: ArrayLike) -> Array:
    """The values of a function of :data:`flambeau.codegen.mathematics.PARAMETERS`.

    Args:
        function: its name.
        precision: of arguments and result.
        values: one array per parameter; they broadcast together.
    """
    names = PARAMETERS[function]
    arguments = dict(zip(names, values, strict=True))
    return evaluate_in_width(definition(function, precision), precision, arguments)


def evaluate_in_width(
    expression: str | Expression, precision: Precision, values: Mapping[str, ArrayLike]
) -> Array:
    """As :func:`flambeau.codegen.evaluate`, with integers as wide as the floats, the intrinsics,
    and the definitions in the place of NumPy's functions."""
    floating, integer = _TYPES[precision]
    types = types_for(floating) | {Category.INTEGER: np.dtype(integer)}
    with np.errstate(all="ignore"):
        given = np.broadcast_arrays(*(np.asarray(value, floating) for value in values.values()))
        arrays = [np.atleast_1d(array) for array in given]
        scope = dict(zip(values, arrays, strict=True))
        result = _Evaluation(precision, types, scope).run(tree_of(expression))
    return np.array(np.broadcast_to(result, arrays[0].shape)).reshape(given[0].shape)


class _Evaluation(Evaluation):
    def __init__(
        self,
        precision: Precision,
        types: Mapping[Category, np.dtype[Any]],
        scope: dict[str, Array],
    ) -> None:
        super().__init__(types, scope)
        self.precision = precision

    def call(self, function: str, arguments: Sequence[Term]) -> Array:
        if function in INTRINSICS:
            return self.intrinsic(function, self.term(arguments[0]))
        if function not in PARAMETERS:
            return super().call(function, arguments)
        dtype = self.types[Category.FLOATING]
        values = [rounded(self.term(argument), dtype) for argument in arguments]
        scope = dict(zip(PARAMETERS[function], values, strict=True))
        tree = definition(function, self.precision)
        return _Evaluation(self.precision, self.types, scope).run(tree)

    def intrinsic(self, function: str, value: Array) -> Array:
        floating, integer = self.types[Category.FLOATING], self.types[Category.INTEGER]
        if function in ("as_bits", "to_integer"):
            value = rounded(value, floating)
            return value.view(integer) if function == "as_bits" else value.astype(integer)
        value = rounded(value, integer)
        return value.view(floating) if function == "from_bits" else value.astype(floating)
