"""Matrix products, with batches that broadcast, and sums of one and a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided, broadcast_shapes
from flambeau.backend.generated.products import (
    Operands,
    Planners,
    marks,
    operands,
    oriented,
    variants,
)
from flambeau.backend.generated.steps import Plans, Steps
from flambeau.backend.generated.tuning import Tuner
from flambeau.codegen.kernels.matmul import Tile
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

NUMBERS: Final = (bool, int, float)


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of ``matmul``, and of composites that add to a product."""
    kernels = MatmulKernels(backend)
    return KernelTable(out={"matmul": kernels.out}, fresh={
        "matmul": kernels.fresh, "addmm": kernels.addmm, "baddbmm": kernels.baddbmm,
        "linear": kernels.linear})


def result_shape(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """The shape of ``a @ b``."""
    batch = broadcast_shapes(a[:-2], b[:-2])
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def is_product(a: Strided, b: Strided) -> bool:
    """Whether two tensors can be multiplied."""
    x, y = a.layout.shape, b.layout.shape
    return (a.dtype is b.dtype and a.dtype is not dtypes.bool and bool(x) and bool(y)
            and x[-1] == y[-2 if len(y) > 1 else -1])


class MatmulKernels:
    """The kernels of products."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.plans, self.planners = Plans(), Planners(backend)
        self.tuner = Tuner(backend)

    def out(self, out: Strided, a: Strided, b: Strided) -> None:
        """Write into a tensor."""
        if out.buffer is a.buffer or out.buffer is b.buffer:  # it is read until all is written
            self.backend.kernels.out["copy"](out, self.fresh(a, b))
            return
        index = self.backend.index_of(out.buffer)
        key = (id(a.layout), id(b.layout), a.dtype, index, id(out.layout))
        steps = self.plans.get(key) or self.plan(key, out, (a, b), index)
        steps.run(self.backend, (out.buffer, a.buffer, b.buffer), index)

    def fresh(self, a: Strided, b: Strided) -> Strided:
        """A new tensor.

        Raises:
            ValueError: for what cannot be multiplied; the op's rule then says why.
        """
        result = self.plus((a, b), ())
        if result is NotImplemented:
            raise ValueError(f"no product of {a} and {b}")
        return result  # type: ignore[no-any-return]

    # ---- with an addend ----------------------------------------------------------------------
    def addmm(self, self_: Strided, mat1: Strided, mat2: Strided, beta: Any, alpha: Any) -> Any:
        """``beta * self + alpha * (mat1 @ mat2)``."""
        return self.scaled_sum(self_, mat1, mat2, beta, alpha, 2)

    def baddbmm(
        self, self_: Strided, batch1: Strided, batch2: Strided, beta: Any, alpha: Any
    ) -> Any:
        """``beta * self + alpha * (batch1 @ batch2)``."""
        if batch1.layout.shape[:1] != batch2.layout.shape[:1]:
            return NotImplemented
        return self.scaled_sum(self_, batch1, batch2, beta, alpha, 3)

    def scaled_sum(
        self, addend: Strided, a: Strided, b: Strided, beta: Any, alpha: Any, ndim: int
    ) -> Any:
        """For operands of a number of dimensions."""
        if type(beta) not in NUMBERS or type(alpha) not in NUMBERS or (
                a.layout.ndim != ndim or b.layout.ndim != ndim):
            return NotImplemented
        if a.dtype.category == 1:
            beta, alpha = int(beta), int(alpha)
        factors = () if beta in (0, 1) and alpha == 1 else (alpha, beta)
        if addend.dtype is not a.dtype or not _expands(
                addend.layout.shape, (*a.layout.shape[:-1], b.layout.shape[-1])):
            return NotImplemented
        return self.plus((a, b, addend) if beta else (a, b), factors)

    def linear(self, input: Strided, weight: Strided, bias: Strided | None) -> Any:
        """``input @ weight.T + bias``."""
        if weight.layout.ndim != 2 or (bias is not None and (
                bias.layout.ndim > 1 or bias.dtype is not input.dtype)):
            return NotImplemented
        turned = Strided(weight.buffer, weight.dtype, weight.layout.permute((1, 0)))
        return self.plus((input, turned) if bias is None else (input, turned, bias), ())

    # ---- running -----------------------------------------------------------------------------
    def plus(self, tensors: tuple[Strided, ...], factors: tuple[Any, ...]) -> Any:
        """A new tensor: a product of the first two, and the third."""
        a, b = tensors[0], tensors[1]
        index = self.backend.index_of(a.buffer)
        key = (*[id(x.layout) for x in tensors], a.dtype, b.dtype, bool(factors), index)
        steps = self.plans.get(key)
        if steps is None:
            if not is_product(a, b):
                return NotImplemented
            shape = result_shape(a.layout.shape, b.layout.shape)
            if len(tensors) > 2 and not _expands(tensors[2].layout.shape, shape):
                return NotImplemented
            layout = Layout.contiguous(shape)
            steps = self.plan(key, Strided(None, a.dtype, layout), tensors, index, bool(factors))
        else:
            layout = steps.kept[0]
        buffer = self.backend.alloc(layout.numel * a.dtype.itemsize, index)
        steps.run(self.backend, (buffer, *[x.buffer for x in tensors]), index, factors)
        return Strided(buffer, a.dtype, layout)

    def plan(
        self, key: tuple[Any, ...], out: Strided, tensors: tuple[Strided, ...], index: int,
        is_scaled: bool = False,
    ) -> Steps:
        """Make a plan, and keep it."""
        def make() -> Steps:
            layouts = [x.layout for x in tensors]
            steps = Steps(1 + len(tensors), kept=(out.layout, *layouts))
            if out.layout.numel:
                p = oriented(operands(out.layout, *layouts))
                self.planners[index].product(
                    steps, p, out.dtype, range(1 + len(tensors)), is_scaled,
                    self.tile(p, out, tensors, index))
            return steps

        return self.plans.obtain(key, make)

    def tile(
        self, p: Operands, out: Strided, tensors: tuple[Strided, ...], index: int
    ) -> Tile:
        """The division; of large products the fastest of some."""
        planner = self.planners[index]
        tiles = variants(p, out.dtype, planner.traits, self.backend.dialect.has_groups)
        if len(tiles) == 1:
            return tiles[0]

        def run(tile: Tile) -> None:
            steps = Steps(3)
            without = replace(p, batch=p.batch[:3], steps=p.steps[:3], offsets=p.offsets[:3])
            planner.product(steps, without, out.dtype, range(3), tile=tile)
            steps.run(self.backend, (scratch, *(t.buffer for t in tensors[:2])), index)

        scratch = self.backend.alloc(out.layout.span() * out.dtype.itemsize, index)
        key = (out.dtype.name, *map(marks, p.steps[:3]), *(
            size.bit_length() for size in (p.m, p.n, p.k, product(p.sizes))))
        chosen: Tile = self.tuner.choose(key, tiles, run, index)
        return chosen


def _expands(have: tuple[int, ...], want: tuple[int, ...]) -> bool:
    """Whether a tensor of a shape broadcasts to another."""
    return len(have) <= len(want) and all(
        n in (1, m) for n, m in zip(reversed(have), reversed(want), strict=False))
