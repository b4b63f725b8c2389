"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import flambeau as fb
from flambeau.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters one after the other; gradients flow through.

    Raises:
        TypeError: if they are on different devices.
    """
    items = list(parameters)
    for p in items[1:]:
        _check_device(p, items[0])
    return fb.cat([p.reshape(-1) for p in items])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make the parameters parts of a vector, sharing its memory.

    Raises:
        TypeError: if ``vec`` is no tensor, or the parameters are on different devices.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected flambeau.Tensor, but got: {type(vec).__name__}")
    at = 0
    first: Tensor | None = None
    for p in parameters:
        first = first if first is not None else p
        _check_device(p, first)
        n = p.numel()
        p.data = vec[at : at + n].view_as(p).data
        at += n


def _check_device(p: Tensor, first: Tensor) -> None:
    if p.device is not first.device:
        raise TypeError(
            "Found two parameters on different devices, this is currently not supported.")
