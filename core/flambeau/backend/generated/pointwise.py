"""Pointwise kernels: every op that has a formula, copies, fills and ranges.

The layouts of the arguments are looked at once: a plan keeps the kernel, how much to run and all
arguments but buffers and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided, broadcast_shapes
from flambeau.codegen.category import Category
from flambeau.codegen.dialects.base import STORAGE, Register, register_of
from flambeau.codegen.errors import FormulaError
from flambeau.codegen.inference import infer
from flambeau.codegen.kernels.indexing import in_memory_order, index_register
from flambeau.codegen.kernels.pointwise import Input, Pointwise
from flambeau.dtypes import dtype
from flambeau.layout import Layout
from flambeau.registry import all_ops

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

PLANS_AT_MOST: Final = 4096
"""Per op; then all are forgotten."""


class Plan(NamedTuple):
    """What a call does, for arguments of certain layouts and dtypes."""

    handle: Any
    groups: int
    scalars: tuple[int, ...]
    numbers: tuple[Callable[[Any], Any], ...]
    """Per number among the arguments: to what the kernel's parameter holds."""
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
        names = [op.schema.arguments[i].name for i in op.schema.tensor_positions]
        if op.name == "arange_steps":
            names = []
        kernel = PointwiseKernel(backend, op.name, op.formula, names)
        if op.kind == "primitive":
            result.out[op.name] = kernel.out
        if op.name != "arange_steps":
            result.fresh[op.name] = kernel.fresh
    result.out["copy"] = PointwiseKernel(backend, "copy", "self", ["self"]).out
    result.out["fill"] = PointwiseKernel(backend, "fill", "value", []).out
    return result


