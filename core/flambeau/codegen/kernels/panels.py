"""Operands of matrix products as panels: in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass

from flambeau import dtypes
from flambeau.codegen.block import Kernel, KernelSource, real
from flambeau.codegen.dialects.base import Dialect, Index
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.sums import accumulator
from flambeau.dtypes import dtype

AT_A_TIME = 16
"""Of the inner dimension, what an item packs."""


def panel_dtype(what: dtype) -> dtype:
    """What packed elements are stored as: halves are converted once."""
    return dtypes.float32 if what in (dtypes.float16, dtypes.bfloat16) else what


def along(start: str, number: str, step: str) -> str:
    """The index of an element along a dimension."""
    if step == "0":
        return start
    return f"{start} + {number}" if step == "1" else f"{start} + {number} * {step}"


def team(kernel: Kernel, item: str, size: int, index: Index) -> tuple[str, str]:
    """The team of an item, and its number in the team.

    Where there are groups a team is one, and compilers know what is the same for all of it.
    """
    if kernel.dialect.has_groups:
        return kernel.position("group", index), kernel.position("local", index)
    number = kernel.integer(f"{item} / {size}", index, "team")
    return number, kernel.integer(f"{item} - {number} * {size}", index, "local")


@dataclass(frozen=True, slots=True)
class Pack:
    """A kernel that copies an operand into panels.

    A panel has the rows of a tile (of b: its columns), padded with zeros, side by side for each
    element of the inner dimension.

    Attributes:
        dtype: of the operand.
        width: of a panel.
        batch: dimensions of the batch.
        steps: along the rows and the inner dimension, as in :class:`Matmul`.
        index: type of indices.
    """

    dtype: dtype
    width: int
    batch: int
    steps: str
    index: Index

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        A team of ``width`` items copies a piece of a panel.  The arguments are: the buffers of the
        panels and of the operand; the number of items; the rows, the inner size, pieces of it,
        panels; the offset; the sizes of the batch but the first; the strides along the batch, and
        those marked "?".
        """
        kernel, index = Kernel(dialect, "fb_pack", self.width), self.index
        panels = kernel.buffer("panels", panel_dtype(self.dtype), True)
        operand = kernel.buffer("operand", self.dtype)
        count, size, inner, pieces, tiles, start = (
            kernel.scalar(name, index)
            for name in ("count", "size", "inner", "pieces", "tiles", "start"))
        sizes = ["", *(kernel.scalar(f"size_{d}", index) for d in range(1, self.batch))]
        batch = [kernel.scalar(f"step_{d}", index) for d in range(self.batch)]
        along_rows, along_inner = (
            kernel.scalar(f"step_{axis}", index) if step == "?" else step
            for axis, step in zip(("row", "inner"), self.steps, strict=True))
        with kernel.item(count, index) as item:
            piece, t = team(kernel, item, self.width, index)
            panel = kernel.integer(f"{piece} / {pieces}", index, "panel")
            first = kernel.integer(
                f"({piece} - {panel} * {pieces}) * {AT_A_TIME}", index, "first")
            which = kernel.integer(f"{panel} / {tiles}", index, "which")
            tile = kernel.integer(f"{panel} - {which} * {tiles}", index, "tile")
            row = kernel.integer(f"{tile} * {self.width} + {t}", index, "row")
            if self.batch:
                (start,) = unravel(kernel, which, sizes[: self.batch], [batch], index, [start])
            base = along(start, row, along_rows)
            end = kernel.integer(
                dialect.basic("min", [f"({first} + {AT_A_TIME})", inner], index), index, "end")
            target = kernel.integer(
                f"{panel} * {inner} * {self.width} + {t}", index, "target")
            with kernel.when(f"{row} < {size}"):
                base = kernel.integer(base, index, "base")
                with kernel.loop(index, first, end, hint="k") as k:
                    kernel.store(panels, f"{target} + {k} * {self.width}",
                                 kernel.load(operand, along(base, k, along_inner)))
            with kernel.when(f"{row} >= {size}"):
                nothing = real(accumulator(self.dtype), dialect.literal(
                    0, accumulator(self.dtype)))
                with kernel.loop(index, first, end, hint="k") as k:
                    kernel.store(panels, f"{target} + {k} * {self.width}", nothing)
        return kernel.finish()
