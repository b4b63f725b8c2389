"""Reductions: primitives with a reduction formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.formulas import registers
from flambeau.backend.generated.pointwise import PLANS_AT_MOST
from flambeau.backend.generated.split import Step, Task, part_sizes, split_for, step_of
from flambeau.codegen.category import Category
from flambeau.codegen.dialects.base import Index
from flambeau.codegen.kernels.indexing import collapse, in_memory_order, index_register
from flambeau.codegen.kernels.states import Argument, Formula, State
from flambeau.codegen.reduction import ArgReduction, Reduction, parse_reduction
from flambeau.dtypes import dtype
from flambeau.layout import Layout
from flambeau.promotion import reduced_dims, reduced_shape
from flambeau.registry import all_ops

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend, Traits

ARGUMENTS: Final = {
    "argmax": "init: lowest; take: x > acc || isnan(x) && !isnan(acc)",
    "argmin": "init: highest; take: x < acc || isnan(x) && !isnan(acc)",
}
"""Reductions that op records give a name."""
SUMS: Final = ("sum", "prod")
"""Reductions that have an identity, and whose results of integers are int64."""
States: TypeAlias = Callable[
    [dtype, dtype | None, Index], tuple[State, tuple[dtype, ...]] | None]


class Plan(NamedTuple):
    """What a call does, for tensors of certain layouts and dtypes."""

    steps: tuple[Step, ...]
    parts: tuple[int, ...]
    """Bytes of the temporary buffers."""
    layouts: tuple[Layout, ...]
    """Of the results."""
    outs: tuple[dtype, ...]
    nbytes: tuple[int, ...]
    kept: tuple[Layout, ...]
    """The layouts whose identities stand in the plan's key."""


class Reducer:
    """The kernels of one reduction.

    Args:
        states: makes the state and the results' dtypes from the elements' dtype, the (first)
            result's if it is given, and the type of indices; None declines.
        needs_elements: whether there is no result of no elements.
    """

    def __init__(
        self, backend: GeneratedBackend, name: str, states: States, needs_elements: bool = False
    ) -> None:
        self.backend, self.name, self.states = backend, name, states
        self.needs_elements = needs_elements
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def run(
        self, x: Strided, dim: Any, keepdim: bool, outs: tuple[Strided, ...] | None = None,
        numbers: Sequence[float] = (),
    ) -> Any:
        """Reduce; gives the results, new ones if there are none.

        Raises:
            IndexError: if there are no elements and these are needed.
        """
        backend = self.backend
        index = backend.index_of(x.buffer)
        if dim.__class__ is list:
            dim = tuple(dim)
        layouts = tuple(out.layout for out in outs) if outs else None
        given = [(id(out.layout), out.dtype) for out in outs or ()]
        key = (id(x.layout), x.dtype, dim, keepdim, index, *given)
        plan = self.plans.get(key)
        if plan is None:
            made = self.plan(x, dim, keepdim, layouts, outs[0].dtype if outs else None, index)
            if made is None:
                return NotImplemented
            if len(self.plans) >= PLANS_AT_MOST:
                self.plans.clear()
            plan = self.plans[key] = made
        results = [out.buffer for out in outs] if outs else [
            backend.alloc(n, index) for n in plan.nbytes]
        parts = [backend.alloc(n, index) for n in plan.parts]
        before, last = [x.buffer], len(plan.steps) - 1
        for k, step in enumerate(plan.steps):
            after = results if k == last else parts
            backend.launch(
                step.handle, step.groups, [*before, *after, *step.scalars, *numbers], index)
            before = after
        if outs:
            return outs
        return tuple(map(Strided, results, plan.outs, plan.layouts))

    # ---- planning ----------------------------------------------------------------------------
    def plan(
        self, x: Strided, dim: Any, keepdim: bool, layouts: tuple[Layout, ...] | None,
        out: dtype | None, index: int,
    ) -> Plan | None:
        """Look at the tensors, and compile."""
        layout, traits = x.layout, self.backend.traits(index)
        dims = reduced_dims(dim, layout.ndim)
        reduced = range(layout.ndim) if dims is None else dims
        if self.needs_elements and not all(layout.shape[d] for d in reduced):
            raise IndexError(f"{self.name}(): Expected reduction dim to have non-zero size.")
        kept = [d for d in range(layout.ndim) if d not in reduced]
        register = index_register(layout.numel, [
            (o.offset, o.shape, o.strides) for o in (layout, *(layouts or ()))])
        found = self.states(x.dtype, out, register)
        if found is None:
            return None
        state, outs = found
        shape = reduced_shape(layout.shape, dims, keepdim)
        results = layouts or (Layout.contiguous(shape),) * len(outs)
        out_strides = [
            [r.strides[d] for d in kept] if keepdim else r.strides
            for r in results]
        walk = in_memory_order(
            [layout.shape[d] for d in kept],
            [[layout.strides[d] for d in kept], *out_strides])
        over = (collapse if state.is_ordered else in_memory_order)(
            [layout.shape[d] for d in sorted(reduced)],
            [[layout.strides[d] for d in sorted(reduced)]])
        task = Task(state, x.dtype, outs, walk, over,
                    (layout.offset, *(r.offset for r in results)), prod(over.sizes), register)
        steps, parts = self.steps(task, traits, index) if prod(walk.sizes) else ((), ())
        nbytes = tuple(r.span() * o.itemsize for r, o in zip(results, outs, strict=True))
        return Plan(steps, parts, results, outs, nbytes, (layout, *results))

    def steps(
        self, task: Task, traits: Traits, index: int
    ) -> tuple[tuple[Step, ...], tuple[int, ...]]:
        """One launch, or two with partial states between them."""
        split = split_for(task, traits)
        if split.chunks == 1:
            return (step_of(self.backend, self.name, task, split, index),), ()
        first = step_of(self.backend, self.name, task.without_outs(), split, index)
        parts, rest = part_sizes(task, split.chunks), task.of_parts(split.chunks)
        split = split_for(rest, traits, True)
        last = step_of(self.backend, self.name, rest, split, index)
        return (first, last), parts


