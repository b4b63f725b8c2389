"""``layer_norm`` and ``rms_norm``: one kernel forward, two backward.

The gradient of the input is a matter of rows, those of weight and bias are sums over all rows.
Half precision is computed in single; the statistics that were kept are then rounded, so that a
kernel computes them again for the gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.rows import (
    Part,
    RowKernels,
    Work,
    floating_of,
    like,
    split,
)
from flambeau.codegen.dialects.base import Register
from flambeau.codegen.kernels.rows import Let, Reduce, Step, Store, StoreRow
from flambeau.dtypes import dtype, finfo
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

MOMENTS: Final[tuple[Step, ...]] = (
    Reduce((("total", "x", "sum"),)), Let("mean", "total / count"),
    Reduce((("squares", "d = x - mean; d * d", "sum"),)),
    Let("var", "squares / count"), Let("rstd", "1 / sqrt(var + eps)"),
)
"""Mean, biased variance and reciprocal standard deviation of ``x``, in two passes."""
ALONG: Final = "rstd * ({gx} - sum_g / count - (x - mean) * rstd * (sum_gx / count))"
"""The gradient of ``(x - mean) * rstd`` from that of its result."""


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the four ops."""
    layer, rms, result = LayerNorm(RowKernels(backend)), RmsNorm(RowKernels(backend)), KernelTable()
    result.fresh["native_layer_norm"] = layer.forward
    result.fresh["layer_norm_grads"] = layer.backward
    result.fresh["rms_norm"] = rms.forward
    result.fresh["rms_norm_grads"] = rms.backward
    return result


# ---- what normalisations share -------------------------------------------------------------------
def scaled(value: str, weight: Any, bias: Any) -> str:
    """The formula of the affine part."""
    value = value if weight is None else f"{value} * weight"
    return value if bias is None else f"{value} + bias"


def holds(input: Strided, *parameters: Strided | None) -> Register | None:
    """What is computed in; None for dtypes that the op refuses, or for no elements.

    Parameters have the input's dtype, or are single where the input is half.
    """
    allowed = {input.dtype} | ({dtypes.float32} if input.dtype.itemsize == 2 else set())
    if not input.layout.numel or any(p is not None and p.dtype not in allowed for p in parameters):
        return None
    return floating_of(input)


def wide(what: dtype) -> dtype:
    """Half precision as single, in which it is computed."""
    return dtypes.float32 if what.itemsize == 2 else what


def given(*tensors: Strided | None) -> list[Strided]:
    """Those that are not None."""
    return [t for t in tensors if t is not None]


