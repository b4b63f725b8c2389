"""Reductions evaluated by NumPy: the oracle beside :mod:`flambeau.codegen.interpreter`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike, DTypeLike

from flambeau.codegen.category import Category
from flambeau.codegen.interpreter import category_of, evaluate, types_for
from flambeau.codegen.numerics import Array
from flambeau.codegen.reduction import (
    AnyReduction,
    ArgReduction,
    Reduction,
    parse_reduction,
)


def evaluate_reduction(
    reduction: str | AnyReduction,
    array: ArrayLike,
    axes: int | Sequence[int] | None = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike = np.float64,
    attributes: Mapping[str, float] | None = None,
) -> Array:
    """The results of a reduction.

    Neighbours are combined in pairs, then pairs of pairs: rounding errors grow with the logarithm
    of the number of elements.

    Args:
        reduction: as an object, or as the line that :func:`parse_reduction` takes.
        array: the elements.
        axes: the axes to reduce over, all if ``None``, none if empty.
        keepdims: whether reduced axes stay, with length 1.
        dtype: as for :func:`evaluate`.
        attributes: numbers that the formulas use by name.

    Returns:
        The reduced array; int64 indices for an :class:`ArgReduction`, counted in row-major order
        over the reduced axes.

    Raises:
        FormulaError: for a formula that does not parse or type.
        numpy.exceptions.AxisError: for an axis that the array does not have.
        ValueError: for an axis given twice, or indices of no elements.
    """
    if isinstance(reduction, str):
        reduction = parse_reduction(reduction)
    values = np.asarray(array)
    reduced = normalize_axis_tuple(range(values.ndim) if axes is None else axes, values.ndim)
    run = _Run(reduction, category_of(values.dtype), dtype, attributes or {})
    result = run.reduce(_flattened(values, reduced))
    return result.reshape(_shape(values.shape, reduced, keepdims))


def _flattened(array: Array, reduced: Sequence[int]) -> Array:
    """The array with its reduced axes, in order, made one last axis."""
    kept = [axis for axis in range(array.ndim) if axis not in reduced]
    counts = [array.shape[axis] for axis in sorted(reduced)]
    moved = array.transpose(*kept, *sorted(reduced))
    # Not -1 for the product: NumPy cannot infer it beside an axis of no elements.
    return moved.reshape(*(array.shape[axis] for axis in kept), int(np.prod(counts, dtype=int)))


def _shape(shape: Sequence[int], reduced: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if axis in reduced else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in reduced)


class _Run:
    """One evaluation.  A state is a tuple of arrays: a value, for arg-reductions also an index."""

    def __init__(
        self,
        reduction: AnyReduction,
        element: Category,
        dtype: DTypeLike,
        attributes: Mapping[str, float],
    ) -> None:
        self.reduction = reduction
        self.dtype = dtype
        self.attributes = dict(attributes)
        categories = {
            name: category_of(np.asarray(value).dtype) for name, value in attributes.items()
        }
        self.state_type = types_for(dtype)[reduction.infer(element, categories).state]

    def evaluate(self, formula: str, **values: ArrayLike) -> Array:
        return evaluate(formula, self.attributes | values, self.dtype)

    def reduce(self, elements: Array) -> Array:
        """Reduce over the last axis."""
        mapped = self.evaluate(self.reduction.map, x=elements).astype(self.state_type)
        identity = self.identity(elements.shape[:-1])
        if isinstance(self.reduction, Reduction):
            (total,) = self.fold((mapped,), identity)
            return self.evaluate(self.reduction.final, acc=total, n=elements.shape[-1])
        if elements.shape[-1] == 0:
            raise ValueError("an index is asked for, and there are no elements to reduce over")
        index = np.broadcast_to(np.arange(elements.shape[-1]), elements.shape)
        return self.fold((mapped, index), identity)[1]

    def identity(self, shape: tuple[int, ...]) -> tuple[Array, ...]:
        ends = {}
        if self.state_type.kind != "c":
            ends = dict(zip(("lowest", "highest"), _ends(self.state_type), strict=True))
        value = evaluate(self.reduction.init, ends, self.dtype).astype(self.state_type)
        states = [np.broadcast_to(value, shape)]
        if isinstance(self.reduction, ArgReduction):
            states.append(np.broadcast_to(np.iinfo(np.int64).max, shape))
        return tuple(states)

    def fold(self, states: tuple[Array, ...], identity: tuple[Array, ...]) -> tuple[Array, ...]:
        while (count := states[0].shape[-1]) > 1:
            pairs = self.combine(
                tuple(state[..., 0 : count - 1 : 2] for state in states),
                tuple(state[..., 1:count:2] for state in states),
            )
            rest = [state[..., count - count % 2 :] for state in states]
            states = tuple(np.concatenate(parts, -1) for parts in zip(pairs, rest, strict=True))
        if states[0].shape[-1] == 0:
            return identity
        return self.combine(identity, tuple(state[..., 0] for state in states))

    def combine(self, left: tuple[Array, ...], right: tuple[Array, ...]) -> tuple[Array, ...]:
        if isinstance(self.reduction, Reduction):
            return (self.evaluate(self.reduction.combine, acc=left[0], x=right[0]),)
        (old, old_index), (new, new_index) = left, right
        is_preferred = self.evaluate(self.reduction.take, acc=old, x=new)
        is_worse = self.evaluate(self.reduction.take, acc=new, x=old)
        takes = is_preferred | ~is_worse & (new_index < old_index)
        return np.where(takes, new, old), np.where(takes, new_index, old_index)


def _ends(dtype: np.dtype[Any]) -> tuple[ArrayLike, ArrayLike]:
    """The lowest and the highest value of a type."""
    match category_of(dtype):
        case Category.BOOL:
            return False, True
        case Category.INTEGER:
            return np.iinfo(dtype).min, np.iinfo(dtype).max
    return -np.inf, np.inf
