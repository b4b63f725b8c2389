"""Launching elementwise kernels over lists of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from flambeau.backend import Strided
from flambeau.backend.generated.rows import floating_of
from flambeau.codegen.kernels.indexing import index_register
from flambeau.codegen.kernels.lists import Lists
from flambeau.codegen.kernels.rows import Let, StoreRow

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

PLANS_AT_MOST: Final = 1024
Member: TypeAlias = tuple[Strided, ...]
ElementSteps: TypeAlias = tuple[Let | StoreRow, ...]


class Elements(NamedTuple):
    """What is done with the elements of a member: names of its tensors, of those written, of
    numbers, and the steps."""

    names: tuple[str, ...]
    written: tuple[str, ...]
    numbers: tuple[str, ...]
    steps: ElementSteps


class Launch(NamedTuple):
    """Some members of a list, and the arguments that stand between buffers and numbers."""

    members: tuple[int, ...]
    handle: Any
    groups: int
    scalars: tuple[int, ...]


class Plan(NamedTuple):
    """How the members of a list are launched, and which are left."""

    launches: tuple[Launch, ...]
    left: tuple[int, ...]
    kept: tuple[Any, ...]


class ListKernels:
    """The kernels over lists of one backend, as they are needed."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def run(
        self, name: str, variant: Any, members: Sequence[Member], numbers: Sequence[float],
        describe: Callable[[], Elements],
    ) -> list[Member]:
        """Launch kernels over as many members as lie alike; gives the others."""
        index = self.backend.index_of(members[0][0].buffer)
        key = (name, variant, index, *[
            part for m in members for t in m for part in (id(t.layout), t.dtype)])
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= PLANS_AT_MOST:
                self.plans.clear()
            plan = self.plans[key] = self.plan(name, members, describe(), index)
        for launch in plan.launches:
            self.backend.launch(launch.handle, launch.groups, [
                *[t.buffer for m in launch.members for t in members[m]], *launch.scalars,
                *numbers], index)
        return [members[m] for m in plan.left]

    def plan(
        self, name: str, members: Sequence[Member], elements: Elements, index: int
    ) -> Plan:
        """Members of the same dtypes together, as many as a kernel has buffers for."""
        most = max(self.backend.traits(index).buffers // len(elements.names), 1)
        alike: dict[tuple[Any, ...], list[int]] = {}
        for m, tensors in enumerate(members):
            if _is_dense(tensors):
                alike.setdefault(tuple(t.dtype for t in tensors), []).append(m)
        launches = [
            self.launch(name, some[at : at + most], members, elements, index)
            for some in alike.values() for at in range(0, len(some), most)
            if len(some[at : at + most]) > 1]
        done = {m for launch in launches for m in launch.members}
        return Plan(
            tuple(launches),
            tuple(m for m, t in enumerate(members) if m not in done and t[0].layout.numel),
            tuple(t.layout for m in members for t in m))

    def launch(
        self, name: str, chosen: Sequence[int], members: Sequence[Member], elements: Elements,
        index: int,
    ) -> Launch:
        """The kernel for some members."""
        backend, size = self.backend, self.backend.traits(index).group_size
        first = members[chosen[0]]
        tensors = tuple(
            (n, t.dtype, n in elements.written)
            for n, t in zip(elements.names, first, strict=True))
        register = index_register(
            sum(members[m][0].layout.numel + size for m in chosen),
            [(t.layout.offset, (t.layout.numel,), (1,)) for m in chosen for t in members[m]])
        spec = Lists(
            name, len(chosen), tensors, elements.steps, elements.numbers,
            floating_of(*first) or "f32", register, size)
        handle = backend.program(spec, lambda: spec.source(backend.dialect), index)
        scalars: list[int] = []
        groups = 0
        for m in chosen:
            count = members[m][0].layout.numel
            groups += -(-count // size)
            scalars += [groups, count, *(t.layout.offset for t in members[m])]
        return Launch(tuple(chosen), handle, groups, tuple(scalars))


def _is_dense(tensors: Member) -> bool:
    """Whether elements lie one after the other, in the same order in all tensors."""
    first = tensors[0].layout
    return first.numel > 0 and first.is_dense() and all(
        t.layout.shape == first.shape and t.layout.strides == first.strides for t in tensors)
