"""What both kinds of pooling share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, Final, NamedTuple

from flambeau_cpu.onednn.primitive import (
    DIFF_DST,
    DIFF_SRC,
    DST,
    SRC,
    WORKSPACE,
    Builder,
    Ints,
    Primitive,
    dims,
)
from flambeau_cpu.onednn.rows import Cut, cut
from flambeau_cpu.onednn.windows import Windows, images
from flambeau_cpu.windows import plan as windows_over

MAX: Final = 0x1FF
_TRAINING: Final = 64
_COST: Final = 0.1e-3  # microseconds for an element of a window


class Pooling(NamedTuple):
    """One case.

    Attributes:
        algorithm: the greatest value, or one of the means.
        x: shape of the input.
        y: shape of the output.
        last: whether channels are innermost.
    """

    algorithm: int
    x: Ints
    y: Ints
    kernel: Ints
    windows: Windows
    last: bool

    def forward(self, b: Builder, count: int) -> Any:
        """The description for so many images."""
        w = self.windows
        return b.describe(
            "pooling_forward", _TRAINING, self.algorithm, images((count, *self.x[1:]), self.last),
            images((count, *self.y[1:]), self.last), dims(w.stride), dims(self.kernel),
            dims(d - 1 for d in w.dilation), dims(w.padding), dims(w.after))

    def backward(self, b: Builder, count: int) -> Any:
        """The description of the adjoint."""
        w, hint = self.windows, self.forward(b, count)
        return b.describe(
            "pooling_backward", self.algorithm, images((count, *self.x[1:]), self.last),
            images((count, *self.y[1:]), self.last), dims(w.stride), dims(self.kernel),
            dims(d - 1 for d in w.dilation), dims(w.padding), dims(w.after), hint)


def pooling(
    algorithm: int, shape: Ints, kernel: Sequence[int], stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, last: bool,
) -> Pooling | None:
    """The case; None if it makes no sense or oneDNN counts otherwise."""
    if not 3 <= len(shape) <= 5:
        return None
    sizes, size = shape[2:], tuple(kernel)
    p = windows_over(sizes, size, tuple(stride), tuple(padding), tuple(dilation), bool(ceil_mode))
    if p is None or not 1 < p.area < 256:
        return None
    windows = Windows.over(sizes, size, p.counts, stride, padding, dilation)
    if windows is None or any(
        q >= k or a >= k for q, a, k in zip(p.padding, windows.after, size, strict=True)):
        return None  # a window without an element
    return Pooling(algorithm, shape, (*shape[:2], *p.counts), size, windows, last)


@lru_cache(maxsize=256)
def planned(p: Pooling, backward: bool) -> Cut | None:
    """Ranges of images."""
    workspace = (WORKSPACE,) if p.algorithm == MAX else ()

    def make(b: Builder, count: int) -> Primitive:
        if backward:
            return Primitive(p.backward(b, count), DIFF_DST, *workspace, DIFF_SRC)
        return Primitive(p.forward(b, count), SRC, *workspace, DST)

    return cut(p.x[0], prod(p.y) * prod(p.kernel) * _COST, make)