# ---- which reductions ----------------------------------------------------------------------------
def formula(
    reduction: Reduction, result: Callable[[dtype], dtype | None],
    numbers: tuple[str, ...] = (),
) -> States:
    """The states of a formula; ``result`` gives the result's dtype, None where it declines."""

    def states(
        element: dtype, out: dtype | None, index: Index
    ) -> tuple[State, tuple[dtype, ...]] | None:
        what = out or result(element)
        if what is None:
            return None
        floating, integer = registers([element], what)
        attributes = dict.fromkeys(numbers, Category.FLOATING)
        category = reduction.infer(element.category, attributes).state
        return Formula(floating, integer, reduction, category, numbers), (what,)

    return states


def argument(
    reduction: ArgReduction, gives_value: bool = False, takes_last: bool = False
) -> States:
    """The states of a reduction to an index."""

    def states(
        element: dtype, out: dtype | None, index: Index
    ) -> tuple[State, tuple[dtype, ...]]:
        floating, integer = registers([element], element)
        found = replace(reduction, map="x ? 1 : 0") if element is dtypes.bool else reduction
        category = found.infer(element.category).state
        state = Argument(floating, integer, found, category, index, gives_value, takes_last)
        return state, (element, dtypes.int64) if gives_value else (dtypes.int64,)

    return states


def accumulated(element: dtype) -> dtype:
    """What sums of a dtype are: of integers and bools int64."""
    return dtypes.int64 if element.category < 2 else element


def same(element: dtype) -> dtype:
    """What extremes of a dtype are."""
    return element


def primitive(reducer: Reducer) -> tuple[Any, Any]:
    """The out form and the fresh form of a reduction ``(self, dim, keepdim)``."""

    def out_form(out: Strided, x: Strided, dim: Any = None, keepdim: bool = False) -> None:
        reducer.run(x, dim, keepdim, (out,))

    def fresh(x: Strided, dim: Any = None, keepdim: bool = False) -> Any:
        return only(reducer.run(x, dim, keepdim))

    return out_form, fresh


def only(results: Any) -> Any:
    """The single result, or NotImplemented."""
    return results if results is NotImplemented else results[0]


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of all ops whose record has a reduction, and of composites that are one."""
    result = KernelTable()
    for op in all_ops():
        if op.reduction is None:
            continue
        parsed = parse_reduction(ARGUMENTS.get(op.reduction, op.reduction))
        states = argument(parsed) if isinstance(parsed, ArgReduction) else formula(
            parsed, accumulated if op.name in SUMS else same)
        result.out[op.name], result.fresh[op.name] = primitive(
            Reducer(backend, op.name, states, op.name not in SUMS))
    return result
