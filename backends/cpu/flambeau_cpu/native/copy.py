"""Copies in C: of elements as they are, to other dtypes, and of one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from flambeau.backend import dtypes
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.pointwise import Plan, Pointwise, described, engine
from flambeau_cpu.native.source import Spec, library

SIZES: Final = frozenset({1, 2, 4, 8})
"""Bytes of an element that are handled."""
_c: Final = Library("copy", {
    "copy": "Ipaai", "copy_narrowed": "Ipaa", "copy_widened": "Ipaa", "fill": "Ipaii"})


def copied(out: Any, x: Any) -> bool:
    """Copy between arrays of one dtype; whether it was done."""
    c, address = _c(), engine()
    size = x.itemsize
    if c is None or address is None or size not in SIZES or x.__class__ is not np.ndarray:
        return False
    return bool(c.copy(address, out, x, size))


def filled(out: Any, value: Any) -> bool:
    """Set every element; whether it was done."""
    c, address = _c(), engine()
    size = out.itemsize
    if c is None or address is None or size not in SIZES:
        return False
    element = np.empty((), out.dtype)
    element[...] = value
    bits = int.from_bytes(element.tobytes(), "little", signed=True)
    return bool(c.fill(address, out, size, bits))


class Casts(Pointwise):
    """Copies from each dtype to each other."""

    def __init__(self) -> None:
        super().__init__("copy")

    def made(
        self, out: Any, inputs: Sequence[Any], attributes: Mapping[str, Any]
    ) -> Plan | None:
        """A new plan; complex numbers are left to NumPy."""
        from flambeau.backend.generated.formulas import inputs_of, registers

        source, what = (dtypes.from_numpy_dtype(d) for d in (inputs[0].dtype, out))
        c, address = _c(), engine()
        if c is None or address is None or source.is_complex or what.is_complex or (
                source.is_optional or what.is_optional):
            return None
        if (source.name, what.name) == ("float32", "float16"):
            return Plan(c.copy_narrowed, address, out, ())
        if (source.name, what.name) == ("float16", "float32"):
            return Plan(c.copy_widened, address, out, ())
        floating, integer = registers([source], what)
        taken = inputs_of("self", {"self": described(inputs[0])}, floating, integer, what)
        spec = Spec("copy", "self", tuple(taken.values()), what, floating, integer)
        functions = library(spec)()
        return None if functions is None else Plan(functions.run, address, out, ())


CASTS: Final = Casts()


def copied_to(out: Any, x: Any) -> bool:
    """Copy between arrays of any dtypes; whether it was done."""
    if out.dtype == x.dtype:
        return copied(out, x)
    return CASTS.out(out, x) is None
