"""Recurrent networks over whole sequences: a matrix product and a fused kernel per step.

State is kept in tensors that every step reads and writes in place.  What differs from step to step
is only where a step's rows begin; layouts of all steps are made once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.layer_norm import given
from flambeau.backend.generated.recurrent_steps import (
    GRU,
    GRU_GRADS,
    LSTM,
    LSTM_GRADS,
    gate_parts,
    state_part,
    stores,
)
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of
from flambeau.codegen.kernels.rows import Let, Reduce, Step, StoreRow
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

PLANS_AT_MOST: Final = 256


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the six ops."""
    made, result = Sequences(backend), KernelTable()
    for name in ("lstm", "gru", "rnn"):
        result.fresh[f"{name}_sequence"] = getattr(made, name)
        result.fresh[f"{name}_sequence_grads"] = getattr(made, f"{name}_grads")
    return result


class Rows(NamedTuple):
    """Rows of one step: the first, how many, and the first of those before, if there are any."""

    start: int
    size: int
    before: int | None


def steps_of(batch_sizes: Sequence[int], reverse: bool) -> list[Rows]:
    """The steps in the order of processing."""
    starts = [sum(batch_sizes[:t]) for t in range(len(batch_sizes))]
    order = list(range(len(batch_sizes)))[::-1 if reverse else 1]
    before = [None, *(starts[t] for t in order)]
    return [Rows(starts[t], batch_sizes[t], b) for t, b in zip(order, before, strict=False)]


class Plan:
    """The layouts of one kind of call."""

    def __init__(
        self, backend: GeneratedBackend, tensors: Sequence[Strided], batch_sizes: Sequence[int],
        reverse: bool,
    ) -> None:
        self.backend, self.index = backend, backend.index_of(tensors[0].buffer)
        self.dtype = tensors[0].dtype
        self.steps = steps_of(batch_sizes, reverse)
        self.kept = [t.layout for t in tensors]
        self.shapes: dict[tuple[int, ...], Layout] = {}
        self.parts: dict[tuple[int, int, int], Layout] = {}
        self.swapped: dict[int, Layout] = {}

    def empty(self, *shape: int) -> Strided:
        """A new tensor; all of one shape share their layout."""
        layout = self.shapes.get(shape)
        if layout is None:
            layout = self.shapes[shape] = Layout.contiguous(shape)
        return self.backend.empty(self.dtype, layout, self.index)

    def copied(self, x: Strided) -> Strided:
        """A new tensor with the values of another."""
        made = self.empty(*x.shape)
        self.backend.kernels.out["copy"](made, x)
        return made

    def started(self, x: Strided | None, like: Strided) -> Strided:
        """A gradient that steps add to: that which came in, or zeros."""
        if x is not None:
            return self.copied(x)
        made = self.empty(*like.shape)
        self.backend.kernels.out["fill"](made, value=0.0)
        return made

    def rows(self, x: Strided, start: int, count: int) -> Strided:
        """Some rows of a tensor."""
        key = (id(x.layout), start, count)
        layout = self.parts.get(key)
        if layout is None:
            layout = self.parts[key] = x.layout.slice(0, start, start + count)
        return Strided(x.buffer, x.dtype, layout)

    def turned(self, x: Strided) -> Strided:
        """The transposed matrix."""
        layout = self.swapped.get(id(x.layout))
        if layout is None:
            layout = self.swapped[id(x.layout)] = x.layout.permute((1, 0))
        return Strided(x.buffer, x.dtype, layout)

    def product(self, out: Strided, a: Strided, b: Strided) -> Strided:
        """A matrix product."""
        self.backend.kernels.out["matmul"](out, a, b)
        return out


def _described(
    state: Strided, parts: Sequence[Part], steps: tuple[Step, ...], written: Sequence[int]
) -> Work:
    return Work(parts, state.shape, (), steps, written=tuple(written),
                floating=floating_of(state) or "f32")


