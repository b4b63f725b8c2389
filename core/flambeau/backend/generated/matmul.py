"""Matrix products, with batches that broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided, broadcast_shapes
from flambeau.codegen.kernels.indexing import collapse, index_register
from flambeau.codegen.kernels.matmul import Matmul
from flambeau.dtypes import dtype
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

PLANS_AT_MOST: Final = 4096
"""Then all are forgotten."""


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of ``matmul``."""
    kernels = MatmulKernels(backend)
    return KernelTable(out={"matmul": kernels.out}, fresh={"matmul": kernels.fresh})


class Operands(NamedTuple):
    """A product as a batch of matrix products.

    Attributes:
        m, n, k: sizes of the result and of the inner dimension.
        sizes: of the batch, as few dimensions as possible.
        batch: strides of the result, a and b along them.
        steps: of the result along m and n, of a along m and k, of b along k and n.
        offsets: of the three.
    """

    m: int
    n: int
    k: int
    sizes: tuple[int, ...]
    batch: tuple[tuple[int, ...], ...]
    steps: tuple[tuple[int, int], ...]
    offsets: tuple[int, int, int]


class Plan(NamedTuple):
    """What a call does, for arguments of certain layouts."""

    handle: Any
    groups: int
    scalars: tuple[int, ...]
    layout: Layout
    nbytes: int
    kept: tuple[Layout, ...]
    """The layouts whose identities stand in the plan's key."""


def result_shape(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """The shape of ``a @ b``."""
    batch = broadcast_shapes(a[:-2], b[:-2])
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def check(a: Strided, b: Strided) -> None:
    """Refuse what cannot be multiplied; the op's rule then says why in PyTorch's words.

    Raises:
        ValueError: for these dtypes or shapes.
    """
    x, y = a.layout.shape, b.layout.shape
    if a.dtype is not b.dtype or a.dtype is dtypes.bool or not x or not y or (
            x[-1] != y[-2 if len(y) > 1 else -1]):
        raise ValueError(f"no product of {a} and {b}")


def operands(out: Layout, a: Layout, b: Layout) -> Operands:
    """Look at the layouts of a product; vectors are matrices of one row or column."""
    m, k = (a.shape[-2] if a.ndim > 1 else 1), a.shape[-1]
    n = b.shape[-1] if b.ndim > 1 else 1
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    own = out.strides[len(batch) :]
    steps = (
        (own[0] if a.ndim > 1 else 0, own[-1] if b.ndim > 1 else 0),
        (a.strides[-2] if a.ndim > 1 else 0, a.strides[-1]),
        (b.strides[-2] if b.ndim > 1 else b.strides[-1], b.strides[-1] if b.ndim > 1 else 0),
    )
    walk = collapse(batch, [out.strides[: len(batch)], _batch(a, batch), _batch(b, batch)])
    return Operands(
        m, n, k, walk.sizes, walk.strides, steps, (out.offset, a.offset, b.offset))


def _batch(x: Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides along a batch of this shape."""
    own = x.shape[:-2]
    missing = len(shape) - len(own)
    return (0,) * missing + tuple(
        0 if n == 1 else s for n, s in zip(own, x.strides, strict=False))


def marks(steps: tuple[int, int]) -> str:
    """Which strides a kernel is written for."""
    return "".join(str(s) if s in (0, 1) else "?" for s in steps)


class MatmulKernels:
    """The kernels of the product."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def out(self, out: Strided, a: Strided, b: Strided) -> None:
        """Write into a tensor."""
        index = self.backend.index_of(out.buffer)
        key = (id(a.layout), id(b.layout), a.dtype, b.dtype, index, id(out.layout))
        plan = self.plans.get(key) or self.plan(key, a.dtype, out.layout, a.layout, b.layout, index)
        self.run(plan, out.buffer, a, b, index)

    def fresh(self, a: Strided, b: Strided) -> Any:
        """A new tensor."""
        index = self.backend.index_of(a.buffer)
        key = (id(a.layout), id(b.layout), a.dtype, b.dtype, index)
        plan = self.plans.get(key)
        if plan is None:
            check(a, b)
            layout = Layout.contiguous(result_shape(a.layout.shape, b.layout.shape))
            plan = self.plan(key, a.dtype, layout, a.layout, b.layout, index)
        buffer = self.backend.alloc(plan.nbytes, index)
        self.run(plan, buffer, a, b, index)
        return Strided(buffer, a.dtype, plan.layout)

    def run(self, plan: Plan, buffer: Any, a: Strided, b: Strided, index: int) -> None:
        """Launch."""
        if plan.groups:
            self.backend.launch(
                plan.handle, plan.groups, [buffer, a.buffer, b.buffer, *plan.scalars], index)

    def plan(
        self, key: tuple[Any, ...], what: dtype, out: Layout, a: Layout, b: Layout, index: int
    ) -> Plan:
        """Look at the layouts, and compile."""
        p = operands(out, a, b)
        rows, cols = 4 if p.m >= 4 else 1, 4 if p.n >= 4 else 1
        down, across = -(-p.m // rows), -(-p.n // cols)
        count = down * across * (out.numel // (p.m * p.n) if out.numel else 0)
        register = index_register(count, [
            (offset, (*p.sizes, *sizes), (*batch, *steps))
            for offset, sizes, batch, steps in zip(
                p.offsets, ((p.m, p.n), (p.m, p.k), (p.k, p.n)), p.batch, p.steps, strict=True)])
        size = self.backend.traits(index).group_size
        known = (marks(p.steps[0]), marks(p.steps[1]), marks(p.steps[2]))
        spec = Matmul(what, rows, cols, len(p.sizes), known, register, size)
        handle = self.backend.program(
            spec, lambda: spec.source(self.backend.dialect), index) if count else None
        strides = [s for batch in p.batch for s in batch]
        strides += [
            s for steps, mark in zip(p.steps, known, strict=True)
            for s, c in zip(steps, mark, strict=True) if c == "?"]
        plan = Plan(
            handle, -(-count // size),
            (count, p.m, p.n, p.k, down, across, *p.offsets, *p.sizes[1:], *strides),
            out, out.span() * what.itemsize, (out, a, b))
        if len(self.plans) >= PLANS_AT_MOST:
            self.plans.clear()
        self.plans[key] = plan
        return plan
