"""What recurrent networks do at each step, and over a sequence: the ops that backends fuse.

A sequence comes as rows: those of the first step, of the second, and so on (``batch_sizes`` says
how many each has; they never grow, as in a packed sequence).  The products with the inputs are
made before, of all rows at once; ``gates`` are their results.

The gradients' own ops run the decomposition again under autograd, unless a backend fuses them:
recorded, they can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import flambeau.fused  # noqa: F401  call paths
from flambeau import modes
from flambeau.autograd import engine
from flambeau.autograd.grad_mode import MODE, enable_grad
from flambeau.ops.activation import relu, sigmoid
from flambeau.ops.join import cat
from flambeau.ops.matmul import matmul
from flambeau.ops.pointwise import tanh
from flambeau.registry import composite
from flambeau.samples import Make, Sample
from flambeau.tensor import Tensor

Ints = Sequence[int]
_HIDDEN: dict[str, Any] = {
    "method": False, "out": False, "namespaces": ("_internal",), "template": "fused"}


def gradients_of(
    function: Callable[..., Any], inputs: Sequence[Tensor | None], grads: Sequence[Tensor | None]
) -> tuple[Any, ...]:
    """The gradients of a function's outputs for its inputs, by running it again under autograd.

    When the backward pass is itself recorded, so are they.
    """
    recording = MODE.enabled
    if modes.ACTIVE:
        return _gradients_of_samples(function, inputs, grads, recording)
    with enable_grad():
        fresh = [  # nodes of their own, so that an input given twice is told apart
            None if t is None else t.view(t.shape) if recording and t.requires_grad
            else t.detach().requires_grad_()
            for t in inputs
        ]
        outs = function(*fresh)
        outs = outs if isinstance(outs, tuple) else (outs,)
        pairs = [(o, g) for o, g in zip(outs, grads, strict=False) if g is not None]
        wanted = [t for t in fresh if t is not None]
        found = iter(engine.grad(
            [o for o, _ in pairs], wanted, [g for _, g in pairs], create_graph=recording,
            allow_unused=True))
    return tuple(None if t is None else next(found) for t in fresh)


def _gradients_of_samples(
    function: Callable[..., Any], inputs: Sequence[Tensor | None], grads: Sequence[Tensor | None],
    recording: bool,
) -> tuple[Any, ...]:
    """The same where inputs may be samples of a batch, or have tangents."""
    from flambeau.func import tracking

    with enable_grad():
        fresh = [None if t is None else tracking.tracked(t) for t in inputs]
        outs = function(*fresh)
        outs = outs if isinstance(outs, tuple) else (outs,)
        pairs = [(o, g) for o, g in zip(outs, grads, strict=False) if g is not None]
        found = iter(tracking.gradients(
            [o for o, _ in pairs], [t for t in fresh if t is not None], [g for _, g in pairs],
            keep=recording))
    return tuple(None if t is None else next(found) for t in fresh)


def _masked(needs: Sequence[bool], grads: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(g if need else None for need, g in zip(needs, grads, strict=True))


# ---- one step ----------------------------------------------------------------------------------
def _lstm_activated(pre: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gates: input, forget, cell, output."""
    i, f, g, o = pre.chunk(4, 1)
    return sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)


