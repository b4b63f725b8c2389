"""Steps of recurrent networks in few NumPy calls.

The logistic function is taken as ``(1 + tanh(x / 2)) / 2``: with the gates scaled beforehand, one
``tanh`` over all of them does, for which NumPy has vector code.  Gradients are products of what
comes in with factors that do not depend on it: these are made for all steps at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.layer_norm import fits

kernels = KernelTable()
Array = np.ndarray[Any, Any]


@lru_cache(maxsize=256)
def _halves(size: int, pattern: str, dtype: Any) -> tuple[Array, Array]:
    """Scale before and after tanh, and shift: "s" is a logistic gate, "t" a tanh."""
    scale = np.repeat([0.5 if kind == "s" else 1.0 for kind in pattern], size).astype(dtype)
    return scale, (1 - scale).astype(dtype)


def _activate(pre: Array, scale: Array, shift: Array) -> None:
    """In place, of gates that have been scaled."""
    np.tanh(pre, pre)
    np.multiply(pre, scale, pre)
    np.add(pre, shift, pre)


def _parts(gates: Array, count: int) -> list[Array]:
    size = gates.shape[1] // count
    return [gates[:, i * size : (i + 1) * size] for i in range(count)]


def _steps(batch_sizes: Any, reverse: bool) -> Iterator[tuple[slice, int]]:
    """The rows of each step, in the order of processing, and how many."""
    ends = np.cumsum(batch_sizes).tolist()
    spans = [(slice(end - rows, end), rows) for end, rows in zip(ends, batch_sizes, strict=True)]
    return iter(spans[::-1] if reverse else spans)


def _before(states: Array, first: Array, batch_sizes: Any, reverse: bool) -> Array:
    """The state that each row of each step started from."""
    before = np.empty((states.shape[0], first.shape[1]), states.dtype)
    state = first.copy()
    for rows, count in _steps(batch_sizes, reverse):
        before[rows] = state[:count]
        state[:count] = states[rows]
    return before


def _turned(w: Array, batch_sizes: Any) -> Array:
    """The transposed weight; in memory too, which pays for itself within a few products."""
    return np.ascontiguousarray(w.T) if len(batch_sizes) > 3 else w.T


def _fits(gates: Any, h0: Any, *others: Any) -> bool:
    return fits(gates, h0, *others) and gates.ndim == 2 and h0.ndim == 2


# ---- lstm --------------------------------------------------------------------------------------
def _lstm_cell_state(acts: Array, before: Array, after: Array, hidden: Array) -> None:
    """``after = f * before + i * g`` and ``hidden = o * tanh(after)``."""
    i, f, g, o = _parts(acts, 4)
    np.multiply(i, g, hidden)
    np.multiply(f, before, after)
    np.add(after, hidden, after)
    np.tanh(after, hidden)
    np.multiply(hidden, o, hidden)


@kernels.register_fresh("lstm_pointwise")
def lstm_pointwise(gates: Any, recurrent: Any, cell: Any) -> Any:
    """One tanh for all gates."""
    if not _fits(gates, recurrent, cell) or gates.shape != recurrent.shape or (
        gates.shape != (cell.shape[0], 4 * cell.shape[1])):
        return NotImplemented
    scale, shift = _halves(cell.shape[1], "ssts", gates.dtype)
    acts = np.add(gates, recurrent)
    np.multiply(acts, scale, acts)
    _activate(acts, scale, shift)
    hidden, after = np.empty_like(cell), np.empty_like(cell)
    _lstm_cell_state(acts, cell, after, hidden)
    return hidden, after, acts


def _lstm_factors(acts: Array, before: Array, after: Array) -> tuple[Array, Array]:
    """Factors to the gates' gradients from the cell's (i, f, g) and the hidden state's (o).

    And the factor from the hidden to the cell state.
    """
    i, _, g, o = _parts(acts, 4)
    top = np.tanh(after)
    factors = np.empty_like(acts)
    np.multiply(acts, acts, factors)
    np.subtract(acts, factors, factors)  # the logistic function's derivative, a - a * a
    fi, ff, fg, fo = _parts(factors, 4)
    np.multiply(fi, g, fi)
    np.multiply(ff, before, ff)
    np.multiply(g, g, fg)
    np.subtract(1, fg, fg)
    np.multiply(fg, i, fg)
    np.multiply(fo, top, fo)
    np.multiply(top, top, top)
    np.subtract(1, top, top)
    np.multiply(top, o, top)
    return factors, top


@kernels.register_fresh("lstm_pointwise_grads")
def lstm_pointwise_grads(acts: Any, cell: Any, after: Any, g_hidden: Any, g_after: Any) -> Any:
    """Factors times what comes in."""
    if not _fits(acts, cell, after, g_hidden, g_after) or g_hidden is None:
        return NotImplemented
    factors, slope = _lstm_factors(acts, cell, after)
    np.multiply(slope, g_hidden, slope)
    dc = slope if g_after is None else np.add(slope, g_after, slope)
    size = cell.shape[1]
    blocks = factors.reshape(-1, 4, size)
    np.multiply(blocks[:, :3], dc[:, None], blocks[:, :3])
    np.multiply(blocks[:, 3], g_hidden, blocks[:, 3])
    return factors, np.multiply(dc, acts[:, size : 2 * size])


@kernels.register_fresh("lstm_sequence")
def lstm_sequence(
    gates: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, batch_sizes: Any, reverse: bool
) -> Any:
    """Step by step, the gates of all steps scaled beforehand."""
    if not _fits(gates, h0, c0, w_hh, w_hr) or gates.shape[1] != 4 * c0.shape[1]:
        return NotImplemented
    size = c0.shape[1]
    scale, shift = _halves(size, "ssts", gates.dtype)
    acts = np.multiply(gates, scale)
    w = _turned(np.multiply(w_hh, scale[:, None]), batch_sizes)
    h, c = h0.copy(), c0.copy()
    out = np.empty((gates.shape[0], h0.shape[1]), gates.dtype)
    cells = np.empty((gates.shape[0], size), gates.dtype)
    hidden = np.empty_like(c) if w_hr is not None else None
    for rows, count in _steps(batch_sizes, reverse):
        part, after = acts[rows], cells[rows]
        np.add(part, np.dot(h[:count], w), part)
        _activate(part, scale, shift)
        into = out[rows] if hidden is None else hidden[:count]
        _lstm_cell_state(part, c[:count], after, into)
        if hidden is not None:
            np.dot(into, w_hr.T, out[rows])
        h[:count], c[:count] = out[rows], after
    return out, h, c, acts, cells


@kernels.register_fresh("lstm_sequence_grads")
def lstm_sequence_grads(
    gates: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, out: Any, acts: Any, cells: Any,
    g_out: Any, g_h: Any, g_c: Any, batch_sizes: Any, reverse: bool,
) -> Any:
    """Backwards through the steps; the weights' gradients of all steps at once."""
    if not _fits(gates, h0, c0, w_hh, w_hr, out, acts, cells, g_out, g_h, g_c):
        return NotImplemented
    size = c0.shape[1]
    dgates, slope = _lstm_factors(acts, _before(cells, c0, batch_sizes, reverse), cells)
    blocks = dgates.reshape(-1, 4, size)
    dh = np.zeros_like(h0) if g_h is None else g_h.copy()
    dc = np.zeros_like(c0) if g_c is None else g_c.copy()
    outs = None if w_hr is None else np.empty_like(out)
    for rows, count in _steps(batch_sizes, not reverse):
        into, carry = dh[:count], dc[:count]
        if g_out is not None:
            np.add(into, g_out[rows], into)
        hidden = into
        if w_hr is not None:
            outs[rows] = into  # type: ignore[index]
            hidden = np.dot(into, w_hr)
        np.add(carry, np.multiply(slope[rows], hidden, slope[rows]), carry)
        part = blocks[rows]
        np.multiply(part[:, :3], carry[:, None], part[:, :3])
        np.multiply(part[:, 3], hidden, part[:, 3])
        np.multiply(carry, acts[rows, size : 2 * size], carry)
        np.dot(dgates[rows], w_hh, into)
    before = _before(out, h0, batch_sizes, reverse)
    dw_hr = None
    if outs is not None:
        dw_hr = np.dot(outs.T, np.multiply(acts[:, 3 * size :], np.tanh(cells)))
    return dgates, dh, dc, np.dot(dgates.T, before), dw_hr