class Sequences:
    """The six ops."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend, self.kernels = backend, RowKernels(backend)
        self.plans: dict[Any, Plan] = {}

    def plan(
        self, name: str, gates: Strided, h0: Strided, w_hh: Strided,
        others: Sequence[Strided | None], count: int, batch_sizes: Any, reverse: bool,
    ) -> Plan | None:
        """The layouts of a call; None for what does not fit together."""
        tensors = given(gates, h0, w_hh, *others)
        sizes = tuple(batch_sizes)
        key = (name, sizes, reverse, *[(id(t.layout), t.dtype) for t in tensors])
        found = self.plans.get(key)
        if found is None:
            size = h0.shape[-1] if h0.shape else 0
            fits = bool(sizes) and gates.layout.numel and len({t.dtype for t in tensors}) == 1 and (
                floating_of(gates) is not None and h0.shape == (max(sizes), size)
                and gates.shape == (sum(sizes), count * size)
                and w_hh.shape == (count * size, size))
            if not fits:
                return None
            if len(self.plans) >= PLANS_AT_MOST:
                self.plans.clear()
            found = self.plans[key] = Plan(self.backend, tensors, sizes, reverse)
        return found

    # ---- lstm --------------------------------------------------------------------------------
    def lstm(
        self, gates: Strided, h0: Strided, c0: Strided, w_hh: Strided, w_hr: Strided | None,
        batch_sizes: Any, reverse: bool,
    ) -> Any:
        """Outputs, last states, activated gates and cell states of all steps."""
        p = self.plan("lstm", gates, h0, w_hh, [c0], 4, batch_sizes, reverse)
        if p is None or w_hr is not None or c0.shape != h0.shape:
            return NotImplemented
        (total, width), size = gates.shape, h0.shape[1]
        out, cells, acts = p.empty(total, size), p.empty(total, size), p.empty(total, width)
        h, c, w = p.copied(h0), p.copied(c0), p.turned(w_hh)
        recurrent = p.empty(h0.shape[0], width)
        for start, count, _ in p.steps:
            product, hidden = p.rows(recurrent, 0, count), p.rows(h, 0, count)
            p.product(product, hidden, w)
            natives = (p.rows(gates, start, count), product, p.rows(c, 0, count), hidden,
                       p.rows(out, start, count), p.rows(cells, start, count),
                       p.rows(acts, start, count))
            self.kernels.run("lstm_step", None, natives, (), partial(_lstm, natives))
        return out, h, c, acts, cells

    def lstm_grads(
        self, gates: Strided, h0: Strided, c0: Strided, w_hh: Strided, w_hr: Strided | None,
        out: Strided, acts: Strided, cells: Strided, g_out: Strided | None, g_h: Strided | None,
        g_c: Strided | None, batch_sizes: Any, reverse: bool,
    ) -> Any:
        """Backwards through the steps; the weights' gradients of all steps at once."""
        p = self.plan("lstm_grads", gates, h0, w_hh, [c0, out, acts, cells, g_out, g_h, g_c], 4,
                      batch_sizes, reverse)
        if p is None or w_hr is not None or _grows(p.steps):
            return NotImplemented
        (total, width), size = gates.shape, h0.shape[1]
        dgates, before = p.empty(total, width), p.empty(total, size)
        dh, dc = p.started(g_h, h0), p.started(g_c, c0)
        for start, count, last in reversed(p.steps):
            grad = p.rows(dh, 0, count)
            natives = (
                p.rows(acts, start, count), _before(p, cells, c0, last, count),
                p.rows(cells, start, count), _before(p, out, h0, last, count), grad,
                p.rows(dc, 0, count), p.rows(dgates, start, count), p.rows(before, start, count),
                *_step(p, g_out, start, count))
            self.kernels.run(
                "lstm_step_grads", None, natives, (), partial(_lstm_grads, natives))
            p.product(grad, natives[6], w_hh)
        dw = p.product(p.empty(width, size), p.turned(dgates), before)
        return dgates, dh, dc, dw, None

    # ---- gru ---------------------------------------------------------------------------------
    def gru(
        self, gates: Strided, h0: Strided, w_hh: Strided, b_hh: Strided | None, batch_sizes: Any,
        reverse: bool,
    ) -> Any:
        """Outputs, the last state, and gates of all steps."""
        p = self.plan("gru", gates, h0, w_hh, [b_hh], 3, batch_sizes, reverse)
        if p is None or (b_hh is not None and b_hh.shape != gates.shape[1:]):
            return NotImplemented
        (total, width), size = gates.shape, h0.shape[1]
        out, acts = p.empty(total, size), p.empty(total, 4 * size)
        h, w, recurrent = p.copied(h0), p.turned(w_hh), p.empty(h0.shape[0], width)
        for start, count, _ in p.steps:
            product, hidden = p.rows(recurrent, 0, count), p.rows(h, 0, count)
            p.product(product, hidden, w)
            natives = (p.rows(gates, start, count), product, hidden, p.rows(out, start, count),
                       p.rows(acts, start, count), *given(b_hh))
            self.kernels.run("gru_step", None, natives, (), partial(_gru, natives))
        return out, h, acts

    def gru_grads(
        self, gates: Strided, h0: Strided, w_hh: Strided, b_hh: Strided | None, out: Strided,
        acts: Strided, g_out: Strided | None, g_h: Strided | None, batch_sizes: Any,
        reverse: bool,
    ) -> Any:
        """Backwards through the steps; the weights' gradients of all steps at once."""
        p = self.plan("gru_grads", gates, h0, w_hh, [b_hh, out, acts, g_out, g_h], 3,
                      batch_sizes, reverse)
        if p is None or _grows(p.steps):
            return NotImplemented
        (total, width), size = gates.shape, h0.shape[1]
        dgates, drecurrent = p.empty(total, width), p.empty(total, width)
        before, carry, product = p.empty(total, size), p.started(g_h, h0), p.started(None, h0)
        for start, count, last in reversed(p.steps):
            natives = (
                p.rows(acts, start, count), _before(p, out, h0, last, count),
                p.rows(carry, 0, count), p.rows(product, 0, count), p.rows(dgates, start, count),
                p.rows(drecurrent, start, count), p.rows(before, start, count),
                *_step(p, g_out, start, count))
            self.kernels.run("gru_step_grads", None, natives, (), partial(_gru_grads, natives))
            p.product(natives[3], natives[5], w_hh)
        self.kernels.run("gru_first_grad", None, (carry, product), (), lambda: _described(
            carry, [state_part("x", 0, carry), state_part("y", 1, product)],
            stores(x="x + y"), (0,)))
        dw = p.product(p.empty(width, size), p.turned(drecurrent), before)
        db = None if b_hh is None else self._column_sums(drecurrent, p)
        return dgates, carry, dw, db

    def _column_sums(self, x: Strided, p: Plan) -> Strided:
        out = p.empty(x.shape[1])
        total, width = x.layout.strides
        self.kernels.run("gru_bias_grad", None, (x, out), (), lambda: Work(
            [Part("x", 0, x.layout.offset, (width,), (total,)), Part("out", 1, 0, (1,), (0,))],
            x.shape[1:], x.shape[:1], (Reduce((("sum", "x", "sum"),)), StoreRow("out", "sum")),
            written=(1,), floating=floating_of(x) or "f32"))
        return out

    # ---- plain -------------------------------------------------------------------------------
    def rnn(
        self, gates: Strided, h0: Strided, w_hh: Strided, batch_sizes: Any, reverse: bool,
        rectified: bool,
    ) -> Any:
        """Outputs and the last state."""
        p = self.plan("rnn", gates, h0, w_hh, [], 1, batch_sizes, reverse)
        if p is None:
            return NotImplemented
        out, h, w = p.empty(*gates.shape), p.copied(h0), p.turned(w_hh)
        recurrent = p.empty(*h0.shape)
        for start, count, _ in p.steps:
            product, hidden = p.rows(recurrent, 0, count), p.rows(h, 0, count)
            p.product(product, hidden, w)
            natives = (p.rows(gates, start, count), product, hidden, p.rows(out, start, count))
            self.kernels.run(
                "rnn_step", rectified, natives, (), partial(_rnn, natives, rectified=rectified))
        return out, h

    def rnn_grads(
        self, gates: Strided, h0: Strided, w_hh: Strided, out: Strided, g_out: Strided | None,
        g_h: Strided | None, batch_sizes: Any, reverse: bool, rectified: bool,
    ) -> Any:
        """Backwards through the steps; the weight's gradient of all steps at once."""
        p = self.plan("rnn_grads", gates, h0, w_hh, [out, g_out, g_h], 1, batch_sizes, reverse)
        if p is None or _grows(p.steps):
            return NotImplemented
        dgates, before, dh = p.empty(*gates.shape), p.empty(*gates.shape), p.started(g_h, h0)
        for start, count, last in reversed(p.steps):
            grad = p.rows(dh, 0, count)
            natives = (p.rows(out, start, count), _before(p, out, h0, last, count), grad,
                       p.rows(dgates, start, count), p.rows(before, start, count),
                       *_step(p, g_out, start, count))
            self.kernels.run("rnn_step_grads", rectified, natives, (),
                             partial(_rnn_grads, natives, rectified=rectified))
            p.product(grad, natives[3], w_hh)
        dw = p.product(p.empty(*w_hh.shape), p.turned(dgates), before)
        return dgates, dh, dw


