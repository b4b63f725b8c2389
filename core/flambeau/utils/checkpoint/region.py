"""A checkpointed region: what was saved in it is computed again when the backward pass asks.

In the region, tensors that nodes save are replaced by tickets.  The first ticket that a backward
pass hands in has the whole region computed again, and its tensors given to the tickets by the
order in which they are saved.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from flambeau.autograd.engine import CURRENT
from flambeau.autograd.function import Function
from flambeau.autograd.grad_mode import enable_grad
from flambeau.autograd.saved import saved_tensors_hooks
from flambeau.tensor import Tensor

__all__ = ["CheckpointError", "GraphExecGroup", "Region"]


class CheckpointError(RuntimeError):
    """A region did something else when it was computed again."""


class _EndOfRegion(Exception):
    """All that was asked for has been computed."""


class GraphExecGroup:
    """Within the context, regions are computed again once for all backward passes together.

    The passes must not walk over the same parts of the graph.
    """

    _stack: tuple[GraphExecGroup, ...] = ()

    def __enter__(self) -> GraphExecGroup:
        GraphExecGroup._stack = (*GraphExecGroup._stack, self)
        return self

    def __exit__(self, *exc: object) -> None:
        GraphExecGroup._stack = GraphExecGroup._stack[:-1]


class _Ticket:
    """Stands for a saved tensor."""

    __slots__ = ("__weakref__",)


class _Inputs(Function):
    """Saves the inputs of a region as any node would, so that an outer region need not keep them.
    """

    @staticmethod
    def forward(ctx: Any, always: Tensor, *tensors: Tensor) -> Any:
        ctx.save_for_backward(*tensors)
        return always.detach()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise AssertionError("nobody uses the result of saving inputs")


class Region:
    """One call of a checkpointed function.

    Args:
        repeat: computes the region again from its tensors.
        tensors: among the arguments.
        compares: raise if repetitions save tensors of other shapes.
        describe: for errors: what was computed in the region, and in its repetition.
    """

    def __init__(
        self, repeat: Callable[[tuple[Tensor, ...]], Any], tensors: list[Tensor],
        early_stop: bool, compares: bool, describe: Callable[[], str],
    ) -> None:
        import flambeau as fb

        self._repeat, self._stops, self._compares = repeat, early_stop, compares
        self._describe = describe
        self._tickets: list[weakref.ref[_Ticket]] = []
        self._facts: list[tuple[Any, ...]] = []
        self._found: weakref.WeakKeyDictionary[
            Any, weakref.WeakKeyDictionary[_Ticket, Tensor]] = weakref.WeakKeyDictionary()
        always = fb.empty(0, requires_grad=True)
        self._inputs: Any = _Inputs.apply(always, *tensors).grad_fn

    def forward(self) -> AbstractContextManager[None]:
        """The context of the first computation."""
        return saved_tensors_hooks(self._pack, self._unpack)

    def _pack(self, t: Tensor) -> _Ticket:
        ticket = _Ticket()
        self._tickets.append(weakref.ref(ticket))
        self._facts.append(_facts(t))
        return ticket

    def _unpack(self, ticket: _Ticket) -> Tensor:
        place: Any = GraphExecGroup._stack[-1] if GraphExecGroup._stack else CURRENT.walk
        if place is None:  # somebody looks at what was saved, outside of a backward pass
            place = ticket
        found = self._found.setdefault(place, weakref.WeakKeyDictionary())
        if ticket not in found:
            self._compute_again(found)
        return found.pop(ticket)

    def _compute_again(self, found: weakref.WeakKeyDictionary[_Ticket, Tensor]) -> None:
        repetition = _Repetition(self, found)
        tensors = self._inputs.saved_tensors
        try:
            with saved_tensors_hooks(repetition.pack, lambda t: t), enable_grad():
                self._repeat(tensors)
        except _EndOfRegion:
            return
        if repetition.count != len(self._tickets):
            self._complain(
                "A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self._tickets)}\n"
                f"Number of tensors saved during recomputation: {repetition.count}.")

    def _complain(self, what: str) -> None:
        raise CheckpointError(f"flambeau.utils.checkpoint: {what}{self._describe()}")


class _Repetition:
    """Gives the tensors that a repetition saves to the tickets of the region."""

    def __init__(
        self, region: Region, found: weakref.WeakKeyDictionary[_Ticket, Tensor]
    ) -> None:
        self._region, self._found = region, found
        self.count = 0

    def pack(self, t: Tensor) -> Tensor:
        """Keep a tensor for its ticket; end the repetition after the last one."""
        region, at = self._region, self.count
        self.count += 1
        if at >= len(region._tickets):
            if region._stops:  # an error of a region without tickets: there is nothing to do
                raise _EndOfRegion
            region._complain(
                "trying to save more tensors during recomputation than during the original "
                "forward pass.")
        facts, before = _facts(t), region._facts[at]
        if region._compares and facts != before:
            region._complain(
                "Recomputed values for the following tensors have different metadata than during "
                f"the forward pass.\ntensor at position {at}:\nsaved metadata: "
                f"{_named(before)}\nrecomputed metadata: {_named(facts)}\n.")
        ticket = region._tickets[at]()
        if ticket is not None:
            self._found[ticket] = t.detach()
        if region._stops and self.count == len(region._tickets):
            raise _EndOfRegion
        return t


def _facts(t: Tensor) -> tuple[Any, ...]:
    return t.shape, t.dtype, t.device


def _named(facts: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("shape", "dtype", "device"), facts, strict=True))
