"""Recurrent networks: cells, and whole stacks over sequences, as ``flambeau.nn`` calls them.

Parameters per layer and direction: w_ih, w_hh, then b_ih, b_hh if there are biases, then w_hr if
the hidden state is projected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from flambeau.ops.activation import relu
from flambeau.ops.dropout import dropout
from flambeau.ops.join import cat, stack
from flambeau.ops.linear import linear
from flambeau.ops.pointwise import tanh
from flambeau.ops.recurrent_steps import (
    gru_pointwise,
    gru_sequence,
    lstm_pointwise,
    lstm_sequence,
    rnn_sequence,
)
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor


# ---- cells -------------------------------------------------------------------------------------
def _products(
    name: str, gates: int, input: Tensor, hidden: Tensor, w_ih: Tensor, w_hh: Tensor,
    b_ih: Tensor | None, b_hh: Tensor | None,
) -> tuple[Any, Any]:
    """The products of input and hidden state with their weights.

    Raises:
        RuntimeError: for sizes that do not fit.
    """
    size = hidden.shape[-1]
    if input.shape[-1] != w_ih.shape[1]:
        raise RuntimeError(
            f"{name}: input has inconsistent input_size: got {input.shape[-1]} expected "
            f"{w_ih.shape[1]}")
    if w_hh.shape[1] != size:
        raise RuntimeError(
            f"{name}: hidden0 has inconsistent hidden_size: got {size}, expected {w_hh.shape[1]}")
    if input.shape[0] != hidden.shape[0]:
        raise RuntimeError(
            f"{name}: Input batch size {input.shape[0]} doesn't match hidden0 batch size "
            f"{hidden.shape[0]}")
    if w_ih.shape[0] != gates * size:
        raise RuntimeError(
            f"{name}: weight_ih first dim must be {gates} * hidden_size = {gates * size}, but got "
            f"{w_ih.shape[0]}")
    return linear(input, w_ih, b_ih), linear(hidden, w_hh, b_hh)


_CELL = ("(Tensor input, {state} hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, "
         "Tensor? b_hh=None) -> {returns}")


def _cell_samples(gates: int) -> Callable[[Make], Iterator[Sample]]:
    def samples(make: Make) -> Iterator[Sample]:
        h: Any = make(2, 4)
        state = (h, make(2, 4)) if gates == 4 else h
        weights = make(4 * gates, 3), make(4 * gates, 4)
        biases = make(4 * gates), make(4 * gates)
        yield Sample((make(2, 3), state, *weights, *biases), name="bias")
        yield Sample((make(2, 3), state, *weights), name="no_bias")

    return samples


def _cell_errors(gates: int) -> Callable[[Make], Iterator[ErrorSample]]:
    def errors(make: Make) -> Iterator[ErrorSample]:
        def call(message: str, inputs: int, batch: int, rows: int) -> ErrorSample:
            h: Any = make(batch, 4)
            return error(
                RuntimeError, message, make(2, inputs), (h, h) if gates == 4 else h,
                make(rows * gates, 3), make(rows * gates, 4))

        yield call("inconsistent input_size", 5, 2, 4)
        yield call("doesn't match hidden0 batch size", 3, 1, 4)
        yield call("weight_ih first dim", 3, 2, 5)

    return errors


def _cell_facts(gates: int) -> dict[str, Any]:
    return {"method": False, "out": False, "template": "front", "samples": _cell_samples(gates),
            "errors": _cell_errors(gates)}


@composite("rnn_tanh_cell" + _CELL.format(state="Tensor", returns="Tensor"), **_cell_facts(1))
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """``tanh(input @ w_ih.T + b_ih + hx @ w_hh.T + b_hh)``."""
    a, b = _products("rnn_tanh_cell", 1, input, hx, w_ih, w_hh, b_ih, b_hh)
    return tanh(a + b)


@composite("rnn_relu_cell" + _CELL.format(state="Tensor", returns="Tensor"), **_cell_facts(1))
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """``relu(input @ w_ih.T + b_ih + hx @ w_hh.T + b_hh)``."""
    a, b = _products("rnn_relu_cell", 1, input, hx, w_ih, w_hh, b_ih, b_hh)
    return relu(a + b)


@composite("gru_cell" + _CELL.format(state="Tensor", returns="Tensor"), **_cell_facts(3))
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """A gated recurrent unit; the weights' rows are for the reset, update and new gate."""
    a, b = _products("gru_cell", 3, input, hx, w_ih, w_hh, b_ih, b_hh)
    return gru_pointwise(a, b, hx)[0]


@composite(
    "lstm_cell" + _CELL.format(state="Tensor[]", returns="(Tensor, Tensor)"), **_cell_facts(4))
