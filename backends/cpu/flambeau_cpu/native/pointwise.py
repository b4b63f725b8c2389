"""Kernels in C from the scalar formulas of ops.

For the dtypes of a call, and where a formula depends on more for that, a loop over elements side by
side is generated and compiled when it is first needed.  The engine in ``c/pointwise.c`` walks the
arrays: broadcast, strided and 16-bit operands pass through small buffers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from flambeau.backend import Layout, Strided, dtypes
from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable, threshold
from flambeau_cpu.native.library import Library, runtime
from flambeau_cpu.native.source import Spec, library

OPERANDS: Final = 8
"""``FB_OPERANDS`` of ``pointwise.h``."""
LIGHT: Final = 131072
MEDIUM: Final = 16384
HEAVY: Final = 4096
"""Elements from which on a kernel is used: NumPy, on one thread, is quick where it has one function
for row-major arrays (light), less so where it takes several or where arrays lie otherwise."""
_engine_library: Final = Library("pointwise", {"pointwise": "ppp"})


@cache
def engine() -> int | None:
    """The address of the function that walks arrays, or None where nothing can be compiled."""
    functions = _engine_library()
    if functions is None or runtime() is None:
        return None
    return ctypes.cast(functions.pointwise, ctypes.c_void_p).value


class Plan(NamedTuple):
    """What a call does, for arguments of certain dtypes."""

    run: Callable[..., int]
    engine: int
    out: Any
    """NumPy's dtype of the result."""
    numbers: tuple[tuple[int, Callable[[Any], Any]], ...]
    """Per number that the kernel takes: its place among all arguments, and its conversion."""


class Pointwise:
    """The kernels of one op.

    Args:
        name: of the op.
        kinds: of NumPy dtypes that are taken, as in ``dtype.kind``; ``V`` is bfloat16.
        variants: formulas for certain values of a number: by argument, then value.
        flat_at: elements below which row-major arrays of one shape are declined.
    """

    def __init__(
        self, name: str, kinds: str = "biufV",
        variants: Mapping[str, Mapping[float, str]] | None = None, flat_at: int = 0,
    ) -> None:
        self.name, self.kinds, self.variants = name, kinds, variants or {}
        self.flat_at = flat_at
        self.plans: dict[Any, Plan | None] = {}
        self.simple: dict[Any, tuple[Callable[..., int], int, Any]] = {}
        """By the dtype of all arrays, what runs where there are no numbers and no settings."""

    @cached_property
    def formula(self) -> Any:
        """See :class:`flambeau.backend.generated.formulas.ScalarFormula`."""
        from flambeau.backend.generated.formulas import formula_named

        return formula_named(self.name)

    # ---- calls ---------------------------------------------------------------------------------
    def unary(self) -> Callable[..., Any]:
        """:meth:`fresh` for one array, with a short way for row-major ones."""
        find, general, flat_at = self.simple.get, self.fresh, self.flat_at

        def fresh(x: Any, **attributes: Any) -> Any:
            if not attributes and x.__class__ is np.ndarray and x.flags.c_contiguous:
                if x.size < flat_at:
                    return NotImplemented
                found = find(x.dtype)
                if found is not None:
                    run, address, what = found
                    out = empty(x.shape, what)
                    run(address, out, x)
                    return out
            return general(x, **attributes)

        return fresh

    def binary(self) -> Callable[..., Any]:
        """:meth:`fresh` for two operands, with a short way if the first is row-major."""
        find, general, flat_at = self.simple.get, self.fresh, self.flat_at

        def fresh(a: Any, b: Any, **attributes: Any) -> Any:
            if a.__class__ is np.ndarray and a.flags.c_contiguous and not attributes:
                if b.__class__ is np.ndarray:
                    shape = a.shape
                    if a.size < flat_at and b.shape == shape and b.flags.c_contiguous:
                        return NotImplemented
                    found = find(a.dtype)
                    if found is not None and a.dtype is b.dtype:
                        run, address, what = found
                        out = empty(shape, what)
                        if run(address, out, a, b):
                            return out  # b was broadcast to the shape of a
                elif a.size < flat_at:
                    return NotImplemented
            return general(a, b, **attributes)

        return fresh

    def fresh(self, *inputs: Any, **attributes: Any) -> Any:
        """A new array in the memory order of the first input of its shape."""
        inputs = _without_scalars(inputs)
        plan = self.plan(None, inputs, attributes)
        if plan is None:
            return NotImplemented
        arrays = [x for x in inputs if x.__class__ is np.ndarray]
        shape = arrays[0].shape
        for x in arrays:
            if x.shape != shape:
                try:
                    shape = np.broadcast(*arrays).shape
                except ValueError:
                    return NotImplemented
                break
        out = empty_like(shape, plan.out, arrays)
        numbers = self.numbers(plan, inputs, attributes) if plan.numbers else ()
        return out if plan.run(plan.engine, out, *arrays, *numbers) else NotImplemented

    def out(self, out: Any, *inputs: Any, **attributes: Any) -> Any:
        """Write into an array."""
        inputs = _without_scalars(inputs)
        plan = self.plan(out.dtype, inputs, attributes)
        if plan is None:
            return NotImplemented
        arrays = [x for x in inputs if x.__class__ is np.ndarray]
        numbers = self.numbers(plan, inputs, attributes) if plan.numbers else ()
        return None if plan.run(plan.engine, out, *arrays, *numbers) else NotImplemented

    def numbers(
        self, plan: Plan, inputs: Sequence[Any], attributes: Mapping[str, Any]
    ) -> list[Any]:
        """The numbers among the arguments, as the kernel takes them."""
        values = [*inputs, *{**self.formula.defaults, **attributes}.values()]
        return [pack(values[i]) for i, pack in plan.numbers]

    # ---- planning ------------------------------------------------------------------------------
    def plan(
        self, out: Any, inputs: Sequence[Any], attributes: Mapping[str, Any]
    ) -> Plan | None:
        """What to do for arguments of these types; None if they are declined."""
        key: list[Any] = [out]
        for x in inputs:
            if x.__class__ is np.ndarray:
                key += (x.dtype, x.ndim > 0)
            else:
                key += (x.__class__, x if x in self.special(x) else None)
        for name, value in attributes.items():
            is_constant = name in self.formula.constants
            key += (name, value.__class__, value if is_constant else value == 1)
        found = tuple(key)
        try:
            return self.plans[found]
        except KeyError:
            plan = self.plans[found] = self.made(out, inputs, attributes)
            if plan is not None and not plan.numbers and not attributes and all(
                    x.__class__ is np.ndarray for x in inputs) and (
                    len({x.dtype for x in inputs}) == 1):
                self.simple[inputs[0].dtype] = plan.run, plan.engine, plan.out
            return plan

    def special(self, x: Any) -> Iterable[float]:
        """The values of numbers that have formulas of their own."""
        if not self.variants or x.__class__ not in (int, float):
            return ()
        return {v for values in self.variants.values() for v in values}

    def made(
        self, out: Any, inputs: Sequence[Any], attributes: Mapping[str, Any]
    ) -> Plan | None:
        """A new plan."""
        from flambeau.backend.generated.formulas import (
            inputs_of,
            packer,
            registers,
            result_dtype,
        )

        formula, address = self.formula, engine()
        arguments = {
            name: described(x) for name, x in formula.arguments(inputs, attributes).items()}
        tensors = [x for x in arguments.values() if isinstance(x, Strided)]
        if address is None or len(tensors) >= OPERANDS or not tensors or not all(
                x.dtype.numpy.kind in self.kinds and not x.dtype.is_optional for x in tensors):
            return None
        text = self.text(formula, arguments)
        what = None if text is None else result_dtype(text, arguments)
        if text is None or what is None or what.is_complex or (
                out is not None and what.numpy != out):
            return None
        floating, integer = registers([x.dtype for x in tensors], what)
        taken = inputs_of(text, arguments, floating, integer, what)
        if any(x.is_complex for x in taken.values()):
            return None
        spec = Spec(self.name, text, tuple(taken.values()), what, floating, integer)
        functions = library(spec)()
        if functions is None:
            return None
        numbers = tuple(
            (i, packer(taken[name])) for i, (name, x) in enumerate(arguments.items())
            if name in taken and not isinstance(x, Strided))
        return Plan(functions.run, address, what.numpy, numbers)

    def text(self, formula: Any, arguments: dict[str, Any]) -> str | None:
        """The formula for some arguments."""
        for name, values in self.variants.items():
            value = arguments.get(name)
            if value.__class__ in (int, float) and value in values:
                return values[value]
        found: str | None = formula.text(arguments)
        return found


