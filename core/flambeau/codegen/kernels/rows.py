"""Fused steps over rows: softmax, normalisation, losses, optimizers, recurrent cells.

A kernel works on rows of columns.  Its steps are run one after the other for each row:
reductions over the columns, values of the row, elements that are written.  A kernel without
columns is a pointwise one with several results.

How the work is laid out is a matter of the device and of the strides:

- one item per row, its columns in sequence, several partial sums at once where they are
  contiguous, so that the compiler can use vector instructions;
- one item per tile of neighbouring rows, where these are contiguous and items have no groups;
- several lanes of a group per row, which meet in trees over local memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from flambeau.codegen.block import KernelSource
from flambeau.codegen.dialects.base import Dialect, Index, Register
from flambeau.dtypes import dtype


# ---- steps ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Let:
    """A value of the row, from other values of the row."""

    name: str
    formula: str


@dataclass(frozen=True, slots=True)
class Reduce:
    """Values of the row from all columns, in one pass.

    Attributes:
        parts: name, formula of an element, and a key of
            :data:`flambeau.codegen.kernels.group.COMBINE`.
    """

    parts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Pick:
    """A value of the row: the element of a column whose number is a value of the row."""

    name: str
    operand: str
    column: str


@dataclass(frozen=True, slots=True)
class Store:
    """Elements of results, in one pass: per operand a formula."""

    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StoreRow:
    """One element per row of a result."""

    operand: str
    formula: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A row that something is wrong with: where the condition holds, the two flags are set.

    Attributes:
        operand: the flags, 32-bit integers.
        code: name of the number that the first is set to.
        value: name of the row's value that the second is set to.
    """

    operand: str
    condition: str
    code: str
    value: str


Step: TypeAlias = Let | Reduce | Pick | Store | StoreRow | Flag


# ---- kernels -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor, or a part of one, as the kernel walks it.

    Attributes:
        buffer: its number among the buffers; several operands may be parts of one.
        outer: per dimension of the rows "0" or "1" for strides that are known, "?" for those
            given as arguments.
        inner: the same per dimension of the columns.
    """

    name: str
    buffer: int
    outer: str
    inner: str

    @property
    def is_along(self) -> bool:
        """Whether the columns have elements of their own."""
        return self.inner.strip("0") != ""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a kernel is specialised for.

    Attributes:
        name: of the op.
        buffers: per buffer its name, element type, and whether it is written.
        steps: over the names of operands and numbers, and ``i``, the number of the column.
        numbers: arguments that are numbers.
        floating, integer: what is computed in.
        index: type of indices.
        group_size: work items per group.
        lanes: how many of them share a row.
        rows_inner: whether neighbours in a group work on neighbouring rows.
        is_flat: whether lanes walk all columns as one dimension.
        unroll: partial results that an item keeps at once.
        tile: neighbouring rows that an item works on.
    """

    name: str
    buffers: tuple[tuple[str, dtype, bool], ...]
    operands: tuple[Operand, ...]
    steps: tuple[Step, ...]
    numbers: tuple[tuple[str, Register], ...]
    floating: Register
    integer: Register
    index: Index
    group_size: int
    lanes: int = 1
    rows_inner: bool = False
    is_flat: bool = False
    unroll: int = 1
    tile: int = 1
    outer_ndim: int = field(default=0)
    inner_ndim: int = field(default=0)

    @property
    def rows_per_group(self) -> int:
        """Rows that a group works on at once, where lanes share rows."""
        return self.group_size // self.lanes

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers; the number of rows (of tiles of rows, if ``tile`` > 1);
        the offset of every operand; the sizes of the rows' dimensions but the first, then (if
        ``tile`` > 1) that of the last in rows; the sizes of the columns' dimensions; per operand
        the strides marked "?", those of the rows first; the numbers.
        """
        from flambeau.codegen.kernels.row_items import ItemWriter, TileWriter
        from flambeau.codegen.kernels.row_lanes import LaneWriter

        writer = LaneWriter if self.lanes > 1 else TileWriter if self.tile > 1 else ItemWriter
        return writer(self, dialect).write()
