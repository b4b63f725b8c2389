"""Pointwise kernels: every op that has a formula, copies, fills and ranges.

The layouts of the arguments are looked at once: a plan keeps the kernel, how much to run and all
arguments but buffers and numbers.  What is left to do at each call is written out for one and two
arguments, because a loop over them would take longer than the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau.backend import KernelTable, Strided, broadcast_shapes
from flambeau.backend.generated.formulas import (
    Formula,
    ScalarFormula,
    inputs_of,
    packer,
    registers,
    result_dtype,
)
from flambeau.codegen.kernels.indexing import Walk, in_memory_order, index_register, marks_of
from flambeau.codegen.kernels.pointwise import Pointwise
from flambeau.dtypes import dtype
from flambeau.layout import Layout, product, strides_in_order
from flambeau.registry import all_ops

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend, Traits

PLANS_AT_MOST: Final = 4096
"""Per op; then all are forgotten."""
ROWS_AT_LEAST: Final = 16
"""Elements of the last dimension for which groups are given a row each, or several a long one."""
BAND: Final = 16
"""Rows that a group handles where a tensor lies across: a cache line of 4-byte elements."""


class Plan(NamedTuple):
    """What a call does, for arguments of certain layouts and dtypes."""

    handle: Any
    groups: int
    scalars: tuple[int, ...]
    numbers: tuple[tuple[int, Callable[[Any], Any], bool], ...]
    """Per number that the kernel takes: its place among the arguments, its conversion to what the
    parameter holds, and whether that is two parts."""
    out: dtype
    layout: Layout
    nbytes: int
    kept: tuple[Any, ...]
    """The layouts whose identities stand in the plan's key."""


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of all ops that have a formula, and of copy and fill."""
    result = KernelTable()
    for op in all_ops():
        if op.formula is None:
            continue
        f = ScalarFormula.of(op)
        kernel = PointwiseKernel(
            backend, f.name, f.formula, f.names, f.constants, f.is_composite, f.defaults)
        result.out[op.name] = kernel.out
        if op.name != "arange_steps":
            result.fresh[op.name] = kernel.fresh
    result.out["copy"] = PointwiseKernel(backend, "copy", "self", ["self"]).out
    result.out["fill"] = PointwiseKernel(backend, "fill", "value", []).out
    return result


class PointwiseKernel:
    """The kernels of one formula.

    Args:
        name: of the op.
        formula: see :attr:`flambeau.registry.Op.formula`.
        names: of the tensor arguments.
        constants: attributes whose values the formula may depend on.
        is_composite: whether arguments come as a user gave them; those of a primitive were
            converted to one dtype, and checked.
        defaults: values of attributes that a call leaves out.

    Attributes:
        out: ``out(out, *inputs, **attributes)`` writes into a tensor.
        fresh: ``fresh(*inputs, **attributes)`` makes a new one, in the inputs' memory order.
    """

    def __init__(
        self, backend: GeneratedBackend, name: str, formula: Formula, names: Sequence[str],
        constants: frozenset[str] = frozenset(), is_composite: bool = False,
        defaults: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.backend, self.name = backend, name
        self.formula = ScalarFormula(
            name, formula, tuple(names), constants, is_composite, dict(defaults))
        self.names, self.constants = self.formula.names, constants
        self.is_composite, self.defaults = is_composite, self.formula.defaults
        self.arguments, self.text = self.formula.arguments, self.formula.text
        self.plans: dict[tuple[Any, ...], Plan] = {}
        self.out_plans: dict[tuple[Any, ...], Plan] = {}
        self.declined: dict[tuple[Any, ...], Any] = {}
        self.fresh, self.out = self.any_fresh, self.any_out
        if len(self.names) == 1:
            self.fresh, self.out = self.unary_fresh(), self.unary_out()
        elif len(self.names) == 2:
            self.fresh, self.out = self.binary_fresh(), self.binary_out()

    # ---- one argument --------------------------------------------------------------------------
    def unary_fresh(self) -> Callable[..., Any]:
        """``fresh`` for one tensor."""
        backend, general, find = self.backend, self.any_fresh, self.plans.get
        alloc, launch, index_of = backend.alloc, backend.launch, backend.index_of

        def fresh(x: Any, **attributes: Any) -> Any:
            if attributes:
                return general(x, **attributes)
            source, held = x.buffer, x.layout
            index = index_of(source)
            plan = find((id(held), x.dtype, index))
            if plan is None:
                return general(x)
            handle, groups, scalars, _, out, layout, nbytes, _ = plan
            buffer = alloc(nbytes, index)
            if groups:
                launch(handle, groups, [buffer, source, *scalars], index)
            return Strided(buffer, out, layout)

        return fresh

    def unary_out(self) -> Callable[..., Any]:
        """``out`` for one tensor."""
        backend, general, find = self.backend, self.any_out, self.out_plans.get
        launch, index_of = backend.launch, backend.index_of

        def write(out: Any, x: Any, **attributes: Any) -> Any:
            if attributes:
                return general(out, x, **attributes)
            target = out.buffer
            index = index_of(target)
            plan = find((id(x.layout), x.dtype, id(out.layout), out.dtype, index))
            if plan is None:
                return general(out, x)
            if plan.numbers:
                return general(out, x)
            if plan.groups:
                launch(plan.handle, plan.groups, [target, x.buffer, *plan.scalars], index)
            return None

        return write

    # ---- two arguments -------------------------------------------------------------------------
    def binary_fresh(self) -> Callable[..., Any]:
        """``fresh`` for two tensors, or one and a number."""
        backend, general, find = self.backend, self.any_fresh, self.plans.get
        alloc, launch, index_of = backend.alloc, backend.launch, backend.index_of

        def fresh(a: Any, b: Any, **attributes: Any) -> Any:
            if attributes or a.__class__ is not Strided:
                return general(a, b, **attributes)
            source, held = a.buffer, a.layout
            index = index_of(source)
            if b.__class__ is Strided:
                plan = find((id(held), a.dtype, id(b.layout), b.dtype, index))
                if plan is None:
                    return general(a, b)
                handle, groups, scalars, _, out, layout, nbytes, _ = plan
                buffer = alloc(nbytes, index)
                if groups:
                    launch(handle, groups, [buffer, source, b.buffer, *scalars], index)
                return Strided(buffer, out, layout)
            plan = find((id(held), a.dtype, b.__class__, index))
            if plan is None or len(plan.numbers) != 1 or plan.numbers[0][2]:
                return general(a, b)
            handle, groups, scalars, ((_, pack, _),), out, layout, nbytes, _ = plan
            buffer = alloc(nbytes, index)
            if groups:
                launch(handle, groups, [buffer, source, *scalars, pack(b)], index)
            return Strided(buffer, out, layout)

        return fresh

    def binary_out(self) -> Callable[..., Any]:
        """``out`` for two tensors."""
        backend, general, find = self.backend, self.any_out, self.out_plans.get
        launch, index_of = backend.launch, backend.index_of

        def write(out: Any, a: Any, b: Any, **attributes: Any) -> Any:
            if attributes or a.__class__ is not Strided or b.__class__ is not Strided:
                return general(out, a, b, **attributes)
            target = out.buffer
            index = index_of(target)
            plan = find((id(a.layout), a.dtype, id(b.layout), b.dtype, id(out.layout), out.dtype,
                         index))
            if plan is None:
                return general(out, a, b)
            if plan.groups:
                launch(plan.handle, plan.groups, [target, a.buffer, b.buffer, *plan.scalars], index)
            return None

        return write

    # ---- any arguments -------------------------------------------------------------------------
    def any_fresh(self, *inputs: Any, **attributes: Any) -> Any:
        """A new tensor."""
        key, buffers = self.key(inputs, attributes)
        if not buffers:
            return NotImplemented
        backend = self.backend
        index = backend.index_of(buffers[0])
        key.append(index)
        plan = self.plans.get(found := tuple(key))
        if plan is None:
            plan = self.fresh_plan(found, inputs, attributes, index)
            if plan is None:
                return NotImplemented
        buffer = backend.alloc(plan.nbytes, index)
        if plan.groups:
            backend.launch(plan.handle, plan.groups, [
                buffer, *buffers, *plan.scalars, *self.numbers(plan, inputs, attributes)], index)
        return Strided(buffer, plan.out, plan.layout)

    def any_out(self, out: Strided, *inputs: Any, **attributes: Any) -> Any:
        """Write into a tensor."""
        key, buffers = self.key(inputs, attributes)
        index = self.backend.index_of(out.buffer)
        key += (id(out.layout), out.dtype, index)
        plan = self.out_plans.get(found := tuple(key))
        if plan is None:
            arguments = self.arguments(inputs, attributes)
            text = self.text(arguments)
            if text is None or (self.is_composite and not _fits(out, text, arguments)):
                return NotImplemented
            plan = self.plan(text, arguments, out.dtype, out.layout, index)
            _remember(self.out_plans, found, plan)
        if plan.groups:
            self.backend.launch(plan.handle, plan.groups, [
                out.buffer, *buffers, *plan.scalars, *self.numbers(plan, inputs, attributes)],
                index)
        return None

    def key(
        self, inputs: Sequence[Any], attributes: Mapping[str, Any]
    ) -> tuple[list[Any], list[Any]]:
        """What a plan depends on, and the buffers."""
        key: list[Any] = []
        buffers = []
        for x in inputs:
            if x.__class__ is Strided:
                key += (id(x.layout), x.dtype)
                buffers.append(x.buffer)
            else:
                key.append(x.__class__)
        for name, x in attributes.items():
            key += (name, x if name in self.constants else x.__class__, x == 1)
        return key, buffers

    def numbers(
        self, plan: Plan, inputs: Sequence[Any], attributes: Mapping[str, Any]
    ) -> Sequence[Any]:
        """The numbers among the arguments, as a kernel takes them."""
        if not plan.numbers:
            return ()
        if len(attributes) < len(self.defaults):
            attributes = {**self.defaults, **attributes}
        return _packed(plan, (*inputs, *attributes.values()))

    # ---- planning ----------------------------------------------------------------------------
    def fresh_plan(
        self, key: tuple[Any, ...], inputs: Sequence[Any], attributes: Mapping[str, Any], index: int
    ) -> Plan | None:
        """The plan of a call whose result's dtype follows from the arguments; None elsewhere."""
        if key in self.declined:
            return None
        arguments = self.arguments(inputs, attributes)
        tensors = [x for x in arguments.values() if isinstance(x, Strided)]
        text = self.text(arguments)
        result = None if text is None else result_dtype(text, arguments)
        if text is None or result is None:
            _remember(self.declined, key, tuple(x.layout for x in tensors))
            return None
        plan = self.plan(text, arguments, result, result_layout(tensors), index)
        if not attributes and all(i >= len(inputs) for i, _, _ in plan.numbers):
            # Attributes that were left out are the same each time.
            plan = plan._replace(scalars=(*plan.scalars, *_packed(plan, [*arguments.values()])),
                                 numbers=())
        _remember(self.plans, key, plan)
        return plan

    def plan(
        self, text: str, arguments: dict[str, Any], out: dtype, layout: Layout, index: int
    ) -> Plan:
        """Look at the arguments, and compile."""
        tensors = [x for x in arguments.values() if isinstance(x, Strided)]
        floating, integer = registers([x.dtype for x in tensors], out)
        inputs = inputs_of(text, arguments, floating, integer, out)
        walk = in_memory_order(layout.shape, [
            layout.strides, *(x.layout.expand(layout.shape).strides for x in tensors)])
        offsets = [layout.offset, *(x.layout.offset for x in tensors)]
        register = index_register(layout.numel, [
            (o, walk.sizes, s) for o, s in zip(offsets, walk.strides, strict=True)])
        counts = self.name == "arange_steps"
        shape = tuple(map(marks_of, walk.strides))
        split = _split(walk, layout.numel, self.backend.traits(index),
                       self.backend.dialect.has_groups and not counts)
        spec = Pointwise(
            self.name, text, tuple(inputs.values()), out, floating, integer, shape, register,
            split.size, counts, split.per_item, split.by_rows, split.band)
        handle = self.backend.program(spec, lambda: spec.source(self.backend.dialect), index)
        strides = [
            s for steps, marks in zip(walk.strides, shape, strict=True)
            for s, mark in zip(steps, marks, strict=True) if mark == "?"]
        numbers = tuple(
            (i, packer(inputs[name]), inputs[name].is_complex)
            for i, (name, x) in enumerate(arguments.items())
            if name in inputs and not isinstance(x, Strided))
        return Plan(
            handle, split.groups,
            (split.bound, *offsets, *walk.sizes[1:], *strides, *split.rows), numbers, out, layout,
            layout.span() * out.itemsize, (layout, *(x.layout for x in tensors)))


