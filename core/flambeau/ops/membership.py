"""Whether elements occur among others."""

from __future__ import annotations

from typing import Any

from flambeau.ops.create import scalar_tensor
from flambeau.ops.search import searchsorted
from flambeau.ops.sorting import sort_stable
from flambeau.promotion import computation_type
from flambeau.registry import composite
from flambeau.samples import Make, error, sample
from flambeau.tensor import Tensor

FEW = 16
"""So many test elements are compared one by one; more are sorted."""


def _samples(make: Make) -> Any:
    yield sample(make.distinct(3, 4), make.distinct(5))
    yield sample(make.distinct(20), make.distinct(4, 10))
    yield sample(make.distinct(6), 0)
    yield sample(0, make.distinct(6))
    yield sample(make.distinct(0), make.distinct(3))
    yield sample(make.distinct(3), make.distinct(0))


@composite(
    "isin(Operand elements, Operand test_elements, *, bool assume_unique=False, "
    "bool invert=False) -> Tensor",
    dtypes="real", method=False, samples=_samples,
    errors=lambda make: iter([error(TypeError, "str", make(3), "x")]),
)
def isin(
    elements: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False
) -> Any:
    """For each element whether it equals one of the test elements (or none, if ``invert``)."""
    what = computation_type(elements, test_elements)
    place = (elements if isinstance(elements, Tensor) else test_elements).device
    x, tests = (
        t.to(what) if isinstance(t, Tensor) else scalar_tensor(t, dtype=what, device=place)
        for t in (elements, test_elements))
    tests = tests.reshape(-1)
    if not tests.numel():
        found = x != x
        found = found & ~found
    elif tests.numel() <= FEW:
        found = x == tests[0]
        for i in range(1, tests.numel()):
            found = found | (x == tests[i])
    else:
        ordered = sort_stable(tests)[0]
        at = searchsorted(ordered, x).clamp(max=ordered.numel() - 1)
        found = ordered[at] == x
    return ~found if invert else found
