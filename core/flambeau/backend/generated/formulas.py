"""The scalar formulas of ops, and what follows from the dtypes of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from flambeau import dtypes
from flambeau.backend import Strided
from flambeau.codegen.category import Category
from flambeau.codegen.dialects.base import STORAGE, Register, register_of
from flambeau.codegen.errors import FormulaError
from flambeau.codegen.expression import free_names
from flambeau.codegen.inference import infer, tree_of
from flambeau.codegen.kernels.pointwise import Input
from flambeau.dtypes import dtype
from flambeau.registry import OPS, Op

Formula: TypeAlias = str | Callable[..., str | None]
"""See :attr:`flambeau.registry.Op.formula`."""
FACTORS: Final = ("alpha", "value")
"""Attributes that are 1 more often than not: then the formula is taken without them."""
_NUMBERS: Final = (bool, int, float, complex)


@dataclass(frozen=True)
class ScalarFormula:
    """A formula with what its names are.

    Attributes:
        name: of the op.
        formula: see :attr:`flambeau.registry.Op.formula`.
        names: of the tensor arguments.
        constants: attributes whose values the formula may depend on.
        is_composite: whether arguments come as a user gave them; those of a primitive were
            converted to one dtype, and checked.
        defaults: values of attributes that a call leaves out.
    """

    name: str
    formula: Formula
    names: tuple[str, ...]
    constants: frozenset[str] = frozenset()
    is_composite: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, op: Op) -> ScalarFormula:
        """That of an op which has one."""
        assert op.formula is not None
        names = [op.schema.arguments[i].name for i in op.schema.tensor_positions]
        if op.name == "arange_steps":
            names = []
        return cls(
            op.name, op.formula, tuple(names), _constants(op), op.kind == "composite",
            _defaults(op))

    def arguments(self, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        """By name, those left out included."""
        return {**dict(zip(self.names, inputs, strict=True)), **self.defaults, **attributes}

    def text(self, arguments: dict[str, Any]) -> str | None:
        """The formula for some arguments, None if it does not hold for them."""
        formula = self.formula
        found = formula if isinstance(formula, str) else formula(**arguments)
        for name in FACTORS:
            if found is not None and arguments.get(name, 1) == 1 and not isinstance(
                    arguments.get(name), Strided):
                found = found.replace(f"{name} * ", "")
        return found


def formula_named(name: str) -> ScalarFormula:
    """That of the op of a name.

    Raises:
        KeyError: if there is no such op.
    """
    return ScalarFormula.of(OPS[name])


def _constants(op: Op) -> frozenset[str]:
    """The attributes that a formula may depend on: what is no number, or counts something."""
    return frozenset(
        a.name for a in op.schema.arguments
        if not a.is_tensor and a.type not in ("Scalar", "float"))


def _defaults(op: Op) -> dict[str, Any]:
    """Those of a composite's attributes; a primitive is given what it needs."""
    if op.kind == "primitive":
        return {}
    return {a.name: a.default for a in op.schema.arguments if not a.is_tensor and a.has_default}


# ---- dtypes --------------------------------------------------------------------------------------
def result_dtype(text: str, arguments: Mapping[str, Any]) -> dtype | None:
    """The dtype of a formula's result where it follows from the arguments, None elsewhere.

    It follows if all tensors that are no bools are of one dtype, no number is of a higher category
    than they are, and the result is of their category, a bool, or the real part of it.
    """
    tensors = [x.dtype for x in arguments.values() if isinstance(x, Strided)]
    numbers = {
        name: x for name, x in arguments.items()
        if not isinstance(x, Strided) and isinstance(x, _NUMBERS)}
    highest = max(tensors, key=lambda d: d.category)
    if len({d for d in tensors if d.category}) > 1:
        return None
    used = free_names(tree_of(text))
    if any(_category(x) > highest.category for name, x in numbers.items() if name in used):
        return None
    try:
        category = infer(text, {
            name: _category(x) for name, x in arguments.items()
            if isinstance(x, Strided) or name in numbers})
    except FormulaError:  # a composite that converts its arguments first, or refuses them
        return None
    if category is Category.BOOL:
        return dtypes.bool
    if category == highest.category:
        return highest
    is_part = highest.is_complex and category is Category.FLOATING
    return highest.to_real() if is_part else None


def _category(x: Any) -> int:
    if isinstance(x, Strided):
        return x.dtype.category
    return _NUMBERS.index(type(x))


def inputs_of(
    text: str, arguments: Mapping[str, Any], floating: Register, integer: Register, out: dtype
) -> dict[str, Input]:
    """The arguments that a kernel takes: all tensors, and the numbers that the formula has."""
    tensors = [x.dtype for x in arguments.values() if isinstance(x, Strided)]
    is_float = max(d.category for d in tensors or [out]) >= 2
    used = free_names(tree_of(text))
    return {
        name: _input(name, x, floating, integer, is_float) for name, x in arguments.items()
        if isinstance(x, Strided) or name in used}


def _input(name: str, x: Any, floating: Register, integer: Register, is_float: bool) -> Input:
    if isinstance(x, Strided):
        return Input(name, x.dtype)
    if isinstance(x, bool):
        return Input(name, None, "bool")
    if isinstance(x, int):
        return Input(name, None, floating if is_float else integer)
    return Input(name, None, floating, isinstance(x, complex))


def packer(x: Input) -> Callable[[Any], Any]:
    """From a number to what a kernel's parameter holds; two parts for complex ones."""
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
