"""Recurrent networks in C against NumPy's kernels in double precision."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau_cpu.kernels.recurrent_steps import kernels as plain
from flambeau_cpu.native.kernels.recurrent_steps import kernels as native
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
BATCHES = [(1,), (4, 4, 4), (20,) * 5, (53, 53), (9, 7, 7, 2, 1), (30, 28, 14, 3)]
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}


def run(table, kind, x, h, c, w, b, g_out, g_h, g_c, sizes, reverse):
    """Results of the forward pass and the gradients."""
    fresh = {n: f[1] if isinstance(f, tuple) else f for n, f in table.fresh.items()}
    if kind == "lstm":
        made = fresh["lstm_sequence"](x, h, c, w, None, sizes, reverse)
        out, _, _, acts, cells = made
        grads = fresh["lstm_sequence_grads"](
            x, h, c, w, None, out, acts, cells, g_out, g_h, g_c, sizes, reverse)
    elif kind == "gru":
        made = fresh["gru_sequence"](x, h, w, b, sizes, reverse)
        grads = fresh["gru_sequence_grads"](
            x, h, w, b, made[0], made[2], g_out, g_h, sizes, reverse)
    else:
        rectified = kind == "relu"
        made = fresh["rnn_sequence"](x, h, w, sizes, reverse, rectified)
        grads = fresh["rnn_sequence_grads"](
            x, h, w, made[0], g_out, g_h, sizes, reverse, rectified)
    assert made is not NotImplemented
    assert grads is not NotImplemented
    return [a for a in (*made, *grads) if a is not None]


def draw(kind, sizes, units, dtype):
    rng = np.random.default_rng(units)
    rows, batch, width = sum(sizes), sizes[0], GATES[kind] * units
    shapes = [(rows, width), (batch, units), (batch, units), (width, units), (width,),
              (rows, units), (batch, units), (batch, units)]
    return [(rng.standard_normal(s) * 0.5).astype(dtype) for s in shapes]


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("sizes", BATCHES, ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("units", [1, 32, 45])
def test_equals_numpy_in_double_precision(kind, sizes, reverse, units):
    for dtype, close in ((np.float32, 3e-5), (np.float64, 1e-12)):
        arrays = draw(kind, sizes, units, dtype)
        mine = run(native, kind, *arrays, sizes, reverse)
        exact = run(plain, kind, *(a.astype(np.float64) for a in arrays), sizes, reverse)
        assert len(mine) == len(exact)
        for a, b in zip(mine, exact, strict=True):
            assert a.dtype == dtype
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=close, atol=close * max(1, abs(b).max()))


@pytest.mark.parametrize("kind", GATES)
def test_gradients_that_did_not_come_in_are_zero(kind):
    sizes = (6, 6, 5)
    x, h, c, w, _, g_out, g_h, g_c = draw(kind, sizes, 7, np.float64)
    b = None
    for given in ((None, g_h, g_c), (g_out, None, None), (None, g_h, None)):
        mine = run(native, kind, x, h, c, w, b, *given, sizes, False)
        theirs = run(plain, kind, x, h, c, w, b, *given, sizes, False)
        for p, q in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", GATES)
def test_strides_change_nothing(kind):
    sizes = (5, 5, 3)
    arrays = draw(kind, sizes, 9, np.float32)
    moved = [np.asfortranarray(a) for a in arrays]
    for p, q in zip(run(native, kind, *arrays, sizes, True), run(native, kind, *moved, sizes, True),
                    strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("kind", GATES)
def test_the_same_bits_for_any_number_of_threads(kind):
    before = fb.get_num_threads()
    sizes = (61, 61, 40, 2)
    arrays = draw(kind, sizes, 70, np.float32)
    found = []
    for count in (1, 2, 3):
        fb.set_num_threads(count)
        found.append([a.tobytes() for a in run(native, kind, *arrays, sizes, False)])
    fb.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("shape", [(1, 1), (3, 45), (200, 70)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_step_equals_numpy(shape, dtype):
    batch, units = shape
    rng = np.random.default_rng(3)

    def some(width):
        return rng.standard_normal((batch, width)).astype(dtype)

    def check(name, *args):
        mine = native.fresh[name][1](*args)
        theirs = plain.fresh[name](*(a if a is None else a.astype(np.float64) for a in args))
        for a, b in zip(mine, theirs, strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=2e-5 if dtype == np.float32 else 1e-12, atol=1e-6)
        return mine

    state, g, g_after = some(units), some(units), some(units)
    _, after, acts = check("lstm_pointwise", some(4 * units), some(4 * units), state)
    check("lstm_pointwise_grads", acts, state, after, g, g_after)
    check("lstm_pointwise_grads", acts, state, after, g, None)
    _, acts = check("gru_pointwise", some(3 * units), some(3 * units), state)
    check("gru_pointwise_grads", acts, state, g)


def test_steps_of_other_shapes_are_declined():
    a, c = np.zeros((2, 8), np.float32), np.zeros((2, 2), np.float32)
    assert native.fresh["lstm_pointwise"][1](a, a[:, :4], c) is NotImplemented
    assert native.fresh["lstm_pointwise"][1](a, a, c[:1]) is NotImplemented
    assert native.fresh["lstm_pointwise_grads"][1](a, c, c, None, c) is NotImplemented
    assert native.fresh["gru_pointwise"][1](a, a, c) is NotImplemented
    assert native.fresh["gru_pointwise_grads"][1](a, c, c[:1]) is NotImplemented


def test_what_it_does_not_know_is_declined():
    x, h, c, w, *_ = draw("lstm", (3, 3), 4, np.float32)
    step = native.fresh["lstm_sequence"][1]
    assert step(x, h, c, w, w, (3, 3), False) is NotImplemented
    assert step(x, h, c, w, None, (3, 2), False) is NotImplemented
    assert step(x, h, c, w[:, :3], None, (3, 3), False) is NotImplemented
    assert step(x, h, c.astype(np.float64), w, None, (3, 3), False) is NotImplemented
    halves = [a.astype(np.float16) for a in (x, h, c, w)]
    assert step(*halves, None, (3, 3), False) is NotImplemented


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_a_network_learns_the_same_as_in_numpy_terms(name):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(5, 37, 2, bidirectional=True)
    mine = getattr(nn, name)(5, 37, 2, bidirectional=True)
    mine.load_state_dict({k: fb.from_numpy(v.numpy()) for k, v in theirs.state_dict().items()})
    data = np.random.default_rng(0).standard_normal((11, 6, 5)).astype(np.float32)
    a, b = mine(fb.from_numpy(data))[0], theirs(torch.from_numpy(data))[0]
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)
    a.square().sum().backward()
    b.square().sum().backward()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=2e-5)
