"""Matrix products of arrays with strides, in parts along one dimension of the result."""

from __future__ import annotations

from functools import lru_cache, partial
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.onednn.library import Unimplemented, api
from flambeau_cpu.onednn.primitive import BIAS, DST, SRC, WEIGHTS, Form, Ints, Primitive, builder
from flambeau_cpu.onednn.threads import MOST, POOL, ranges

_SINGLE: Final = np.dtype(np.float32)
_SPEED: Final = 5e4
"""Multiplications in a microsecond, roughly: for how many parts there are."""
_UNIT: Final = 32
"""Rows and columns are cut at multiples of this."""
_WIDE: Final = 128
"""Parts have so many rows or columns, if there are: each packs the other operand for itself."""


class _Piece(NamedTuple):
    """One part: its code, and where its operands and its result begin, in bytes."""

    code: Primitive
    starts: Ints


@lru_cache(maxsize=512)
def _plan(a: Form, b: Form, bias: bool) -> tuple[_Piece, ...] | None:
    """The parts of a product; None if oneDNN has no code for it."""
    batch = tuple(map(max, a.shape[:-2], b.shape[:-2]))
    out = Form.dense((*batch, a.shape[-2], b.shape[-1]))
    forms = [a, b, Form.dense((*(1,) * (len(batch) + 1), out.shape[-1])), out]
    dim, unit = _cut(out.shape)
    cost = prod(out.shape) * a.shape[-1] / _SPEED
    made: dict[int, Primitive] = {}
    pieces = []
    try:
        with builder() as make:
            most = MOST if unit == 1 else max(1, out.shape[dim] // _WIDE)
            for start, stop in ranges(-(-out.shape[dim] // unit), cost, min(most, MOST)):
                start, stop = start * unit, min(stop * unit, out.shape[dim])
                parts = [_part(f, dim, start, stop, i, len(batch)) for i, f in enumerate(forms)]
                if stop - start not in made:
                    x, w, c, y = (p for p, _ in parts)
                    places = (SRC, WEIGHTS, BIAS, DST) if bias else (SRC, WEIGHTS, DST)
                    made[stop - start] = Primitive(
                        make.describe("matmul", x, w, c if bias else None, y), *places)
                starts = tuple(s for _, s in parts)
                pieces.append(_Piece(
                    made[stop - start], starts if bias else (*starts[:2], starts[3])))
    except Unimplemented:
        return None
    return tuple(pieces)


def _cut(shape: Ints) -> tuple[int, int]:
    """Along which dimension of a result to cut, and in multiples of what."""
    greatest = max(range(len(shape) - 2), key=shape.__getitem__, default=0)
    rows = len(shape) - 2
    if rows and shape[greatest] > 3:
        return greatest, 1
    return (rows, _UNIT) if shape[rows] >= shape[rows + 1] else (rows + 1, _UNIT)


def _part(form: Form, dim: int, start: int, stop: int, which: int, rows: int) -> tuple[Form, int]:
    """A part of an operand (0, 1), bias (2) or result (3), and where it begins."""
    has = {0: dim != rows + 1, 1: dim != rows, 2: dim == rows + 1, 3: True}[which]
    if not has or form.shape[dim] == 1 or form.strides is None:
        return form, 0
    shape = (*form.shape[:dim], stop - start, *form.shape[dim + 1 :])
    return Form(shape, form.strides), 4 * start * form.strides[dim]


def _usable(x: Any) -> tuple[Any, Form]:
    """An operand and its form; a copy if oneDNN would be slow with its strides."""
    strides = [s // 4 for s in x.strides]
    rows, columns = x.shape[-2:]
    apart = strides[-1] == 1 and (strides[-2] >= columns or rows == 1)
    aside = strides[-2] == 1 and (strides[-1] >= rows or columns == 1)
    if not (apart or aside) or min(strides[:-2], default=1) < 1:
        x = np.ascontiguousarray(x)
        return x, Form.dense(x.shape)
    reach = max(n * s for n, s in zip(x.shape, strides, strict=True))
    steps = [reach if n == 1 else s for n, s in zip(x.shape, strides, strict=True)]
    if aside and columns == 1:
        steps[-1], steps[-2] = max(rows, 1), 1
    elif rows == 1:
        steps[-1], steps[-2] = 1, max(columns, 1)
    return x, Form(x.shape, tuple(steps))


def product(a: Any, b: Any, bias: Any = None) -> Any:
    """``a @ b`` of single precision, and a row that is added to all rows.

    Operands have at least two dimensions and as many as each other, their batches broadcast.
    ``NotImplemented`` if oneDNN has no code for it.
    """
    (a, form), (b, other) = _usable(a), _usable(b)
    plan = None if api() is None else _plan(form, other, bias is not None)
    if plan is None:
        return NotImplemented
    batch = tuple(map(max, a.shape[:-2], b.shape[:-2]))
    out = empty((*batch, a.shape[-2], b.shape[-1]), _SINGLE)
    given = [a.ctypes.data, b.ctypes.data, out.ctypes.data]
    if bias is not None:
        bias = np.ascontiguousarray(bias)
        given.insert(2, bias.ctypes.data)
    POOL.run([
        partial(piece.code, *map(int.__add__, given, piece.starts)) for piece in plan
    ])
    return out
