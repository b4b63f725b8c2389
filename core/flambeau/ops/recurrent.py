"""Recurrent layers: cells, and whole sequences of several layers and directions.

The input's share of the gates is one matrix product for the whole sequence; a step is then one
product and one fused elementwise op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau.ops.activation import relu
from flambeau.ops.join import cat, stack
from flambeau.ops.linear import linear
from flambeau.ops.pointwise import tanh
from flambeau.registry import composite
from flambeau.samples import error, sample
from flambeau.tensor import Tensor

Step = Callable[[Tensor, Any, Sequence[Tensor]], Any]
"""One step: the input's gates, the state, the layer's weights -> the new state."""


def _sigmoid_slope(s: Tensor) -> Tensor:
    return s * (1 - s)


# ---- LSTM --------------------------------------------------------------------------------------
def _lstm_parts(gates: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    i, f, g, o = gates.chunk(4, -1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


def _lstm_back(
    grads: tuple[Any, Any], needs: tuple[bool, ...], gates: Tensor, cx: Tensor
) -> tuple[Any, Any]:
    for_h, for_c = grads
    i, f, g, o = _lstm_parts(gates)
    t = tanh(f * cx + i * g)
    for_o = None
    if for_h is not None:
        for_o = for_h * t
        through = for_h * o * (1 - t * t)
        for_c = through if for_c is None else for_c + through
    back = None
    if needs[0]:
        for_o = for_c * 0 if for_o is None else for_o
        back = cat([
            for_c * g * _sigmoid_slope(i), for_c * cx * _sigmoid_slope(f),
            for_c * i * (1 - g * g), for_o * _sigmoid_slope(o)], -1)
    return back, (for_c * f if needs[1] else None)


@composite(
    "lstm_gates(Tensor gates, Tensor cx) -> (Tensor hidden, Tensor cell)",
    namespaces=("_internal",), joint=_lstm_back, differentiable_outputs=(0, 1), out=False,
    samples=lambda make: iter([sample(make(2, 12), make(2, 3))]),
)
def lstm_gates(gates: Tensor, cx: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden and cell state of an LSTM from its gates (N, 4H: in, forget, cell, out)."""
    i, f, g, o = _lstm_parts(gates)
    cell = f * cx + i * g
    return o * tanh(cell), cell


def _lstm_step(gates: Tensor, state: Any, weights: Sequence[Tensor]) -> Any:
    hidden, cell = state
    w_hh, b_hh, *projection = weights
    hidden, cell = lstm_gates(gates + linear(hidden, w_hh, b_hh), cell)
    return (linear(hidden, projection[0]) if projection else hidden), cell


