"""The table of kernels of a generated backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from flambeau.backend import KernelTable
from flambeau.backend.generated import (
    attention,
    batch_norm,
    class_loss,
    conv,
    fused_reduce,
    group_norm,
    index,
    layer_norm,
    loss,
    matmul,
    optim,
    pointwise,
    pool,
    recurrent,
    recurrent_steps,
    reduce,
    scan,
    softmax,
    sort,
)

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

FAMILIES: Final[tuple[Callable[[GeneratedBackend], KernelTable], ...]] = (
    pointwise.table, index.table, matmul.table, conv.table, pool.table, attention.table,
    reduce.table, scan.table, softmax.table, layer_norm.table, group_norm.table, batch_norm.table,
    optim.table, class_loss.table, recurrent.table, recurrent_steps.table,
    loss.table, sort.table, fused_reduce.table)
"""Each makes the kernels of one family for a backend."""


def table_for(backend: GeneratedBackend) -> KernelTable:
    """All kernels: those of the backend itself first."""
    result = KernelTable()
    for own, bound in ((backend.overrides.out, result.out),
                       (backend.overrides.fresh, result.fresh)):
        for name, kernel in own.items():
            bound[name] = partial(kernel, backend)
    overridden = result.names()
    for family in FAMILIES:
        made = family(backend)
        for name in made.names() - overridden:
            _take(result.out, made.out, name)
            _take(result.fresh, made.fresh, name)
    return result


def _take(into: dict[str, Any], table: dict[str, Any], name: str) -> None:
    if name in table:
        into[name] = table[name]
