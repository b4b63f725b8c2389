"""Batch normalisation: one kernel forward, one backward; a channel is a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.layer_norm import MOMENTS, given, holds, scaled, wide
from flambeau.backend.generated.pointwise import PointwiseKernel
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of, like, split
from flambeau.codegen.dialects.base import Register
from flambeau.codegen.kernels.rows import Let, Reduce, Step, Store, StoreRow
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the four ops."""
    norm, result = BatchNorm(RowKernels(backend)), KernelTable()
    result.fresh["batch_norm_train"] = norm.train
    result.fresh["batch_norm_eval"] = norm.eval
    result.fresh["batch_norm_grads"] = norm.backward
    result.fresh["running_average"] = PointwiseKernel(
        backend, "running_average", "running * (1 - momentum) + current * (momentum * factor)",
        ["running", "current"]).fresh
    return result


def _register(input: Strided, *parameters: Strided | None) -> Register | None:
    """What is computed in; None for what does not fit."""
    if len(input.shape) < 2 or any(
            p is not None and p.shape != input.shape[1:2] for p in parameters):
        return None
    return holds(input, *parameters)


def _but_channels(x: Strided) -> tuple[int, ...]:
    return (0, *range(2, len(x.shape)))


def _images(name: str, buffer: int, x: Layout) -> Part:
    """A tensor (N, C, *) with channels as rows."""
    return split(name, buffer, x, (1,), (0, *range(2, x.ndim)))


def _per_channel(name: str, buffer: int, p: Layout, inner: int) -> Part:
    return Part(name, buffer, p.offset, tuple(p.strides), (0,) * inner)


def _sizes(x: Strided) -> list[int]:
    return [x.shape[d] for d in _but_channels(x)]


class BatchNorm:
    """``batch_norm``."""

    def __init__(self, rows: RowKernels) -> None:
        self.rows = rows

    # ---- training ----------------------------------------------------------------------------
    def train(
        self, input: Strided, weight: Strided | None, bias: Strided | None, eps: float
    ) -> Any:
        """Result, means and biased variances."""
        floating = _register(input, weight, bias)
        if floating is None:
            return NotImplemented
        return self.rows.run(
            "batch_norm_train", (weight is None, bias is None), given(input, weight, bias),
            (product(_sizes(input)), eps), lambda: self._train(input, weight, bias, floating))

    def _train(
        self, x: Strided, weight: Strided | None, bias: Strided | None, floating: Register
    ) -> Work:
        inner, out, stats = _sizes(x), like(x.layout), Layout.contiguous(x.shape[1:2])
        parts = [_images("x", 0, x.layout)]
        for name, p in (("weight", weight), ("bias", bias)):
            if p is not None:
                parts.append(_per_channel(name, len(parts), p.layout, len(inner)))
        parts.append(_images("y", len(parts), out))
        for name in ("mean_out", "var_out"):
            parts.append(_per_channel(name, len(parts), stats, len(inner)))
        held = x.dtype if weight is None else weight.dtype
        steps = (
            *MOMENTS, Let("scale", scaled("rstd", weight, None)),
            Store((("y", scaled("(x - mean) * scale", None, bias)),)),
            StoreRow("mean_out", "mean"), StoreRow("var_out", "var"))
        return Work(
            parts, x.shape[1:2], inner, steps, [(x.dtype, out), (held, stats), (held, stats)],
            (("count", floating), ("eps", floating)), floating=floating)

    # ---- evaluation --------------------------------------------------------------------------
    def eval(
        self, input: Strided, weight: Strided | None, bias: Strided | None,
        running_mean: Strided, running_var: Strided, eps: float,
    ) -> Any:
        """The result."""
        floating = _register(input, weight, bias, running_mean, running_var)
        if floating is None:
            return NotImplemented
        named = {"weight": weight, "bias": bias, "mean": running_mean, "var": running_var}
        return self.rows.run(
            "batch_norm_eval", (weight is None, bias is None), given(input, *named.values()),
            (eps,), lambda: self._eval(input, named, floating))[0]

    def _eval(self, x: Strided, named: dict[str, Strided | None], floating: Register) -> Work:
        """Rows are the channels of each sample."""
        out, inner = like(x.layout), tuple(range(2, len(x.shape)))
        parts = [split("x", 0, x.layout, (0, 1), inner)]
        for name, p in named.items():
            if p is not None:
                parts.append(Part(name, len(parts), p.layout.offset, (0, *p.layout.strides),
                                  (0,) * len(inner)))
        parts.append(split("y", len(parts), out, (0, 1), inner))
        steps = (
            Let("scale", scaled("1 / sqrt(var + eps)", named["weight"], None)),
            Store((("y", scaled("(x - mean) * scale", None, named["bias"])),)))
        return Work(parts, x.shape[:2], x.shape[2:], steps, [(x.dtype, out)],
                    (("eps", floating),), floating=floating)

    # ---- gradients ---------------------------------------------------------------------------
    def backward(
        self, grad: Strided, input: Strided, mean: Strided, var: Strided, weight: Strided | None,
        eps: float, training: bool, for_input: bool, for_weight: bool, for_bias: bool,
    ) -> Any:
        """The gradients for input, weight and bias; None where not wanted."""
        floating = _register(input, mean, var, weight)
        wanted = (for_input, for_weight, for_bias)
        if floating is None or grad.shape != input.shape or not any(wanted) or (
                floating_of(grad) != floating):
            return NotImplemented
        results = iter(self.rows.run(
            "batch_norm_grads", (training, wanted, weight is None),
            given(grad, input, mean, var, weight), (product(_sizes(input)), eps),
            lambda: self._backward(grad, input, mean, var, weight, training, wanted, floating)))
        return tuple(next(results) if need else None for need in wanted)

    def _backward(
        self, grad: Strided, x: Strided, mean: Strided, var: Strided, weight: Strided | None,
        training: bool, wanted: Sequence[bool], floating: Register,
    ) -> Work:
        inner, out, sums = _sizes(x), like(x.layout), Layout.contiguous(x.shape[1:2])
        is_rounded = training and x.dtype.itemsize == 2
        parts = [_images("g", 0, grad.layout), _images("x", 1, x.layout)]
        for name, p in (("mean", mean), ("var", var), ("weight", weight)):
            if p is not None:
                word = f"rounded_{name}" if is_rounded and p is not weight else name
                parts.append(_per_channel(word, len(parts), p.layout, len(inner)))
        steps: tuple[Step, ...] = MOMENTS if is_rounded else (Let("rstd", "1 / sqrt(var + eps)"),)
        for_input, for_weight, for_bias = wanted
        if for_weight or for_bias or training:
            steps += (Reduce((
                ("sum_g", "g", "sum"), ("sum_gx", "g * ((x - mean) * rstd)", "sum"))),)
        results = []
        if for_input:
            parts.append(_images("y", len(parts), out))
            results.append((wide(x.dtype), out))
            centred = "(g - sum_g / count - (x - mean) * rstd * (sum_gx / count))"
            steps += (
                Let("scale", scaled("rstd", weight, None)),
                Store((("y", f"{centred if training else 'g'} * scale"),)))
        for need, name in ((for_weight, "sum_gx"), (for_bias, "sum_g")):
            if need:
                parts.append(_per_channel(f"{name}_out", len(parts), sums, len(inner)))
                results.append((wide(x.dtype), sums))
                steps += (StoreRow(f"{name}_out", name),)
        return Work(
            parts, x.shape[1:2], inner, steps, results,
            (("count", floating), ("eps", floating)), floating=floating)
