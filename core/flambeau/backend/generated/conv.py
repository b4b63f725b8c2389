"""Convolutions and their gradients: windows become panels of a matrix product, some images at a
time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.products import Operands, Planner, Planners
from flambeau.backend.generated.steps import Plans, Steps
from flambeau.codegen.dialects.base import Index
from flambeau.codegen.kernels.conv import Columns, Direct, DirectWeights, Fold, Total, Window
from flambeau.codegen.kernels.indexing import index_register
from flambeau.codegen.kernels.matmul import Tile
from flambeau.codegen.kernels.panels import AT_A_TIME, panel_dtype
from flambeau.dtypes import dtype
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

WORKSPACE: Final = 32 << 20
"""Bytes of windows that are copied before the next are; at least those of one image."""
FEW: Final = 16
"""Output channels of a group for which windows are read where they are."""
Ints = tuple[int, ...]


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of ``convolution`` and its gradients."""
    kernels = ConvKernels(backend)
    return KernelTable(fresh={
        "convolution": kernels.convolution,
        "convolution_input_grad": kernels.input_grad,
        "convolution_weight_grad": kernels.weight_grad,
    })


@dataclass(frozen=True, slots=True)
class Problem:
    """A convolution: of x (images, channels, sizes) with w (outs, channels / groups, kernel) to
    y (images, outs, counts), of which one is the result."""

    x: Layout
    w: Layout
    y: Layout
    bias: Layout | None
    window: Window
    groups: int

    @property
    def images(self) -> int:
        """Of the batch."""
        return int(self.x.shape[0])

    @property
    def sizes(self) -> Ints:
        """Spatial, of x."""
        return tuple(self.x.shape[2:])

    @property
    def counts(self) -> Ints:
        """Windows per dimension."""
        return tuple(self.y.shape[2:])

    @property
    def length(self) -> int:
        """Windows per image."""
        return product(self.counts)

    @property
    def channels(self) -> int:
        """Of x, per group."""
        return int(self.w.shape[1])

    @property
    def outs(self) -> int:
        """Channels of y, per group."""
        return int(self.w.shape[0]) // self.groups

    @property
    def depth(self) -> int:
        """Elements of a window in all channels of a group."""
        return self.channels * self.window.area

    @property
    def is_pointwise(self) -> bool:
        """Whether a window is an element, and all elements are windows."""
        w = self.window
        return w.area == 1 and set(w.stride) == {1} and set(w.padding) == {0}

    def fits(self) -> bool:
        """Whether the sizes belong to each other; the decomposition says what does not."""
        x, w, y, window = self.x, self.w, self.y, self.window
        n = window.ndim
        if not (n and len(window.stride) == len(window.padding) == len(window.dilation) == n
                and x.ndim == w.ndim == y.ndim == n + 2 and self.groups > 0):
            return False
        if min(window.stride) < 1 or min(window.padding) < 0 or min(window.dilation) < 1 or (
                not x.numel or not w.numel or not y.numel):
            return False
        if x.shape[0] != y.shape[0] or x.shape[1] != w.shape[1] * self.groups or (
                w.shape[0] % self.groups or y.shape[1] != w.shape[0]):
            return False
        if self.bias is not None and self.bias.ndim != 1:
            return False
        return self.counts == counts_of(self.sizes, window)


def counts_of(sizes: Ints, w: Window) -> Ints:
    """How many windows there are."""
    return tuple(
        (n + 2 * w.padding[d] - w.dilation[d] * (w.kernel[d] - 1) - 1) // w.stride[d] + 1
        for d, n in enumerate(sizes))


