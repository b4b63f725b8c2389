"""Losses of differences and logits: one kernel, or two where it pays to spread the sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.layer_norm import wide
from flambeau.backend.generated.pointwise import PointwiseKernel
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of
from flambeau.codegen.dialects.base import Register
from flambeau.codegen.kernels.rows import Reduce, StoreRow
from flambeau.dtypes import dtype
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

VALUES: Final[dict[str, str]] = {
    "square": "d * d",
    "absolute": "abs(d)",
    "smooth": "abs(d) < beta ? d * d * (0.5 / beta) : abs(d) - 0.5 * beta",
    "huber": "abs(d) < beta ? d * d * 0.5 : (abs(d) - 0.5 * beta) * beta",
}
"""Functions of a difference."""
SLOPES: Final[dict[str, str]] = {
    "square": "d * 2",
    "absolute": "sign(d)",
    "smooth": "abs(d) < beta ? d / beta : sign(d)",
    "huber": "abs(d) < beta ? d : sign(d) * beta",
}
LOGIT: Final = "maximum(input, 0.0) - input * target + log1p(exp(-abs(input)))"
ROWS: Final = 64
"""A large sum is made of this many."""
LARGE: Final = 1 << 16
SCALAR: Final = Layout.contiguous(())


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the three ops."""
    losses, result = Losses(backend), KernelTable()
    result.fresh["difference_loss"] = losses.difference
    result.fresh["difference_loss_backward"] = losses.difference_backward
    result.fresh["logit_loss"] = losses.logit
    return result


class Losses:
    """The three ops."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.rows = RowKernels(backend)
        self.values = {
            form: PointwiseKernel(
                backend, f"{form}_loss", f"d = input - target; {formula}", ["input", "target"])
            for form, formula in VALUES.items()}
        self.slopes = {
            form: PointwiseKernel(
                backend, f"{form}_loss_backward",
                f"d = input - target; slope = {formula}; slope * (grad / size)",
                ["grad", "input", "target"])
            for form, formula in SLOPES.items()}
        self.logits = PointwiseKernel(backend, "logit_loss", LOGIT, ["input", "target"])

    def difference(
        self, input: Strided, target: Strided, form: str, beta: float, reduction: str
    ) -> Any:
        """A function of the difference."""
        if not _fit(input, target) or form not in VALUES:
            return NotImplemented
        if reduction == "none":
            return self.values[form].fresh(input, target, beta=float(beta))
        return self.total(f"{form}_loss_sum", f"d = input - target; {VALUES[form]}", input, target,
                          float(beta), reduction)

    def difference_backward(
        self, grad: Strided, input: Strided, target: Strided, form: str, beta: float,
        reduction: str,
    ) -> Any:
        """The gradient for the input."""
        if not _fit(input, target) or form not in SLOPES or (
                grad.dtype is not input.dtype or grad.shape not in ((), input.shape)):
            return NotImplemented
        size = float(input.layout.numel) if reduction == "mean" else 1.0
        return self.slopes[form].fresh(grad, input, target, beta=float(beta), size=size)

    def logit(
        self, input: Strided, target: Strided, weight: Strided | None,
        pos_weight: Strided | None, reduction: str,
    ) -> Any:
        """Binary cross entropy of logits."""
        if not _fit(input, target) or weight is not None or pos_weight is not None:
            return NotImplemented
        if reduction == "none":
            return self.logits.fresh(input, target)
        return self.total("logit_loss_sum", LOGIT, input, target, 0.0, reduction)

    def total(
        self, name: str, formula: str, input: Strided, target: Strided, beta: float,
        reduction: str,
    ) -> Strided:
        """The sum or the mean of a formula; large sums in two kernels."""
        numel, what = input.layout.numel, input.dtype
        divisor = float(numel) if reduction == "mean" else 1.0
        several = numel >= LARGE and numel % ROWS == 0 and (
            input.layout.is_contiguous and target.layout.is_contiguous)
        (sums,) = self.rows.run(
            name, several, (input, target), (beta, 1.0 if several else divisor),
            lambda: _sums((input, target), formula, several, wide(what) if several else what))
        if not several:
            return sums
        return self.rows.run("loss_total", what, (sums,), (divisor,),
                             lambda: _total(sums, what))[0]


def _fit(input: Strided, target: Strided) -> bool:
    return input.dtype is target.dtype and floating_of(input) is not None and (
        input.shape == target.shape and input.layout.numel > 0)


def _sums(tensors: Sequence[Strided], formula: str, several: bool, what: dtype) -> Work:
    """Elements are the columns of one row, or of several."""
    names, shape = ("input", "target"), tuple(tensors[0].shape)
    floating: Register = floating_of(*tensors) or "f32"
    rows: tuple[int, ...] = ()
    strides: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((), tuple(t.layout.strides)) for t in tensors]
    if several:
        size = tensors[0].layout.numel // ROWS
        rows, shape, strides = (ROWS,), (size,), [((size,), (1,)) for _ in tensors]
    parts = [
        Part(name, n, t.layout.offset, *along)
        for n, (name, t, along) in enumerate(zip(names, tensors, strides, strict=True))]
    out = Layout.contiguous(rows)
    parts.append(Part("out", 2, 0, tuple(out.strides), (0,) * len(shape)))
    return Work(
        parts, rows, shape, (Reduce((("sum", formula, "sum"),)), StoreRow("out", "sum / size")),
        [(what, out)], (("beta", floating), ("size", floating)), floating=floating)


def _total(sums: Strided, what: dtype) -> Work:
    floating: Register = floating_of(sums) or "f32"
    parts = [Part("x", 0, 0, (), (1,)), Part("out", 1, 0, (), (0,))]
    return Work(
        parts, (), (ROWS,), (Reduce((("sum", "x", "sum"),)), StoreRow("out", "sum / size")),
        [(what, SCALAR)], (("size", floating),), floating=floating)
