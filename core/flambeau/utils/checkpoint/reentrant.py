"""PyTorch's older way to checkpoint: a function whose backward calls the engine again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from flambeau.autograd.engine import CURRENT, backward
from flambeau.autograd.function import Function
from flambeau.autograd.grad_mode import enable_grad
from flambeau.tensor import Tensor
from flambeau.utils.checkpoint.devices import Surroundings

__all__ = ["CheckpointFunction", "check_backward_validity", "detach_variable"]


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs, tensors among them as leaves that require a gradient if they did.

    Raises:
        RuntimeError: if the inputs are no tuple.
    """
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs)}")
    return tuple(
        a.detach().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a
        for a in inputs)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if no input requires a gradient: the older way then records nothing."""
    if not any(a.requires_grad for a in inputs if isinstance(a, Tensor)):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=3)


class CheckpointFunction(Function):
    """Runs a function without recording it, and again with recording when gradients come."""

    @staticmethod
    def forward(
        ctx: Any, run_function: Callable[..., Any], preserve_rng_state: bool, *args: Any
    ) -> Any:
        """``run_function(*args)``."""
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.surroundings = Surroundings(preserve_rng_state)
        ctx.args = [None if isinstance(a, Tensor) else a for a in args]
        ctx.positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*(args[i] for i in ctx.positions))
        return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gradients of the arguments; those of anything else are accumulated on the way.

        Raises:
            RuntimeError: in a backward pass to named inputs, or if no result has a gradient.
        """
        if CURRENT.walk is not None and CURRENT.walk.captures is not None:
            raise RuntimeError(
                "When use_reentrant=True, checkpoint() is incompatible with .grad() or passing an "
                "`inputs` parameter to .backward(). To resolve this error, you can either set "
                "use_reentrant=False, or call .backward() without passing the `inputs` argument.")
        args = list(ctx.args)
        for i, t in zip(ctx.positions, ctx.saved_tensors, strict=True):
            args[i] = t
        args = list(detach_variable(tuple(args)))
        with ctx.surroundings.again(), enable_grad():
            outs = ctx.run_function(*args)
        pairs = [
            (o, g) for o, g in zip(outs if isinstance(outs, (tuple, list)) else (outs,), grads,
                                   strict=True)
            if isinstance(o, Tensor) and o.requires_grad]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *(a.grad if isinstance(a, Tensor) else None for a in args))