def matrix(x: Layout, groups: int) -> Layout | None:
    """(N, C, *spatial) as (N, groups, C / groups, length), if strides can say it."""
    n, channels, *spatial = x.shape
    return x.view((n, groups, channels // groups, product(spatial)))


class ConvKernels:
    """The kernels of convolutions."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.plans, self.planners = Plans(), Planners(backend)

    # ---- the ops -----------------------------------------------------------------------------
    def convolution(
        self, input: Strided, weight: Strided, bias: Strided | None, stride: Ints, padding: Ints,
        dilation: Ints, transposed: bool, output_padding: Ints, groups: int,
    ) -> Any:
        """See :func:`flambeau.ops.conv.convolution`."""
        kernel = tuple(weight.layout.shape[2:])
        window = Window(kernel, tuple(stride), tuple(padding), tuple(dilation))
        shape = input.layout.shape
        if len(shape) != len(kernel) + 2 or len(stride) != len(kernel) or (
                len(padding) != len(kernel) or len(dilation) != len(kernel)):
            return NotImplemented
        if transposed:
            if len(output_padding) != len(kernel) or min(output_padding, default=0) < 0 or any(
                    e >= s for e, s in zip(output_padding, stride, strict=True)):
                return NotImplemented
            sizes = tuple(
                (n - 1) * s - 2 * p + d * (k - 1) + 1 + e for n, s, p, d, k, e in zip(
                    shape[2:], stride, padding, dilation, kernel, output_padding, strict=True))
            outs = weight.layout.shape[1] * groups
            return self.backward(input, weight, bias, (shape[0], outs, *sizes), window, groups)
        if min(stride) < 1:
            return NotImplemented
        result = (shape[0], weight.layout.shape[0], *counts_of(shape[2:], window))
        return self.result(
            "out", (input, weight, bias), result, window, groups, _forward)

    def input_grad(
        self, grad: Strided, weight: Strided, input_size: Ints, stride: Ints, padding: Ints,
        dilation: Ints, groups: int,
    ) -> Any:
        """See :func:`flambeau.ops.conv.convolution_input_grad`."""
        window = Window(
            tuple(weight.layout.shape[2:]), tuple(stride), tuple(padding), tuple(dilation))
        return self.backward(grad, weight, None, tuple(input_size), window, groups)

    def backward(
        self, grad: Strided, weight: Strided, bias: Strided | None, size: Ints, window: Window,
        groups: int,
    ) -> Any:
        """The gradient for an input of a size, plus a bias."""
        return self.result(
            "input", (grad, weight, bias), size, window, groups, _backward)

    def weight_grad(
        self, grad: Strided, input: Strided, weight_size: Ints, stride: Ints, padding: Ints,
        dilation: Ints, groups: int,
    ) -> Any:
        """See :func:`flambeau.ops.conv.convolution_weight_grad`."""
        size = tuple(weight_size)
        window = Window(size[2:], tuple(stride), tuple(padding), tuple(dilation))
        return self.result(
            "weight", (grad, input, None), size, window, groups, _weights)

    # ---- running -----------------------------------------------------------------------------
    def result(
        self, kind: str, tensors: tuple[Strided, Strided, Strided | None], shape: Ints,
        window: Window, groups: int, write: Callable[[Conv], None],
    ) -> Any:
        """A new tensor.

        Args:
            kind: which of y ("out"), x ("input") and w ("weight") it is.
        """
        first, second, bias = tensors
        what = first.dtype
        index = self.backend.index_of(first.buffer)
        key = (kind, *[None if t is None else (id(t.layout), t.dtype) for t in tensors], shape,
               window, groups, index)
        steps = self.plans.get(key)
        if steps is None:
            given = [t for t in tensors if t is not None]
            if any(t.dtype is not what for t in given) or what is dtypes.bool or (
                    min(shape, default=0) < 1):
                return NotImplemented
            result = Layout.contiguous(shape)
            a, b = first.layout, second.layout
            x, w, y = {
                "out": (a, b, result), "input": (result, b, a), "weight": (b, result, a)}[kind]
            problem = Problem(x, w, y, None if bias is None else bias.layout, window, groups)
            outs = problem.x if kind == "input" else problem.y
            if not problem.fits() or (
                    bias is not None and bias.layout.shape[0] != outs.shape[1]):
                return NotImplemented
            steps = Steps(1 + len(given), kept=(result, *(t.layout for t in given)))
            conv = Conv(self.planners[index], steps, problem, what)
            if not conv.is_possible(kind):
                return NotImplemented
            write(conv)
            self.plans.keep(key, steps)
        layout = steps.kept[0]
        buffer = self.backend.alloc(layout.numel * what.itemsize, index)
        steps.run(
            self.backend, [buffer, *[t.buffer for t in tensors if t is not None]], index)
        return Strided(buffer, what, layout)


# ---- plans -------------------------------------------------------------------------------------
class Conv:
    """The launches of a convolution under construction.

    Attributes:
        rows: the weight as (groups, outs, depth).
    """

    def __init__(self, planner: Planner, steps: Steps, problem: Problem, what: dtype) -> None:
        self.planner, self.steps, self.p, self.what = planner, steps, problem, what
        p = problem
        self.rows = p.w.view((p.groups, p.outs, p.depth))
        self.size = planner.traits.group_size

    def is_possible(self, kind: str) -> bool:
        """Whether the layouts can be handled without copies."""
        if self.rows is None:
            return False
        return kind != "input" or matrix(self.p.y, self.p.groups) is not None

    def register(self, numel: int) -> Index:
        """The type of indices, with temporaries of some elements."""
        p = self.p
        return index_register(numel, [
            (t.offset, t.shape, t.strides) for t in (p.x, p.w, p.y)])

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of images whose windows fit into the workspace."""
        p = self.p
        one = p.groups * p.depth * p.length * panel_dtype(self.what).itemsize
        step = max(1, min(p.images, WORKSPACE // one))
        for i in range(0, p.images, step):
            yield i, min(i + step, p.images)

    def columns(
        self, target: int, place: int, t: Layout, window: Window, counts: Ints, images: int,
        first: int, width: int, is_turned: bool,
    ) -> int:
        """Copy windows of (N, C, *sizes) into panels.

        Args:
            target: the place of the panels, -1 for a new one.
            first: image.
            width: of a panel.

        Returns:
            The place of the panels.
        """
        groups = self.p.groups
        channels = t.shape[1] // groups
        length = product(counts)
        inside = channels * window.area
        rows, inner = (inside, images * length) if is_turned else (length, inside)
        tiles, pieces = -(-rows // width), -(-inner // AT_A_TIME)
        panels = tiles * groups * (1 if is_turned else images)
        count = panels * pieces * width
        if target < 0:
            target = self.steps.temporary(
                panels * inner * width * panel_dtype(self.what).itemsize)
        spec = Columns(
            self.what, window, is_turned, width, self.register(count * AT_A_TIME))
        teams = self.planner.teams(count, width)
        self.steps.add(self.planner.handle(spec), teams, (target, place), (
            count, rows, inner, pieces, tiles, groups,
            t.offset + first * t.strides[0], t.strides[0], channels * t.strides[1], t.strides[1],
            *t.strides[2:], *t.shape[2:], *counts, length))
        return target

    def tile(self, p: Operands, packed: str) -> Tile:
        """A division of a product of panels."""
        return self.planner.tile(p, self.what)._replace(packed="ab" if packed == "ab" else "b")


def _forward(c: Conv) -> None:
    """y from x and w."""
    p = c.p
    if p.outs <= FEW and not p.is_pointwise:
        _direct(c)
        return
    x = matrix(p.x, p.groups) if p.is_pointwise else None
    assert c.rows is not None
    places = (0, 2, 1) if p.bias is None else (0, 2, 1, 3)
    if x is not None:
        c.planner.product(c.steps, _outs(c, 0, p.images, x.strides, x.offset), c.what, places)
        return
    target = -1
    tile = c.tile(_outs(c, 0, p.images, (0, 0, 0, 0), 0), "b")
    for i, j in c.blocks():
        target = c.columns(
            target, 1, p.x, p.window, p.counts, j - i, i, tile.width, is_turned=False)
        panels = -(-p.length // tile.width) * tile.width * p.depth
        q = _outs(c, i, j - i, (panels * p.groups, panels, 0, 0), 0)
        c.planner.product(
            c.steps, q, c.what, (0, 2, target, *places[3:]), tile=tile, is_packed=True)


def _outs(c: Conv, first: int, images: int, of_b: Ints, offset: int) -> Operands:
    """The product of the weight's rows with something (images, groups, depth, length)."""
    p, w = c.p, c.rows
    assert w is not None
    y = matrix(p.y, p.groups)
    assert y is not None
    bias = [] if p.bias is None else [p.bias]
    return Operands(
        p.outs, p.length, p.depth, (images, p.groups),
        (y.strides[:2], (0, w.strides[0]), of_b[:2], *((0, p.outs * b.strides[0]) for b in bias)),
        ((y.strides[2], y.strides[3]), (w.strides[1], w.strides[2]), (of_b[2], of_b[3]),
         *((b.strides[0], 0) for b in bias)),
        (y.offset + first * y.strides[0], w.offset, offset, *(b.offset for b in bias)))


def _direct(c: Conv) -> None:
    """y from x and w, where windows are read for few channels."""
    p = c.p
    outs = min(p.outs, FEW // 2)
    size = min(c.size, 16) if c.planner.traits.lanes == 1 else c.size
    spec = Direct(c.what, p.window, outs, p.bias is not None, c.register(p.y.numel), size)
    pieces, blocks = -(-p.length // size), -(-p.outs // outs)
    count = p.images * p.groups * blocks * pieces * size
    more = () if p.bias is None else (p.bias.offset, p.bias.strides[0])
    c.steps.add(
        c.planner.handle(spec), c.planner.teams(count, size),
        (0, 1, 2) if p.bias is None else (0, 1, 2, 3),
        (count, pieces, p.groups, p.outs, blocks, p.channels,
         p.x.offset, p.x.strides[0], p.channels * p.x.strides[1], *p.x.strides[1:], *p.sizes,
         *p.counts, p.length, p.w.offset, *p.w.strides, *more))


def _backward(c: Conv) -> None:
    """x, or its gradient, from y and w."""
    p, w = c.p, c.rows
    y = matrix(p.y, p.groups)
    assert w is not None and y is not None
    spec = Fold(
        c.what, p.window, p.bias is not None,
        c.register(p.images * p.groups * p.depth * p.length), c.size)
    more = () if p.bias is None else (p.bias.offset, p.bias.strides[0])
    plane = p.depth * p.length
    target = -1
    for i, j in c.blocks():
        if target < 0:
            target = c.steps.temporary((j - i) * p.groups * plane * c.what.itemsize)
        q = Operands(
            p.depth, p.length, p.outs, (j - i, p.groups),
            ((p.groups * plane, plane), (0, w.strides[0]), y.strides[:2]),
            ((p.length, 1), (w.strides[2], w.strides[1]), (y.strides[2], y.strides[3])),
            (0, w.offset, y.offset + i * y.strides[0]))
        c.planner.product(c.steps, q, c.what, (target, 2, 1))
        one = product(p.x.shape[1:])
        count = (j - i) * one
        c.steps.add(
            c.planner.handle(spec), -(-count // c.size),
            (0, target) if p.bias is None else (0, target, 3),
            (count, i * one, p.x.shape[1], *p.sizes, *p.counts, p.length, *more))


def _weights(c: Conv) -> None:
    """The gradient of w from those of y, and x."""
    if c.p.outs <= FEW:
        _direct_weights(c)
        return
    p, w = c.p, c.rows
    assert w is not None
    ones, zeros = (1,) * p.window.ndim, (0,) * p.window.ndim
    each = Window(ones, ones, zeros, ones)
    left = right = -1
    own = (w.strides[0],)
    q = Operands(
        p.outs, p.depth, p.images * p.length, (p.groups,), (own, (0,), (0,)),
        ((w.strides[1], w.strides[2]), (0, 0), (0, 0)), (0, 0, 0))
    tile = c.tile(q, "ab")
    for i, j in c.blocks():
        inner = (j - i) * p.length
        left = c.columns(left, 1, p.y, each, p.counts, j - i, i, tile.height, is_turned=True)
        right = c.columns(right, 2, p.x, p.window, p.counts, j - i, i, tile.width, is_turned=True)
        batch = (own, (-(-p.outs // tile.height) * tile.height * inner,),
                 (-(-p.depth // tile.width) * tile.width * inner,))
        more = (batch[0],) if i else ()  # what the images before have given
        n = 4 if i else 3
        q = Operands(
            p.outs, p.depth, inner, (p.groups,), (*batch, *more),
            (*q.steps[:3], q.steps[0])[:n], (0, 0, 0, 0)[:n])
        c.planner.product(
            c.steps, q, c.what, (0, left, right, 0)[:n], tile=tile, is_packed=True)


def _direct_weights(c: Conv) -> None:
    """The gradient of w, where windows are read for few channels."""
    p, traits = c.p, c.planner.traits
    outs = min(p.outs, FEW // 2)
    size = min(c.size, 16) if traits.lanes == 1 else c.size
    teams, blocks = -(-p.depth // size), -(-p.outs // outs)
    wanted = -(-4 * traits.units // (teams * blocks * p.groups))
    share = -(-p.images // min(p.images, wanted))
    pieces = -(-p.images // share)
    register = c.register(pieces * p.w.numel + p.y.numel)
    sums = c.steps.temporary(pieces * p.w.numel * panel_dtype(c.what).itemsize)
    spec = DirectWeights(c.what, p.window, outs, register, size)
    count = pieces * p.groups * blocks * teams * size
    c.steps.add(c.planner.handle(spec), c.planner.teams(count, size), (sums, 1, 2), (
        count, teams, blocks, p.groups, p.outs, p.depth, p.images, share, p.y.offset,
        *p.y.strides, p.x.offset, p.x.strides[0], p.channels * p.x.strides[1], *p.x.strides[1:],
        *p.sizes, *p.counts))
    total = Total(c.what, register, c.size)
    c.steps.add(c.planner.handle(total), -(-p.w.numel // c.size), (0, sums), (p.w.numel, pieces))
