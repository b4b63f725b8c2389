"""Gradients of a call as a function of its arguments, so that they are compared like values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau.autograd import grad
from flambeau.registry import Op
from flambeau.tensor import Tensor
from flambeau_conformance.reference import leaves
from flambeau_conformance.transfer import from_host, tensors_in

Function = Callable[..., list[Any]]


def differentiable(op: Op) -> Function:
    """An op's results that depend differentiably on its arguments."""

    def run(*args: Any, **kwargs: Any) -> list[Any]:
        found = leaves(op.function(*args, **kwargs))
        return [t for t in found if isinstance(t, Tensor) and t.requires_grad]

    return run


def gradients_of(function: Function, seed: int, create_graph: bool = False) -> Function:
    """The gradients of a function's results by the arguments that require one.

    What is multiplied with them (the cotangents) is the same on every device, and exact in every
    dtype.  A gradient that is zero because nothing depends on the argument is None.
    """

    def run(*args: Any, **kwargs: Any) -> list[Any]:
        inputs = leaves_that_require_grad((args, kwargs))
        outs = function(*args, **kwargs)
        if not outs or not inputs:
            return []
        seeds = [cotangent(t, seed + i) for i, t in enumerate(outs)]
        return list(grad(outs, inputs, seeds, create_graph=create_graph, allow_unused=True))

    return run


def only_differentiable(function: Function) -> Function:
    """Those results of a function that can be differentiated again."""

    def run(*args: Any, **kwargs: Any) -> list[Any]:
        return [t for t in function(*args, **kwargs) if t is not None and t.requires_grad]

    return run


def second_gradients_of(op: Op, seed: int) -> Function:
    """The gradients of the gradients."""
    first = gradients_of(differentiable(op), seed, create_graph=True)
    return gradients_of(only_differentiable(first), seed + 100)


def leaves_that_require_grad(arguments: Any) -> list[Tensor]:
    """The tensors to differentiate by, each once."""
    found = {id(t): t for t in tensors_in(arguments) if t.requires_grad}
    return list(found.values())


def cotangent(t: Tensor, seed: int) -> Tensor:
    """Multiples of 1/8 between -1 and 1, in the dtype and on the device of a tensor."""
    return from_host(eighths(t, seed).astype(t.dtype.numpy), t._kind)


def eighths(t: Tensor, seed: int) -> np.ndarray[Any, Any]:
    """The values of a cotangent."""
    random = np.random.default_rng([seed, t.ndim])
    values = random.integers(-8, 9, tuple(t.shape)) / 8
    if t.dtype.is_complex:
        values = values + 1j * random.integers(-8, 9, tuple(t.shape)) / 8
    return np.asarray(values)
