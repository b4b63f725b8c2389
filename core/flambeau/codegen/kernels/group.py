"""Values that the work items of a group hold, made one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flambeau.codegen.block import Kernel, Value, real
from flambeau.codegen.scalar import Scalars

COMBINE: Final[dict[str, str]] = {
    "sum": "a + b",
    "product": "a * b",
    "max": "maximum(a, b)",
    "min": "minimum(a, b)",
}
"""Formulas of what two partial results become; the greatest of anything and nan is nan."""
IDENTITY: Final[dict[str, float]] = {
    "sum": 0.0, "product": 1.0, "max": float("-inf"), "min": float("inf")}
"""What changes nothing."""


def combined(kernel: Kernel, how: str, a: Value, b: Value) -> Value:
    """Two partial results as one, both of one register type."""
    names = {"a": kernel.let(a), "b": kernel.let(b)}
    return Scalars(kernel, a.register, "i32", names).evaluate(COMBINE[how])


def combine_lanes(
    kernel: Kernel, values: Sequence[Value], how: Sequence[str], lanes: int, local: str, lane: str,
    stride: int = 1,
) -> list[Value]:
    """Write a tree that combines real values over the lanes that share a result.

    All work items of the group must come here.

    Args:
        values: of this work item.
        how: a key of :data:`COMBINE` per value.
        lanes: how many work items share a result; a power of 2.
        local: the work item's number in the group.
        lane: its number among those that share the result.
        stride: how far apart in the group the lanes of one result are.

    Returns:
        The combined values; all lanes have them.
    """
    arrays = [kernel.shared(v.register, kernel.group_size) for v in values]
    for array, value in zip(arrays, values, strict=True):
        kernel.line(f"{array}[{local}] = {value.text};")
    kernel.barrier()
    width = lanes // 2
    while width:
        with kernel.when(f"{lane} < {width}"):
            for array, value, word in zip(arrays, values, how, strict=True):
                mine = real(value.register, f"{array}[{local}]")
                other = real(value.register, f"{array}[{local} + {width * stride}]")
                kernel.assign(mine, combined(kernel, word, mine, other))
        kernel.barrier()
        width //= 2
    first = f"{local} - {lane}" if stride == 1 else f"{local} - {lane} * {stride}"
    return [
        kernel.let(real(value.register, f"{array}[{first}]"), "whole")
        for array, value in zip(arrays, values, strict=True)
    ]