# ---- steps ---------------------------------------------------------------------------------------
def _grows(steps: Sequence[Rows]) -> bool:
    """Whether a step has more rows than the one before: some start from the first state then."""
    return any(b.size > a.size for a, b in pairwise(steps))


def _before(p: Plan, states: Strided, first: Strided, at: int | None, count: int) -> Strided:
    """The state that the rows of a step started from."""
    return p.rows(first, 0, count) if at is None else p.rows(states, at, count)


def _step(p: Plan, x: Strided | None, start: int, count: int) -> list[Strided]:
    return [] if x is None else [p.rows(x, start, count)]


Natives = tuple[Strided, ...]


def _lstm(natives: Natives) -> Work:
    gates, recurrent, cell, hidden, out, cells, acts = natives
    return _described(cell, [
        state_part("cell", 2, cell), *gate_parts("xi xf xg xo", 0, gates),
        *gate_parts("hi hf hg ho", 1, recurrent), state_part("state", 3, hidden),
        state_part("hidden", 4, out), state_part("after", 5, cells),
        *gate_parts("ai af ag ao", 6, acts)],
        (*LSTM, *stores(cell="c", state="o * tanh(c)")), (2, 3, 4, 5, 6))


def _lstm_grads(natives: Natives) -> Work:
    acts, cell, after, hidden, grad, carry, dgates, before, *g_out = natives
    parts = [
        state_part("cell", 1, cell), *gate_parts("i f g o", 0, acts),
        state_part("after", 2, after), state_part("hidden", 3, hidden),
        state_part("grad", 4, grad), state_part("dcell", 5, carry),
        *gate_parts("di df dg do", 6, dgates), state_part("before", 7, before)]
    parts += [state_part("g_out", 8, x) for x in g_out]
    steps = (
        Let("gh", "grad + g_out" if g_out else "grad"), Let("top", "tanh(after)"),
        Let("dc", "dcell + gh * o * (1 - top * top)"), *LSTM_GRADS,
        *stores(do="gh * top * o * (1 - o)", before="hidden"))
    return _described(cell, parts, steps, (5, 6, 7))


