"""The same values in other places of memory: every pattern of strides that a kernel may meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from flambeau.dtypes import dtype
from flambeau.layout import Layout, contiguous_strides, strides_in_order
from flambeau.samples import Sample
from flambeau.tensor import Tensor
from flambeau_conformance.transfer import Array, from_elements, tensors_in, to_host

MARGIN: Final = 3
"""Elements before and after those that belong to a tensor."""


def reversed_order(shape: tuple[int, ...]) -> Layout:
    """The first dimension innermost, as in Fortran."""
    return Layout.of(shape, strides_in_order(shape, range(len(shape))))


def gapped(shape: tuple[int, ...]) -> Layout:
    """Every other element, not from the start of the storage."""
    return Layout.of(shape, tuple(2 * s for s in contiguous_strides(shape)), MARGIN)


def scrambled(shape: tuple[int, ...]) -> Layout:
    """The second dimension innermost, gaps along all."""
    order = [1, 0, *range(2, len(shape))] if len(shape) > 2 else range(len(shape))
    strides = strides_in_order(tuple(n + 1 for n in shape), order)
    return Layout.of(shape, strides, 1)


PATTERNS: Final[dict[str, Callable[[tuple[int, ...]], Layout]]] = {
    "reversed": reversed_order, "gapped": gapped, "scrambled": scrambled,
}


def poison(what: dtype) -> Any:
    """What stands between the elements of a tensor: a kernel that reads it shows it."""
    if what.category >= 2:
        return np.nan
    return True if what.category == 0 else np.iinfo(what.numpy).max - 1


def arrange(t: Tensor, layout: Layout, margin: int = MARGIN) -> Tensor:
    """A tensor of the same values in a layout, poison around and between them."""
    return place(to_host(t), layout, t, margin)


def place(values: Array, layout: Layout, like: Tensor, margin: int = MARGIN) -> Tensor:
    """Values in a layout, on the device and of the dtype of another tensor."""
    elements = np.full(layout.span() + margin, poison(like.dtype), like.dtype.numpy)
    view(elements, layout)[...] = values
    made = from_elements(elements, layout, like._kind)
    return made.requires_grad_() if like.requires_grad else made


def view(elements: Array, layout: Layout) -> Array:
    """The elements of a layout, to be written to."""
    if not layout.numel:
        return np.empty(tuple(layout.shape), elements.dtype)
    strides = tuple(s * elements.itemsize for s in layout.strides)
    return np.lib.stride_tricks.as_strided(
        elements[layout.offset :], tuple(layout.shape), strides
    )


def rearranged(sample: Sample, pattern: str) -> Sample | None:
    """A sample with its tensors in a pattern of strides; None if that changes nothing."""
    tensors = list(tensors_in((sample.args, sample.kwargs)))
    least = 1 if pattern == "gapped" else 2
    if not any(t.ndim >= least and t.numel() > 1 for t in tensors):
        return None

    def moved(t: Tensor) -> Tensor:
        return arrange(t, PATTERNS[pattern](tuple(t.shape))) if t.numel() else t

    return _mapped(sample, moved, pattern)


def expanded(sample: Sample) -> Sample | None:
    """A sample whose tensors repeat their first row by a stride of 0; None if there is none."""
    tensors = list(tensors_in((sample.args, sample.kwargs)))
    if not any(t.ndim and t.shape[0] > 1 and t.numel() for t in tensors):
        return None

    def repeated(t: Tensor) -> Tensor:
        if not t.ndim or not t.numel():
            return t
        row = to_host(t)[:1]
        made = from_elements(
            row.reshape(-1), Layout.contiguous(row.shape).expand(tuple(t.shape)), t._kind
        )
        return made.requires_grad_() if t.requires_grad else made

    return _mapped(sample, repeated, "expanded")


def _mapped(sample: Sample, change: Callable[[Tensor], Tensor], suffix: str) -> Sample:
    def walk(value: Any) -> Any:
        if isinstance(value, Tensor):
            return change(value)
        if type(value) in (list, tuple):
            return type(value)(walk(v) for v in value)
        return value

    kwargs = {k: walk(v) for k, v in sample.kwargs.items()}
    return replace(
        sample, args=walk(sample.args), kwargs=kwargs, name=f"{sample.name}+{suffix}"
    )
