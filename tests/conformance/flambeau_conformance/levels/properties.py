"""Generated cases: shapes, strides and broadcasting drawn by hypothesis, derandomised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flambeau.device import device
from flambeau.kind import kind_of
from flambeau.layout import Layout, strides_in_order
from flambeau.samples import Sample
from flambeau_conformance.arrangements import poison, view
from flambeau_conformance.oracle import NAME
from flambeau_conformance.reference import Reference, inputs_in_words
from flambeau_conformance.tolerances import class_of
from flambeau_conformance.transfer import from_elements

if TYPE_CHECKING:
    from flambeau.tensor import Tensor
    from flambeau_conformance.levels.forward import Forward

EXAMPLES, DEEP_EXAMPLES = 12, 300
POSITIVE = frozenset({"log", "sqrt", "pow", "log1p"})
"""Ops that are given positive values, for their domain."""


@st.composite
def layouts(draw: Any, shape: tuple[int, ...]) -> Layout:
    """A layout of a shape: any order of dimensions, gaps, an offset, and repeated dimensions."""
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.integers(0, 2)) for _ in shape]
    strides = list(strides_in_order([n + g for n, g in zip(shape, gaps, strict=True)], order))
    for d in range(len(shape)):
        if draw(st.integers(0, 5)) == 0:
            strides[d] = 0
    return Layout.of(shape, strides, draw(st.integers(0, 3)))


@st.composite
def shapes(draw: Any, count: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast together."""
    whole = draw(st.lists(st.sampled_from((0, 1, 2, 3, 5)), max_size=4))
    found = []
    for _ in range(count):
        shape = [1 if draw(st.integers(0, 4)) == 0 else n for n in whole]
        found.append(tuple(shape[draw(st.integers(0, len(shape))) :] if shape else ()))
    return found


def run_property(forward: Forward) -> None:
    """Elementwise ops and reductions of generated tensors; others have their samples."""
    op, config = forward.op, forward.config
    tensors = len(op.schema.tensor_positions)
    if (op.formula is None and op.reduction is None) or not tensors:
        return
    profile = settings(
        max_examples=DEEP_EXAMPLES if config.deep else EXAMPLES, derandomize=True, deadline=None,
        database=None, suppress_health_check=list(HealthCheck), print_blob=False,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )

    @profile
    @given(st.data())
    def holds(data: Any) -> None:
        sample = _drawn(forward, data, tensors)
        forward.check.context = inputs_in_words(sample)
        result = forward.call(sample)
        Reference(op, sample, config.seed).check(result, class_of(op, forward.what))

    with forward.check("property"):
        holds()


def _drawn(forward: Forward, data: Any, tensors: int) -> Sample:
    op = forward.op
    if op.reduction is not None:
        shape = tuple(data.draw(st.lists(st.sampled_from((1, 2, 3, 5)), min_size=1, max_size=4)))
        dim = data.draw(st.integers(-len(shape), len(shape) - 1))
        return Sample((_tensor(forward, data, shape), dim), {"keepdim": data.draw(st.booleans())})
    return Sample(tuple(
        _tensor(forward, data, shape, is_mask=op.schema.arguments[i].name == "condition")
        for i, shape in enumerate(data.draw(shapes(tensors)))
    ))


def _tensor(
    forward: Forward, data: Any, shape: tuple[int, ...], is_mask: bool = False
) -> Tensor:
    from flambeau import dtypes

    what = dtypes.bool if is_mask else forward.what
    layout = data.draw(layouts(shape))
    random = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    elements = np.full(layout.span() + 2, poison(what), what.numpy)
    low = 0.25 if forward.op.name in POSITIVE else -2.0
    values: Any
    if what.category >= 2:
        values = random.uniform(low, 2.0, shape)
    else:
        values = random.integers(1, 2 if is_mask else 6, shape)
    view(elements, layout)[...] = values
    return from_elements(elements, layout, kind_of(device(NAME), what))