# ---- gru ---------------------------------------------------------------------------------------
def _gru_state(acts: Array, recurrent: Array, before: Array, after: Array) -> None:
    """From ``acts`` = x's gates (r and z halved), ``recurrent`` = h's (likewise), the new state.

    ``acts`` has room for the recurrent part of the last gate behind the gates themselves.
    """
    size = before.shape[1]
    both, n, hn = acts[:, : 2 * size], acts[:, 2 * size : 3 * size], acts[:, 3 * size :]
    np.add(both, recurrent[:, : 2 * size], both)
    np.tanh(both, both)
    np.multiply(both, 0.5, both)
    np.add(both, 0.5, both)
    np.copyto(hn, recurrent[:, 2 * size :])
    np.multiply(hn, acts[:, :size], after)
    np.add(n, after, n)
    np.tanh(n, n)
    np.subtract(before, n, after)
    np.multiply(after, acts[:, size : 2 * size], after)
    np.add(after, n, after)


def _gru_acts(gates: Array, size: int) -> Array:
    acts = np.empty((gates.shape[0], 4 * size), gates.dtype)
    np.multiply(gates[:, : 2 * size], 0.5, acts[:, : 2 * size])
    acts[:, 2 * size : 3 * size] = gates[:, 2 * size :]
    return acts