def _without_scalars(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """NumPy's scalars, which have no memory that C could read, as arrays."""
    for x in inputs:
        if isinstance(x, np.generic):
            return tuple(np.asarray(x) if isinstance(x, np.generic) else x for x in inputs)
    return inputs


def described(x: Any) -> Any:
    """An array as the core's generators know tensors."""
    if x.__class__ is not np.ndarray:
        return x
    return Strided(None, dtypes.from_numpy_dtype(x.dtype), Layout.contiguous(x.shape))


def empty_like(shape: tuple[int, ...], dtype: Any, arrays: Sequence[Any]) -> Any:
    """An uninitialised array in the memory order of the first array of its shape."""
    for x in arrays:
        if x.shape == shape:
            if x.flags.c_contiguous:
                break
            order = _memory_order(shape, x.strides)
            if order is not None:
                sizes, axes = order
                return empty(sizes, dtype).transpose(axes)
    return empty(shape, dtype)


@lru_cache(4096)
def _memory_order(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The sizes of dimensions as they lie in memory, and what brings them back; None if elements
    share memory."""
    if any(not s and n > 1 for s, n in zip(strides, shape, strict=True)):
        return None
    axes = sorted(range(len(shape)), key=lambda d: -strides[d])
    back = sorted(range(len(shape)), key=axes.__getitem__)
    return tuple(shape[d] for d in axes), tuple(back)


def register(
    table: NativeTable, inputs: int, names: Mapping[str, int], kinds: str = "biufV",
    **settings: Any,
) -> None:
    """Kernels of ops by name, each from a number of elements on.

    Args:
        inputs: how many tensors or operands the ops take.
    """
    for name, at in names.items():
        flat_at = 0
        if at == LIGHT:
            at, flat_at = MEDIUM, threshold(LIGHT)
        kernels = Pointwise(name, kinds, flat_at=flat_at, **settings)
        fresh = {1: kernels.unary, 2: kernels.binary}.get(inputs, lambda: kernels.fresh)()  # noqa: B023
        table.fresh_form(name, at=at, inputs=inputs)(fresh)
        table.out_form(name, at=LIGHT if flat_at else at, inputs=inputs)(kernels.out)