def lstm_cell(
    input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """Long short-term memory; the weights' rows are for input, forget, cell and output gate.

    ``hx`` is the pair of hidden and cell state, as is the result.
    """
    if isinstance(hx, Tensor):
        raise TypeError(
            "lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not Tensor")
    if len(hx) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    a, b = _products("lstm_cell", 4, input, hx[0], w_ih, w_hh, b_ih, b_hh)
    return lstm_pointwise(a, b, hx[1])[:2]


# ---- stacks over sequences ---------------------------------------------------------------------
class _Setting(NamedTuple):
    """What all kinds of networks share."""

    has_biases: bool
    num_layers: int
    dropout: float
    train: bool
    bidirectional: bool


class _Layer(NamedTuple):
    """The parameters of one layer in one direction."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    w_hr: Tensor | None


_Run = Callable[[Tensor, list[Tensor], _Layer, Sequence[int], bool], tuple[Tensor, ...]]
"""Rows, initial states, parameters, batch sizes, direction -> outputs and last states."""


def _layers(name: str, params: Sequence[Tensor], setting: _Setting, states: Tensor) -> list[_Layer]:
    """The parameters by layer and direction.

    Raises:
        RuntimeError: for too few of them, or too few states.
    """
    count = setting.num_layers * (2 if setting.bidirectional else 1)
    plain = 4 if setting.has_biases else 2
    if len(params) not in (count * plain, count * (plain + 1)):
        raise RuntimeError(
            f"{name}: Expected {plain} weights for each of {count} layers and directions in "
            f"stacked_rnn, or {plain + 1} with projections, got {len(params)} in all")
    if states.shape[0] != count:
        raise RuntimeError(
            f"{name}: Expected {count} hidden states in stacked_rnn, got {states.shape[0]}")
    each = len(params) // count
    layers = []
    for i in range(0, len(params), each):
        w_ih, w_hh, *rest = params[i : i + each]
        b_ih, b_hh = rest[:2] if setting.has_biases else (None, None)
        layers.append(_Layer(w_ih, w_hh, b_ih, b_hh, rest[-1] if each > plain else None))
    return layers


def _stacked(
    name: str, run: _Run, rows: Tensor, states: Sequence[Tensor], params: Sequence[Tensor],
    setting: _Setting, batch_sizes: Sequence[int],
) -> tuple[Tensor, ...]:
    """All layers and directions over rows of steps; outputs, and last states of each kind."""
    if not batch_sizes:
        raise RuntimeError(f"{name}: Expected sequence length to be larger than 0 in RNN")
    layers = _layers(name, params, setting, states[0])
    directions = 2 if setting.bidirectional else 1
    last: list[list[Tensor]] = [[] for _ in states]
    for number in range(setting.num_layers):
        outs = []
        for direction in range(directions):
            at = number * directions + direction
            out, *after = run(
                rows, [s.select(0, at) for s in states], layers[at], batch_sizes, direction == 1)
            outs.append(out)
            for kept, state in zip(last, after, strict=True):
                kept.append(state)
        rows = cat(outs, 1) if directions > 1 else outs[0]
        if setting.dropout and setting.train and number < setting.num_layers - 1:
            rows = dropout(rows, setting.dropout, True)
    return rows, *(stack(kept) for kept in last)


def _over_sequences(
    name: str, run: _Run, input: Tensor, states: Sequence[Tensor], params: Sequence[Tensor],
    setting: _Setting, batch_first: bool,
) -> tuple[Tensor, ...]:
    """Sequences of one length: (L, N, features), or (N, L, features)."""
    steps = input.transpose(0, 1) if batch_first else input
    length, count, width = steps.shape
    rows, *last = _stacked(
        name, run, steps.reshape((length * count, width)), states, params, setting,
        (count,) * length)
    out = rows.view((length, count, rows.shape[-1]))
    return out.transpose(0, 1) if batch_first else out, *last


def _call(
    name: str, run: _Run, state_kinds: int, arguments: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    """Tell sequences of one length from packed ones, which have their batch sizes second."""
    packed = isinstance(arguments[1 if state_kinds > 1 else 2], Tensor)
    if not packed:
        input, hx, params, *setting, batch_first = arguments
        states = hx if state_kinds > 1 else (hx,)
        _check_states(name, states, state_kinds)
        return _over_sequences(
            name, run, input, states, params, _Setting(*setting), bool(batch_first))
    data, batch_sizes, hx, params, *setting = arguments
    states = hx if state_kinds > 1 else (hx,)
    _check_states(name, states, state_kinds)
    sizes = tuple(batch_sizes.tolist())
    return _stacked(name, run, data, states, params, _Setting(*setting), sizes)


def _check_states(name: str, states: Sequence[Tensor], kinds: int) -> None:
    if len(states) != kinds:
        raise RuntimeError(f"{name} expects {'two hidden states' if kinds == 2 else 'one'}")


def _sum(a: Tensor | None, b: Tensor | None) -> Any:
    return a if b is None else b if a is None else a + b


def _run_lstm(
    rows: Tensor, states: list[Tensor], layer: _Layer, batch_sizes: Sequence[int], reverse: bool
) -> tuple[Tensor, ...]:
    gates = linear(rows, layer.w_ih, _sum(layer.b_ih, layer.b_hh))
    result: tuple[Tensor, ...] = lstm_sequence(
        gates, *states, layer.w_hh, layer.w_hr, batch_sizes, reverse)
    return result[:3]


def _run_gru(
    rows: Tensor, states: list[Tensor], layer: _Layer, batch_sizes: Sequence[int], reverse: bool
) -> tuple[Tensor, ...]:
    gates = linear(rows, layer.w_ih, layer.b_ih)
    result: tuple[Tensor, ...] = gru_sequence(
        gates, *states, layer.w_hh, layer.b_hh, batch_sizes, reverse)
    return result[:2]


def _run_rnn(rectified: bool) -> _Run:
    def run(
        rows: Tensor, states: list[Tensor], layer: _Layer, batch_sizes: Sequence[int],
        reverse: bool,
    ) -> tuple[Tensor, ...]:
        gates = linear(rows, layer.w_ih, _sum(layer.b_ih, layer.b_hh))
        result: tuple[Tensor, ...] = rnn_sequence(
            gates, *states, layer.w_hh, batch_sizes, reverse, rectified)
        return result

    return run


def _stack_samples(gates: int) -> Callable[[Make], Iterator[Sample]]:
    def samples(make: Make) -> Iterator[Sample]:
        for name, layers, bidirectional, biases, batch_first in (
            ("plain", 1, False, True, False), ("stacked", 2, False, False, True),
            ("both_ways", 2, True, True, False),
        ):
            directions = 2 if bidirectional else 1
            params: list[Tensor] = []
            for layer in range(layers):
                for _ in range(directions):
                    width = 3 if layer == 0 else 4 * directions
                    params += [make(4 * gates, width), make(4 * gates, 4)]
                    params += [make(4 * gates), make(4 * gates)] if biases else []
            states = [make(layers * directions, 2, 4) for _ in range(2 if gates == 4 else 1)]
            yield Sample(
                (make(2, 2, 3), tuple(states) if gates == 4 else states[0], params, biases, layers,
                 0.0, False, bidirectional, batch_first), name=name)

    return samples


def _make_stack(name: str, gates: int, run: _Run, doc: str) -> Any:
    def network(
        input: Tensor, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any,
        train: Any, bidirectional: Any, batch_first: Any,
    ) -> Any:
        return _call(name, run, 2 if gates == 4 else 1, (
            input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first))

    network.__doc__ = f"""{doc}

    Called with (input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
    batch_first), or for packed sequences with (data, batch_sizes, hx, params, has_biases,
    num_layers, dropout, train, bidirectional).  Returns outputs and last states."""
    returns = "(Tensor, Tensor, Tensor)" if gates == 4 else "(Tensor, Tensor)"
    return composite(
        f"{name}(Tensor input, Any hx, Any params, Any has_biases, Any num_layers, Any dropout, "
        f"Any train, Any bidirectional, Any batch_first) -> {returns}",
        method=False, out=False, samples=_stack_samples(gates),
        errors=lambda make: iter([
            error(RuntimeError, "weights for each", make(2, 2, 3), _states(make, gates),
                  [make(4, 3)], True, 1, 0.0, False, False, False),
            error(RuntimeError, "larger than 0", make(0, 2, 3), _states(make, gates),
                  [make(4 * gates, 3), make(4 * gates, 4)], False, 1, 0.0, False, False, False)]),
    )(network)


def _states(make: Make, gates: int) -> Any:
    h = make(1, 2, 4)
    return (h, h) if gates == 4 else h


lstm = _make_stack("lstm", 4, _run_lstm, "Long short-term memory over sequences.")
gru = _make_stack("gru", 3, _run_gru, "Gated recurrent units over sequences.")
rnn_tanh = _make_stack("rnn_tanh", 1, _run_rnn(False), "A plain recurrent network with tanh.")
rnn_relu = _make_stack("rnn_relu", 1, _run_rnn(True), "A plain recurrent network with relu.")
