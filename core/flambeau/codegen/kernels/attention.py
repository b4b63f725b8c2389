"""The rows of attention's scores: softmax, and its derivative.

Scores are held with neighbouring queries next to each other, (batch, keys, queries): a work item
has a query, and its neighbours read what lies beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flambeau import dtypes
from flambeau.codegen.block import Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index, Register
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.sums import accumulator
from flambeau.codegen.scalar import Scalars
from flambeau.dtypes import dtype


@dataclass(frozen=True, slots=True)
class Weights:
    """A kernel that turns scores into weights, in place.

    Forward it writes the logarithms of the rows' sums; backward it reads them, and turns the
    gradients of the weights, a second block like the scores, into those of the scores.

    Attributes:
        dtype: of all but the mask.
        mask: its dtype; bool, or added to the scores; None without one.
        is_causal: whether query ``i`` sees keys up to ``i``.
        is_backward: see above.
        batch: dimensions of the batch.
        index: type of indices.
        group_size: work items per group.
    """

    dtype: dtype
    mask: dtypes.dtype | None
    is_causal: bool
    is_backward: bool
    batch: int
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the scores and the logarithms, backward also of the
        weights' gradients, the result's gradient and the result, and of the mask; how many queries
        there are in all, of one matrix, and before them; keys; where the logarithms begin, and how
        far apart matrices are in them; sizes of the batch but the first; offset and strides of the
        mask (along the batch, queries and keys), backward also of the result's gradient and the
        result (along the batch, queries and features), and how many features; the scale.
        """
        return Writer(self, dialect).source()


Strides = tuple[str, list[str], list[str]]
"""Of a tensor among the arguments: its offset, the strides along the batch, and the last two."""