def _lstm_step(pre: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden state, cell state and activated gates."""
    i, f, g, o = _lstm_activated(pre)
    after = f * cell + i * g
    return o * tanh(after), after, cat([i, f, g, o], 1)


def _gru_step(
    gates: Tensor, recurrent: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Hidden state; reset, update and new gate, and the recurrent part of the last one."""
    xr, xz, xn = gates.chunk(3, 1)
    hr, hz, hn = recurrent.chunk(3, 1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    return n + z * (hidden - n), cat([r, z, n, hn], 1)


def _lstm_point_back(
    g: tuple[Any, ...], needs: tuple[bool, ...], gates: Tensor, recurrent: Tensor, cell: Tensor,
    after: Tensor, acts: Tensor,
) -> tuple[Any, ...]:
    if MODE.enabled:
        return _masked(needs, gradients_of(
            lambda *t: lstm_pointwise.op.decompose(*t)[:2],  # type: ignore[attr-defined]
            (gates, recurrent, cell), g))
    dgates, dcell = lstm_pointwise_grads(acts, cell, after, *g)
    return _masked(needs, (dgates, dgates, dcell))


@composite(
    "lstm_pointwise(Tensor gates, Tensor recurrent, Tensor cell) "
    "-> (Tensor hidden, Tensor after, Tensor acts)",
    joint=_lstm_point_back, differentiable_outputs=(0, 1), **_HIDDEN,
    samples=lambda make: iter([Sample((make(3, 8), make(3, 8), make(3, 2)))]),
)
def lstm_pointwise(
    gates: Tensor, recurrent: Tensor, cell: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The elementwise part of a step: hidden state, cell state, activated gates (i, f, g, o).

    ``gates`` and ``recurrent`` are the products of input and hidden state with their weights.
    """
    return _lstm_step(gates + recurrent, cell)


@composite(
    "lstm_pointwise_grads(Tensor acts, Tensor cell, Tensor after, Tensor? g_hidden, "
    "Tensor? g_after) -> (Tensor, Tensor)",
    **_HIDDEN, samples=lambda make: iter([
        Sample((make(3, 8, low=0.1, high=0.9), make(3, 2), make(3, 2), make(3, 2), make(3, 2))),
        Sample((make(3, 8, low=0.1, high=0.9), make(3, 2), make(3, 2), make(3, 2), None))]),
)
def lstm_pointwise_grads(
    acts: Tensor, cell: Tensor, after: Tensor, g_hidden: Tensor | None, g_after: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The gradients of ``lstm_pointwise`` for the gates and the cell state."""
    i, f, g, o = acts.chunk(4, 1)
    dc: Any = g_after if g_after is not None else 0.0
    do: Any = 0.0 * o
    if g_hidden is not None:
        top = tanh(after)
        dc = dc + g_hidden * o * (1 - top * top)
        do = g_hidden * top * o * (1 - o)
    di, df, dg = dc * g * i * (1 - i), dc * cell * f * (1 - f), dc * i * (1 - g * g)
    return cat([di, df, dg, do], 1), dc * f


def _gru_point_back(
    g: Tensor, needs: tuple[bool, ...], gates: Tensor, recurrent: Tensor, hidden: Tensor,
    acts: Tensor,
) -> tuple[Any, ...]:
    if MODE.enabled:
        return _masked(needs, gradients_of(_gru_step, (gates, recurrent, hidden), (g,)))
    return _masked(needs, gru_pointwise_grads(acts, hidden, g))


@composite(
    "gru_pointwise(Tensor gates, Tensor recurrent, Tensor hidden) -> (Tensor after, Tensor acts)",
    joint=_gru_point_back, **_HIDDEN,
    samples=lambda make: iter([Sample((make(3, 6), make(3, 6), make(3, 2)))]),
)
def gru_pointwise(
    gates: Tensor, recurrent: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """The elementwise part of a step: hidden state; gates (r, z, n) and n's recurrent part."""
    return _gru_step(gates, recurrent, hidden)


@composite(
    "gru_pointwise_grads(Tensor acts, Tensor hidden, Tensor g_after) -> (Tensor, Tensor, Tensor)",
    **_HIDDEN, samples=lambda make: iter([
        Sample((make(3, 8, low=0.1, high=0.9), make(3, 2), make(3, 2)))]),
)
def gru_pointwise_grads(
    acts: Tensor, hidden: Tensor, g_after: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of ``gru_pointwise`` for both products and the hidden state."""
    r, z, n, hn = acts.chunk(4, 1)
    dn = g_after * (1 - z) * (1 - n * n)
    dr, dz = dn * hn * r * (1 - r), g_after * (hidden - n) * z * (1 - z)
    return cat([dr, dz, dn], 1), cat([dr, dz, dn * r], 1), g_after * z


# ---- whole sequences ---------------------------------------------------------------------------
def _steps(batch_sizes: Ints, reverse: bool) -> Iterator[tuple[int, int, int]]:
    """Number, first row and rows of each step, in the order of processing."""
    starts, at = [], 0
    for b in batch_sizes:
        starts.append(at)
        at += b
    order = range(len(batch_sizes))
    for t in reversed(order) if reverse else order:
        yield t, starts[t], batch_sizes[t]


def _with_rest(new: Tensor, state: Tensor, rows: int) -> Tensor:
    """A state whose first rows are new; sequences that have ended keep theirs."""
    if rows == state.shape[0]:
        return new
    return cat([new, state.narrow(0, rows, state.shape[0] - rows)])  # type: ignore[no-any-return]


def _in_order(parts: dict[int, Tensor]) -> Tensor:
    return cat([parts[t] for t in sorted(parts)])  # type: ignore[no-any-return]


def _sequence_cases() -> Iterator[tuple[str, tuple[int, ...], bool]]:
    yield "even", (2, 2, 2), False
    yield "packed", (3, 2, 2, 1), False
    yield "packed_reverse", (3, 2, 2, 1), True


def _lstm_sequence_back(
    g: tuple[Any, ...], needs: tuple[bool, ...], gates: Tensor, h0: Tensor, c0: Tensor,
    w_hh: Tensor, w_hr: Tensor | None, batch_sizes: Ints, reverse: bool, out: Tensor,
    acts: Tensor, cells: Tensor,
) -> tuple[Any, ...]:
    return _masked(needs, lstm_sequence_grads(
        gates, h0, c0, w_hh, w_hr, out, acts, cells, *g, batch_sizes, reverse))


def _lstm_samples(make: Make) -> Iterator[Sample]:
    for name, sizes, reverse in _sequence_cases():
        n, rows = sizes[0], sum(sizes)
        yield Sample((make(rows, 8), make(n, 2), make(n, 2), make(8, 2), None, sizes, reverse),
                     name=name)
        yield Sample((make(rows, 12), make(n, 2), make(n, 3), make(12, 2), make(2, 3), sizes,
                      reverse), name=f"{name}_projected")


@composite(
    "lstm_sequence(Tensor gates, Tensor h0, Tensor c0, Tensor w_hh, Tensor? w_hr, "
    "int[] batch_sizes, bool reverse) "
    "-> (Tensor out, Tensor h_n, Tensor c_n, Tensor acts, Tensor cells)",
    joint=_lstm_sequence_back, differentiable_outputs=(0, 1, 2), samples=_lstm_samples, **_HIDDEN,
)
def lstm_sequence(
    gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, w_hr: Tensor | None, batch_sizes: Ints,
    reverse: bool,
) -> tuple[Tensor, ...]:
    """Outputs of all steps, last states, and what the backward pass needs of every step."""
    h, c = h0, c0
    outs: dict[int, Tensor] = {}
    acts: dict[int, Tensor] = {}
    cells: dict[int, Tensor] = {}
    for t, start, rows in _steps(batch_sizes, reverse):
        pre = gates.narrow(0, start, rows) + matmul(h.narrow(0, 0, rows), w_hh.t())
        outs[t], cells[t], acts[t] = _lstm_step(pre, c.narrow(0, 0, rows))
        if w_hr is not None:
            outs[t] = matmul(outs[t], w_hr.t())
        h, c = _with_rest(outs[t], h, rows), _with_rest(cells[t], c, rows)
    return _in_order(outs), h, c, _in_order(acts), _in_order(cells)


def _constants(make: Make) -> Make:
    """What a gradient is computed at: the op takes results of the forward pass as given, so that
    only the gradients that come in may vary."""
    return cast(Make, lambda *shape: make(*shape, requires_grad=False))


def _lstm_grads_samples(make: Make) -> Iterator[Sample]:
    for s in _lstm_samples(_constants(make)):
        out, h, c, acts, cells = lstm_sequence(*s.args)
        given = (make(*out.shape), make(*h.shape), make(*c.shape))
        yield Sample((*s.args[:5], out, acts, cells, *given, *s.args[5:]), name=s.name)


@composite(
    "lstm_sequence_grads(Tensor gates, Tensor h0, Tensor c0, Tensor w_hh, Tensor? w_hr, "
    "Tensor out, Tensor acts, Tensor cells, Tensor? g_out, Tensor? g_h, Tensor? g_c, "
    "int[] batch_sizes, bool reverse) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    samples=_lstm_grads_samples, **_HIDDEN,
)
def lstm_sequence_grads(
    gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, w_hr: Tensor | None, out: Tensor,
    acts: Tensor, cells: Tensor, g_out: Tensor | None, g_h: Tensor | None, g_c: Tensor | None,
    batch_sizes: Ints, reverse: bool,
) -> tuple[Any, ...]:
    """The gradients of ``lstm_sequence`` for its five tensors."""
    forward = lstm_sequence.op.decompose  # type: ignore[attr-defined]
    return gradients_of(
        lambda *t: forward(*t, batch_sizes, reverse)[:3], (gates, h0, c0, w_hh, w_hr),
        (g_out, g_h, g_c))


def _gru_sequence_back(
    g: tuple[Any, ...], needs: tuple[bool, ...], gates: Tensor, h0: Tensor, w_hh: Tensor,
    b_hh: Tensor | None, batch_sizes: Ints, reverse: bool, out: Tensor, acts: Tensor,
) -> tuple[Any, ...]:
    return _masked(needs, gru_sequence_grads(
        gates, h0, w_hh, b_hh, out, acts, *g, batch_sizes, reverse))


def _gru_samples(make: Make) -> Iterator[Sample]:
    for name, sizes, reverse in _sequence_cases():
        n, rows = sizes[0], sum(sizes)
        yield Sample((make(rows, 6), make(n, 2), make(6, 2), make(6), sizes, reverse), name=name)
        yield Sample((make(rows, 6), make(n, 2), make(6, 2), None, sizes, reverse),
                     name=f"{name}_no_bias")


@composite(
    "gru_sequence(Tensor gates, Tensor h0, Tensor w_hh, Tensor? b_hh, int[] batch_sizes, "
    "bool reverse) -> (Tensor out, Tensor h_n, Tensor acts)",
    joint=_gru_sequence_back, differentiable_outputs=(0, 1), samples=_gru_samples, **_HIDDEN,
)
def gru_sequence(
    gates: Tensor, h0: Tensor, w_hh: Tensor, b_hh: Tensor | None, batch_sizes: Ints, reverse: bool
) -> tuple[Tensor, ...]:
    """Outputs of all steps, the last state, and what the backward pass needs of every step."""
    h = h0
    outs: dict[int, Tensor] = {}
    acts: dict[int, Tensor] = {}
    for t, start, rows in _steps(batch_sizes, reverse):
        before = h.narrow(0, 0, rows)
        recurrent = matmul(before, w_hh.t())
        recurrent = recurrent if b_hh is None else recurrent + b_hh
        outs[t], acts[t] = _gru_step(gates.narrow(0, start, rows), recurrent, before)
        h = _with_rest(outs[t], h, rows)
    return _in_order(outs), h, _in_order(acts)


def _gru_grads_samples(make: Make) -> Iterator[Sample]:
    for s in _gru_samples(_constants(make)):
        out, h, acts = gru_sequence(*s.args)
        yield Sample((*s.args[:4], out, acts, make(*out.shape), make(*h.shape), *s.args[4:]),
                     name=s.name)


@composite(
    "gru_sequence_grads(Tensor gates, Tensor h0, Tensor w_hh, Tensor? b_hh, Tensor out, "
    "Tensor acts, Tensor? g_out, Tensor? g_h, int[] batch_sizes, bool reverse) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    samples=_gru_grads_samples, **_HIDDEN,
)
def gru_sequence_grads(
    gates: Tensor, h0: Tensor, w_hh: Tensor, b_hh: Tensor | None, out: Tensor, acts: Tensor,
    g_out: Tensor | None, g_h: Tensor | None, batch_sizes: Ints, reverse: bool,
) -> tuple[Any, ...]:
    """The gradients of ``gru_sequence`` for its four tensors."""
    forward = gru_sequence.op.decompose  # type: ignore[attr-defined]
    return gradients_of(
        lambda *t: forward(*t, batch_sizes, reverse)[:2], (gates, h0, w_hh, b_hh), (g_out, g_h))


def _rnn_sequence_back(
    g: tuple[Any, ...], needs: tuple[bool, ...], gates: Tensor, h0: Tensor, w_hh: Tensor,
    batch_sizes: Ints, reverse: bool, rectified: bool, out: Tensor,
) -> tuple[Any, ...]:
    return _masked(needs, rnn_sequence_grads(
        gates, h0, w_hh, out, *g, batch_sizes, reverse, rectified))


def _rnn_samples(make: Make) -> Iterator[Sample]:
    for name, sizes, reverse in _sequence_cases():
        for rectified in (False, True):
            yield Sample(
                (make(sum(sizes), 2), make(sizes[0], 2), make(2, 2), sizes, reverse, rectified),
                name=f"{name}_{'relu' if rectified else 'tanh'}")


@composite(
    "rnn_sequence(Tensor gates, Tensor h0, Tensor w_hh, int[] batch_sizes, bool reverse, "
    "bool rectified) -> (Tensor out, Tensor h_n)",
    joint=_rnn_sequence_back, differentiable_outputs=(0, 1), samples=_rnn_samples, **_HIDDEN,
)
def rnn_sequence(
    gates: Tensor, h0: Tensor, w_hh: Tensor, batch_sizes: Ints, reverse: bool, rectified: bool
) -> tuple[Tensor, ...]:
    """Outputs of all steps and the last state, with tanh or relu."""
    h = h0
    outs: dict[int, Tensor] = {}
    for t, start, rows in _steps(batch_sizes, reverse):
        pre = gates.narrow(0, start, rows) + matmul(h.narrow(0, 0, rows), w_hh.t())
        outs[t] = relu(pre) if rectified else tanh(pre)
        h = _with_rest(outs[t], h, rows)
    return _in_order(outs), h


def _rnn_grads_samples(make: Make) -> Iterator[Sample]:
    for s in _rnn_samples(_constants(make)):
        out, h = rnn_sequence(*s.args)
        yield Sample((*s.args[:3], out, make(*out.shape), make(*h.shape), *s.args[3:]),
                     name=s.name)


@composite(
    "rnn_sequence_grads(Tensor gates, Tensor h0, Tensor w_hh, Tensor out, Tensor? g_out, "
    "Tensor? g_h, int[] batch_sizes, bool reverse, bool rectified) -> (Tensor, Tensor, Tensor)",
    samples=_rnn_grads_samples, **_HIDDEN,
)
def rnn_sequence_grads(
    gates: Tensor, h0: Tensor, w_hh: Tensor, out: Tensor, g_out: Tensor | None,
    g_h: Tensor | None, batch_sizes: Ints, reverse: bool, rectified: bool,
) -> tuple[Any, ...]:
    """The gradients of ``rnn_sequence`` for its three tensors."""
    forward = rnn_sequence.op.decompose  # type: ignore[attr-defined]
    return gradients_of(
        lambda *t: forward(*t, batch_sizes, reverse, rectified), (gates, h0, w_hh), (g_out, g_h))