@kernels.register_fresh("gru_pointwise")
def gru_pointwise(gates: Any, recurrent: Any, hidden: Any) -> Any:
    """One tanh for two gates, one for the third."""
    size = hidden.shape[1]
    if not _fits(gates, recurrent, hidden) or not (
        gates.shape == recurrent.shape == (hidden.shape[0], 3 * size)):
        return NotImplemented
    scale, _ = _halves(size, "sst", gates.dtype)
    acts, after = _gru_acts(gates, size), np.empty_like(hidden)
    _gru_state(acts, recurrent * scale, hidden, after)
    return after, acts


def _gru_factors(acts: Array, before: Array) -> Array:
    """(rows, 4, size): what the state's gradient is multiplied with for r, z, n, n's recurrent."""
    r, z, n, hn = _parts(acts, 4)
    factors = np.empty_like(acts)
    fr, fz, fn, fh = _parts(factors, 4)
    np.subtract(1, n * n, fn)
    np.multiply(fn, 1 - z, fn)
    np.multiply(fn, hn, fr)
    np.multiply(fr, r - r * r, fr)
    np.multiply(before - n, z - z * z, fz)
    np.multiply(fn, r, fh)
    return factors.reshape(-1, 4, before.shape[1])


@kernels.register_fresh("gru_pointwise_grads")
def gru_pointwise_grads(acts: Any, hidden: Any, g_after: Any) -> Any:
    """Factors times what comes in."""
    if not _fits(acts, hidden, g_after):
        return NotImplemented
    grads = _gru_factors(acts, hidden)
    np.multiply(grads, g_after[:, None], grads)
    rows = acts.shape[0]
    return (
        grads[:, :3].reshape(rows, -1).copy(), grads[:, (0, 1, 3)].reshape(rows, -1),
        np.multiply(g_after, acts[:, hidden.shape[1] : 2 * hidden.shape[1]]),
    )


