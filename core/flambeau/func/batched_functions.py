"""A user's ``autograd.Function`` on samples: its ``vmap``, or one made of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from flambeau.autograd.function import Function
from flambeau.func.batched_nodes import Plan, apply
from flambeau.func.tree import leaves, rebuilt
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.func.batching import Level


class VmapInfo(NamedTuple):
    """What a Function's ``vmap`` is told."""

    batch_size: int
    randomness: str


def call(level: Level, function: Any, args: tuple[Any, ...]) -> Any:
    """Call a Function with samples among its arguments.

    Raises:
        RuntimeError: if it has neither a ``vmap`` nor ``generate_vmap_rule``, or both.
    """
    has_rule = function.vmap is not Function.vmap
    if function.generate_vmap_rule:
        if has_rule:
            raise RuntimeError(
                f"You tried to vmap over {function.__name__}, but it has both "
                "generate_vmap_rule=True and an overridden vmap staticmethod. Please set "
                "generate_vmap_rule=False or delete the vmap staticmethod.")
        if function.setup_context is Function.setup_context:
            raise RuntimeError(
                f"{function.__name__}: generate_vmap_rule=True needs a forward without ctx and a "
                "setup_context staticmethod.")
        return apply(level, _FunctionPlan(function), list(args))
    if not has_rule:
        raise RuntimeError(
            f"You tried to vmap over {function.__name__}, but it does not have vmap support. "
            "Please override and implement the vmap staticmethod or set generate_vmap_rule=True.")
    in_dims = tuple(0 if level.owns(a) else None for a in args)
    values = [a._value if level.owns(a) else a for a in args]
    info = VmapInfo(level.size, level.randomness)
    returned = function.vmap(info, in_dims, *values)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise RuntimeError(
            f"{function.__name__}.vmap should return (output, out_dims), a tuple of two.")
    outputs, out_dims = returned
    return _wrapped(level, outputs, out_dims)


def _wrapped(level: Level, outputs: Any, out_dims: Any) -> Any:
    flat = leaves(outputs)
    dims: list[Any] = (
        [out_dims] * len(flat) if out_dims is None or isinstance(out_dims, int)
        else _spread(outputs, out_dims))
    from flambeau.func.batching import enter

    return rebuilt(outputs, iter([
        enter(o, level, d % o.ndim) if d is not None and isinstance(o, Tensor) else o
        for o, d in zip(flat, dims, strict=True)]))


def _spread(outputs: Any, dims: Any) -> list[Any]:
    """One dimension for each output."""
    if isinstance(outputs, (tuple, list)):
        same = dims if isinstance(dims, (tuple, list)) else [dims] * len(outputs)
        return [d for o, s in zip(outputs, same, strict=True) for d in _spread(o, s)]
    return [dims]


class _Context:
    """What ``setup_context`` and ``backward`` of a Function share, by samples."""

    def __init__(self) -> None:
        self.to_save: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.needs_input_grad: tuple[bool, ...] = ()
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for ``backward``."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for ``jvp``; the parts of ``forward`` bring their own here."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Refused, as in PyTorch."""
        raise RuntimeError(
            "ctx.mark_dirty is not supported with generate_vmap_rule=True; override the vmap "
            "staticmethod.")

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Declare outputs without gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Gradients are always given as tensors."""


class _FunctionPlan(Plan):
    """A Function whose forward and backward are made of ops."""

    def __init__(self, function: Any) -> None:
        self.function, self.context = function, _Context()
        self.still: set[int] = set()

    def forward(self, inputs: list[Any]) -> Any:
        """The Function's own."""
        self.context.needs_input_grad = tuple(
            isinstance(a, Tensor) and a.requires_grad for a in inputs)
        result = self.function.forward(*inputs)
        self.function.setup_context(self.context, tuple(inputs), result)
        return result

    def to_save(self, outs: tuple[Any, ...]) -> list[Any]:
        """What ``setup_context`` has saved."""
        context = self.context
        still = {id(t) for t in context.non_differentiable}
        self.still = {i for i, o in enumerate(outs) if id(o) in still}
        saved, context.to_save, context.non_differentiable = list(context.to_save), (), ()
        return saved

    def has_gradient(self, position: int) -> bool:
        """Unless ``setup_context`` has said otherwise."""
        return position not in self.still

    def backward(
        self, saved: list[Any], grads: tuple[Any, ...], needs: tuple[bool, ...]
    ) -> Sequence[Any]:
        """The Function's own."""
        context = self.context
        context.saved_tensors, context.needs_input_grad = tuple(saved), needs
        try:
            found = self.function.backward(context, *grads)
        finally:
            context.saved_tensors = ()
        return found if isinstance(found, tuple) else (found,)
