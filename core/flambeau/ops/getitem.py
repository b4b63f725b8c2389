"""``x[index]`` and ``x[index] = value``.

Integers, slices, None and Ellipsis make a view: arithmetic on layouts, remembered per layout.
Tensors, lists, arrays and booleans then index the view by :func:`flambeau.ops.advanced.index`,
with PyTorch's placement of the new dimensions: where the indices are neighbours (integers do not
count), else in front.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import NoneType
from typing import Any, Final

import numpy as np

from flambeau import dtypes, modes
from flambeau.autograd.grad_mode import MODE
from flambeau.caution import warn
from flambeau.construct import as_tensor
from flambeau.fields import TensorFields
from flambeau.layout import Layout
from flambeau.ops.advanced import Indices, check_mask, index_put_, mask_of
from flambeau.ops.advanced import index as index_op
from flambeau.ops.create import full
from flambeau.ops.masking import masked_fill
from flambeau.ops.memory import checked_number, copy_, fill_, is_plain_target
from flambeau.ops.shape import alias, select, slice_dim, unsqueeze
from flambeau.tensor import Tensor, from_native, from_storage

_ACTIVE: Final = modes.ACTIVE
_BOUNDS: Final = frozenset((int, NoneType))  # classes of a slice's parts that may be remembered
_LEGACY_LENGTH: Final = 32  # shorter sequences of sequences still count as tuples in PyTorch 2.13
_new: Final = TensorFields.__new__
masked_fill_: Final = masked_fill.op.inplace_function  # type: ignore[attr-defined]

Step = tuple[Any, ...]
"""A view op and its arguments after the tensor."""


def getitem(self: Tensor, index: Any) -> Tensor:
    """``self[index]``: a view for integers, slices, None and Ellipsis, else a copy."""
    cls = index.__class__
    try:
        base = self._plain
        if not _ACTIVE and not (self if base is None else base)._requires_grad:
            if cls is int:
                key = index
            elif cls is slice:
                start, stop, step = index.start, index.stop, index.step
                key = (start, stop, step) if (
                    start.__class__ in _BOUNDS and stop.__class__ in _BOUNDS
                    and step.__class__ in _BOUNDS) else None
            elif cls is tuple:
                key = _key(index)
            else:
                key = ("getitem", index) if index is None or index is Ellipsis else None
            if key is None and (cls is Tensor or cls is tuple):
                taken = _taken(self, index)
                if taken is not None:
                    return taken
            held: Layout = self._layout  # type: ignore[assignment]
            layout: Layout | None = held.memo.get(key)
            if layout is None:
                layout = None if key is None else _layout_at(held, key, index)
            elif held.offset:
                layout = layout.at(held.offset + layout.offset)
            if layout is not None:
                view = _new(Tensor)
                view._native, view._kind, view._layout = None, self._kind, layout
                view._storage = storage = self._storage
                view._base = self if base is None else base
                view._fn = view._grad = view._extra = None
                view._requires_grad, view._seen = False, storage.version  # type: ignore[union-attr]
                return view
    except (AttributeError, TypeError):  # no layout derived yet, or a class that sees every call
        pass
    if cls is int and not _ACTIVE and self.ndim:
        self.storage_()
        if MODE.enabled and self.requires_grad:
            return select(self, 0, index)  # type: ignore[no-any-return]
    view, indices = _select(self, index)
    return index_op(view, indices) if indices else view


def _layout_at(held: Layout, key: Any, index: Any) -> Layout | None:
    """The view's layout by arithmetic on integers and slices; None if there is more to an index."""
    layout, dim = held, 0
    try:
        if index.__class__ is int:
            layout, index = held.select(0, index), ()
        for item in index if index.__class__ is tuple else (index,):
            if item.__class__ is int:
                layout = layout.select(dim, item)
            elif item.__class__ is slice:
                step = item.step
                layout = layout.slice(dim, item.start, item.stop, 1 if step is None else step)
                dim += 1
            else:
                return None
    except (IndexError, ValueError):  # what names the dimension of the tensor is found there
        return None
    if not held.offset:
        held.memo.remember(key, layout)
    return layout


def _taken(self: Tensor, index: Any) -> Tensor | None:
    """The elements at tensors of indices by the backend's own kernel, if it has one."""
    fresh = self._kind.backend.kernels.fresh.get("index")
    natives = None if fresh is None else _natives(self, index)
    if natives is None:
        return None
    native = fresh(self.native(), indices=natives)  # type: ignore[misc]
    return None if native is NotImplemented else from_native(self._kind, native)


def _natives(self: Tensor, index: Any) -> list[Any] | None:
    """The natives of tensors of indices, None for ``:``; None if there is anything else."""
    natives: list[Any] = []
    where, found = self._kind.device, False
    for item in index if index.__class__ is tuple else (index,):
        if item.__class__ is Tensor:
            kind = item._kind
            if kind.device is not where or not item.ndim or not (
                kind.dtype is dtypes.int64 or kind.dtype is dtypes.bool
            ):
                return None
            natives.append(item.native())
            found = True
        elif item.__class__ is slice and item.start is item.stop is item.step is None:
            natives.append(None)
        else:
            return None
    return natives if found else None


