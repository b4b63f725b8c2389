"""Matrix products: a work item computes a small block of the result in registers."""

from __future__ import annotations

from dataclasses import dataclass

from flambeau.codegen.block import Block, Kernel, KernelSource, Value, is_float, real
from flambeau.codegen.dialects.base import STORAGE, Dialect, Index, Register, register_of
from flambeau.codegen.kernels.indexing import unravel
from flambeau.dtypes import dtype

TENSORS = ("out", "a", "b")


def accumulator(what: dtype) -> Register:
    """What products of elements are summed in: narrow integers in 32 bits, halves in f32."""
    register = register_of(STORAGE[what.name])
    return "i32" if register in ("i8", "u8", "i16", "u16", "bool") else register


def zero(block: Block, what: dtype, hint: str) -> Value:
    """A variable for a sum."""
    register = accumulator(what)
    parts = (block.dialect.literal(0, register),) * (2 if what.is_complex else 1)
    return block.variable(Value(register, parts), hint)


def multiply_add(block: Block, total: Value, a: Value, b: Value) -> None:
    """Add a product to a sum."""
    d, register = block.dialect, total.register

    def fused(x: str, y: str, z: str) -> str:
        if is_float(register):
            return d.basic("fma", [x, y, z], register)
        return d.binary("+", z, d.binary("*", x, y, register), register)

    if not total.is_complex:
        block.assign(total, real(register, fused(a.text, b.text, total.text)))
        return
    (ar, ai), (br, bi) = a.parts, b.parts
    minus = d.unary("-", ai, register)
    re, im = total.parts
    block.assign(total, Value(register, (
        fused(minus, bi, fused(ar, br, re)), fused(ai, br, fused(ar, bi, im)))))


@dataclass(frozen=True, slots=True)
class Matmul:
    """What a kernel is specialised for.

    Attributes:
        dtype: of the elements of all three.
        rows, cols: of the block that an item computes.
        batch: dimensions of the batch.
        steps: of the result, a and b, the strides along their rows and columns, "1" and "0" where
            they are known, else "?".
        index: type of indices.
        group_size: work items per group.
    """

    dtype: dtype
    rows: int
    cols: int
    batch: int
    steps: tuple[str, str, str]
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result, a and b; the number of items; the sizes of
        the result and of the inner dimension; the blocks along rows and columns; the offsets; the
        sizes of the batch but the first; per tensor its strides along the batch and those
        marked "?".
        """
        kernel = Kernel(dialect, "fb_matmul", self.group_size)
        index = self.index
        out, a, b = (kernel.buffer(name, self.dtype, name == "out") for name in TENSORS)
        count, m, n, inner, down, across = (
            kernel.scalar(name, index) for name in ("count", "m", "n", "inner", "down", "across"))
        starts = [kernel.scalar(f"start_{name}", index) for name in TENSORS]
        sizes = ["", *(kernel.scalar(f"size_{d}", index) for d in range(1, self.batch))]
        strides = [
            [kernel.scalar(f"step_{name}_{d}", index) for d in range(self.batch)]
            for name in TENSORS]
        (out_m, out_n), (a_m, a_k), (b_k, b_n) = (
            [kernel.scalar(f"step_{name}_{axis}", index) if step == "?" else step
             for axis, step in zip(axes, steps, strict=True)]
            for name, axes, steps in zip(TENSORS, ("mn", "mk", "kn"), self.steps, strict=True))
        with kernel.item(count, index) as item:
            row_block = kernel.integer(f"{item} / {across}", index, "q")
            col_block = kernel.integer(f"{item} - {row_block} * {across}", index, "block")
            which = kernel.integer(f"{row_block} / {down}", index, "which")
            rows = self.places(
                kernel, f"({row_block} - {which} * {down})", self.rows, m, "row")
            cols = self.places(kernel, col_block, self.cols, n, "col")
            if self.batch:
                starts = unravel(kernel, which, sizes[: self.batch], strides, index, starts)
            sums = [[zero(kernel, self.dtype, "sum") for _ in cols] for _ in rows]
            from_a = [kernel.integer(_at(starts[1], row, a_m), index, "at_a") for _, row in rows]
            from_b = [kernel.integer(_at(starts[2], col, b_n), index, "at_b") for _, col in cols]
            with kernel.loop(index, "0", inner, hint="k") as k:
                left = [self.factor(kernel, kernel.load(a, _at(p, k, a_k))) for p in from_a]
                right = [self.factor(kernel, kernel.load(b, _at(p, k, b_k))) for p in from_b]
                for line, x in zip(sums, left, strict=True):
                    for total, y in zip(line, right, strict=True):
                        multiply_add(kernel, total, x, y)
            for (row, _), line in zip(rows, sums, strict=True):
                for (col, _), total in zip(cols, line, strict=True):
                    with kernel.when(f"{row} < {m} && {col} < {n}"):
                        kernel.store(
                            out, _at(_at(starts[0], row, out_m), col, out_n), total)
        return kernel.finish()

    def places(
        self, kernel: Kernel, block: str, count: int, size: str, hint: str
    ) -> list[tuple[str, str]]:
        """Of the rows or columns of a block their numbers, and the nearest that exist."""
        result = []
        for i in range(count):
            place = kernel.integer(f"{block} * {count} + {i}", self.index, hint)
            last = kernel.integer(f"{size} - 1", self.index, "last")
            inside = place if count == 1 else kernel.integer(
                kernel.dialect.basic("min", [place, last], self.index), self.index, "inside")
            result.append((place, inside))
        return result

    def factor(self, kernel: Kernel, value: Value) -> Value:
        """An element in the type of the sum."""
        return kernel.let(kernel.cast(value, accumulator(self.dtype)), "factor")


def _at(start: str, number: str, step: str) -> str:
    """The index of an element along a dimension."""
    if step == "0":
        return start
    return f"{start} + {number}" if step == "1" else f"{start} + {number} * {step}"