class PointwiseKernel:
    """The kernels of one formula."""

    def __init__(
        self, backend: GeneratedBackend, name: str, formula: str, names: Sequence[str]
    ) -> None:
        self.backend, self.name, self.formula, self.names = backend, name, formula, tuple(names)
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def out(self, out: Strided, *inputs: Any, **attributes: Any) -> Any:
        """Write into a tensor."""
        values = (*inputs, *attributes.values())
        index = self.backend.index_of(out.buffer)
        key = (*_keys(values), id(out.layout), out.dtype, index)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plan(key, values, attributes, out.dtype, out.layout, index)
        if plan.groups:
            self.backend.launch(plan.handle, plan.groups, [
                out.buffer, *[x.buffer for x in values if x.__class__ is Strided],
                *plan.scalars, *_numbers(plan, values)], index)
        return None

    def fresh(self, *inputs: Any, **attributes: Any) -> Any:
        """A new tensor, in the memory order of the inputs."""
        values = (*inputs, *attributes.values()) if attributes else inputs
        first = next((x for x in values if x.__class__ is Strided), None)
        if first is None:
            return NotImplemented
        backend = self.backend
        index = backend.index_of(first.buffer)
        key = (*_keys(values), index)
        plan = self.plans.get(key)
        if plan is None:
            tensors = [x for x in values if x.__class__ is Strided]
            result = self.result_dtype(values, attributes)
            if result is None:
                return NotImplemented
            plan = self.plan(key, values, attributes, result, result_layout(tensors), index)
        buffer = backend.alloc(plan.nbytes, index)
        if plan.groups:
            backend.launch(plan.handle, plan.groups, [
                buffer, *[x.buffer for x in values if x.__class__ is Strided], *plan.scalars,
                *_numbers(plan, values)], index)
        return Strided(buffer, plan.out, plan.layout)

    # ---- planning ----------------------------------------------------------------------------
    def result_dtype(self, values: Sequence[Any], attributes: dict[str, Any]) -> dtype | None:
        """The result's element type, or None where the op must say it."""
        names = (*self.names, *attributes)
        found = [x.dtype for x in values if isinstance(x, Strided)]
        try:
            category = infer(self.specialised(attributes), {
                name: _category(x) for name, x in zip(names, values, strict=True)})
        except FormulaError:  # a composite that converts its arguments first
            return None
        kinds = {d for d in found if d.category == category}
        others = {d for d in found if d.category != category and d.category}
        if category is Category.BOOL:
            return dtypes.bool if len({d for d in found if d.category}) <= 1 else None
        if len(kinds) == 1 and not others:
            return kinds.pop()
        only = others.pop() if len(others) == 1 and not kinds else None
        is_part = only is not None and only.is_complex and category is Category.FLOATING
        return only.to_real() if is_part and only else None

    def plan(
        self, key: tuple[Any, ...], values: Sequence[Any], attributes: dict[str, Any],
        out: dtype, layout: Layout, index: int,
    ) -> Plan:
        """Look at the arguments, and compile."""
        names = (*self.names, *attributes)
        tensors = [x for x in values if isinstance(x, Strided)]
        floating, integer = registers([x.dtype for x in tensors], out)
        inputs = tuple(
            _input(name, x, floating, integer, any(t.dtype.category >= 2 for t in tensors) or (
                not tensors and out.category >= 2))
            for name, x in zip(names, values, strict=True))
        walk = in_memory_order(layout.shape, [
            layout.strides, *(x.layout.expand(layout.shape).strides for x in tensors)])
        offsets = [layout.offset, *(x.layout.offset for x in tensors)]
        register = index_register(layout.numel, [
            (o, walk.sizes, s) for o, s in zip(offsets, walk.strides, strict=True)])
        counts = self.name == "arange_steps"
        shape = _steps(walk.strides)
        size = self.backend.traits(index).group_size
        spec = Pointwise(
            self.name, self.specialised(attributes), inputs, out, floating, integer, shape,
            register, size, counts)
        handle = self.backend.program(spec, lambda: spec.source(self.backend.dialect), index)
        strides = [
            s for steps, marks in zip(walk.strides, shape, strict=True)
            for s, mark in zip(steps, marks, strict=True) if mark == "?"]
        plan = Plan(
            handle, -(-layout.numel // size), (layout.numel, *offsets, *walk.sizes[1:], *strides),
            tuple(_packer(x) for x in inputs if x.dtype is None), out, layout,
            layout.span() * out.itemsize,
            (layout, *(x.layout for x in tensors)))
        if len(self.plans) >= PLANS_AT_MOST:
            self.plans.clear()
        self.plans[key] = plan
        return plan

    def specialised(self, attributes: dict[str, Any]) -> str:
        """The formula, without the factor 1 that add and sub usually have."""
        if attributes.get("alpha", 1) == 1:
            return self.formula.replace("alpha * ", "")
        return self.formula


def _keys(values: Sequence[Any]) -> list[Any]:
    keys: list[Any] = []
    for x in values:
        if x.__class__ is Strided:
            keys += (id(x.layout), x.dtype)
        else:
            keys += (x.__class__, x == 1)
    return keys


def _numbers(plan: Plan, values: Sequence[Any]) -> list[Any]:
    if not plan.numbers:
        return []
    numbers = [x for x in values if x.__class__ is not Strided]
    packed: list[Any] = []
    for pack, x in zip(plan.numbers, numbers, strict=True):
        value = pack(x)
        packed += value if isinstance(value, tuple) else (value,)
    return packed


def _category(x: Any) -> int:
    if isinstance(x, Strided):
        return x.dtype.category
    return (bool, int, float, complex).index(type(x))


def _input(name: str, x: Any, floating: Register, integer: Register, is_float: bool) -> Input:
    if isinstance(x, Strided):
        return Input(name, x.dtype)
    if isinstance(x, bool):
        return Input(name, None, "bool")
    if isinstance(x, int):
        return Input(name, None, floating if is_float else integer)
    return Input(name, None, floating, isinstance(x, complex))


def _packer(x: Input) -> Callable[[Any], Any]:
    if x.is_complex:
        return lambda value: (value.real, value.imag)
    if x.number == "bool":
        return bool
    if x.number in ("f32", "f64"):
        return float
    bits = int(x.number[1:])
    half = 0 if x.number[0] == "u" else 1 << (bits - 1)
    return lambda value: (int(value) + half) % (1 << bits) - half


def registers(inputs: Sequence[dtype], out: dtype) -> tuple[Register, Register]:
    """What floating values and integers are computed in, among values of these dtypes."""
    wide = {dtypes.float64, dtypes.complex128}
    is_double = any(d in wide for d in inputs) or (
        out in wide and not any(d.category >= 2 for d in inputs))
    integers = [d for d in (*inputs, out) if d.category == 1]
    widest = max(integers, key=lambda d: d.itemsize, default=None)
    integer: Register = "i32" if widest is None else register_of(STORAGE[widest.name])
    return ("f64" if is_double else "f32"), integer


def result_layout(tensors: Sequence[Strided]) -> Layout:
    """That of a new result: the memory order of the first dense input of its shape."""
    shape = broadcast_shapes(*(x.layout.shape for x in tensors))
    for x in tensors:
        layout = x.layout
        if layout.shape == shape and not layout.is_contiguous and layout.is_dense():
            return Layout.of(shape, layout.strides)
        if layout.shape == shape:
            break
    return Layout.contiguous(shape)


def _steps(strides: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Per tensor the strides that a kernel is written for; see :class:`Pointwise`."""
    # Only the innermost stride matters to a compiler that vectorises: fewer kernels are built.
    return tuple(
        "".join(str(s) if s in (0, 1) and d == len(steps) - 1 else "?"
                for d, s in enumerate(steps))
        for steps in strides)

