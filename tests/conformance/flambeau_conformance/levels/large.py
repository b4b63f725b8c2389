"""Inputs larger than a block: what kernels that work in tiles and threads get wrong at the seams.

Sizes are odd and beyond powers of two, so that the last tile is never full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from flambeau.dtypes import dtype
from flambeau.registry import Op
from flambeau.samples import Sample
from flambeau_conformance.make import Maker
from flambeau_conformance.tolerances import OpClass, class_of

DTYPES: Final = ("float32", "int64")
"""Those in which large inputs are tried."""


def large_samples(op: Op, what: dtype, seed: int) -> Iterator[Sample]:
    """Large inputs of a primitive that this module knows how to call."""
    if what.name not in DTYPES:
        return
    make = Maker(what, f"large {op.name}", seed)
    maker = BY_NAME.get(op.name)
    if maker is not None:
        yield from maker(make)
    elif op.reduction is not None:
        yield from _reduced(make, narrow=op.name == "prod")
    elif op.formula is not None:
        yield from _elementwise(make, op)


def tolerance_of(op: Op, what: dtype) -> OpClass:
    """Sums of many elements may be rounded more often."""
    group = class_of(op, what)
    return "composite" if group in ("reduction", "product") else group


def _elementwise(make: Maker, op: Op) -> Iterator[Sample]:
    tensors = [op.schema.arguments[i].name for i in op.schema.tensor_positions]
    low, high = (0.5, 2.0) if make.dtype.category >= 2 else (1, 6)

    def inputs(*shapes: tuple[int, ...]) -> tuple[object, ...]:
        return tuple(
            make.mask(*shape) if name == "condition" else make(*shape, low=low, high=high)
            for name, shape in zip(tensors, shapes, strict=False)
        )

    if tensors:
        yield Sample(inputs((3001,), (3001,), (3001,)), name="long")
        yield Sample(inputs((3, 41, 257), (41, 257), (257,)), name="broadcast_large")


def _reduced(make: Maker, narrow: bool) -> Iterator[Sample]:
    low, high = (0.99, 1.01) if narrow else (-2, 2)
    x = make(9, 1031, low=low, high=high)
    yield Sample((x,), name="large")
    yield Sample((x, 1), name="large_rows")
    yield Sample((x.t(), 1), name="large_columns")
    yield Sample((make(1031, 9, low=low, high=high), 0), name="large_first")
    yield Sample((make(5, 67, 33, low=low, high=high), 1), name="large_middle")


def _matmul(make: Maker) -> Iterator[Sample]:
    yield Sample((make(65, 130), make(130, 67)), name="large")
    yield Sample((make(130, 65).t(), make(67, 130).t()), name="large_transposed")
    yield Sample((make(3, 33, 40), make(3, 40, 17)), name="large_batch")
    yield Sample((make(33, 1031), make(1031)), name="large_vector")


def _cumsum(make: Maker) -> Iterator[Sample]:
    yield Sample((make(5, 1031), 1), name="large_rows")
    yield Sample((make(1031, 5), 0), name="large_first")


def _sort(make: Maker) -> Iterator[Sample]:
    yield Sample((make.distinct(3, 1031), 1), name="large_rows")
    yield Sample((make(1031, 3, low=-20, high=20), 0, True), name="large_first_descending")


def _gather(make: Maker) -> Iterator[Sample]:
    yield Sample((make(67, 33), 0, make.index(67, 131, 33)), name="large")


def _scatter_add(make: Maker) -> Iterator[Sample]:
    yield Sample((make(7, 33), 0, make.index(7, 131, 33), make(131, 33)), name="large")


BY_NAME: Final[dict[str, Callable[[Maker], Iterator[Sample]]]] = {
    "cumsum": _cumsum, "gather": _gather, "matmul": _matmul, "scatter_add": _scatter_add,
    "sort_stable": _sort,
}
