"""Derivatives of one's own within ``vmap``: recorded at the bottom, computed by samples.

The node lies between the tensors at the bottom.  Forward and backward wrap them again as samples,
so the same level sees the parts of both.  That holds for composites with derivatives and for a
user's ``autograd.Function`` with ``generate_vmap_rule``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from flambeau.autograd.engine import _fit
from flambeau.autograd.function import Function
from flambeau.autograd.node import saved_slots
from flambeau.func.batched import BatchedTensor, aligned, merged, peeled, rewrapped
from flambeau.registry import Op
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.func.batching import Level

Levels = tuple["Level", ...]


class Plan:
    """What a node computes, by samples."""

    out_levels: list[Levels]
    """What each output is batched by; filled in by the forward pass."""

    def forward(self, inputs: list[Any]) -> Any:
        """The outputs for the inputs, one tensor (or something else) after the other."""
        raise NotImplementedError

    def to_save(self, outs: tuple[Any, ...]) -> list[Any]:
        """What ``backward`` needs: tensors, lists of them, and other things."""
        raise NotImplementedError

    def has_gradient(self, position: int) -> bool:
        """Whether an output is differentiable."""
        return True

    def backward(
        self, saved: list[Any], grads: tuple[Any, ...], needs: tuple[bool, ...]
    ) -> Sequence[Any]:
        """One gradient, or None, for every input."""
        raise NotImplementedError


class OpPlan(Plan):
    """A composite with a derivative of its own; its inputs are the tensors of its arguments."""

    def __init__(self, op: Op, args: tuple[Any, ...]) -> None:
        self.op, self.args = op, args

    def inputs(self) -> list[Any]:
        """What the arguments through which tensors come in hold, lists laid out."""
        found: list[Any] = []
        for position in self.op.schema.tensor_positions:
            value = self.args[position]
            found += value if self.op.schema.arguments[position].is_list else [value]
        return found

    def forward(self, inputs: list[Any]) -> Any:
        """The decomposition."""
        values, rest = list(self.args), iter(inputs)
        for position in self.op.schema.tensor_positions:
            value = values[position]
            is_list = self.op.schema.arguments[position].is_list
            values[position] = [next(rest) for _ in value] if is_list else next(rest)
        self.args = tuple(values)
        return self.op.decompose(*values)  # type: ignore[misc]

    def to_save(self, outs: tuple[Any, ...]) -> list[Any]:
        """What the derivatives name."""
        args, self.args = self.args, ()
        return [_slot_value(slot, args, outs) for slot in saved_slots(self.op)]

    def has_gradient(self, position: int) -> bool:
        """Whether the op says so."""
        return position in self.op.differentiable_outputs

    def backward(
        self, saved: list[Any], grads: tuple[Any, ...], needs: tuple[bool, ...]
    ) -> Sequence[Any]:
        """The derivatives."""
        op = self.op
        several = tuple(grads[i] for i in op.differentiable_outputs)
        g = several if len(several) > 1 else several[0]
        values = dict(zip([s.name for s in saved_slots(op)], saved, strict=True))
        if op.joint is not None:
            return op.joint(g, needs, *[  # type: ignore[no-any-return]
                values[s.name] for s in op.saved[""]])
        found: list[Any] = []
        for position, need in zip(op.schema.tensor_positions, needs, strict=True):
            name = op.schema.arguments[position].name
            rule = op.derivatives.get(name)
            found.append(None if rule is None or not need else rule(
                g, *[values[s.name] for s in op.saved[name]]))
        return found


def _slot_value(slot: Any, args: tuple[Any, ...], outs: tuple[Any, ...]) -> Any:
    if slot.source == "output":
        return outs[slot.position]
    value = args[slot.position]
    if slot.source == "shape":
        return tuple(value.shape) if isinstance(value, Tensor) else ()
    if slot.source == "dtype":
        return value.dtype if isinstance(value, Tensor) else None
    return value


class _Batched(Function):
    """The node: its inputs and outputs are the tensors at the bottom."""

    is_transparent = True  # to modes, which see the parts

    @staticmethod
    def forward(ctx: Any, plan: Plan, levels: Levels, inputs: list[Any], *bottoms: Any) -> Any:
        """Wrap the inputs, run the plan, and peel its outputs."""
        ctx.plan, ctx.levels = plan, levels
        ctx.batched = [_levels_of(t) for t in inputs]
        ctx.forms = [(t._kind, t.shape) if isinstance(t, Tensor) else None for t in inputs]
        again = [
            rewrapped(b, ls) if isinstance(b, Tensor) else b
            for b, ls in zip(bottoms, ctx.batched, strict=True)]
        with levels[-1]:
            result = plan.forward(again)
            outs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
            outs = tuple(o.view_as(o) if isinstance(o, Tensor) and any(
                o is a for a in again) else o for o in outs)
        plan.out_levels = ctx.out_levels = [_levels_of(o) for o in outs]
        _keep(ctx, plan.to_save(outs))
        found = tuple(peeled(o)[0] if isinstance(o, Tensor) else o for o in outs)
        ctx.mark_non_differentiable(*[
            o for i, o in enumerate(found) if isinstance(o, Tensor) and not plan.has_gradient(i)])
        return found if isinstance(result, (tuple, list)) else found[0]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Wrap gradients and saved tensors, run the plan, and fit what it gives."""
        needs = ctx.needs_input_grad[3:]
        with ExitStack() as stack:
            for level in ctx.levels:
                stack.enter_context(level)
            given = tuple(
                rewrapped(g, ls) if isinstance(g, Tensor) else g
                for g, ls in zip(grads, ctx.out_levels, strict=True))
            found = ctx.plan.backward(_kept(ctx), given, needs)
            results = [
                _settled(g, form, ctx.levels, ls) if g is not None and need else None
                for g, form, ls, need in zip(found, ctx.forms, ctx.batched, needs, strict=True)]
        return (None, None, None, *results)