@kernels.register_fresh("gru_sequence")
def gru_sequence(
    gates: Any, h0: Any, w_hh: Any, b_hh: Any, batch_sizes: Any, reverse: bool
) -> Any:
    """Step by step, the gates of all steps scaled beforehand."""
    size = h0.shape[1]
    if not _fits(gates, h0, w_hh, b_hh) or gates.shape[1] != 3 * size:
        return NotImplemented
    scale, _ = _halves(size, "sst", gates.dtype)
    acts = _gru_acts(gates, size)
    w = _turned(np.multiply(w_hh, scale[:, None]), batch_sizes)
    b = None if b_hh is None else b_hh * scale
    h, out = h0.copy(), np.empty((gates.shape[0], size), gates.dtype)
    for rows, count in _steps(batch_sizes, reverse):
        recurrent = np.dot(h[:count], w)
        if b is not None:
            np.add(recurrent, b, recurrent)
        _gru_state(acts[rows], recurrent, h[:count], out[rows])
        h[:count] = out[rows]
    return out, h, acts


@kernels.register_fresh("gru_sequence_grads")
def gru_sequence_grads(
    gates: Any, h0: Any, w_hh: Any, b_hh: Any, out: Any, acts: Any, g_out: Any, g_h: Any,
    batch_sizes: Any, reverse: bool,
) -> Any:
    """Backwards through the steps; the weights' gradients of all steps at once."""
    if not _fits(gates, h0, w_hh, b_hh, out, acts, g_out, g_h):
        return NotImplemented
    size, total = h0.shape[1], gates.shape[0]
    before = _before(out, h0, batch_sizes, reverse)
    factors = _gru_factors(acts, before)
    dh = np.zeros_like(h0) if g_h is None else g_h.copy()
    drecurrent = np.empty((total, 3, size), gates.dtype)
    for rows, count in _steps(batch_sizes, not reverse):
        into = dh[:count]
        if g_out is not None:
            np.add(into, g_out[rows], into)
        part, grads = factors[rows], drecurrent[rows]
        np.multiply(part, into[:, None], part)
        grads[:, :2], grads[:, 2] = part[:, :2], part[:, 3]
        np.multiply(into, acts[rows, size : 2 * size], into)
        np.add(into, np.dot(grads.reshape(count, -1), w_hh), into)
    flat = drecurrent.reshape(total, -1)
    db = None if b_hh is None else np.add.reduce(flat, 0)
    return factors[:, :3].reshape(total, -1).copy(), dh, np.dot(flat.T, before), db


# ---- plain -------------------------------------------------------------------------------------
@kernels.register_fresh("rnn_sequence")
def rnn_sequence(
    gates: Any, h0: Any, w_hh: Any, batch_sizes: Any, reverse: bool, rectified: bool
) -> Any:
    """Step by step."""
    if not _fits(gates, h0, w_hh) or gates.shape[1] != h0.shape[1]:
        return NotImplemented
    h, out, w = h0.copy(), gates.copy(), _turned(w_hh, batch_sizes)
    for rows, count in _steps(batch_sizes, reverse):
        part = out[rows]
        np.add(part, np.dot(h[:count], w), part)
        if rectified:
            np.maximum(part, 0, out=part)
        else:
            np.tanh(part, part)
        h[:count] = part
    return out, h


@kernels.register_fresh("rnn_sequence_grads")
def rnn_sequence_grads(
    gates: Any, h0: Any, w_hh: Any, out: Any, g_out: Any, g_h: Any, batch_sizes: Any,
    reverse: bool, rectified: bool,
) -> Any:
    """Backwards through the steps; the weight's gradient of all steps at once."""
    if not _fits(gates, h0, w_hh, out, g_out, g_h):
        return NotImplemented
    dgates = (out > 0).astype(out.dtype) if rectified else 1 - out * out
    dh = np.zeros_like(h0) if g_h is None else g_h.copy()
    for rows, count in _steps(batch_sizes, not reverse):
        into, part = dh[:count], dgates[rows]
        if g_out is not None:
            np.add(into, g_out[rows], into)
        np.multiply(part, into, part)
        np.dot(part, w_hh, into)
    return dgates, dh, np.dot(dgates.T, _before(out, h0, batch_sizes, reverse))