def _key(index: tuple[Any, ...]) -> Any:
    """What a tuple of plain indices is remembered by, None if it holds anything else."""
    key: list[Any] = ["getitem"]
    for item in index:
        cls = item.__class__
        if cls is int or item is None or item is Ellipsis:
            key.append(item)
        elif cls is slice:
            start, stop, step = item.start, item.stop, item.step
            if not (start.__class__ in _BOUNDS and stop.__class__ in _BOUNDS
                    and step.__class__ in _BOUNDS):
                return None
            key.append((start, stop, step))
        else:
            return None
    return tuple(key)


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """``self[index] = value``: a copy into a view, or :func:`index_put_`."""
    cls = index.__class__
    indices: Indices = ()
    if (cls is Tensor or cls is tuple) and _put_directly(self, index, value):
        return
    if cls is int or cls is slice or (cls is tuple and _key(index) is not None):
        view = getitem(self, index)
    else:
        view, indices = _select(self, index)
    if isinstance(value, Tensor):
        value = _without_leading_ones(value, view.ndim if not indices else value.ndim)
        if not indices:
            # `x[i] += y` writes through the view and then assigns the view to its own place.
            if _ACTIVE or (
                value.storage_() is not view.storage_() or value.layout_() != view.layout_()
            ):
                copy_(view, value)
            return
    elif isinstance(value, (bool, int, float, complex, np.integer, np.bool_)):
        if not indices:
            fill_(view, value)
            return
        value = checked_number(value, view.dtype)
    else:
        raise TypeError(
            f"can't assign a {type(value).__name__} to a {self.type()}; convert it with "
            "flambeau.tensor(...)")
    _put(view, indices, value)


def _put_directly(self: Tensor, index: Any, value: Any) -> bool:
    """Whether the backend's own kernel has written to the places that tensors name."""
    natives = _natives(self, index)
    if natives is None or not is_plain_target(self):
        return False
    kernels = self._kind.backend.kernels.out
    native = self.native()
    if value.__class__ is float or value.__class__ is int:
        if len(natives) > 1 or natives[0] is None or natives[0].shape != native.shape:
            return False
        kernel = kernels.get("masked_fill")
        inputs = (natives[0], checked_number(value, self._kind.dtype))
        done = kernel is not None and kernel(native, native, *inputs) is not NotImplemented
    elif value.__class__ is not Tensor or value._kind is not self._kind or (
        (MODE.enabled and value.requires_grad) or value.storage_() is self.storage_()
    ):
        return False
    else:
        kernel = kernels.get("index_put")
        done = kernel is not None and kernel(
            native, native, natives, value.native(), accumulate=False) is not NotImplemented
    if done:
        self.storage_().version += 1
    return done


def _put(view: Tensor, indices: Indices, value: Any) -> None:
    """Write to the places that tensors name; a mask and a number need no search for them."""
    given = [i for i in indices if i is not None]
    mask = given[0]
    if len(given) == 1 and mask.dtype is dtypes.bool and (
        not isinstance(value, Tensor) or (not value.ndim and value.dtype is view.dtype)
    ):
        ahead = len(indices) - 1
        after = view.ndim - ahead - mask.ndim
        masked_fill_(view, mask.reshape(mask.shape + (1,) * after) if after else mask, value)
        return
    if not isinstance(value, Tensor):
        value = full((), value, dtype=view.dtype, device=view.device)
    index_put_(view, indices, value)


def _without_leading_ones(value: Tensor, ndim: int) -> Tensor:
    """A value with more dimensions than its target, without leading dimensions of size 1."""
    while value.ndim > ndim and value.shape[0] == 1:
        value = select(value, 0, 0)
    return value


# ---- views -------------------------------------------------------------------------------------
def _select(self: Tensor, index: Any) -> tuple[Tensor, list[Tensor | None]]:
    """The view that the plain parts of an index make, and the tensors that index it."""
    steps, indices = _parse(self, index if index.__class__ is tuple else _as_tuple(index))
    if index.__class__ is slice and not steps:
        steps = [(slice_dim, 0, None, None, 1)]
    if modes.is_watched(self) or (MODE.enabled and self.requires_grad):
        return _compose(self, steps, indices), indices
    held = layout = self.layout_()
    for step, *arguments in steps:
        layout = step.op.rule(layout, *arguments)
    key = _memo_key(index) if not indices else None
    if key is not None and not held.offset:
        held.memo.remember(key, layout)
    return _share(self, layout), indices


def _memo_key(index: Any) -> Any:
    cls = index.__class__
    if cls is int:
        return index
    if index is None or index is Ellipsis:
        return ("getitem", index)
    key = _key((index,) if cls is slice else index) if cls in (slice, tuple) else None
    return key[1] if key is not None and cls is slice else key


def _share(self: Tensor, layout: Layout) -> Tensor:
    view = from_storage(self._kind, self.storage_(), layout)
    base = self if self._base is None else self._base
    if not base._requires_grad:
        view._base, view._seen = base, self.storage_().version
    return view