def _gru(natives: Natives) -> Work:
    gates, recurrent, hidden, out, acts, *bias = natives
    parts = [
        state_part("hidden", 2, hidden), *gate_parts("xr xz xn", 0, gates),
        *gate_parts("pr pz pn" if bias else "hr hz hn", 1, recurrent),
        state_part("after", 3, out), *gate_parts("ar az an ah", 4, acts)]
    steps: tuple[Step, ...] = (*GRU, *stores(hidden="n + z * (hidden - n)"))
    for b in bias:
        (step,), size = b.layout.strides, hidden.shape[1]
        parts += [Part(name, 5, b.layout.offset + n * size * step, (0, step), ())
                  for n, name in enumerate(("br", "bz", "bn"))]
        steps = (*(Let(f"h{g}", f"p{g} + b{g}") for g in "rzn"), *steps)
    return _described(hidden, parts, steps, (2, 3, 4))


def _gru_grads(natives: Natives) -> Work:
    acts, hidden, carry, product, dgates, drecurrent, before, *g_out = natives
    parts = [
        state_part("hidden", 1, hidden), *gate_parts("r z n hn", 0, acts),
        state_part("carry", 2, carry), state_part("product", 3, product),
        *gate_parts("xr xz xn", 4, dgates), *gate_parts("hr hz dh", 5, drecurrent),
        state_part("last", 6, before)]
    parts += [state_part("g_out", 7, x) for x in g_out]
    # `before` of the cell's gradients is the state here: what else it gets comes by the product
    steps = tuple(
        StoreRow("carry", s.formula) if isinstance(s, StoreRow) and s.operand == "before" else s
        for s in GRU_GRADS)
    return _described(hidden, parts, (
        Let("grad", "carry + product + g_out" if g_out else "carry + product"), *steps,
        *stores(last="hidden")), (2, 4, 5, 6))


def _rnn(natives: Natives, rectified: bool) -> Work:
    gates, recurrent, hidden, out = natives
    pre = "x + p"
    return _described(
        hidden, [state_part("h", 2, hidden), state_part("x", 0, gates),
                 state_part("p", 1, recurrent), state_part("out", 3, out)],
        (Let("y", f"maximum({pre}, 0.0)" if rectified else f"tanh({pre})"),
         *stores(h="y", out="y")), (2, 3))


def _rnn_grads(natives: Natives, rectified: bool) -> Work:
    out, hidden, grad, dgates, before, *g_out = natives
    parts = [
        state_part("y", 0, out), state_part("hidden", 1, hidden), state_part("grad", 2, grad),
        state_part("d", 3, dgates), state_part("before", 4, before)]
    parts += [state_part("g_out", 5, x) for x in g_out]
    return _described(out, parts, (
        Let("g", "grad + g_out" if g_out else "grad"),
        *stores(d="y > 0 ? g : 0.0" if rectified else "g * (1 - y * y)", before="hidden")), (3, 4))
