"""Limiting values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.ops.compare import where
from flambeau.ops.pointwise import maximum, minimum
from flambeau.registry import composite
from flambeau.samples import Make, Sample, error, sample
from flambeau.tensor import Tensor


def _clamp_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), -0.5, 0.5)
    yield sample(make(3, 4), 0.3)
    yield sample(make(3, 4), max=0.3)
    yield sample(make(3, 4), make(4, low=-1, high=0), make(3, 1, low=0, high=1))
    yield sample(make(), -0.5, 0.5)
    yield sample(make(0, 2), -0.5, 0.5)


def _clamp_grad(g: Tensor, self: Tensor, min: Any, max: Any) -> Tensor:
    inside = None
    if min is not None:
        inside = self >= min
    if max is not None:
        below = self <= max
        inside = below if inside is None else inside & below
    result: Tensor = where(inside, g, 0.0)
    return result


@composite(
    "clamp(Tensor self, Operand? min=None, Operand? max=None) -> Tensor", inplace=True,
    dtypes="real", aliases=("clip",), samples=_clamp_samples,
    errors=lambda make: iter([error(RuntimeError, "At least one of", make(3))]),
)
def clamp(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Values limited to [min, max]; either limit may be left out, and may be a tensor."""
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    result: Any = self
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        if min is not None:
            result = maximum(result, min)
        return minimum(result, max) if max is not None else result  # type: ignore[no-any-return]
    return _clamp_numbers(result, min, max)  # type: ignore[no-any-return]


@composite(
    "clamp_numbers(Tensor self, Scalar? min, Scalar? max) -> Tensor", dtypes="real",
    namespaces=("_internal",), derivatives={"self": _clamp_grad},
    samples=lambda make: iter([sample(make(3, 4), -0.5, 0.5), sample(make(3, 4), None, 0.5)]),
)
def _clamp_numbers(self: Tensor, min: Any, max: Any) -> Tensor:
    """Values limited to [min, max]."""
    result = self
    if min is not None:
        result = maximum(result, min)
    if max is not None:
        result = minimum(result, max)
    return result