def _compose(self: Tensor, steps: list[Step], indices: list[Tensor | None]) -> Tensor:
    """The view as a chain of view ops, which modes see and autograd records."""
    view = self
    for step, *arguments in steps:
        view = step(view, *arguments)
    return alias(self) if view is self and not indices else view


# ---- parsing -----------------------------------------------------------------------------------
def _as_tuple(index: Any) -> tuple[Any, ...]:
    """An index that is no tuple, as one; short sequences of sequences count as tuples."""
    if not isinstance(index, list) or len(index) >= _LEGACY_LENGTH or not any(
        item is None or item is Ellipsis or isinstance(item, (Tensor, slice, Sequence, np.ndarray))
        for item in index
    ):
        return (index,)
    warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated; use "
        "x[tuple(seq)] instead of x[seq], or x[flambeau.tensor(seq)] if the sequence is meant as "
        "one index.")
    return tuple(index)


def _parse(self: Tensor, index: tuple[Any, ...]) -> tuple[list[Step], list[Tensor | None]]:
    """View steps, and for the dimensions of the resulting view the tensors that index them.

    A mask stands for as many dimensions as it has.

    Raises:
        IndexError: for too many indices, one out of range, or one of a wrong type.
    """
    items = [_entry(item, self) for item in index]
    left = self.ndim - sum(map(_consumed, items))
    if left < 0:
        raise IndexError(
            f"too many indices for tensor of dimension {self.ndim}" if self.ndim else
            "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a "
            "number")
    steps: list[Step] = []
    indices: list[Tensor | None] = []
    source = at = covered = 0  # dimensions dealt with: of the tensor, of the view, in `indices`
    for item in items:
        if item is Ellipsis:
            source, at, left = source + left, at + left, 0
        elif item is None:
            steps.append((unsqueeze, at))
            at += 1
        elif item.__class__ is int:
            steps.append((select, at, _in_range(item, source, self.shape[source])))
            source += 1
        elif item.__class__ is slice:
            if item != _EVERYTHING:
                steps.append((slice_dim, at, item.start, item.stop, item.step))
            source, at = source + 1, at + 1
        else:
            if isinstance(item, _NewDimension):
                steps.append((unsqueeze, at))
                item = item.mask
            else:
                if item.dtype is dtypes.bool:
                    check_mask(item, self.shape, source)
                source += item.ndim if item.dtype is dtypes.bool else 1
            indices += [None] * (at - covered)
            indices.append(item)
            at += item.ndim if item.dtype is dtypes.bool else 1
            covered = at
    return steps, indices


class _NewDimension:
    """A boolean as an index: a new dimension of size 1, masked by it."""

    __slots__ = ("mask",)

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask


def _entry(item: Any, self: Tensor) -> Any:
    """One part of an index as None, Ellipsis, int, slice, tensor, or new dimension."""
    if item is None or item is Ellipsis or item.__class__ is int:
        return item
    if isinstance(item, slice):
        return _integral(item)
    if isinstance(item, (bool, np.bool_)):
        return _NewDimension(full((1,), bool(item), dtype=dtypes.bool, device=self.device))
    if isinstance(item, (list, tuple, range, np.ndarray)):
        item = as_tensor(np.asarray(item) if isinstance(item, range) else item)
        if item.dtype.category > 1:  # an empty list, or numbers that PyTorch truncates too
            item = item.long()
    if isinstance(item, Tensor):
        return _tensor_entry(item)
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type(item).__name__})") from None


def _tensor_entry(item: Tensor) -> Any:
    mask = mask_of(item)
    if mask is not None:
        return mask if mask.ndim else _NewDimension(mask.reshape(1))
    if not item.ndim and item.dtype.category == 1 and not getattr(item, "is_sample", False):
        return int(item)
    if item.dtype is not dtypes.int64 and item.dtype is not dtypes.int32:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return item


def _integral(item: slice) -> slice:
    """A slice of plain integers.

    Raises:
        TypeError: for parts that are no integers.
        ValueError: for a step that is not positive.
    """
    try:
        start, stop, step = (
            None if part is None else operator.index(part)
            for part in (item.start, item.stop, item.step))
    except TypeError:
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method") from None
    step = 1 if step is None else step
    if step <= 0:
        raise ValueError(
            "slice step cannot be zero" if not step else "step must be greater than zero")
    return slice(start, stop, step)


_EVERYTHING: Final = slice(None, None, 1)


def _consumed(item: Any) -> int:
    """How many dimensions of the tensor a part of an index deals with."""
    if item is None or item is Ellipsis or isinstance(item, _NewDimension):
        return 0
    return item.ndim if isinstance(item, Tensor) and item.dtype is dtypes.bool else 1


def _in_range(index: int, dim: int, size: int) -> int:
    if -size <= index < size:
        return index
    raise IndexError(f"index {index} is out of bounds for dimension {dim} with size {size}")


for _name, _method in {"__getitem__": getitem, "__setitem__": setitem}.items():
    setattr(Tensor, _name, _method)
