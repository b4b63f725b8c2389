"""Forward mode: a dispatch mode that carries tangents along with the tensors they belong to.

A tensor's tangents, one per open level, lie in its ``__dict__``; nothing else knows of them.
Levels are modes at the bottom of the stack, below every ``vmap``: they see whole batches.  Which
tangent an op's result has is told by :mod:`flambeau.autograd.tangents`.
"""

from __future__ import annotations

from typing import Any, Final

from flambeau import dispatch, modes
from flambeau.autograd.node import SAVED_OUTPUT, OutputOf
from flambeau.registry import Op
from flambeau.tensor import Tensor

_KEY: Final = "tangents"


class DualLevel(modes.DispatchMode):
    """A level of forward differentiation, while entered."""

    # ---- the stack -----------------------------------------------------------------------------
    def __enter__(self) -> Any:
        stack = modes._stack
        at = sum(isinstance(m, DualLevel) for m in stack.modes)
        stack.modes = (*stack.modes[:at], self, *stack.modes[at:])
        modes.ACTIVE.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        stack = modes._stack
        at = max(i for i, m in enumerate(stack.modes) if m is self)
        stack.modes = (*stack.modes[:at], *stack.modes[at + 1:])
        modes.ACTIVE.remove(self)

    # ---- tangents ------------------------------------------------------------------------------
    def tangent(self, t: Any) -> Tensor | None:
        """The tangent of a tensor at this level, None for zero."""
        if not isinstance(t, Tensor):
            return None
        found: Tensor | None = vars(t).get(_KEY, {}).get(self)
        return _of_output(t, self) if found is None and t._fn is not None else found

    def attach(self, t: Tensor, tangent: Tensor | None) -> None:
        """Give a tensor, and what its node has saved of it, a tangent at this level."""
        if tangent is None:
            return
        vars(t).setdefault(_KEY, {})[self] = tangent
        node = t._fn
        position = node.position if isinstance(node, OutputOf) else 0
        node = node.edges[0] if isinstance(node, OutputOf) else node
        if node is None:
            return
        vars(node).setdefault(_KEY, {})[self, position] = tangent
        for value in node.saved or ():
            if isinstance(value, Tensor) and value._extra is SAVED_OUTPUT and (
                value._storage is t._storage and value._layout is t._layout
            ):
                vars(value).setdefault(_KEY, {})[self] = tangent

    # ---- what dispatch asks --------------------------------------------------------------------
    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Run an op, and give its results their tangents."""
        if all(self.tangent(t) is None for t in dispatch.tensors_of(op, args)):
            return NotImplemented
        from flambeau.autograd import tangents

        if not op.is_differentiable:
            if op.decompose is None:
                return NotImplemented
            with self:
                return op.decompose(*args)
        result = tangents.run(op, args)
        outs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        along = tangents.pushed(op, args, outs, self.tangent)
        if along is None:
            if op.decompose is None or op.is_random:
                return result
            with self:
                return op.decompose(*args)
        for out, tangent in zip(outs, along, strict=True):
            if out is not None and out._kind.is_differentiable:
                self.attach(out, tangent)
        return result

    def handle_write(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Run the in-place form of an op, and write to the tangent, too."""
        target = args[0]
        if all(self.tangent(t) is None for t in dispatch.tensors_of(op, args)):
            return NotImplemented
        from flambeau.autograd.inplace import call_inplace

        given = args if op.name != "fill" else (target.detach(), *args[1:])
        new = self.tangent(self.handle(op, given))
        call_inplace(op, args)
        if target._kind.is_differentiable:
            self._rewrite(target, new)
        return target

    def _rewrite(self, target: Tensor, new: Tensor | None) -> None:
        """Change a tangent in place, as views of the tensor share it."""
        have = self.tangent(target)
        if have is None:
            if new is None:
                return
            base = target._base
            if base is None or not base.layout_().is_dense():
                self.attach(target, new)
                return
            whole = base.detach() * 0
            self.attach(base, whole)
            have = whole.as_strided(
                target.shape, target.stride(), target.storage_offset() - base.storage_offset())
        if have.layout_().overlaps_itself() or (have.requires_grad and have.is_leaf):
            self.attach(target, new if new is not None else have.detach() * 0)
            return
        have = have.zero_() if new is None else have.copy_(new)
        self.attach(target, have)

    def handle_function(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Call a user's Function, and its ``jvp`` for the tangents."""
        along = [self.tangent(a) for a in args]
        if all(t is None for t in along):
            return NotImplemented
        context, result = function._called(args, {}, for_jvp=True)
        outs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        if context.materialize_grads:
            along = [a.detach() * 0 if t is None and isinstance(a, Tensor)
                     and a._kind.is_differentiable else t for a, t in zip(args, along, strict=True)]
        moved = context._pushed(along)
        if len(moved) != len(outs):
            raise RuntimeError(
                f"{function.__name__}.jvp returned {len(moved)} tangents for {len(outs)} outputs")
        for out, tangent in zip(outs, moved, strict=True):
            if isinstance(out, Tensor) and out._kind.is_differentiable:
                if tangent is not None and tangent.shape != out.shape:
                    raise RuntimeError(
                        f"{function.__name__}.jvp returned a tangent of shape "
                        f"{list(tangent.shape)} for an output of shape {list(out.shape)}")
                self.attach(out, tangent)
        return result


def _of_output(t: Tensor, level: DualLevel) -> Tensor | None:
    """The tangent of an output that its node has made again from what it saved."""
    node: Any = t._fn
    position = node.position if isinstance(node, OutputOf) else 0
    node = node.edges[0] if isinstance(node, OutputOf) else node
    found: Tensor | None = vars(node).get(_KEY, {}).get((level, position))
    return found if found is not None and found.shape == t.shape else None


def without_history(t: Tensor) -> Tensor:
    """``detach()`` from backward mode only: tangents are kept, without history, too."""
    result = t.detach()
    tangents = vars(t).get(_KEY) if modes.ACTIVE else None
    if tangents:
        vars(result)[_KEY] = {level: without_history(x) for level, x in tangents.items()}
    return result
