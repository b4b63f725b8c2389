"""Derivatives against central differences, in float64 on the oracle."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.device import device
from flambeau.samples import Sample
from flambeau.tensor import Tensor
from flambeau_conformance.compare import ConformanceFailure
from flambeau_conformance.levels.gradients import (
    Function,
    eighths,
    gradients_of,
    leaves_that_require_grad,
)
from flambeau_conformance.oracle import NAME
from flambeau_conformance.reference import exact
from flambeau_conformance.transfer import Array, Carrier, arranged, to_host, wider

STEPS: Final = (1e-5, 1e-7)
"""Step sizes: the second is tried where the first may have stepped over a kink."""
TOLERANCE: Final = 1e-4


class _Direction:
    """One random direction in the space of all inputs."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.by_storage: dict[int, Array] = {}

    def along(self, t: Tensor, size: int) -> Array:
        """The direction of the elements of a tensor's storage."""
        key = id(t.storage_())
        if key not in self.by_storage:
            values = self.random.uniform(-1, 1, size)
            if t.dtype.is_complex:
                values = values + 1j * self.random.uniform(-1, 1, size)
            self.by_storage[key] = values
        return self.by_storage[key]

    def moved(self, sample: Sample, step: float) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments on the oracle, moved by a step."""

        def change(elements: Array, t: Tensor) -> Array:
            return elements + step * self.along(t, elements.size) if t.requires_grad else elements

        carry = Carrier(device(NAME), wider, change)
        return carry(sample.args), carry(sample.kwargs)


def check_derivative(
    function: Function, sample: Sample, seed: int, drawn: bool = False
) -> bool:
    """Compare a function's gradients with central differences along a direction.

    Args:
        drawn: values are drawn at random: gradients may be 0 by definition, and straight-through
            estimators have gradients where differences are 0.

    Returns:
        Whether there was anything to differentiate.

    Raises:
        ConformanceFailure: with both numbers.
    """
    direction = _Direction(seed)
    args, kwargs = direction.moved(sample, 0.0)
    inputs = leaves_that_require_grad((args, kwargs))
    sources = leaves_that_require_grad((sample.args, sample.kwargs))
    with exact():
        gradients = gradients_of(function, seed)(*args, **kwargs)
    if not gradients:
        return False
    analytic = 0.0
    for g, t, source in zip(gradients, inputs, sources, strict=True):
        if g is not None:
            along = arranged(direction.along(source, t.storage_().nbytes // t.dtype.itemsize),
                             t.layout_())
            analytic += float((np.conj(to_host(g)) * along).real.sum())
    if drawn and analytic == 0:
        return True
    numeric = 0.0
    for step in STEPS:
        ends = [_weighted(function, direction, sample, sign * step, seed) for sign in (1, -1)]
        numeric = (ends[0] - ends[1]) / (2 * step)
        if (drawn and numeric == 0) or abs(numeric - analytic) <= TOLERANCE * (1 + abs(analytic)):
            return True
    if not np.isfinite(numeric):
        return True  # the op has no finite value there; its gradients are compared elsewhere
    raise ConformanceFailure(
        f"the derivative along a direction is {analytic!r}, central differences give {numeric!r}"
    )


def _weighted(
    function: Function, direction: _Direction, sample: Sample, step: float, seed: int
) -> float:
    """The sum of the results, each times its cotangent."""
    args, kwargs = direction.moved(sample, step)
    with exact():
        outs = function(*args, **kwargs)
    return sum(
        float((np.conj(eighths(t, seed + i)) * to_host(t)).real.sum())
        for i, t in enumerate(outs)
    )
