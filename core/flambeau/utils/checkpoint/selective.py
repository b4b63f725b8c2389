"""Selective checkpointing: the results of some operators are kept, the others computed again."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from flambeau import dispatch
from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import attach, record
from flambeau.modes import DispatchMode
from flambeau.registry import OPS, Op
from flambeau.tensor import Tensor, alias_of

__all__ = [
    "SAC_IGNORED_OPS", "CheckpointPolicy", "SelectiveCheckpointContext",
    "create_selective_checkpoint_contexts",
]


class CheckpointPolicy(enum.Enum):
    """What becomes of an operator's result; what is preferred and what is a must is the same."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


_SAVED: Final = (CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_SAVE)
_OFFLOADED: Final = (CheckpointPolicy.MUST_CPU_OFFLOAD, CheckpointPolicy.PREFER_CPU_OFFLOAD)

SAC_IGNORED_OPS: Final[set[Any]] = {op.function for op in OPS.values() if op.kind == "view"}
"""Operators that no policy is asked about: views, which cost nothing."""


class SelectiveCheckpointContext:
    """What a policy is told beside the operator and its arguments.

    Attributes:
        is_recompute: False: policies are asked in the forward pass only.
        op_output: the result.
    """

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


Policy = Callable[..., CheckpointPolicy]


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Policy | Iterable[Any], allow_cache_entry_mutation: bool = False
) -> tuple[DispatchMode, DispatchMode]:
    """Contexts for ``context_fn`` of ``checkpoint(..., use_reentrant=False)``.

    Args:
        policy_fn_or_list: functions such as ``fb.matmul``, or their names, whose results are kept;
            or ``policy(context, function, *args)``, asked of every operator that autograd records
            as one step, which gives a :class:`CheckpointPolicy`.
        allow_cache_entry_mutation: do not raise if results that are kept were written to.

    Raises:
        TypeError: for something else.
        ValueError: for a name that is no operator.
    """
    if callable(policy_fn_or_list):
        policy, wholes = policy_fn_or_list, frozenset[str]()
    elif isinstance(policy_fn_or_list, (list, tuple, set)):
        names = frozenset(map(_name, policy_fn_or_list))
        wholes = frozenset(n for n in names if not _is_one_step(OPS[n]))

        def policy(context: Any, function: Any, *args: Any) -> CheckpointPolicy:
            if function.op.name in names:
                return CheckpointPolicy.MUST_SAVE
            return CheckpointPolicy.PREFER_RECOMPUTE
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    kept = _Kept(allow_cache_entry_mutation)
    return _Keeping(kept, policy, wholes), _Reusing(kept)


def _name(what: Any) -> str:
    name = what if isinstance(what, str) else getattr(getattr(what, "op", what), "name", None)
    if name not in OPS:
        raise ValueError(
            f"Expected an operator such as fb.matmul, or its name, in the list but got {what!r}")
    return str(name)


def _is_one_step(op: Op) -> bool:
    """Whether a call is one node of the graph, and not several ops'."""
    return op.is_differentiable or op.kind == "primitive"


class _Kept:
    """The results that are kept, by operator in the order of calls."""

    def __init__(self, allow_mutation: bool) -> None:
        self.entries: dict[str, list[Any]] = defaultdict(list)
        self.allow_mutation = allow_mutation


class _Keeping(DispatchMode):
    """Keeps results in the forward pass."""

    def __init__(self, kept: _Kept, policy: Policy, wholes: frozenset[str]) -> None:
        self._kept, self._policy, self._wholes = kept, policy, wholes
        self._within = 0

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Run an op and keep its result if the policy says so."""
        if op.kind == "view":
            return NotImplemented
        if not _is_one_step(op):
            return self._run_parts(op, args) if op.name in self._wholes else NotImplemented
        out = dispatch.call(op, args)
        decision = CheckpointPolicy.MUST_SAVE if self._within else self._policy(
            SelectiveCheckpointContext(is_recompute=False, op_output=out), op.function, *args)
        if not isinstance(decision, CheckpointPolicy):
            raise TypeError(
                f"the policy must give a CheckpointPolicy for {op.name}, got {decision!r}")
        self._kept.entries[op.name].append(_entry(out, decision))
        return out

    def _run_parts(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Run an op whose parts are all kept."""
        assert op.decompose is not None
        self._within += 1
        try:
            with self:
                return op.decompose(*args)
        finally:
            self._within -= 1


class _Reusing(DispatchMode):
    """Gives results that were kept in place of computing them again."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._used: dict[str, int] = {}

    def __enter__(self) -> Any:
        self._used = defaultdict(int)
        return super().__enter__()

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """The kept result with its place in the graph, or what computing it again gives."""
        if op.kind == "view" or not _is_one_step(op):
            return NotImplemented
        at = self._used[op.name]
        self._used[op.name] += 1
        entries = self._kept.entries[op.name]
        if at >= len(entries):
            raise RuntimeError(
                f"{op.name} encountered during backward, but not found in storage: the "
                "recomputation calls it more often than the forward pass did")
        entry = entries[at]
        if entry is None:
            return dispatch.call(op, args)
        outs = tuple(v.tensor(self._kept.allow_mutation) if isinstance(v, _Value) else v
                     for v in entry.values)
        if MODE.enabled and op.is_differentiable and dispatch.any_requires_grad(op, args):
            attach(op, record(op, args, outs), outs)
        return entry.build(outs)


class _Entry:
    """A result: its values and what makes a result of them."""

    def __init__(self, out: Any, offloads: bool) -> None:
        several = isinstance(out, (tuple, list))
        self.values = [
            _Value(o, offloads) if isinstance(o, Tensor) else o
            for o in (out if several else (out,))]
        self._kind: Any = type(out) if several else None

    def build(self, outs: tuple[Any, ...]) -> Any:
        """A result of such values."""
        if self._kind is None:
            return outs[0]
        return self._kind(*outs) if hasattr(self._kind, "_fields") else self._kind(outs)


class _Value:
    """A tensor that is kept, and the version at which it was."""

    def __init__(self, t: Tensor, offloads: bool) -> None:
        self._device = t.device
        self._held = t.detach().cpu() if offloads else t.detach()
        self._version = self._held._version

    def tensor(self, allow_mutation: bool) -> Tensor:
        """The tensor, without history."""
        if self._held._version != self._version and not allow_mutation:
            raise RuntimeError(
                "Tensor cached during selective activation checkpoint has been mutated")
        return alias_of(self._held.to(self._device))


def _entry(out: Any, decision: CheckpointPolicy) -> _Entry | None:
    if decision in _SAVED or decision in _OFFLOADED:
        return _Entry(out, decision in _OFFLOADED)
    return None
