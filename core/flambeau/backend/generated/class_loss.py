"""Losses of classes: a kernel over samples, one that sums them up, and one for the gradient.

A sample is a row, its classes are the columns.  A class that does not exist sets the device's
flags; nothing outside the input is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.flags import Site
from flambeau.backend.generated.layer_norm import given, wide
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of, like, split
from flambeau.codegen.dialects.base import STORAGE, Register, register_of
from flambeau.codegen.kernels.rows import Flag, Let, Pick, Reduce, Step, Store, StoreRow
from flambeau.dtypes import dtype
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

FLAGS = Layout.contiguous((2,))
SCALAR = Layout.contiguous(())


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the four ops."""
    losses, result = ClassLosses(backend), KernelTable()
    result.fresh["class_nll"] = losses.nll
    result.fresh["class_nll_backward"] = losses.nll_backward
    result.fresh["class_cross_entropy"] = losses.cross_entropy
    result.fresh["class_cross_entropy_backward"] = losses.cross_entropy_backward
    return result


class Target(Site):
    """The check that a class exists."""

    def error(self, index: int | None = None) -> IndexError:
        """As PyTorch says it."""
        return IndexError(f"Target {index} is out of bounds.")


# ---- steps ---------------------------------------------------------------------------------------
def _class_steps(weighted: bool, flagged: bool) -> tuple[Step, ...]:
    """The class of a sample (0 for one that does not count) and its weight."""
    weight: tuple[Step, ...] = (Let("sample_weight", "is_used ? 1.0 : 0.0"),)
    if weighted:
        weight = (Pick("class_weight", "weight", "safe"),
                  Let("sample_weight", "is_used ? class_weight : 0.0"))
    flag = (Flag("flags", "is_used && !is_class", "code", "target"),) if flagged else ()
    return (
        Let("is_used", "target != ignored"),
        Let("is_class", "target >= 0 && target < classes"), *flag,
        Let("safe", "is_used && is_class ? target : 0"), *weight)


def _scale_steps(mean: bool, kept: str = "") -> tuple[Step, ...]:
    """What the slope of a sample's loss is multiplied with."""
    return (
        Let("slope", "grad / total" if mean else "grad"),
        Let("hard", f"w = sample_weight{kept}; w == 0 ? 0.0 : w * slope"))


def _cross_entropy_steps(weighted: bool, smoothed: bool) -> tuple[Step, ...]:
    sums = [("sum_exp", "exp(x - most)", "sum")]
    if smoothed:
        sums.append(("smooth", "(x - most) * weight" if weighted else "x - most", "sum"))
    if smoothed and weighted:
        sums.append(("row_weight", "weight", "sum"))
    loss = "sample_weight == 0 ? 0.0 : -(picked - most - logarithm) * sample_weight"
    steps: tuple[Step, ...] = (
        Reduce((("most", "x", "max"),)), Reduce(tuple(sums)), Let("logarithm", "log(sum_exp)"),
        *_class_steps(weighted, True), Pick("picked", "x", "safe"), Let("plain", loss))
    if smoothed:
        spread = f"logarithm * {'row_weight' if weighted else 'classes'} - smooth"
        steps += (Let("spread", f"is_used ? {spread} : 0.0"),
                  StoreRow("loss", "plain * kept + spread * part"))
    else:
        steps += (StoreRow("loss", "plain"),)
    return (*steps, StoreRow("weights", "sample_weight"),
            StoreRow("normalizer", "most + logarithm"))


def _cross_entropy_slopes(weighted: bool, smoothed: bool, mean: bool) -> tuple[Step, ...]:
    p = "exp(x - normalizer)"
    slope = f"{p} * hard - (i == target ? hard : 0.0)"
    steps: tuple[Step, ...] = (
        *_class_steps(weighted, False), *_scale_steps(mean, " * kept" if smoothed else ""))
    if smoothed:
        steps += (Let("soft", "is_used ? part * slope : 0.0"),)
        if weighted:
            steps += (Reduce((("row_weight", "weight", "sum"),)),)
        even = f"{p} * row_weight - weight" if weighted else f"{p} * classes - 1"
        slope += f" + soft * ({even})"
    return (*steps, Store((("y", slope),)))


