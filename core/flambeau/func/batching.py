"""``vmap`` as a level of dispatch: what an op does to tensors of which each is a batch.

For every op that it sees, a level takes the first of these ways:

1. a rule (:mod:`flambeau.func.batching_rules`): one call of the op on whole batches, or few;
2. for a composite its decomposition, whose parts the level sees in turn; if the op has a
   derivative of its own, that is kept, and decomposed in the backward pass;
3. a loop over the samples, with a warning, counted in ``fallbacks``.

Gradients and tangents are those of the tensors at the bottom: levels lie above autograd, whatever
the order in which transforms were nested.  Samples do not depend on each other, so a derivative of
all is all the derivatives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from flambeau import dispatch, modes, random
from flambeau.autograd.grad_mode import MODE
from flambeau.caution import warn
from flambeau.func.batched import BatchedTensor, Unbatchable, Unwritable, wrap
from flambeau.func.batching_rules import NAMED, aligned_write, is_pointwise, pointwise
from flambeau.func.tree import remade
from flambeau.registry import Op
from flambeau.tensor import Tensor
from flambeau.typecheck import check_arguments

fallbacks: Final[Counter[str]] = Counter()
"""How often each op ran as a loop over the samples."""
RANDOMNESS: Final = ("error", "different", "same")
_DYNAMIC: Final = frozenset((
    "nonzero", "masked_select", "argwhere", "unique", "unique_consecutive", "unique_dim",
    "bincount"))
"""Ops whose result's shape depends on values."""

Rule = Callable[..., Any]


