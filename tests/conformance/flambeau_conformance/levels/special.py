"""Values at the edges of a dtype, in every pairing: what elementwise kernels get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from flambeau.device import device
from flambeau.dtypes import dtype, finfo
from flambeau.kind import kind_of
from flambeau.registry import Op
from flambeau.samples import Sample
from flambeau.tensor import Tensor
from flambeau_conformance.oracle import NAME
from flambeau_conformance.transfer import from_host

NO_ZERO_DIVISOR: Final = frozenset({"remainder"})
"""Ops of integers whose second operand must not be zero: what that gives is left open."""
ALONG_A_DIMENSION: Final = frozenset({"cumsum", "sort_stable"})
"""Ops without a formula that take a dimension."""
WITHIN_RANGE: Final = frozenset({"pow"})
"""Ops of integers that are not asked for values which do not fit their dtype."""


def special_samples(op: Op, what: dtype) -> Iterator[Sample]:
    """Samples of edge values for an op that has a formula, or reduces."""
    if what.category == 2 and (op.reduction is not None or op.name in ALONG_A_DIMENSION):
        yield from _reduced(op, what)
    tensors = [op.schema.arguments[i] for i in op.schema.tensor_positions]
    if op.formula is None or not tensors or what.category not in (1, 2):
        return
    values = _edges(op, what)
    if [a.name for a in tensors] == ["condition", "self", "other"]:
        condition = _tensor(np.arange(values.size) % 2 == 0, kind_of(device(NAME), _bool()))
        yield Sample((condition, _held(values, what), _held(values[::-1], what)), name="special")
        return
    if len(tensors) == 1:
        yield Sample((_held(values, what),), name="special")
    elif len(tensors) == 2:
        bounded = op.name in NO_ZERO_DIVISOR and what.category == 1
        second = values[values != 0] if bounded else values
        first = np.repeat(values, second.size)
        pairs = np.tile(second, values.size)
        yield Sample((_held(first, what), _held(pairs, what)), name="special")


def _bool() -> dtype:
    from flambeau import dtypes

    return dtypes.bool


def _edges(op: Op, what: dtype) -> Any:
    if what.category == 1:
        if op.name in WITHIN_RANGE:
            return np.array([0, 1, 2, 3])
        limits = np.iinfo(what.numpy)
        return np.array(sorted({limits.min, limits.min + 1, -1, 0, 1, 2, limits.max - 1,
                                limits.max} - ({-1} if not what.is_signed else set())))
    limit = finfo(what)
    return np.array([
        np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -1.5, 2.5, limit.max, limit.min,
        limit.eps, -limit.eps, limit.tiny,
    ])


def _held(values: Any, what: dtype) -> Tensor:
    return _tensor(np.asarray(values).astype(what.numpy), kind_of(device(NAME), what))


def _tensor(array: Any, kind: Any) -> Tensor:
    return from_host(np.ascontiguousarray(array), kind)


def _reduced(op: Op, what: dtype) -> Iterator[Sample]:
    """NaN at every place of a line, ties, and infinities."""
    nan, inf = np.nan, np.inf
    rows: Any = [
        [nan, 1, 2, 3], [1, nan, 3, 3], [3, 2, 3, nan], [1, 3, 3, 0], [-inf, -inf, -inf, -inf],
        [inf, 1, inf, 2], [0, 0, 0, 0], [nan, nan, inf, 1],
    ]  # fmt: skip
    yield Sample((_held(rows, what), 1), name="special")
    yield Sample((_held(np.transpose(rows), what), 0), name="special_first")
    if op.name == "sort_stable":
        yield Sample((_held(rows, what), 1, True), name="special_descending")
    if op.name in ("sum", "cumsum"):  # half precision must not be accumulated in itself
        yield Sample((_held(np.tile([1.0, 0.25], 700), what), 0), name="long")
