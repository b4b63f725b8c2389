"""Activation checkpointing: compute again in the backward pass instead of keeping values."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flambeau as fb
from flambeau.autograd import Function, backward
from flambeau.autograd.grad_mode import enable_grad
from flambeau.tensor import Tensor

__all__ = ["checkpoint", "checkpoint_sequential", "noop_context_fn"]

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


def noop_context_fn() -> Contexts:
    """Nothing around the forward computation, nothing around its repetition."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn, preserve_rng_state: bool = True,
    determinism_check: str = "default", debug: bool = False, **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)`` that keeps only its arguments for the backward pass.

    The gradients of what the function uses besides its arguments, as a module's parameters, are
    accumulated by ``backward()``; ``autograd.grad`` with respect to those does not find them.

    Args:
        use_reentrant: True asks for PyTorch's older variant, which takes no ``kwargs`` and
            records only if an argument requires a gradient; to be given explicitly.
        context_fn: makes the contexts of the forward computation and of its repetition.
        preserve_rng_state: the repetition draws the same random numbers.
        determinism_check, debug: accepted; a repetition that gives other shapes is an error.

    Raises:
        ValueError: for keyword arguments with ``use_reentrant=True``.
    """
    if use_reentrant is None:
        warnings.warn(
            "flambeau.utils.checkpoint: the use_reentrant parameter should be passed explicitly. "
            "use_reentrant=False is recommended.", stacklevel=2)
        use_reentrant = True
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn:
            raise ValueError("Passing `context_fn` is only supported when use_reentrant=False.")
    if not fb.is_grad_enabled():
        with context_fn()[0]:
            return function(*args, **kwargs)
    call = _Call(function, args, kwargs, context_fn(), preserve_rng_state)
    tensors = call.tensors()
    if use_reentrant:
        if not any(t.requires_grad for t in tensors):
            warnings.warn(
                "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        return _Checkpoint.apply(call, None, *tensors)
    # A tensor that requires a gradient has the call recorded even if only parameters need one.
    return _Checkpoint.apply(call, fb.empty(0, requires_grad=True), *tensors)


class _Call:
    """A function with its arguments, the tensors among them to be put in anew."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        contexts: Contexts, preserve_rng_state: bool,
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.contexts = contexts
        self.rng_state = fb.get_rng_state() if preserve_rng_state else None

    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments; they are kept by autograd, and not here."""
        found = [a for a in (*self.args, *self.kwargs.values()) if isinstance(a, Tensor)]
        self.args = tuple(_HOLE if isinstance(a, Tensor) else a for a in self.args)
        self.kwargs = {
            k: _HOLE if isinstance(a, Tensor) else a for k, a in self.kwargs.items()}
        return found

    def __call__(self, tensors: Sequence[Tensor], again: bool) -> Any:
        rest = iter(tensors)
        args = [next(rest) if a is _HOLE else a for a in self.args]
        kwargs = {k: next(rest) if a is _HOLE else a for k, a in self.kwargs.items()}
        with self.contexts[again]:
            return self.function(*args, **kwargs)


_HOLE = object()


class _Checkpoint(Function):
    """Runs a call without recording it, and again with recording when gradients come."""

    @staticmethod
    def forward(ctx: Any, call: _Call, always: Any, *tensors: Tensor) -> Any:
        ctx.call = call
        ctx.save_for_backward(*tensors)
        return call(tensors, again=False)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        tensors = [t.detach().requires_grad_(t.requires_grad) for t in ctx.saved_tensors]
        outs = _repeat(ctx.call, tensors)
        if [tuple(o.shape) for o in outs if isinstance(o, Tensor)] != [
                tuple(shape) for kind, shape in ctx.outputs if kind is not None]:
            raise RuntimeError(
                "flambeau.utils.checkpoint: the function gave results of other shapes when it was "
                "computed again; it must do the same both times")
        pairs = [
            (o, g) for o, g in zip(outs, grads, strict=True)
            if isinstance(o, Tensor) and o.requires_grad and g is not None]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *(t.grad for t in tensors))


def _repeat(call: _Call, tensors: list[Any]) -> tuple[Any, ...]:
    now = fb.get_rng_state() if call.rng_state is not None else None
    if call.rng_state is not None:
        fb.set_rng_state(call.rng_state)
    try:
        with enable_grad():
            outs = call(tensors, again=True)
    finally:
        if now is not None:
            fb.set_rng_state(now)
    return tuple(outs) if isinstance(outs, (tuple, list)) else (outs,)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run modules one after the other, keeping values only between segments of them.

    Args:
        functions: a ``Sequential`` or a list.
        segments: how many; the last one is not checkpointed.
    """
    if use_reentrant is None:
        warnings.warn(
            "flambeau.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should "
            "be passed explicitly. use_reentrant=False is recommended.", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    modules = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def run(part: list[Any]) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for module in part:
                x = module(x)
            return x

        return forward

    size = len(modules) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(
            run(modules[start : start + size]), input, use_reentrant=use_reentrant,
            preserve_rng_state=preserve)
    return run(modules[size * (segments - 1) :])(input)