# ---- shapes --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Samples:
    """Rows and columns of an input (C), (N, C) or (N, C, d1, ...)."""

    shape: tuple[int, ...]

    @property
    def outer(self) -> tuple[int, ...]:
        """The dimensions of samples."""
        return () if len(self.shape) == 1 else (0, *range(2, len(self.shape)))

    @property
    def inner(self) -> tuple[int, ...]:
        """That of classes."""
        return (0,) if len(self.shape) == 1 else (1,)

    @property
    def classes(self) -> int:
        """How many."""
        return self.shape[self.inner[0]]

    @property
    def samples(self) -> tuple[int, ...]:
        """The shape of a target."""
        return tuple(self.shape[d] for d in self.outer)

    def whole(self, name: str, buffer: int, x: Layout) -> Part:
        """A tensor of the input's shape."""
        return split(name, buffer, x, self.outer, self.inner)

    def per_sample(self, name: str, buffer: int, x: Layout) -> Part:
        """A tensor of the target's shape, or a number for all."""
        strides = tuple(x.strides) if x.ndim or not self.outer else (0,) * len(self.outer)
        return Part(name, buffer, x.offset, strides, (0,))

    def per_class(self, name: str, buffer: int, x: Layout) -> Part:
        """A tensor (C)."""
        return Part(name, buffer, x.offset, (0,) * len(self.outer), tuple(x.strides))

    def fit(self, target: Strided, weight: Strided | None, what: dtype) -> bool:
        """Whether target and weight belong to the input."""
        return target.shape == self.samples and target.dtype in (
            dtypes.int64, dtypes.uint8) and (
            weight is None or (weight.shape == (self.classes,) and weight.dtype is what))