def _settled(g: Tensor, form: Any, levels: Levels, wanted: Levels) -> Tensor:
    kind, shape = form
    if g._kind is not kind or g.shape != shape:
        g = _fit(g, kind, shape)
    return aligned(g, levels, wanted)


def _keep(ctx: Any, values: list[Any]) -> None:
    """Save tensors as autograd does, and remember how they were batched."""
    tensors: list[Tensor] = []

    def note(value: Any) -> Any:
        if isinstance(value, Tensor):
            bottom, levels = peeled(value)
            tensors.append(bottom)
            return _Place(len(tensors) - 1, levels)
        if value.__class__ in (list, tuple):
            return value.__class__(map(note, value))
        return value

    ctx.notes = list(map(note, values))
    ctx.save_for_backward(*tensors)


class _Place:
    """Which saved tensor it is, and what it is batched by."""

    __slots__ = ("at", "levels")

    def __init__(self, at: int, levels: Levels) -> None:
        self.at, self.levels = at, levels


def _kept(ctx: Any) -> list[Any]:
    tensors = ctx.saved_tensors

    def again(note: Any) -> Any:
        if note.__class__ is _Place:
            return rewrapped(tensors[note.at], note.levels)
        return note.__class__(map(again, note)) if note.__class__ in (list, tuple) else note

    return [again(note) for note in ctx.notes]


def _levels_of(t: Any) -> Levels:
    return peeled(t)[1] if isinstance(t, BatchedTensor) else ()


def apply(level: Level, plan: Plan, inputs: list[Any]) -> Any:
    """Run a plan as one node; the outputs are samples as its parts left them."""
    levels = merged([_levels_of(t) for t in inputs])
    if levels[-1] is not level:  # nothing of the innermost level is among the inputs
        levels = (*(x for x in levels if x is not level), level)
    bottoms = [peeled(t)[0] if isinstance(t, Tensor) else t for t in inputs]
    result = _Batched.apply(plan, levels, inputs, *bottoms)
    if isinstance(result, Tensor):
        return rewrapped(result, plan.out_levels[0])
    return tuple(
        rewrapped(o, ls) if isinstance(o, Tensor) else o
        for o, ls in zip(result, plan.out_levels, strict=True))


def recorded(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """The decomposition of a composite on samples, with its own derivative."""
    plan = OpPlan(op, args)
    return apply(level, plan, plan.inputs())
