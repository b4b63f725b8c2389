"""One elementwise kernel over a list of members, each some dense tensors of one size.

A group works on one member; which one follows from the group's number.
"""

from __future__ import annotations

from dataclasses import dataclass

from flambeau.codegen.block import Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index, Register
from flambeau.codegen.kernels.rows import Let, StoreRow
from flambeau.codegen.scalar import Scalars
from flambeau.dtypes import dtype


@dataclass(frozen=True, slots=True)
class Lists:
    """What a kernel is specialised for.

    Attributes:
        name: of the op.
        members: how many there are.
        tensors: of each member: name, element type, and whether it is written.
        steps: over the names of tensors and numbers.
        numbers: names of numbers, for all members.
        floating: what is computed in.
        index: type of indices.
        group_size: work items per group.
    """

    name: str
    members: int
    tensors: tuple[tuple[str, dtype, bool], ...]
    steps: tuple[Let | StoreRow, ...]
    numbers: tuple[str, ...]
    floating: Register
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of all members; per member the number of the group behind
        its last, its number of elements, and the offsets of its tensors; the numbers.
        """
        kernel, index = Kernel(dialect, f"fb_{self.name}_list", self.group_size), self.index
        every = range(self.members)
        buffers = [
            {name: kernel.buffer(f"{name}_{m}", what, written)
             for name, what, written in self.tensors} for m in every]
        limits = [
            (kernel.scalar(f"groups_{m}", index), kernel.scalar(f"count_{m}", index),
             {name: kernel.scalar(f"start_{name}_{m}", index) for name, *_ in self.tensors})
            for m in every]
        numbers = {n: real(self.floating, kernel.scalar(f"number_{n}", self.floating))
                   for n in self.numbers}
        group, local = kernel.position("group", index), kernel.position("local", index)
        first = dialect.literal(0, index)
        for member, (last, count, starts) in zip(buffers, limits, strict=True):
            with kernel.when(f"{first} <= {group} && {group} < {last}"):
                item = kernel.integer(
                    f"({group} - {first}) * {self.group_size} + {local}", index, "item")
                with kernel.when(f"{item} < {count}"):
                    places = {n: kernel.integer(f"{s} + {item}", index, "p")
                              for n, s in starts.items()}
                    names: dict[str, Value] = {**numbers, **{
                        n: kernel.load(b, places[n]) for n, b in member.items()}}
                    for step in self.steps:
                        value = kernel.let(Scalars(kernel, self.floating, "i32", names).evaluate(
                            step.formula), "y")
                        if isinstance(step, Let):
                            names[step.name] = value
                        else:
                            kernel.store(member[step.operand], places[step.operand], value)
            first = last
        return kernel.finish()
