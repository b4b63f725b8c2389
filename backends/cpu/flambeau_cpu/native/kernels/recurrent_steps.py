"""Recurrent networks over whole sequences: all steps in one call, a weight gradient in one product.

Projected hidden states are left to NumPy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.matmul import LEFT_TURNED, product
from flambeau_cpu.native.library import Library

kernels = NativeTable()
_c = Library("recurrent", {"forward": "a" * 13 + "iii", "backward": "a" * 17 + "iii",
                          "cell": "a" * 6 + "ii", "cell_back": "a" * 8 + "ii"})
_LSTM, _GRU, _TANH, _RELU = range(4)
_GATES: Final = (4, 3, 1, 1)
_BLOCK: Final = 32  # hidden units of a packed panel, as in recurrent.c


@lru_cache(maxsize=256)
def _rows(batch_sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """How many rows steps have, and where they start."""
    sizes = np.array(batch_sizes, np.int64)
    return sizes, np.cumsum(sizes) - sizes


def _fits(kind: int, gates: Any, h0: Any, w_hh: Any, batch_sizes: Any, *others: Any) -> bool:
    """Whether shapes and dtypes are what C expects; `others` are only of the same dtype."""
    if _c() is None or gates.dtype.char not in "fd" or gates.ndim != 2 or h0.ndim != 2:
        return False
    rows, width = gates.shape
    batch, units = h0.shape
    return (
        len(batch_sizes) > 0 and batch > 0 and units > 0 and width == _GATES[kind] * units
        and w_hh.shape == (width, units) and batch_sizes[0] == batch and sum(batch_sizes) == rows
        and all(a is None or a.dtype is gates.dtype for a in (h0, w_hh, *others)))


def _near(*arrays: Any) -> list[Any]:
    return [None if a is None else np.ascontiguousarray(a) for a in arrays]


def _packed(kind: int, units: int, dtype: Any) -> Any:
    return empty((-(-units // _BLOCK) * _BLOCK * _GATES[kind] * units,), dtype)


def _forward(
    kind: int, gates: Any, h0: Any, c0: Any, w_hh: Any, b_hh: Any, batch_sizes: Any, reverse: bool
) -> tuple[Any, ...]:
    """Outputs, last hidden and cell state, activated gates and cells of all steps."""
    total, (batch, units) = len(gates), h0.shape
    dtype = gates.dtype
    gates, h0, c0, w_hh, b_hh = _near(gates, h0, c0, w_hh, b_hh)
    out, h = empty((total, units), dtype), empty((batch, units), dtype)
    c = empty((batch, units), dtype) if kind == _LSTM else None
    acts = empty((total, 4 * units), dtype) if kind in (_LSTM, _GRU) else None
    cells = empty((total, units), dtype) if kind == _LSTM else None
    _c().forward(gates, h0, c0, w_hh, b_hh, *_rows(tuple(batch_sizes)),
                 _packed(kind, units, dtype), out, h, c, acts, cells, kind, reverse,
                 dtype.itemsize == 8)
    return out, h, c, acts, cells


def _backward(
    kind: int, h0: Any, c0: Any, w_hh: Any, out: Any, acts: Any, cells: Any, g_out: Any, g_h: Any,
    g_c: Any, batch_sizes: Any, reverse: bool,
) -> tuple[Any, ...]:
    """Gradients of the inputs' gates, both first states, the weight, and the state's gates."""
    total, (batch, units) = len(out), h0.shape
    dtype = h0.dtype
    h0, c0, w_hh, g_out, g_h, g_c = _near(h0, c0, w_hh, g_out, g_h, g_c)
    dh, before = empty((batch, units), dtype), empty((total, units), dtype)
    dc = empty((batch, units), dtype) if kind == _LSTM else None
    dgates = empty((total, _GATES[kind] * units), dtype)
    drecurrent = empty(dgates.shape, dtype) if kind == _GRU else dgates
    _c().backward(h0, c0, w_hh, out, acts, cells, g_out, g_h, g_c, *_rows(tuple(batch_sizes)),
                  _packed(kind, units, dtype), dh, dc, before, dgates, drecurrent, kind, reverse,
                  dtype.itemsize == 8)
    return dgates, dh, dc, _weight_gradient(drecurrent, before), drecurrent


def _weight_gradient(drecurrent: Any, before: Any) -> Any:
    made = product(drecurrent, before, LEFT_TURNED)
    return np.dot(drecurrent.T, before) if made is NotImplemented else made


# ---- one step ------------------------------------------------------------------------------------
def _fits_cell(kind: int, gates: Any, state: Any, *others: Any) -> bool:
    """Whether gates, and other arrays of their shape, belong to a state."""
    if _c() is None or gates.dtype.char not in "fd" or state.ndim != 2 or not state.size:
        return False
    batch, units = state.shape
    return state.dtype is gates.dtype and gates.shape == (batch, _GATES[kind] * units) and all(
        a.dtype is gates.dtype and a.shape == gates.shape for a in others)


def _cell(kind: int, gates: Any, recurrent: Any, before: Any) -> tuple[Any, Any, Any]:
    """Hidden state, cell state if there is one, activated gates."""
    gates, recurrent, before = _near(gates, recurrent, before)
    shape, dtype = before.shape, before.dtype
    hidden, acts = empty(shape, dtype), empty((shape[0], 4 * shape[1]), dtype)
    after = empty(shape, dtype) if kind == _LSTM else None
    _c().cell(gates, recurrent, before, hidden, after, acts, kind, dtype.itemsize == 8)
    return hidden, after, acts


def _cell_back(
    kind: int, acts: Any, before: Any, after: Any, g_hidden: Any, g_after: Any
) -> tuple[Any, Any, Any]:
    """Gradients of the inputs' gates, of the state's, and of the state."""
    acts, before, after, g_hidden, g_after = _near(acts, before, after, g_hidden, g_after)
    batch, units = before.shape
    dgates = empty((batch, _GATES[kind] * units), before.dtype)
    drecurrent = empty(dgates.shape, before.dtype) if kind == _GRU else dgates
    back = empty(before.shape, before.dtype)
    _c().cell_back(acts, before, after, g_hidden, g_after, dgates, drecurrent, back, kind,
                   before.itemsize == 8)
    return dgates, drecurrent, back


@kernels.fresh_form("lstm_pointwise", at=0)
def lstm_pointwise(gates: Any, recurrent: Any, cell: Any) -> Any:
    """Hidden state, cell state, activated gates."""
    if not _fits_cell(_LSTM, gates, cell, recurrent):
        return NotImplemented
    return _cell(_LSTM, gates, recurrent, cell)


@kernels.fresh_form("lstm_pointwise_grads", at=0)
def lstm_pointwise_grads(acts: Any, cell: Any, after: Any, g_hidden: Any, g_after: Any) -> Any:
    """Gradients of the gates and of the cell state."""
    others = [a for a in (after, g_hidden, g_after) if a is not None]
    if g_hidden is None or not _fits_cell(_LSTM, acts, cell) or not all(
            a.dtype is acts.dtype and a.shape == cell.shape for a in others):
        return NotImplemented
    dgates, _, back = _cell_back(_LSTM, acts, cell, after, g_hidden, g_after)
    return dgates, back


@kernels.fresh_form("gru_pointwise", at=0)
def gru_pointwise(gates: Any, recurrent: Any, hidden: Any) -> Any:
    """Hidden state; activated gates with the new gate's recurrent part."""
    if not _fits_cell(_GRU, gates, hidden, recurrent):
        return NotImplemented
    after, _, acts = _cell(_GRU, gates, recurrent, hidden)
    return after, acts