class Writer:
    """The kernel of :class:`Weights` under construction."""

    def __init__(self, spec: Weights, dialect: Dialect) -> None:
        self.spec, self.index, self.dialect = spec, spec.index, dialect
        name = "fb_attention_slopes" if spec.is_backward else "fb_attention_weights"
        kernel = self.kernel = Kernel(dialect, name, spec.group_size)
        self.register: Register = accumulator(spec.dtype)
        self.scores = kernel.buffer("scores", spec.dtype, True)
        self.logsum = kernel.buffer("logsum", spec.dtype, not spec.is_backward)
        if spec.is_backward:
            self.slopes = kernel.buffer("slopes", spec.dtype, True)
            self.both = [kernel.buffer(name, spec.dtype) for name in ("grad", "out")]
        self.mask = kernel.buffer("mask", spec.mask) if spec.mask is not None else None
        self.count, self.queries, self.before, self.keys, start, step = (
            kernel.scalar(name, self.index) for name in (
                "count", "queries", "before", "keys", "start_logsum", "step_logsum"))
        self.of_logsum = (start, step)
        self.sizes = ["", *(
            kernel.scalar(f"size_{d}", self.index) for d in range(1, spec.batch))][: spec.batch]
        self.of_mask: Strides = self.strides("mask") if self.mask is not None else ("", [], [])
        if spec.is_backward:
            self.of_both = [self.strides(name) for name in ("grad", "out")]
            self.features = kernel.scalar("features", self.index)
        self.scale = real(self.register, kernel.scalar("scale", self.register))

    def strides(self, name: str) -> Strides:
        """Offset, strides along the batch, and along the last two dimensions."""
        scalar = self.kernel.scalar
        return (
            scalar(f"start_{name}", self.index),
            [scalar(f"step_{name}_{d}", self.index) for d in range(self.spec.batch)],
            [scalar(f"step_{name}_{axis}", self.index) for axis in ("row", "column")])

    def source(self) -> KernelSource:
        """Write it."""
        kernel = self.kernel
        with kernel.item(self.count, self.index) as item:
            matrix = self.let(f"{item} / {self.queries}", "matrix")
            query = self.let(f"{item} - {matrix} * {self.queries}", "query")
            self.first = self.let(f"{matrix} * {self.keys} * {self.queries} + {query}", "first")
            self.row = self.let(f"{self.before} + {query}", "row")
            start, step = self.of_logsum
            self.at_logsum = self.let(f"{start} + {matrix} * {step} + {self.row}", "at_logsum")
            self.at_mask = self.at_row(self.of_mask, matrix) if self.mask is not None else ""
            if self.spec.is_backward:
                self.backward(matrix)
            else:
                self.forward()
        return kernel.finish()

    def at_row(self, of: Strides, matrix: str) -> str:
        """Where a row of a tensor begins."""
        start, batch, (step, _) = of
        if batch:
            (start,) = unravel(self.kernel, matrix, self.sizes, [batch], self.index, [start])
        return self.let(f"{start} + {self.row} * {step}", "at_row")

    # ---- forward -----------------------------------------------------------------------------
    def forward(self) -> None:
        """Greatest score, exponentials and their sum, weights."""
        kernel, block = self.kernel, self.formula
        top = kernel.variable(
            kernel.literal(float("-inf"), self.register), "top")
        with self.each_key() as (k, at):
            score = self.score(k, at)
            kernel.store(self.scores, at, score)
            kernel.assign(top, block("maximum(a, b)", a=top, b=score))
        kernel.assign(top, block("a == -inf ? 0.0 : a", a=top))
        total = kernel.variable(kernel.literal(0.0, self.register), "total")
        with self.each_key() as (_, at):
            e = kernel.let(block("exp(a - b)", a=kernel.load(self.scores, at), b=top), "e")
            kernel.store(self.scores, at, e)
            kernel.assign(total, block("a + b", a=total, b=e))
        kernel.assign(total, block("a == 0 ? 1.0 : a", a=total))
        share = kernel.let(block("1.0 / a", a=total), "share")
        with self.each_key() as (_, at):
            kernel.store(self.scores, at, block("a * b", a=kernel.load(self.scores, at), b=share))
        kernel.store(self.logsum, self.at_logsum, block("a + log(b)", a=top, b=total))

    # ---- backward ----------------------------------------------------------------------------
    def backward(self, matrix: str) -> None:
        """Weights again, and the gradients of the scores."""
        kernel, block = self.kernel, self.formula
        total = kernel.variable(kernel.literal(0.0, self.register), "dot")
        rows = [self.at_row(of, matrix) for of in self.of_both]
        with kernel.loop(self.index, "0", self.features, hint="v") as v:
            g, y = (
                kernel.load(buffer, f"{row} + {v} * {of[2][1]}")
                for buffer, row, of in zip(self.both, rows, self.of_both, strict=True))
            kernel.assign(total, block("fma(a, b, c)", a=g, b=y, c=total))
        logsum = kernel.load(self.logsum, self.at_logsum)
        with self.each_key() as (k, at):
            weight = kernel.let(
                block("exp(a - b)", a=self.score(k, at), b=logsum), "weight")
            kernel.store(self.scores, at, weight)
            kernel.store(self.slopes, at, block(
                "a * (b - c) * d", a=weight, b=kernel.load(self.slopes, at), c=total,
                d=self.scale))

    # ---- parts -------------------------------------------------------------------------------
    @contextmanager
    def each_key(self) -> Iterator[tuple[str, str]]:
        """A loop over the keys; gives the key and where its score is."""
        with self.kernel.loop(self.index, "0", self.keys, hint="key") as k:
            yield k, self.let(f"{self.first} + {k} * {self.queries}", "at")

    def score(self, k: str, at: str) -> Value:
        """The score of a key, scaled and masked."""
        kernel = self.kernel
        score = self.formula("a * b", a=kernel.load(self.scores, at), b=self.scale)
        if self.mask is not None:
            value = kernel.load(self.mask, f"{self.at_mask} + {k} * {self.of_mask[2][1]}")
            text = "m ? a : -inf" if value.register == "bool" else "a + m"
            score = self.formula(text, a=score, m=value)
        if self.spec.is_causal:
            seen = real("bool", f"{k} <= {self.row}")
            score = self.formula("m ? a : -inf", a=score, m=seen)
        return kernel.let(score, "score")

    def formula(self, text: str, **values: Value) -> Value:
        """A formula over some values."""
        integer: Register = "i32" if self.register == "f32" else "i64"
        return Scalars(self.kernel, self.register, integer, values).evaluate(text)

    def let(self, text: str, hint: str) -> str:
        """An index under a name."""
        return self.kernel.integer(text, self.index, hint)

