"""What ``grad``, ``vjp`` and the Jacobians share: aliases to differentiate by.

Within ``vmap`` the aliases are batches, also those of tensors that are the same for all samples:
so each sample has a gradient of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau import modes
from flambeau.autograd import engine
from flambeau.autograd.dual import without_history
from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import Node, edge_of
from flambeau.func.batched import aligned, peeled, rewrapped
from flambeau.func.batching import Level, enter, levels_now
from flambeau.func.tree import leaves, mapped
from flambeau.tensor import Tensor


def tracked(x: Tensor) -> Tensor:
    """An alias to differentiate by, connected to the tensor if an outer transform tracks that."""
    levels = levels_now()
    bottom = aligned(x, levels, levels)
    if bottom.requires_grad and MODE.enabled:
        return rewrapped(bottom.view_as(bottom), levels)
    return rewrapped(without_history(bottom).requires_grad_(), levels)


def is_closed(results: Any, inputs: Sequence[Tensor]) -> bool:
    """Whether nothing but these inputs, which no outer transform tracks, leads to the results."""
    own = {id(peeled(x)[0]) for x in inputs}
    edges = [edge_of(peeled(x)[0]) for x in leaves(results) if isinstance(x, Tensor)]
    if any(peeled(x)[0]._fn is not None for x in inputs):
        return False
    nodes = [e for e in edges if isinstance(e, Node)]
    reached = [e for e in (*engine._count(nodes), *edges) if isinstance(e, Tensor)]
    return all(id(leaf) in own for leaf in reached)


def settled(tree: Any, closed: bool) -> Any:
    """Results without history if no outer transform tracks them."""
    if not closed:
        return tree
    return mapped(lambda x: _settled(x) if isinstance(x, Tensor) else x, tree)


def _settled(x: Tensor) -> Tensor:
    bottom, levels = peeled(x)
    return rewrapped(without_history(bottom), levels)


def gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Any, keep: bool = True
) -> list[Tensor]:
    """Gradients of the outputs along vectors; zeros where there is no dependence.

    The vectors may be batched by levels of ``vmap`` that were entered after the outputs were
    computed; then the gradients are, too.
    """
    bottoms = [peeled(x)[0] for x in inputs]
    held = peeled(inputs[0])[1] if inputs else ()
    pairs = [
        (peeled(o)[0], _lifted(v, held)) for o, v in zip(outputs, vectors, strict=True)
        if o.requires_grad and peeled(o)[1] == held]
    found: Any = [None] * len(inputs)
    if pairs:
        found = engine.grad(
            [o for o, _ in pairs], bottoms, [v for _, v in pairs], create_graph=keep,
            retain_graph=True, allow_unused=True)
    return [
        x.new_zeros(x.shape) if g is None else _lowered(g, held)
        for g, x in zip(found, inputs, strict=True)]


def _lifted(v: Tensor, held: tuple[Level, ...]) -> Tensor:
    """A vector with the dimensions of some levels shown, batched by the others only."""
    bottom, levels = peeled(v)
    if levels == held:
        return bottom
    others = [x for x in levels if x not in held]
    rest = range(len(levels), bottom.ndim)
    shown = [x for x in held if x in levels]
    bottom = bottom.permute([*map(levels.index, others), *map(levels.index, shown), *rest])
    sizes = list(bottom.shape)
    for i, level in enumerate(held):
        if level not in levels:
            bottom = bottom.unsqueeze(len(others) + i)
            sizes.insert(len(others) + i, level.size)
    return rewrapped(bottom.expand(sizes), others)


def _lowered(g: Tensor, held: tuple[Level, ...]) -> Tensor:
    """The inverse of ``_lifted``."""
    bottom, others = peeled(g)
    if not others:
        return rewrapped(bottom, held)
    levels = [*others, *held]
    order = [m for m in modes.stacked() if m in levels]
    rest = range(len(levels), bottom.ndim)
    return rewrapped(bottom.permute([*map(levels.index, order), *rest]), order)


def batched_gradients(
    outputs: Any, inputs: Any, vectors: Sequence[Tensor], **options: Any
) -> tuple[Any, ...]:
    """``autograd.grad`` for several vectors at once, stacked in dimension 0.

    Raises:
        ValueError: if there are not as many vectors for each output.
    """
    sizes = {v.shape[0] if v.ndim else None for v in vectors}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(
            "grad(..., is_grads_batched=True): expected grad_outputs that are stacked in dimension "
            f"0, as many of each, got shapes {[list(v.shape) for v in vectors]}")
    level = Level(sizes.pop())  # type: ignore[arg-type]
    with level:
        found = engine.grad(
            outputs, inputs, tuple(enter(v, level, 0) for v in vectors), **options)
    return tuple(None if g is None else level.batch_of(g) for g in found)
