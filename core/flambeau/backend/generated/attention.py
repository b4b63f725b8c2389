"""Scaled dot-product attention: some queries at a time, so that their scores fit a bounded buffer,
and their weights are computed again for the gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.products import Operands, Planner, Planners, oriented
from flambeau.backend.generated.steps import Plans, Steps
from flambeau.codegen.dialects.base import Index
from flambeau.codegen.kernels.attention import Weights
from flambeau.codegen.kernels.indexing import collapse, index_register
from flambeau.dtypes import dtype
from flambeau.layout import Layout, contiguous_strides, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

WORKSPACE: Final = 16 << 20
"""Bytes of scores that are held at a time; at least those of ``LEAST`` queries of a sample."""
LEAST: Final = 16
CAUSAL: Final = 256
"""Queries of a causal block: keys behind its last query are not looked at."""


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of ``attention`` and its gradients."""
    kernels = AttentionKernels(backend)
    return KernelTable(fresh={
        "attention": kernels.attention, "attention_grads": kernels.attention_grads})


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor as a batch of matrices."""

    offset: int
    batch: tuple[int, ...]
    rows: int
    columns: int

    @property
    def steps(self) -> tuple[int, int]:
        """Along rows and columns."""
        return self.rows, self.columns

    def at(self, sample: int, row: int = 0) -> int:
        """Where a row of a sample begins."""
        return self.offset + (sample * self.batch[0] if self.batch else 0) + row * self.rows


class Factor(NamedTuple):
    """A tensor in a product."""

    place: int
    offset: int
    batch: tuple[int, ...]
    steps: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Heads:
    """The sizes of an attention.

    Attributes:
        batch: leading dimensions, as few as possible.
        parts: the tensors.
        queries, keys, features, values: sizes of the last dimensions.
        is_causal: whether query ``i`` sees keys up to ``i``.
    """

    batch: tuple[int, ...]
    parts: tuple[Part, ...]
    queries: int
    keys: int
    features: int
    values: int
    is_causal: bool

    def blocks(self, itemsize: int) -> Iterator[tuple[int, int, int, int]]:
        """First sample and how many, first query and how many; the last queries first."""
        count = self.batch[0] if self.batch else 1
        each = product(self.batch[1:]) * self.keys * itemsize
        rows = min(self.queries, CAUSAL) if self.is_causal else self.queries
        rows = min(rows, max(LEAST, WORKSPACE // each))
        samples = max(1, min(count, WORKSPACE // (each * rows)))
        for n in range(0, count, samples):
            for r in reversed(range(0, self.queries, rows)):
                yield n, min(samples, count - n), r, min(rows, self.queries - r)


def heads_of(
    layouts: Sequence[Layout], sizes: tuple[int, int, int, int], is_causal: bool
) -> Heads:
    """Tensors with the same leading dimensions."""
    walk = collapse(layouts[0].shape[:-2], [t.strides[:-2] for t in layouts])
    parts = tuple(
        Part(t.offset, s, *t.strides[-2:]) for t, s in zip(layouts, walk.strides, strict=True))
    return Heads(walk.sizes, parts, *sizes, is_causal)


class Rows:
    """The launches of an attention under construction.

    Attributes:
        places: of the tensors among the buffers of the call, by name.
        heads: their layouts, in the same order.
    """

    def __init__(
        self, planner: Planner, steps: Steps, what: dtype, tensors: dict[str, tuple[int, Layout]],
        mask: dtype | None, is_causal: bool, scale: float, logsum: tuple[int, int],
    ) -> None:
        self.planner, self.steps, self.what, self.mask = planner, steps, what, mask
        self.scale, self.logsum = scale, logsum
        self.places = {name: place for name, (place, _) in tensors.items()}
        layouts = {name: layout for name, (_, layout) in tensors.items()}
        (queries, features), (keys, values) = (layouts[n].shape[-2:] for n in ("query", "value"))
        if mask is not None:
            shape = (*layouts["query"].shape[:-1], keys)
            layouts["mask"] = layouts["mask"].expand(shape)
        self.heads = heads_of(
            list(layouts.values()), (queries, keys, features, values), is_causal)
        self.parts = dict(zip(layouts, self.heads.parts, strict=True))

    def scratch(self, blocks: Sequence[tuple[int, int, int, int]]) -> int:
        """The place of a buffer for the scores of the largest of some blocks."""
        most = max(samples * rows for _, samples, _, rows in blocks)
        return self.steps.temporary(
            most * product(self.heads.batch[1:]) * self.heads.keys * self.what.itemsize)

    def block(self, samples: int, rows: int, seen: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes of the batch of a block, and the strides of its scores along them."""
        sizes = (samples, *self.heads.batch[1:]) if self.heads.batch else ()
        return sizes, tuple(s * seen * rows for s in contiguous_strides(sizes))

    def product(
        self, sizes: tuple[int, ...], m: int, n: int, k: int, *factors: Factor,
        is_added: bool = False,
    ) -> None:
        """A product of batches of matrices: the result and the operands."""
        if is_added:
            factors = (*factors, factors[0])
        p = Operands(
            m, n, k, sizes, tuple(f.batch for f in factors), tuple(f.steps for f in factors),
            tuple(f.offset for f in factors))
        self.planner.product(self.steps, oriented(p), self.what, [f.place for f in factors])

    def factor(self, name: str, sample: int, row: int = 0, is_turned: bool = False) -> Factor:
        """A tensor as a part of a product, from a row on."""
        t = self.parts[name]
        steps = (t.columns, t.rows) if is_turned else (t.rows, t.columns)
        return Factor(self.places[name], t.at(sample, row), t.batch, steps)

    def weights(
        self, sample: int, samples: int, row: int, rows: int, seen: int, places: list[int],
        more: Sequence[str] = (),
    ) -> None:
        """Scores to weights; ``more`` are the tensors that the gradients need."""
        h = self.heads
        sizes, _ = self.block(samples, rows, seen)
        names = [*(["mask"] if self.mask is not None else []), *more]
        count = product(sizes) * rows
        register: Index = index_register(count * seen, [
            (t.offset, (*h.batch, h.queries, max(h.keys, h.values)), (*t.batch, *t.steps))
            for t in (self.parts[name] for name in names)])
        size = self.planner.traits.group_size
        spec = Weights(
            self.what, self.mask, h.is_causal, bool(more), len(sizes), register, size)
        strides = [v for t in (self.parts[name] for name in names)
                   for v in (t.at(sample), *t.batch, *t.steps)]
        start = self.logsum[1] + sample * product(h.batch[1:]) * h.queries
        self.steps.add(
            self.planner.handle(spec), -(-count // size),
            [places[0], self.logsum[0], *places[1:], *(self.places[n] for n in more),
             *(self.places[n] for n in names if n == "mask")],
            (count, rows, row, seen, start, h.queries, *sizes[1:], *strides,
             *([h.values] if more else []), self.scale))

    def forward(self) -> None:
        """Scores, weights and result of each block."""
        h = self.heads
        blocks = list(h.blocks(self.what.itemsize))
        place = self.scratch(blocks)
        for sample, samples, row, rows in blocks:
            seen = min(h.keys, row + rows) if h.is_causal else h.keys
            sizes, batch = self.block(samples, rows, seen)
            self.product(
                sizes, seen, rows, h.features, Factor(place, 0, batch, (rows, 1)),
                self.factor("key", sample), self.factor("query", sample, row, is_turned=True))
            self.weights(sample, samples, row, rows, seen, [place])
            self.product(
                sizes, rows, h.values, seen, self.factor("out", sample, row),
                Factor(place, 0, batch, (1, rows)), self.factor("value", sample))

    def backward(self) -> None:
        """Weights again, slopes, and their share of the gradients."""
        h = self.heads
        blocks = list(h.blocks(2 * self.what.itemsize))
        first, second = self.scratch(blocks), self.scratch(blocks)
        for sample, samples, row, rows in blocks:
            is_first = row + rows == h.queries
            seen = min(h.keys, row + rows) if h.is_causal and not is_first else h.keys
            sizes, batch = self.block(samples, rows, seen)
            across, down = (rows, 1), (1, rows)
            self.product(
                sizes, seen, rows, h.features, Factor(first, 0, batch, across),
                self.factor("key", sample), self.factor("query", sample, row, is_turned=True))
            self.product(
                sizes, seen, rows, h.values, Factor(second, 0, batch, across),
                self.factor("value", sample), self.factor("grad", sample, row, is_turned=True))
            self.weights(sample, samples, row, rows, seen, [first, second], ("grad", "out"))
            if "dv" in self.places:
                self.product(
                    sizes, seen, h.values, rows, self.factor("dv", sample),
                    Factor(first, 0, batch, across), self.factor("grad", sample, row),
                    is_added=not is_first)
            if "dq" in self.places:
                self.product(
                    sizes, rows, h.features, seen, self.factor("dq", sample, row),
                    Factor(second, 0, batch, down), self.factor("key", sample))
            if "dk" in self.places:
                self.product(
                    sizes, seen, h.features, rows, self.factor("dk", sample),
                    Factor(second, 0, batch, across), self.factor("query", sample, row),
                    is_added=not is_first)


class AttentionKernels:
    """The kernels of attention, for single and double precision."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.plans, self.planners = Plans(), Planners(backend)

    def attention(
        self, query: Strided, key: Strided, value: Strided, attn_mask: Strided | None,
        is_causal: bool, scale: float,
    ) -> Any:
        """See :func:`flambeau.ops.attention.attention`."""
        if not fits(query, key, value, attn_mask):
            return NotImplemented
        q, v = query.layout.shape, value.layout.shape
        results = {"out": (*q[:-1], v[-1]), "logsum": q[:-1]}
        inputs = {"query": query, "key": key, "value": value, "mask": attn_mask}
        return self.run(results, inputs, is_causal, scale)

    def attention_grads(
        self, grad: Strided, query: Strided, key: Strided, value: Strided,
        attn_mask: Strided | None, out: Strided, logsum: Strided, is_causal: bool, scale: float,
        for_query: bool, for_key: bool, for_value: bool,
    ) -> Any:
        """See :func:`flambeau.ops.attention.attention_grads`."""
        if not fits(query, key, value, attn_mask) or not logsum.layout.is_contiguous or any(
                t.dtype is not query.dtype for t in (grad, out, logsum)):
            return NotImplemented
        wanted = {
            name: t.layout.shape for name, t, is_wanted in (
                ("dq", query, for_query), ("dk", key, for_key), ("dv", value, for_value))
            if is_wanted}
        inputs = {"grad": grad, "out": out, "logsum": logsum, "query": query, "key": key,
                  "value": value, "mask": attn_mask}
        made = self.run(wanted, inputs, is_causal, scale) if wanted else ()
        found = dict(zip(wanted, made, strict=True))
        return tuple(found.get(name) for name in ("dq", "dk", "dv"))

    def run(
        self, results: Mapping[str, tuple[int, ...]], inputs: dict[str, Strided | None],
        is_causal: bool, scale: float,
    ) -> tuple[Strided, ...]:
        """New tensors of some shapes."""
        given = {name: t for name, t in inputs.items() if t is not None}
        query = given["query"]
        what, index = query.dtype, self.backend.index_of(query.buffer)
        key = (*results, *[(id(t.layout), t.dtype) for t in given.values()], is_causal, scale,
               index, "mask" in given)

        def make() -> Steps:
            layouts = {name: Layout.contiguous(shape) for name, shape in results.items()}
            layouts |= {name: t.layout for name, t in given.items()}
            steps = Steps(len(layouts), kept=tuple(layouts.values()))
            tensors = {name: (i, t) for i, (name, t) in enumerate(layouts.items())}
            place, logsum = tensors.pop("logsum")
            mask = given["mask"].dtype if "mask" in given else None
            rows = Rows(self.planners[index], steps, what, tensors, mask, is_causal, float(scale),
                        (place, logsum.offset))
            rows.backward() if "grad" in given else rows.forward()
            return steps

        steps = self.plans.obtain(key, make)
        made = tuple(
            Strided(self.backend.alloc(layout.numel * what.itemsize, index), what, layout)
            for layout in steps.kept[: len(results)])
        steps.run(self.backend, [t.buffer for t in (*made, *given.values())], index)
        return made


def fits(query: Strided, key: Strided, value: Strided, mask: Strided | None) -> bool:
    """Whether this is a case for these kernels."""
    what, q, k, v = query.dtype, query.layout, key.layout, value.layout
    return (
        what in (dtypes.float32, dtypes.float64)
        and all(t.dtype is what for t in (key, value))
        and (mask is None or mask.dtype is dtypes.bool or mask.dtype is what)
        and min(q.ndim, k.ndim, v.ndim) > 1 and min(q.numel, k.numel, v.numel) > 0
        and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
        and q.shape[-1] == k.shape[-1] and k.shape[-2] == v.shape[-2])
