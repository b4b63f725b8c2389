"""``group_norm``: one kernel forward, two backward, as in :mod:`.layer_norm`.

The dimension of channels is two here: groups, and the channels of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.layer_norm import (
    ALONG,
    MOMENTS,
    given,
    holds,
    scaled,
    stats_of,
    wide,
)
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of, like
from flambeau.codegen.dialects.base import Register
from flambeau.codegen.kernels.rows import Reduce, Step, Store, StoreRow
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of both ops."""
    norm, result = GroupNorm(RowKernels(backend)), KernelTable()
    result.fresh["group_norm_stats"] = norm.forward
    result.fresh["group_norm_grads"] = norm.backward
    return result


class Groups:
    """How tensors of a normalisation lie: rows are pairs of a sample and a group."""

    def __init__(self, shape: Sequence[int], groups: int) -> None:
        self.batch, self.channels = shape[0], shape[1]
        self.groups, self.width = groups, shape[1] // groups
        self.spatial = tuple(shape[2:])
        self.outer = (self.batch, groups)
        self.inner = (self.width, *self.spatial)
        self.count = product(self.inner)

    def images(self, name: str, buffer: int, x: Layout) -> Part:
        """A tensor (N, C, *)."""
        n, c, *rest = x.strides
        return Part(name, buffer, x.offset, (n, c * self.width), (c, *rest))

    def per_channel(self, name: str, buffer: int, p: Layout) -> Part:
        """A parameter (C)."""
        (step,) = p.strides
        return Part(name, buffer, p.offset, (0, step * self.width),
                    (step, *(0,) * len(self.spatial)))

    def per_row(self, name: str, buffer: int, s: Layout) -> Part:
        """A statistic (N, G)."""
        return Part(name, buffer, s.offset, tuple(s.strides), (0,) * len(self.inner))

    def across(self, part: Part) -> Part:
        """The same tensor with channels as rows, for sums over the batch."""
        (n, g), (c, *rest) = part.outer, part.inner
        return part._replace(outer=(g, c), inner=(n, *rest))


def _groups(input: Strided, num_groups: Any, *parameters: Strided | None) -> Groups | None:
    """None for what does not fit."""
    shape = input.shape
    if len(shape) < 2 or not isinstance(num_groups, int) or num_groups <= 0 or (
            shape[1] % num_groups) or any(
            p is not None and p.shape != shape[1:2] for p in parameters):
        return None
    return Groups(shape, num_groups)


class GroupNorm:
    """``group_norm``."""

    def __init__(self, rows: RowKernels) -> None:
        self.rows = rows

    def forward(
        self, input: Strided, weight: Strided | None, bias: Strided | None, num_groups: int,
        eps: float,
    ) -> Any:
        """Result, means and reciprocal standard deviations."""
        floating = holds(input, weight, bias)
        at = _groups(input, num_groups, weight, bias)
        if floating is None or at is None:
            return NotImplemented
        return self.rows.run(
            "group_norm", (num_groups, weight is None, bias is None), given(input, weight, bias),
            (at.count, eps), lambda: self._forward(at, input, weight, bias, floating))

    def _forward(
        self, at: Groups, x: Strided, weight: Strided | None, bias: Strided | None,
        floating: Register,
    ) -> Work:
        parts = [at.images("x", 0, x.layout)]
        for name, p in (("weight", weight), ("bias", bias)):
            if p is not None:
                parts.append(at.per_channel(name, len(parts), p.layout))
        out, stats = like(x.layout), Layout.contiguous(at.outer)
        parts.append(at.images("y", len(parts), out))
        for name in ("mean_out", "rstd_out"):
            parts.append(at.per_row(name, len(parts), stats))
        held = x.dtype if weight is None else weight.dtype
        steps = (
            *MOMENTS, Store((("y", scaled("(x - mean) * rstd", weight, bias)),)),
            StoreRow("mean_out", "mean"), StoreRow("rstd_out", "rstd"))
        return Work(
            parts, at.outer, at.inner, steps, [(x.dtype, out), (held, stats), (held, stats)],
            (("count", floating), ("eps", floating)), floating=floating)

    def backward(
        self, grad: Strided, input: Strided, mean: Strided, rstd: Strided, weight: Strided | None,
        num_groups: int, eps: float, for_input: bool, for_weight: bool, for_bias: bool,
    ) -> Any:
        """The gradients for input, weight and bias; None where not wanted."""
        floating = holds(input, grad, weight)
        at = _groups(input, num_groups, weight)
        if floating is None or at is None or grad.shape != input.shape:
            return NotImplemented
        if input.dtype.itemsize == 2 and (for_input or for_weight):
            mean, rstd = self.rows.run(
                "group_norm_stats", num_groups, (input,), (at.count, eps),
                lambda: stats_of(at.images("x", 0, input.layout), at.outer, at.inner))
        elif floating_of(mean, rstd) != floating or mean.shape != at.outer:
            return NotImplemented
        dx = dw = db = None
        if for_input:
            (dx,) = self.rows.run(
                "group_norm_grads", (num_groups, weight is None),
                given(grad, input, mean, rstd, weight), (at.count,),
                lambda: self._rows_back(at, grad, input, mean, rstd, weight, floating))
        if for_weight or for_bias:
            tensors = (grad, input, mean, rstd) if for_weight else (grad,)
            sums = list(self.rows.run(
                "group_norm_sums", (num_groups, for_weight, for_bias), tensors, (),
                lambda: self._sums(at, tensors, for_bias, floating)))
            dw = sums.pop(0) if for_weight else None
            db = sums.pop(0) if for_bias else None
        return dx, dw, db

    def _rows_back(
        self, at: Groups, grad: Strided, x: Strided, mean: Strided, rstd: Strided,
        weight: Strided | None, floating: Register,
    ) -> Work:
        parts = [
            at.images("g", 0, grad.layout), at.images("x", 1, x.layout),
            at.per_row("mean", 2, mean.layout), at.per_row("rstd", 3, rstd.layout)]
        if weight is not None:
            parts.append(at.per_channel("weight", 4, weight.layout))
        out = like(x.layout)
        parts.append(at.images("y", len(parts), out))
        gx = scaled("g", weight, None)
        steps = (
            Reduce((("sum_g", gx, "sum"), ("sum_gx", f"{gx} * ((x - mean) * rstd)", "sum"))),
            Store((("y", ALONG.format(gx=gx)),)))
        return Work(parts, at.outer, at.inner, steps, [(wide(x.dtype), out)],
                    (("count", floating),), floating=floating)

    def _sums(
        self, at: Groups, tensors: Sequence[Strided], for_bias: bool, floating: Register
    ) -> Work:
        """The gradients of weight and bias: channels are the rows now."""
        parts = [at.images("g", 0, tensors[0].layout)]
        sums = []
        if len(tensors) > 1:
            _, x, mean, rstd = tensors
            parts += [at.images("x", 1, x.layout), at.per_row("mean", 2, mean.layout),
                      at.per_row("rstd", 3, rstd.layout)]
            sums.append(("dw", "g * ((x - mean) * rstd)", "sum"))
        if for_bias:
            sums.append(("db", "g", "sum"))
        out = Layout.contiguous((at.channels,))
        for name, *_ in sums:
            parts.append(at.per_channel(f"{name}_out", len(parts), out))
        steps: tuple[Step, ...] = (
            Reduce(tuple(sums)), *(StoreRow(f"{name}_out", name) for name, *_ in sums))
        return Work(
            [at.across(p) for p in parts], (at.groups, at.width), (at.batch, *at.spatial), steps,
            [(wide(tensors[0].dtype), out) for _ in sums], floating=floating)