# ---- layer norm ----------------------------------------------------------------------------------
def _trailing(x: Strided, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The dimensions of rows, and those that are normalised over."""
    lead = x.layout.ndim - count
    return tuple(range(lead)), tuple(range(lead, x.layout.ndim))


def _is_shape(x: Strided, shape: Any, *parameters: Strided | None) -> bool:
    """Whether the trailing dimensions and the parameters have the shape."""
    count = len(shape)
    return 0 < count <= x.layout.ndim and x.shape[x.layout.ndim - count:] == shape and all(
        p is None or p.shape == shape for p in parameters)


def _per_column(name: str, buffer: int, p: Strided, lead: int) -> Part:
    return Part(name, buffer, p.layout.offset, (0,) * lead, p.layout.strides)


def stats_of(x: Part, outer: Sequence[int], inner: Sequence[int]) -> Work:
    """Mean and reciprocal standard deviation of rows of half precision, in single."""
    held = Layout.contiguous(outer)
    names = ("mean", "rstd")
    return Work(
        [x, *(Part(f"{n}_out", 1 + i, 0, held.strides, (0,) * len(inner))
              for i, n in enumerate(names))],
        outer, inner, (*MOMENTS, *(StoreRow(f"{n}_out", n) for n in names)),
        [(dtypes.float32, held)] * 2, (("count", "f32"), ("eps", "f32")))


class LayerNorm:
    """``layer_norm``."""

    def __init__(self, rows: RowKernels) -> None:
        self.rows = rows

    def forward(
        self, input: Strided, weight: Strided | None, bias: Strided | None, normalized_shape: Any,
        eps: float,
    ) -> Any:
        """Result, means and reciprocal standard deviations."""
        shape = tuple(normalized_shape)
        floating = holds(input, weight, bias)
        if floating is None or not _is_shape(input, shape, weight, bias):
            return NotImplemented
        variant = (len(shape), weight is None, bias is None)
        return self.rows.run(
            "native_layer_norm", variant, given(input, weight, bias), (product(shape), eps),
            lambda: self._forward(input, weight, bias, len(shape), floating))

    def _forward(
        self, x: Strided, weight: Strided | None, bias: Strided | None, count: int,
        floating: Register,
    ) -> Work:
        outer, inner = _trailing(x, count)
        lead, out = len(outer), like(x.layout)
        parts = [split("x", 0, x.layout, outer, inner)]
        for name, p in (("weight", weight), ("bias", bias)):
            if p is not None:
                parts.append(_per_column(name, len(parts), p, lead))
        stats = Layout.contiguous((*x.shape[:lead], *(1,) * count))
        at = len(parts)
        parts += [split("y", at, out, outer, inner)]
        parts += [
            Part(name, at + 1 + i, 0, stats.strides[:lead], (0,) * count)
            for i, name in enumerate(("mean_out", "rstd_out"))]
        held = x.dtype if weight is None else weight.dtype
        steps = (
            *MOMENTS, Store((("y", scaled("(x - mean) * rstd", weight, bias)),)),
            StoreRow("mean_out", "mean"), StoreRow("rstd_out", "rstd"))
        return Work(
            parts, x.shape[:lead], x.shape[lead:], steps,
            [(x.dtype, out), (held, stats), (held, stats)],
            (("count", floating), ("eps", floating)), floating=floating)

    def backward(
        self, grad: Strided, input: Strided, mean: Strided, rstd: Strided, weight: Strided | None,
        count: int, eps: float, for_input: bool, for_weight: bool, for_bias: bool,
    ) -> Any:
        """The gradients for input, weight and bias; None where not wanted."""
        floating = holds(input, grad, weight)
        if floating is None or grad.shape != input.shape or not 0 < count <= input.layout.ndim:
            return NotImplemented
        outer, inner = _trailing(input, count)
        width = product(input.shape[len(outer):])
        if input.dtype.itemsize == 2 and (for_input or for_weight):
            mean, rstd = self.rows.run(
                "layer_norm_stats", count, (input,), (width, eps),
                lambda: stats_of(
                    split("x", 0, input.layout, outer, inner), input.shape[:len(outer)],
                    input.shape[len(outer):]))
        elif floating_of(mean, rstd) != floating:
            return NotImplemented
        dx = dw = db = None
        if for_input:
            (dx,) = self.rows.run(
                "layer_norm_grads", (count, weight is None),
                given(grad, input, mean, rstd, weight), (width,),
                lambda: self._rows_back(grad, input, mean, rstd, weight, count, floating))
        if for_weight or for_bias:
            tensors = (grad, input, mean, rstd) if for_weight else (grad,)
            sums = list(self.rows.run(
                "layer_norm_sums", (count, for_weight, for_bias), tensors, (),
                lambda: self._sums(tensors, count, for_bias, floating)))
            dw = sums.pop(0) if for_weight else None
            db = sums.pop(0) if for_bias else None
        return dx, dw, db

    def _rows_back(
        self, grad: Strided, x: Strided, mean: Strided, rstd: Strided, weight: Strided | None,
        count: int, floating: Register,
    ) -> Work:
        outer, inner = _trailing(x, count)
        lead, out = len(outer), like(x.layout)
        parts = [
            split("g", 0, grad.layout, outer, inner), split("x", 1, x.layout, outer, inner),
            _per_row("mean", 2, mean, lead, count), _per_row("rstd", 3, rstd, lead, count)]
        if weight is not None:
            parts.append(_per_column("weight", 4, weight, lead))
        parts.append(split("y", len(parts), out, outer, inner))
        gx = scaled("g", weight, None)
        steps = (
            Reduce((("sum_g", gx, "sum"), ("sum_gx", f"{gx} * ((x - mean) * rstd)", "sum"))),
            Store((("y", ALONG.format(gx=gx)),)))
        return Work(
            parts, x.shape[:lead], x.shape[lead:], steps, [(wide(x.dtype), out)],
            (("count", floating),), floating=floating)

    def _sums(
        self, tensors: Sequence[Strided], count: int, for_bias: bool, floating: Register
    ) -> Work:
        """The gradients of weight and bias: the trailing dimensions are the rows now."""
        grad = tensors[0]
        outer, inner = _trailing(grad, count)
        lead = len(outer)
        parts = [split("g", 0, grad.layout, inner, outer)]
        sums = []
        if len(tensors) > 1:
            parts.append(split("x", 1, tensors[1].layout, inner, outer))
            parts += [
                Part(name, 2 + i, s.layout.offset, (0,) * count, s.layout.strides[:lead])
                for i, (name, s) in enumerate(zip(("mean", "rstd"), tensors[2:], strict=True))]
            sums.append(("dw", "g * ((x - mean) * rstd)", "sum"))
        if for_bias:
            sums.append(("db", "g", "sum"))
        out = Layout.contiguous(grad.shape[lead:])
        for name, *_ in sums:
            parts.append(Part(f"{name}_out", len(parts), 0, out.strides, (0,) * lead))
        steps: tuple[Step, ...] = (
            Reduce(tuple(sums)), *(StoreRow(f"{name}_out", name) for name, *_ in sums))
        return Work(
            parts, grad.shape[lead:], grad.shape[:lead], steps,
            [(wide(grad.dtype), out) for _ in sums], floating=floating)


def _per_row(name: str, buffer: int, s: Strided, lead: int, count: int) -> Part:
    """A statistic, which has dimensions of size 1 behind its own or none."""
    return Part(name, buffer, s.layout.offset, s.layout.strides[:lead], (0,) * count)


# ---- rms norm ------------------------------------------------------------------------------------
SQUARES: Final[tuple[Step, ...]] = (
    Reduce((("squares", "x * x", "sum"),)), Let("rms", "1 / sqrt(squares / count + eps)"))


class RmsNorm:
    """``rms_norm``."""

    def __init__(self, rows: RowKernels) -> None:
        self.rows = rows

    @staticmethod
    def _least(x: Strided, eps: float | None) -> float:
        return float(finfo(x.dtype).eps) if eps is None else eps

    def forward(
        self, input: Strided, weight: Strided | None, normalized_shape: Any, eps: float | None
    ) -> Any:
        """The result."""
        shape = tuple(normalized_shape)
        floating = holds(input, weight)
        if floating is None or not _is_shape(input, shape, weight):
            return NotImplemented
        return self.rows.run(
            "rms_norm", (len(shape), weight is None), given(input, weight),
            (product(shape), self._least(input, eps)),
            lambda: self._forward(input, weight, len(shape), floating))[0]

    def _forward(
        self, x: Strided, weight: Strided | None, count: int, floating: Register
    ) -> Work:
        outer, inner = _trailing(x, count)
        lead, out = len(outer), like(x.layout)
        parts = [split("x", 0, x.layout, outer, inner)]
        if weight is not None:
            parts.append(_per_column("weight", 1, weight, lead))
        parts.append(split("y", len(parts), out, outer, inner))
        return Work(
            parts, x.shape[:lead], x.shape[lead:],
            (*SQUARES, Store((("y", scaled("x * rms", weight, None)),))), [(x.dtype, out)],
            (("count", floating), ("eps", floating)), floating=floating)

    def backward(
        self, grad: Strided, input: Strided, weight: Strided | None, count: int,
        eps: float | None, for_input: bool, for_weight: bool,
    ) -> Any:
        """The gradients for input and weight; None where not wanted."""
        floating = holds(input, grad, weight)
        if floating is None or grad.shape != input.shape or not 0 < count <= input.layout.ndim:
            return NotImplemented
        lead = input.layout.ndim - count
        numbers = (product(input.shape[lead:]), self._least(input, eps))
        results = list(self.rows.run(
            "rms_norm_grads", (count, weight is None, for_input, for_weight),
            given(grad, input, weight), numbers,
            lambda: self._rows_back(grad, input, weight, count, floating, for_input, for_weight)))
        dx = results.pop(0) if for_input else None
        if not for_weight:
            return dx, None
        (rms,) = results
        (dw,) = self.rows.run(
            "rms_norm_sums", count, (grad, input, rms), (),
            lambda: self._sums(grad, input, rms, count, floating))
        return dx, dw

    def _rows_back(
        self, grad: Strided, x: Strided, weight: Strided | None, count: int, floating: Register,
        for_input: bool, for_weight: bool,
    ) -> Work:
        """The input's gradient, and what the rows were divided by."""
        outer, inner = _trailing(x, count)
        lead, out = len(outer), like(x.layout)
        parts = [split("g", 0, grad.layout, outer, inner), split("x", 1, x.layout, outer, inner)]
        if weight is not None:
            parts.append(_per_column("weight", 2, weight, lead))
        steps: tuple[Step, ...] = SQUARES
        results = []
        if for_input:
            parts.append(split("y", len(parts), out, outer, inner))
            results.append((wide(x.dtype), out))
            gx = scaled("g", weight, None)
            steps += (
                Reduce((("sum_gx", f"{gx} * (x * rms)", "sum"),)),
                Store((("y", f"rms * ({gx} - x * rms * (sum_gx / count))"),)))
        if for_weight:
            stats = Layout.contiguous(x.shape[:lead])
            parts.append(Part("rms_out", len(parts), 0, stats.strides, (0,) * count))
            results.append((wide(x.dtype), stats))
            steps += (StoreRow("rms_out", "rms"),)
        return Work(
            parts, x.shape[:lead], x.shape[lead:], steps, results,
            (("count", floating), ("eps", floating)), floating=floating)

    def _sums(
        self, grad: Strided, x: Strided, rms: Strided, count: int, floating: Register
    ) -> Work:
        outer, inner = _trailing(grad, count)
        lead = len(outer)
        out = Layout.contiguous(grad.shape[lead:])
        parts = [
            split("g", 0, grad.layout, inner, outer), split("x", 1, x.layout, inner, outer),
            Part("rms", 2, rms.layout.offset, (0,) * count, rms.layout.strides),
            Part("dw_out", 3, 0, out.strides, (0,) * lead)]
        steps = (Reduce((("dw", "g * (x * rms)", "sum"),)), StoreRow("dw_out", "dw"))
        return Work(parts, grad.shape[lead:], grad.shape[:lead], steps,
                    [(wide(grad.dtype), out)], floating=floating)