class _Split(NamedTuple):
    """How elements are shared out among groups; see :class:`Pointwise`."""

    groups: int
    bound: int
    """The number of elements, or of groups per row."""
    size: int
    per_item: int = 1
    by_rows: bool = False
    band: int = 1
    rows: tuple[int, ...] = ()


def _split(walk: Walk, numel: int, traits: Traits, has_groups: bool) -> _Split:
    size, sizes = traits.group_size, walk.sizes
    if has_groups and len(sizes) > 1 and sizes[-1] >= ROWS_AT_LEAST:
        size = min(size, 1 << (sizes[-1] - 1).bit_length())
        per_row, rows = -(-sizes[-1] // size), product(sizes[:-1])
        if any(s[-1] > s[-2] > 0 for s in walk.strides):
            return _Split(per_row * -(-rows // BAND), per_row, size, 1, True, BAND, (rows,))
        return _Split(per_row * rows, per_row, size, 1, True)
    per_item = traits.per_item if has_groups and len(sizes) == 1 else 1
    return _Split(-(-numel // (size * per_item)), numel, size, per_item)


def _remember(plans: dict[tuple[Any, ...], Any], key: tuple[Any, ...], plan: Any) -> None:
    if len(plans) >= PLANS_AT_MOST:
        plans.clear()
    plans[key] = plan


def _packed(plan: Plan, values: Sequence[Any]) -> list[Any]:
    """The numbers among the arguments, as the kernel takes them."""
    packed: list[Any] = []
    for i, pack, has_parts in plan.numbers:
        value = pack(values[i])
        packed += value if has_parts else (value,)
    return packed


# ---- results -------------------------------------------------------------------------------------
def _fits(out: Strided, text: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a result is of the dtype and shape of a tensor."""
    shapes = [x.shape for x in arguments.values() if isinstance(x, Strided)]
    return result_dtype(text, arguments) is out.dtype and broadcast_shapes(*shapes) == out.shape


def result_layout(tensors: Sequence[Strided]) -> Layout:
    """That of a new result: the memory order of the first input of its shape."""
    shape = broadcast_shapes(*(x.layout.shape for x in tensors))
    for x in tensors:
        layout = x.layout
        if layout.shape != shape:
            continue
        if layout.is_contiguous:
            break
        if layout.is_dense():
            return Layout.of(shape, layout.strides)
        if not layout.overlaps_itself():
            return Layout.of(shape, strides_in_order(shape, layout.order()))
    return Layout.contiguous(shape)
