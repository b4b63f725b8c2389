"""Sorting: runs, then merges that go to and fro between two pairs of temporary rows."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.pointwise import PLANS_AT_MOST
from flambeau.backend.generated.split import Step
from flambeau.codegen.kernels.indexing import (
    Walk,
    given_strides,
    in_memory_order,
    index_register,
    marks_of,
)
from flambeau.codegen.kernels.reduce import MEMORY
from flambeau.codegen.kernels.sort import RUN, Sort
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend
    from flambeau.codegen.dialects.base import Index

STRETCH: Final = 1024
"""Elements of a merge that a work item writes; a power of 2."""
STRETCH_OF_MANY: Final = 64
"""The same where groups of work items run side by side."""


class Plan(NamedTuple):
    """What a call does, for tensors of certain layouts and dtypes."""

    steps: tuple[Step, ...]
    parts: tuple[int, int] | None
    """Bytes of temporary values and places; there are two of each."""
    kept: tuple[Layout, ...]
    """The layouts whose identities stand in the plan's key."""


class Sorter:
    """The kernels of sort_stable."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def out(
        self, out: tuple[Strided, Strided], x: Strided, dim: int, descending: bool
    ) -> None:
        """Write values in order and the places that they had."""
        values, places = out
        backend, index = self.backend, self.backend.index_of(x.buffer)
        key = (id(x.layout), x.dtype, id(values.layout), id(places.layout), dim, descending, index)
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= PLANS_AT_MOST:
                self.plans.clear()
            layouts = (x.layout, values.layout, places.layout)
            plan = self.plans[key] = self.plan(x, layouts, dim, descending, index)
        pairs = [[backend.alloc(n, index) for n in plan.parts] for _ in plan.steps[1:3]] if (
            plan.parts) else []
        before, last = [x.buffer], len(plan.steps) - 1
        for k, step in enumerate(plan.steps):
            after = [values.buffer, places.buffer] if k == last else pairs[k % 2]
            backend.launch(step.handle, step.groups, [*before, *after, *step.scalars], index)
            before = after

    def fresh(self, x: Strided, dim: int, descending: bool) -> tuple[Strided, Strided]:
        """New row-major results."""
        backend, layout = self.backend, Layout.contiguous(x.layout.shape)
        index = backend.index_of(x.buffer)
        results = (
            backend.empty(x.dtype, layout, index), backend.empty(dtypes.int64, layout, index))
        self.out(results, x, dim, descending)
        return results

    # ---- planning ----------------------------------------------------------------------------
    def plan(
        self, x: Strided, layouts: tuple[Layout, ...], dim: int, descending: bool, index: int
    ) -> Plan:
        """Look at the tensors, and compile."""
        if not x.layout.numel:
            return Plan((), None, layouts)
        layout = x.layout
        register = index_register(layout.numel, [(o.offset, o.shape, o.strides) for o in layouts])
        kept = [d for d in range(layout.ndim) if d != dim % max(1, layout.ndim)]
        walk = in_memory_order(
            [layout.shape[d] for d in kept], [[t.strides[d] for d in kept] for t in layouts])
        rows, n = prod(walk.sizes), layout.numel // prod(walk.sizes)
        along = [t.strides[dim] if layout.ndim else 0 for t in layouts]
        offsets = [t.offset for t in layouts]
        work = _Work(walk, along, offsets, n, rows, register, x, descending)
        run, steps = RUN, [self.step(work, False, RUN, index)]
        while run < n:
            steps.append(self.step(work, True, run, index))
            run *= 2
        nbytes = (rows * n * x.dtype.itemsize, rows * n * MEMORY[register].itemsize)
        return Plan(tuple(steps), nbytes if len(steps) > 1 else None, layouts)

    def step(self, work: _Work, merges: bool, run: int, index: int) -> Step:
        """Compile one launch and list its numbers."""
        traits = self.backend.traits(index)
        is_last = (2 * run if merges else run) >= work.n
        tensors = [*([] if merges else [0]), *([1, 2] if is_last else [])]
        strides = [work.walk.strides[t] for t in tensors]
        along = [work.along[t] for t in tensors]
        marks = tuple(marks_of(s) for s in strides)
        steps = "".join(marks_of([s]) for s in along)
        size = 1 if traits.lanes == 1 and work.n >= RUN else traits.group_size
        spec = Sort(work.x.dtype, work.descending, merges, marks, steps, is_last, work.register,
                    size)
        handle = self.backend.program(spec, lambda: spec.source(self.backend.dialect), index)
        longest = STRETCH if traits.lanes == 1 else STRETCH_OF_MANY
        stretch = min(longest, 2 * run) if merges else run
        stretches = -(-work.n // stretch)
        count = work.rows * stretches
        scalars = (
            count, work.n, run, stretch, stretches, *(work.offsets[t] for t in tensors),
            *(work.walk.sizes[1:] if tensors else ()), *given_strides(strides, marks),
            *(s for s, mark in zip(along, steps, strict=True) if mark == "?"))
        return Step(handle, -(-count // size), scalars)


class _Work(NamedTuple):
    """What the launches of one plan have in common; tensors are the input and both results."""

    walk: Walk
    along: list[int]
    offsets: list[int]
    n: int
    rows: int
    register: Index
    x: Strided
    descending: bool


def table(backend: GeneratedBackend) -> KernelTable:
    """sort_stable."""
    result, sorter = KernelTable(), Sorter(backend)
    result.register("sort_stable", fresh=sorter.fresh)(sorter.out)
    return result
