"""What convolutions and pooling share: the geometry of windows, and images in either format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.onednn.primitive import Form, Ints, dims

_SINGLE = np.dtype(np.float32)


class Windows(NamedTuple):
    """Where windows lie over images of some size.

    Attributes:
        after: how far the last window reaches past the image; less than 0 if it ends before.
    """

    stride: Ints
    padding: Ints
    dilation: Ints
    after: Ints

    @staticmethod
    def over(
        sizes: Ints, kernel: Ints, counts: Ints, stride: Any, padding: Any, dilation: Any
    ) -> Windows | None:
        """Windows of which there are ``counts``; None if that makes no sense."""
        stride, padding, dilation = tuple(stride), tuple(padding), tuple(dilation)
        given = (sizes, kernel, counts, stride, padding, dilation)
        if len({len(g) for g in given}) > 1 or min((*stride, *dilation, *counts), default=0) < 1:
            return None
        after = tuple(
            (c - 1) * s + d * (k - 1) + 1 - n - p
            for n, k, c, s, p, d in zip(*given, strict=True))
        if min(padding) < 0 or any(a <= -s for a, s in zip(after, stride, strict=True)):
            return None
        return Windows(stride, padding, dilation, after)

    def arguments(self) -> tuple[Any, Any, Any, Any]:
        """Strides, dilations and both paddings as a convolution takes them."""
        return (dims(self.stride), dims(d - 1 for d in self.dilation), dims(self.padding),
                dims(self.after))


def is_last(x: Any) -> bool:
    """Whether channels are innermost in memory, and must be."""
    return bool(
        x.strides[1] == x.itemsize and not x.flags.c_contiguous
        and np.moveaxis(x, 1, -1).flags.c_contiguous)


def images(shape: Sequence[int], last: bool) -> Form:
    """Dense images (N, C, *), with channels innermost or not."""
    n = len(shape)
    return Form.dense(tuple(shape), (0, *range(2, n), 1) if last else None)


def dense(x: Any) -> Any:
    """Images in one of the two formats: the array or a copy."""
    return x if x.flags.c_contiguous or is_last(x) else np.ascontiguousarray(x)


def new_images(shape: Ints, last: bool, dtype: Any = _SINGLE) -> Any:
    """Uninitialised images."""
    if not last:
        return empty(shape, dtype)
    return np.moveaxis(empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)


def as_format(x: Any, last: bool) -> Any:
    """Images in the format that is wanted: the array or a copy."""
    if is_last(x) if last else x.flags.c_contiguous:
        return x
    if not last:
        return np.ascontiguousarray(x)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
