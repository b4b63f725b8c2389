"""How many floating-point operations a call does, where a formula is known."""

from __future__ import annotations

import math
from typing import Any, Final

from flambeau.tensor import Tensor

__all__ = ["flops_of"]

PRODUCTS: Final = ("matmul", "mm", "bmm", "mv", "dot", "addmm", "baddbmm", "linear")
ELEMENTWISE: Final = ("add", "sub", "mul", "div")


def flops_of(name: str, args: tuple[Any, ...], out: Any) -> int:
    """Two per multiply-add of products and convolutions, one per element of + - * /; else 0."""
    if not isinstance(out, Tensor):
        return 0
    tensors = [a for a in args if isinstance(a, Tensor)]
    size = int(out.numel())
    if name in ELEMENTWISE:
        return size
    if name in PRODUCTS:
        left = tensors[1] if name in ("addmm", "baddbmm") else tensors[0]
        return 2 * size * int(left.shape[-1])
    if name == "convolution":
        return 2 * size * int(math.prod(tensors[1].shape[1:]))
    return 0