@kernels.fresh_form("gru_pointwise_grads", at=0)
def gru_pointwise_grads(acts: Any, hidden: Any, g_after: Any) -> Any:
    """Gradients of both products and of the hidden state."""
    batch, units = hidden.shape
    if _c() is None or acts.dtype.char not in "fd" or not hidden.size or (
            acts.shape != (batch, 4 * units)) or g_after.shape != hidden.shape or not (
            acts.dtype is hidden.dtype is g_after.dtype):
        return NotImplemented
    return _cell_back(_GRU, acts, hidden, None, g_after, None)


# ---- lstm ----------------------------------------------------------------------------------------
@kernels.fresh_form("lstm_sequence", at=0)
def lstm_sequence(
    gates: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, batch_sizes: Any, reverse: bool
) -> Any:
    """Outputs, last states, activated gates and cells."""
    if w_hr is not None or c0.shape != h0.shape or not _fits(
            _LSTM, gates, h0, w_hh, batch_sizes, c0):
        return NotImplemented
    return _forward(_LSTM, gates, h0, c0, w_hh, None, batch_sizes, reverse)


@kernels.fresh_form("lstm_sequence_grads", at=0)
def lstm_sequence_grads(
    gates: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, out: Any, acts: Any, cells: Any,
    g_out: Any, g_h: Any, g_c: Any, batch_sizes: Any, reverse: bool,
) -> Any:
    """Gradients of the five inputs."""
    if w_hr is not None or not _fits(
            _LSTM, gates, h0, w_hh, batch_sizes, c0, out, acts, cells, g_out, g_h, g_c):
        return NotImplemented
    out, acts, cells = _near(out, acts, cells)
    dgates, dh, dc, dw, _ = _backward(
        _LSTM, h0, c0, w_hh, out, acts, cells, g_out, g_h, g_c, batch_sizes, reverse)
    return dgates, dh, dc, dw, None