# ---- the ops -------------------------------------------------------------------------------------
class ClassLosses:
    """The four ops."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend, self.rows = backend, RowKernels(backend)

    def nll(
        self, input: Strided, target: Strided, weight: Strided | None, ignore_index: int,
        reduction: str,
    ) -> Any:
        """The loss, and the sum of the weights."""
        steps = (
            *_class_steps(weight is not None, True), Pick("picked", "x", "safe"),
            StoreRow("loss", "sample_weight == 0 ? 0.0 : -picked * sample_weight"),
            StoreRow("weights", "sample_weight"))
        found = self.forward("nll", input, target, weight, ignore_index, reduction, (), steps)
        return NotImplemented if found is None else (found[0], found[1])

    def cross_entropy(
        self, input: Strided, target: Strided, weight: Strided | None, ignore_index: int,
        reduction: str, label_smoothing: float,
    ) -> Any:
        """The loss, the logarithms of the sums of exponentials, and the sum of the weights."""
        steps = _cross_entropy_steps(weight is not None, bool(label_smoothing))
        found = self.forward("cross_entropy", input, target, weight, ignore_index, reduction,
                             _smoothing(input, label_smoothing), steps)
        return NotImplemented if found is None else (found[0], found[2], found[1])

    def forward(
        self, name: str, x: Strided, target: Strided, weight: Strided | None, ignore_index: int,
        reduction: str, numbers: tuple[float, ...], steps: tuple[Step, ...],
    ) -> tuple[Strided, ...] | None:
        """Loss, sum of the weights, and other results per sample; None for what does not fit."""
        floating = floating_of(x)
        if floating is None or not x.layout.numel:
            return None
        at, backend = Samples(tuple(x.shape)), self.backend
        if not at.fit(target, weight, x.dtype):
            return None
        index = backend.index_of(x.buffer)
        code = backend.flags.code(Target(name, at.inner, (at.classes,)))
        flags = Strided(backend.flags.buffer(index), dtypes.int32, FLAGS)
        is_whole = reduction == "none"
        loss, weights, *others = self.rows.run(
            f"class_{name}", (weight is None, is_whole, len(numbers)),
            given(x, target, flags, weight),
            (code, ignore_index, at.classes, *numbers),
            lambda: _forward(at, x, target, weight, len(numbers), is_whole, steps, floating))
        backend.flags.launched(index)
        totals = self.rows.run(
            f"class_{name}_total", (reduction, x.dtype),
            (weights,) if is_whole else (weights, loss), (),
            lambda: _totals(weights, reduction, x.dtype, floating))
        return loss if is_whole else totals[1], totals[0], *others

    def nll_backward(
        self, grad: Strided, total: Strided, target: Strided, weight: Strided | None, shape: Any,
        ignore_index: int, reduction: str,
    ) -> Any:
        """The gradient for the log-probabilities."""
        out = Layout.contiguous(tuple(shape))
        steps = (*_class_steps(weight is not None, False), *_scale_steps(reduction == "mean"),
                 Store((("y", "i == target ? -hard : 0.0"),)))
        return self.backward("nll", grad, total, target, weight, (), out, ignore_index,
                             reduction, (), steps)

    def cross_entropy_backward(
        self, grad: Strided, input: Strided, normalizer: Strided, total: Strided, target: Strided,
        weight: Strided | None, ignore_index: int, reduction: str, label_smoothing: float,
    ) -> Any:
        """The gradient for the input."""
        if normalizer.shape != target.shape or normalizer.dtype is not wide(input.dtype):
            return NotImplemented
        steps = _cross_entropy_slopes(
            weight is not None, bool(label_smoothing), reduction == "mean")
        return self.backward(
            "cross_entropy", grad, total, target, weight, (input, normalizer),
            like(input.layout), ignore_index, reduction, _smoothing(input, label_smoothing), steps)

    def backward(
        self, name: str, grad: Strided, total: Strided, target: Strided, weight: Strided | None,
        scores: tuple[Strided, ...], out: Layout, ignore_index: int, reduction: str,
        numbers: tuple[float, ...], steps: tuple[Step, ...],
    ) -> Any:
        """The gradient for the input; ``scores`` are input and normalizer, or nothing."""
        floating = floating_of(grad)
        if floating is None or not out.numel or any(
                t.dtype is not grad.dtype for t in (total, *scores[:1])):
            return NotImplemented
        at = Samples(tuple(out.shape))
        if not at.fit(target, weight, grad.dtype) or grad.shape not in ((), at.samples):
            return NotImplemented
        return self.rows.run(
            f"class_{name}_backward", (weight is None, reduction, len(numbers), out.shape),
            given(grad, total, target, *scores, weight), (ignore_index, at.classes, *numbers),
            lambda: _backward(at, grad, total, target, weight, scores, out, len(numbers), steps,
                              floating))[0]


def _smoothing(x: Strided, label_smoothing: float) -> tuple[float, ...]:
    """The part of a loss that is left to the class, and what all classes share."""
    if not label_smoothing or not x.shape:
        return ()
    return 1 - label_smoothing, label_smoothing / max(Samples(tuple(x.shape)).classes, 1)


def _numbers(floating: Register, smoothed: int) -> tuple[tuple[str, Register], ...]:
    named: tuple[tuple[str, Register], ...] = (("ignored", "i64"), ("classes", "i64"))
    return (*named, ("kept", floating), ("part", floating)) if smoothed else named


def _forward(
    at: Samples, x: Strided, target: Strided, weight: Strided | None, smoothed: int,
    is_whole: bool, steps: tuple[Step, ...], floating: Register,
) -> Work:
    rows = Layout.contiguous(at.samples)
    parts = [at.whole("x", 0, x.layout), at.per_sample("target", 1, target.layout),
             at.per_sample("flags", 2, SCALAR)]
    if weight is not None:
        parts.append(at.per_class("weight", 3, weight.layout))
    count = len(parts)
    parts += [at.per_sample("loss", count, rows), at.per_sample("weights", count + 1, rows)]
    results = [(x.dtype if is_whole else wide(x.dtype), rows), (wide(x.dtype), rows)]
    if any(isinstance(step, StoreRow) and step.operand == "normalizer" for step in steps):
        parts.append(at.per_sample("normalizer", count + 2, rows))
        results.append((wide(x.dtype), rows))
    return Work(
        parts, at.samples, (at.classes,), steps, results,
        (("code", "i32"), *_numbers(floating, smoothed)), written=(2,),
        integer=register_of(STORAGE["int64"]), floating=floating)


def _totals(weights: Strided, reduction: str, what: dtype, floating: Register) -> Work:
    """Sums over all samples, which are the columns of a single row."""
    size = (weights.layout.numel,)
    names = ("weights",) if reduction == "none" else ("weights", "loss")
    parts = [Part(name, n, 0, (), (1,)) for n, name in enumerate(names)]
    parts += [Part(f"{name}_out", len(names) + n, 0, (), (0,)) for n, name in enumerate(names)]
    steps: tuple[Step, ...] = (
        Reduce(tuple((f"sum_{name}", name, "sum") for name in names)),
        StoreRow("weights_out", "sum_weights"))
    if reduction != "none":
        steps += (StoreRow(
            "loss_out", "sum_loss / sum_weights" if reduction == "mean" else "sum_loss"),)
    return Work(parts, (), size, steps, [(what, SCALAR) for _ in names], floating=floating)


def _backward(
    at: Samples, grad: Strided, total: Strided, target: Strided, weight: Strided | None,
    scores: tuple[Strided, ...], out: Layout, smoothed: int, steps: tuple[Step, ...],
    floating: Register,
) -> Work:
    parts = [at.per_sample("grad", 0, grad.layout), at.per_sample("total", 1, total.layout),
             at.per_sample("target", 2, target.layout)]
    if scores:
        x, normalizer = scores
        parts += [at.whole("x", 3, x.layout), at.per_sample("normalizer", 4, normalizer.layout)]
    if weight is not None:
        parts.append(at.per_class("weight", len(parts), weight.layout))
    parts.insert(0, at.whole("y", len(parts), out))
    return Work(
        parts, at.samples, (at.classes,), steps, [(grad.dtype, out)],
        _numbers(floating, smoothed), integer=register_of(STORAGE["int64"]), floating=floating)