# ---- GRU ---------------------------------------------------------------------------------------
def _gru_parts(
    from_input: Tensor, from_hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    ri, zi, ni = from_input.chunk(3, -1)
    rh, zh, nh = from_hidden.chunk(3, -1)
    r = (ri + rh).sigmoid()
    return r, (zi + zh).sigmoid(), tanh(ni + r * nh), nh


def _gru_back(
    g: Tensor, needs: tuple[bool, ...], from_input: Tensor, from_hidden: Tensor, hx: Tensor
) -> tuple[Any, ...]:
    r, z, n, nh = _gru_parts(from_input, from_hidden)
    for_n = g * (1 - z) * (1 - n * n)
    for_z = g * (hx - n) * _sigmoid_slope(z)
    for_r = for_n * nh * _sigmoid_slope(r)
    return (
        cat([for_r, for_z, for_n], -1) if needs[0] else None,
        cat([for_r, for_z, for_n * r], -1) if needs[1] else None,
        g * z if needs[2] else None,
    )


@composite(
    "gru_gates(Tensor from_input, Tensor from_hidden, Tensor hx) -> Tensor",
    namespaces=("_internal",), joint=_gru_back, out=False,
    samples=lambda make: iter([sample(make(2, 9), make(2, 9), make(2, 3))]),
)
def gru_gates(from_input: Tensor, from_hidden: Tensor, hx: Tensor) -> Tensor:
    """Hidden state of a GRU from its gates (N, 3H: reset, update, new)."""
    _, z, n, _ = _gru_parts(from_input, from_hidden)
    return n + z * (hx - n)


def _gru_step(gates: Tensor, state: Any, weights: Sequence[Tensor]) -> Any:
    w_hh, b_hh = weights
    return gru_gates(gates, linear(state, w_hh, b_hh), state)


# ---- plain -------------------------------------------------------------------------------------
def _tanh_step(gates: Tensor, state: Any, weights: Sequence[Tensor]) -> Any:
    return tanh(gates + linear(state, *weights))


def _relu_step(gates: Tensor, state: Any, weights: Sequence[Tensor]) -> Any:
    return relu(gates + linear(state, *weights))


# ---- cells -------------------------------------------------------------------------------------
_CELL = "Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None"


def _check_cell(name: str, input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor) -> None:
    if input.shape[-1] != w_ih.shape[1]:
        raise RuntimeError(
            f"{name}: input has inconsistent input_size: got {input.shape[-1]} expected "
            f"{w_ih.shape[1]}")
    if hx.shape[-1] != w_hh.shape[1]:
        raise RuntimeError(
            f"{name}: hidden has inconsistent hidden_size: got {hx.shape[-1]} expected "
            f"{w_hh.shape[1]}")
    if input.shape[:-1] != hx.shape[:-1]:
        raise RuntimeError(
            f"{name}: Input batch size {input.shape[0]} doesn't match hidden batch size "
            f"{hx.shape[0]}")


def _plain_cell(name: str, step: Step) -> Any:
    def cell(
        input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
    ) -> Tensor:
        _check_cell(name, input, hx, w_ih, w_hh)
        result: Tensor = step(linear(input, w_ih, b_ih), hx, (w_hh, b_hh))
        return result

    gates = 3 if name == "gru_cell" else 1
    cell.__name__, cell.__module__ = name, __name__
    cell.__doc__ = f"One step of the layer of the same kind ({name}); the new hidden state."
    return composite(
        f"{name}(Tensor input, Tensor hx, {_CELL}) -> Tensor", method=False, out=False,
        samples=lambda make: iter([sample(
            make(2, 4), make(2, 3), make(3 * gates, 4), make(3 * gates, 3), make(3 * gates),
            make(3 * gates))]),
        errors=lambda make: iter([error(
            RuntimeError, "inconsistent input_size", make(2, 5), make(2, 3),
            make(3 * gates, 4), make(3 * gates, 3))]),
    )(cell)


rnn_tanh_cell = _plain_cell("rnn_tanh_cell", _tanh_step)
rnn_relu_cell = _plain_cell("rnn_relu_cell", _relu_step)
gru_cell = _plain_cell("gru_cell", _gru_step)


@composite(
    f"lstm_cell(Tensor input, Tensor[] hx, {_CELL}) -> (Tensor, Tensor)", method=False, out=False,
    samples=lambda make: iter([sample(
        make(2, 4), [make(2, 3), make(2, 3)], make(12, 4), make(12, 3), make(12), make(12))]),
    errors=lambda make: iter([error(
        RuntimeError, "inconsistent input_size", make(2, 5), [make(2, 3), make(2, 3)],
        make(12, 4), make(12, 3))]),
)
def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Any = None,
    b_hh: Any = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM; the new hidden and cell state."""
    _check_cell("lstm_cell", input, hx[0], w_ih, w_hh)
    hidden, cell = _lstm_step(linear(input, w_ih, b_ih), tuple(hx), (w_hh, b_hh))
    return hidden, cell


# ---- sequences ---------------------------------------------------------------------------------
def _rows(state: Any, start: int, stop: int) -> Any:
    """A part of the batch of a state."""
    if isinstance(state, tuple):
        return tuple(s.narrow(0, start, stop - start) for s in state)
    return state.narrow(0, start, stop - start)


def _of_layer(state: Any, at: int) -> Any:
    """The state of one layer and direction."""
    return tuple(s.select(0, at) for s in state) if isinstance(state, tuple) else (
        state.select(0, at))


def _hidden(state: Any) -> Tensor:
    result: Tensor = state[0] if isinstance(state, tuple) else state
    return result


def _weights_of(
    params: Sequence[Tensor], at: int, has_biases: bool, projected: bool
) -> tuple[Tensor, Any, tuple[Any, ...]]:
    """The input's weight and bias, and the step's weights, of one layer and direction."""
    count = (4 if has_biases else 2) + projected
    own = list(params[at * count : (at + 1) * count])
    w_ih, w_hh = own[0], own[1]
    b_ih, b_hh = (own[2], own[3]) if has_biases else (None, None)
    return w_ih, b_ih, (w_hh, b_hh, *([own[-1]] if projected else []))


def _run_steps(
    step: Step, gates: Sequence[Tensor], state: Any, weights: Any, reverse: bool
) -> tuple[list[Tensor], Any]:
    outputs = []
    for g in reversed(gates) if reverse else gates:
        state = step(g, state, weights)
        outputs.append(_hidden(state))
    return outputs[::-1] if reverse else outputs, state


def _run_packed(
    step: Step, gates: Sequence[Tensor], state: Any, weights: Any, reverse: bool
) -> tuple[list[Tensor], Any]:
    """Steps whose batch shrinks (forward) or grows (backward) as sequences end."""
    sizes = [g.shape[0] for g in gates]
    if reverse:
        outputs, now = [], _rows(state, 0, sizes[-1])
        for g, size in zip(reversed(gates), reversed(sizes), strict=True):
            have = _hidden(now).shape[0]
            if size > have:
                fresh = _rows(state, have, size)
                now = _joined(now, fresh)
            now = step(g, now, weights)
            outputs.append(_hidden(now))
        return outputs[::-1], now
    outputs, ended, now = [], [], state
    for g, size in zip(gates, sizes, strict=True):
        have = _hidden(now).shape[0]
        if size < have:
            ended.append(_rows(now, size, have))
            now = _rows(now, 0, size)
        now = step(g, now, weights)
        outputs.append(_hidden(now))
    for rest in reversed(ended):
        now = _joined(now, rest)
    return outputs, now


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, tuple):
        return tuple(cat([a, b]) for a, b in zip(first, second, strict=True))
    return cat([first, second])


def _layers(
    step: Step, input: Tensor, batch_sizes: Sequence[int] | None, hx: Any,
    params: Sequence[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, projected: bool,
) -> tuple[Tensor, list[Any]]:
    """Run all layers; the outputs of the last, and the final state of each layer and direction."""
    from flambeau.ops.dropout import dropout as drop

    directions = 2 if bidirectional else 1
    states: list[Any] = []
    for layer in range(num_layers):
        sides = []
        for side in range(directions):
            at = layer * directions + side
            w_ih, b_ih, weights = _weights_of(params, at, has_biases, projected)
            gates = linear(input, w_ih, b_ih)
            state = _of_layer(hx, at)
            if batch_sizes is None:
                outputs, state = _run_steps(step, gates.unbind(0), state, weights, side == 1)
                sides.append(stack(outputs, 0))
            else:
                parts = gates.split(list(batch_sizes), 0)
                outputs, state = _run_packed(step, parts, state, weights, side == 1)
                sides.append(cat(outputs, 0))
            states.append(state)
        input = sides[0] if directions == 1 else cat(sides, -1)
        if dropout and train and layer < num_layers - 1:
            input = drop(input, dropout, True)
    return input, states


def _sequence(name: str, step: Step) -> Any:
    """The function of one kind of layer, with PyTorch's two forms of arguments."""

    def run(*args: Any) -> Any:
        packed = isinstance(args[3], (list, tuple))
        if packed:
            input, sizes, hx, params, has_biases, layers, dropout, train, both = args
            batch_sizes, batch_first = [int(n) for n in sizes.tolist()], False
        else:
            input, hx, params, has_biases, layers, dropout, train, both, batch_first = args
            batch_sizes = None
        if batch_first:
            input = input.transpose(0, 1)
        is_lstm = name == "lstm"
        hx = tuple(hx) if is_lstm else hx
        projected = is_lstm and hx[0].shape[2] != hx[1].shape[2]
        output, states = _layers(
            step, input, batch_sizes, hx, params, has_biases, layers, dropout, train, both,
            projected)
        if batch_first:
            output = output.transpose(0, 1)
        if is_lstm:
            return output, stack([s[0] for s in states]), stack([s[1] for s in states])
        return output, stack(states)

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"""A whole {name} over sequences.

    ``{name}(input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
    batch_first)``, or for packed sequences ``{name}(data, batch_sizes, hx, params, has_biases,
    num_layers, dropout, train, bidirectional)``.

    Returns:
        the outputs of the last layer, then the final state (for lstm: hidden, cell), each of shape
        (layers * directions, N, size).
    """
    return run


lstm = _sequence("lstm", _lstm_step)
gru = _sequence("gru", _gru_step)
rnn_tanh = _sequence("rnn_tanh", _tanh_step)
rnn_relu = _sequence("rnn_relu", _relu_step)
