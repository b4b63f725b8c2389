"""Recurrent networks, against PyTorch: fused kernels and decompositions."""

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck
from flambeau.registry import OPS
from flambeau_cpu.kernels import TABLE
from flambeau_cpu.kernels.recurrent_steps import kernels

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@pytest.fixture(params=["kernel", "decomposition"], autouse=True)
def path(request, monkeypatch):
    """Run every test on the fused kernels, and on the decompositions that other backends use."""
    if request.param == "decomposition":
        for name in kernels.fresh:
            monkeypatch.delitem(TABLE.fresh, name)
            monkeypatch.setattr(OPS[name], "fast", {})


def _params(rand, name, layers=1, directions=1, bias=True, projection=0, size=4):
    gates, params = GATES[name], []
    out = projection or size
    for layer in range(layers):
        for _ in range(directions):
            width = 3 if layer == 0 else out * directions
            params += [rand(gates * size, width), rand(gates * size, out)]
            params += [rand(gates * size), rand(gates * size)] if bias else []
            params += [rand(projection, size)] if projection else []
    states = [rand(layers * directions, 2, out)]
    if name == "lstm":
        states.append(rand(layers * directions, 2, size))
    return params, tuple(states) if name == "lstm" else states[0]


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(("layers", "directions", "bias", "batch_first"), [
    (1, 1, True, False), (2, 1, False, True), (2, 2, True, False)])
def test_stacks(parity, rand, name, layers, directions, bias, batch_first):
    params, states = _params(rand, name, layers, directions, bias)
    x = rand(2, 5, 3) if batch_first else rand(5, 2, 3)
    parity(name, x, states, params, bias, layers, 0.0, False, directions == 2, batch_first,
           tolerance=3e-5)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("directions", [1, 2])
def test_packed_sequences(parity, rand, name, directions):
    params, states = _params(rand, name, 2, directions)
    sizes = np.array([2, 2, 1, 1])
    parity(name, rand(6, 3), sizes, states, params, True, 2, 0.0, False, directions == 2,
           tolerance=3e-5)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_projected_lstm(parity, rand, directions):
    params, states = _params(rand, "lstm", 2, directions, projection=2)
    parity("lstm", rand(5, 2, 3), states, params, True, 2, 0.0, False, directions == 2, False,
           tolerance=3e-5)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("bias", [True, False])
def test_cells(parity, rand, name, bias):
    params, states = _params(rand, name, bias=bias)
    state = tuple(s[0] for s in states) if name == "lstm" else states[0]
    for dtype in (np.float32, np.float64):
        cast = [a.astype(dtype) for a in params]
        given = tuple(s.astype(dtype) for s in state) if name == "lstm" else state.astype(dtype)
        parity(f"{name}_cell", rand(2, 3).astype(dtype), given, *cast)


def test_large_inputs_do_not_overflow(parity, rand):
    params, states = _params(rand, "lstm")  # parity compares with finite numbers
    parity("lstm", rand(3, 2, 3) * 1e4, states, params, True, 1, 0.0, False, False, False)


def test_unused_outputs(rand):
    params, states = _params(rand, "lstm")
    made = [flambeau.from_numpy(p).requires_grad_() for p in params]
    h, c = (flambeau.from_numpy(s).requires_grad_() for s in states)
    out, h_n, c_n = flambeau.lstm(
        flambeau.from_numpy(rand(3, 2, 3)), (h, c), made, True, 1, 0.0, False, False, False)
    only = [flambeau.autograd.grad(t.sum(), made[1], retain_graph=True)[0] for t in (out, h_n, c_n)]
    both = flambeau.autograd.grad(out.sum() + h_n.sum() + c_n.sum(), made[1])[0]
    np.testing.assert_allclose(sum(g.numpy() for g in only), both.numpy(), 1e-4, 1e-5)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh"])
def test_double_backward(rand, name):
    params, states = _params(rand, name, size=1)
    arrays = [rand(2, 2, 3), *params, *(states if name == "lstm" else [states])]
    tensors = [flambeau.from_numpy(a.astype(np.float64)).requires_grad_() for a in arrays]

    def run(x, *rest):
        weights, hidden = list(rest[:4]), rest[4:]
        return OPS[name].function(
            x, tuple(hidden) if name == "lstm" else hidden[0], weights, True, 1, 0.0, False, False,
            False)[0]

    assert gradgradcheck(run, tensors)


def test_double_backward_of_cells(rand):
    params, states = _params(rand, "lstm", size=1)
    arrays = [rand(2, 3), states[0][0], states[1][0], *params]
    tensors = [flambeau.from_numpy(a.astype(np.float64)).requires_grad_() for a in arrays]
    assert gradgradcheck(lambda x, h, c, *w: flambeau.lstm_cell(x, (h, c), *w), tensors)
    h = tensors[1]
    assert gradgradcheck(  # one tensor as both states
        lambda x, h, *w: flambeau.lstm_cell(x, (h, h), *w), [tensors[0], h, *tensors[3:]])


def test_dropout_between_layers(rand):
    params, states = _params(rand, "gru", 2)
    tensors = [flambeau.from_numpy(p) for p in params]
    x, h = flambeau.from_numpy(rand(3, 2, 3)), flambeau.from_numpy(states)

    def run(p, train):
        return flambeau.gru(x, h, tensors, True, 2, p, train, False, False)[0].numpy()

    assert (run(0.5, True) != run(0.0, True)).any()
    np.testing.assert_array_equal(run(0.5, False), run(0.0, False))


@pytest.mark.parametrize(("change", "message"), [
    ("params", "4 weights for each of 1 layers"), ("states", "Expected 1 hidden states"),
    ("length", "larger than 0"), ("pair", "expects two hidden states")])
def test_refusals(rand, change, message):
    params, (h, c) = _params(rand, "lstm")
    weights = [flambeau.from_numpy(p) for p in params][: 3 if change == "params" else 4]
    states = [flambeau.from_numpy(s) for s in (h, c)]
    if change == "states":
        states = [flambeau.cat([s, s]) for s in states]
    if change == "pair":
        states = states[:1]
    x = flambeau.zeros(0 if change == "length" else 3, 2, 3)
    with pytest.raises(RuntimeError, match=message):
        flambeau.lstm(x, tuple(states), weights, True, 1, 0.0, False, False, False)


@pytest.mark.parametrize(("input", "batch", "rows", "message"), [
    (5, 2, 12, "inconsistent input_size: got 5 expected 3"), (3, 1, 12, "batch size 2 doesn't"),
    (3, 2, 9, r"3 \* hidden_size = 12, but got 9")])
def test_cell_refusals(input, batch, rows, message):
    with pytest.raises(RuntimeError, match=message):
        flambeau.gru_cell(
            flambeau.ones(2, input), flambeau.ones(batch, 4), flambeau.ones(rows, 3),
            flambeau.ones(rows, 4))