class Level(modes.DispatchMode):
    """One call of ``vmap``.

    Args:
        size: number of samples.
        randomness: "error", "different" numbers for every sample, or the "same" for all.
    """

    def __init__(self, size: int, randomness: str = "error") -> None:
        self.size, self.randomness = size, randomness

    def owns(self, t: Any) -> bool:
        """Whether something is a tensor batched by this level."""
        return isinstance(t, BatchedTensor) and t._level is self

    def wrapped(self, result: Any) -> Any:
        """Results of an op on whole batches as samples."""
        if isinstance(result, Tensor):
            return wrap(self, result)
        if isinstance(result, (tuple, list)):
            return remade(result, map(self.wrapped, result))
        return result

    def batch_of(self, t: Tensor) -> Tensor:
        """All samples of a tensor; the same one again and again if it is not batched here."""
        if self.owns(t):
            return t._value  # type: ignore[attr-defined,no-any-return]
        return t.expand((self.size, *t.shape))

    # ---- what dispatch asks --------------------------------------------------------------------
    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """The result of an op on samples, NotImplemented if none of its tensors is one."""
        if not any(self.owns(t) for t in dispatch.tensors_of(op, args)):
            return NotImplemented
        if tuple(map(type, args)) not in op.accepted:
            check_arguments(op, args)
        if op.name in _DYNAMIC:
            raise _dynamic(op)
        rule = rule_of(op)
        result = NotImplemented if rule is None else rule(self, op, args)
        if result is NotImplemented and op.decompose is not None:
            result = self._decomposed(op, args)
        return self._looped(op, args) if result is NotImplemented else result

    def handle_write(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Run the in-place form of an op on samples."""
        if not any(self.owns(t) for t in dispatch.tensors_of(op, args)):
            return NotImplemented
        target = args[0]
        if not self.owns(target):
            raise Unwritable(target, (
                f"vmap: {op.name}_(self, ...) is not possible because an argument differs from "
                "sample to sample, and `self`, which is to hold the result, does not. Make "
                "`self` from a tensor that is mapped over, as new_zeros and zeros_like do, or "
                f"use {op.name}, which returns a new tensor."))
        if op.name == "copy" or op.name == "fill" or is_pointwise(op):
            aligned_write(self, op, args)
        else:
            result = self.handle(op, args)
            target._value.copy_(self.batch_of(result))
        return target

    def handle_draw(self, shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Tensor]) -> Any:
        """Random numbers for the samples.

        Raises:
            RuntimeError: if randomness is an error.
        """
        if self.randomness == "error":
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use "
                "the 'same' or 'different' randomness flags on vmap, or draw the numbers outside "
                "of it.")
        if self.randomness == "same":
            return draw(shape)
        return wrap(self, draw((self.size, *shape)))

    def handle_like(self, t: Any, make: Callable[..., Any], args: Any, options: Any) -> Any:
        """A new tensor like a sample: one for every sample."""
        if not self.owns(t):
            return NotImplemented
        return wrap(self, make(t._value, *args, **options))

    def handle_function(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Call a user's ``autograd.Function`` on samples."""
        if not any(self.owns(a) for a in args):
            return NotImplemented
        from flambeau.func.batched_functions import call

        return call(self, function, args)

    # ---- without a rule ------------------------------------------------------------------------
    def _decomposed(self, op: Op, args: tuple[Any, ...]) -> Any:
        try:
            if op.is_differentiable and MODE.enabled and any(
                t.requires_grad for t in dispatch.tensors_of(op, args)
            ):
                from flambeau.func.batched_nodes import recorded

                return recorded(self, op, args)
            with self:
                return op.decompose(*args)  # type: ignore[misc]
        except Unwritable as error:
            if any(t is error.target for t in args):
                raise Unbatchable(
                    f"vmap: {op.name} updates an argument in place, as batch norm does its running "
                    "statistics, that is the same for all samples. Give every sample its own, or "
                    "remove them with func.replace_all_batch_norm_modules_().") from error
            return NotImplemented
        except Unbatchable:
            return NotImplemented

    def _looped(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Call an op once for every sample, and stack the results."""
        if not self.size:
            raise RuntimeError(f"vmap: {op.name} has no rule for a batch without samples")
        warn(
            f"vmap runs {op.name} as a loop over the samples: it has no batching rule, and its "
            "decomposition looks at values.")
        fallbacks[op.name] += 1
        if op.is_random and self.randomness == "error":
            self.handle_draw((), _nothing)
        state = random.get_rng_state() if op.is_random and self.randomness == "same" else None
        results = []
        for i in range(self.size):
            if state is not None:
                random.set_rng_state(state)
            results.append(dispatch.call(op, tuple(self._sample(a, i) for a in args)))
        return self._stacked(op, results)

    def _sample(self, value: Any, i: int) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(self._sample(v, i) for v in value)
        return value._value.select(0, i) if self.owns(value) else value

    def _stacked(self, op: Op, results: Sequence[Any]) -> Any:
        from flambeau.ops.join import stack

        first = results[0]
        if isinstance(first, Tensor):
            if any(r.shape != first.shape for r in results):
                raise _dynamic(op)
            return wrap(self, stack(results))
        if isinstance(first, (tuple, list)):
            parts = [self._stacked(op, part) for part in zip(*results, strict=True)]
            return remade(first, parts)
        return first


def _nothing(shape: tuple[int, ...]) -> Tensor:
    raise AssertionError("randomness is an error")


def _dynamic(op: Op) -> Unbatchable:
    return Unbatchable(
        f"vmap: {op.name} gives tensors whose shape depends on values, so the samples of a batch "
        "would differ in shape. We do not support batching operators with dynamic shapes.")


def rule_of(op: Op) -> Rule | None:
    """The batching rule of an op, if there is one."""
    found = NAMED.get(op.name)
    if found is None and is_pointwise(op):
        return pointwise
    return found


def levels_now() -> tuple[Level, ...]:
    """The levels that this thread is in, outermost first."""
    if not modes.ACTIVE:
        return ()
    return tuple(dict.fromkeys(m for m in modes.stacked() if isinstance(m, Level)))


def leave(t: Tensor, level: Level, dim: int) -> Tensor:
    """The whole batch of a sample, with the batch dimension at a place."""
    value = level.batch_of(t)
    return value if not dim else value.movedim(0, dim)


def enter(t: Tensor, level: Level, dim: int) -> Tensor:
    """A sample of a tensor whose batch dimension is at a place."""
    return wrap(level, t.movedim(dim, 0) if dim else t)