# ---- gru -----------------------------------------------------------------------------------------
@kernels.fresh_form("gru_sequence", at=0)
def gru_sequence(
    gates: Any, h0: Any, w_hh: Any, b_hh: Any, batch_sizes: Any, reverse: bool
) -> Any:
    """Outputs, the last state, activated gates with the new gate's recurrent part."""
    if not _fits(_GRU, gates, h0, w_hh, batch_sizes, b_hh):
        return NotImplemented
    out, h, _, acts, _ = _forward(_GRU, gates, h0, None, w_hh, b_hh, batch_sizes, reverse)
    return out, h, acts


@kernels.fresh_form("gru_sequence_grads", at=0)
def gru_sequence_grads(
    gates: Any, h0: Any, w_hh: Any, b_hh: Any, out: Any, acts: Any, g_out: Any, g_h: Any,
    batch_sizes: Any, reverse: bool,
) -> Any:
    """Gradients of the four inputs."""
    if not _fits(_GRU, gates, h0, w_hh, batch_sizes, b_hh, out, acts, g_out, g_h):
        return NotImplemented
    out, acts = _near(out, acts)
    dgates, dh, _, dw, drecurrent = _backward(
        _GRU, h0, None, w_hh, out, acts, None, g_out, g_h, None, batch_sizes, reverse)
    return dgates, dh, dw, None if b_hh is None else np.add.reduce(drecurrent, 0)


# ---- plain ---------------------------------------------------------------------------------------
@kernels.fresh_form("rnn_sequence", at=0)
def rnn_sequence(
    gates: Any, h0: Any, w_hh: Any, batch_sizes: Any, reverse: bool, rectified: bool
) -> Any:
    """Outputs and the last state."""
    kind = _RELU if rectified else _TANH
    if not _fits(kind, gates, h0, w_hh, batch_sizes):
        return NotImplemented
    return _forward(kind, gates, h0, None, w_hh, None, batch_sizes, reverse)[:2]


@kernels.fresh_form("rnn_sequence_grads", at=0)
def rnn_sequence_grads(
    gates: Any, h0: Any, w_hh: Any, out: Any, g_out: Any, g_h: Any, batch_sizes: Any,
    reverse: bool, rectified: bool,
) -> Any:
    """Gradients of the three inputs."""
    kind = _RELU if rectified else _TANH
    if not _fits(kind, gates, h0, w_hh, batch_sizes, out, g_out, g_h):
        return NotImplemented
    out, = _near(out)
    dgates, dh, _, dw, _ = _backward(
        kind, h0, None, w_hh, out, None, None, g_out, g_h, None, batch_sizes, reverse)
    return dgates, dh, dw
