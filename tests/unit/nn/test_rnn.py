"""Recurrent layers, packed sequences, lazy modules, attention masks."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils import rnn


def array(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def sequences(ns, lengths=(3, 5, 1, 5)):
    return [ns.from_numpy(array(i, n, 2)) for i, n in enumerate(lengths)]


@pytest.mark.parametrize("batch_first", [False, True])
def test_packing_equals_torch(batch_first):
    torch = pytest.importorskip("torch")

    def pack(ns):
        utils = ns.nn.utils.rnn
        items = sequences(ns)
        padded = utils.pad_sequence(items, batch_first, -1.0)
        packed = utils.pack_padded_sequence(
            padded, ns.tensor([3, 5, 1, 5]), batch_first, enforce_sorted=False)
        again, lengths = utils.pad_packed_sequence(packed, batch_first, -1.0, total_length=6)
        return [*packed, again, lengths, padded]

    for mine, theirs in zip(pack(fb), pack(torch), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_unpacking_gives_the_sequences_back():
    items = sequences(fb)
    packed = rnn.pack_sequence(items, enforce_sorted=False)
    for a, b in zip(rnn.unpack_sequence(packed), items, strict=True):
        assert a.tolist() == b.tolist()
    assert isinstance(packed, tuple) and packed.double().data.dtype is fb.float64
    left = rnn.pad_sequence(items, batch_first=True, padding_side="left")
    assert left[2, :4].abs().sum().item() == 0 and left[2, 4].tolist() == items[2][0].tolist()


@pytest.mark.parametrize(("act", "error", "words"), [
    (lambda: rnn.pack_padded_sequence(fb.ones(3, 2, 1), [1, 2]), RuntimeError, "decreasing order"),
    (lambda: rnn.pack_padded_sequence(fb.ones(3, 2, 1), [1, 0]), RuntimeError, "greater than 0"),
    (lambda: rnn.pack_padded_sequence(fb.ones(3, 2, 1), [1]), RuntimeError, "equal to batch_size"),
    (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([fb.ones(3, 1)]), total_length=2),
     ValueError, "Expected total_length to be at least"),
    (lambda: rnn.pad_sequence(3), RuntimeError, "Expected iterable"),
    (lambda: rnn.pad_sequence([fb.ones(1)], padding_side="x"), RuntimeError, "left or right"),
    (lambda: nn.RNN(2, 3, nonlinearity="x"), ValueError, "Unknown nonlinearity 'x'"),
    (lambda: nn.LSTM(2, 3, 0), ValueError, "num_layers must be greater than zero"),
    (lambda: nn.LSTM(2, 3, dropout=2), ValueError, "dropout should be a number in range"),
    (lambda: nn.LSTM(2, 3, proj_size=4), ValueError, "smaller than hidden_size"),
    (lambda: nn.GRU(2, 3, proj_size=4), ValueError, "only supported for LSTM"),
    (lambda: nn.LSTM(2.0, 3), TypeError, "input_size should be of type int, got: float"),
    (lambda: nn.RNNBase("x", 2, 3), ValueError, "Unrecognized RNN mode: x"),
    (lambda: nn.RNN(2, 3)(fb.zeros(2)), ValueError, "Expected input to be 2D or 3D, got 1D"),
    (lambda: nn.RNN(2, 3)(fb.zeros(2, 2, 3)), RuntimeError, "Expected 2, got 3"),
    (lambda: nn.RNN(2, 3)(fb.zeros(2, 2, 2), fb.zeros(3)), RuntimeError, "also be 3-D but got 1"),
    (lambda: nn.RNN(2, 3)(fb.zeros(2, 2, 2), fb.zeros(2, 3, 3)), RuntimeError,
     "Expected hidden size (1, 2, 3), got [2, 3, 3]"),
    (lambda: nn.LSTM(2, 3)(fb.zeros(2, 2, 2), (fb.zeros(2, 3, 3),) * 2), RuntimeError,
     "Expected hidden[0] size (1, 2, 3), got [2, 3, 3]"),
    (lambda: nn.RNN(2, 3)(fb.zeros(2, 2, 2).double()), ValueError, "does not match weight dtype"),
    (lambda: nn.RNNCell(2, 3)(fb.zeros(2, 3, 2)), ValueError, "to be 1D or 2D, got 3D"),
    (lambda: nn.RNNCell(2, 3)(fb.zeros(2, 3)), RuntimeError, "got 3 expected 2"),
    (lambda: nn.RNNCell(2, 3)(fb.zeros(2, 2), fb.zeros(3, 3)), RuntimeError, "hidden0 batch size"),
    (lambda: nn.LSTMCell(2, 3)(fb.zeros(2, 2), (fb.zeros(2, 3), fb.zeros(2, 4))), RuntimeError,
     "hidden1 has inconsistent hidden_size: got 4, expected 3"),
    (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible by num_heads"),
    (lambda: nn.MultiheadAttention(4, 2)(*[fb.zeros(2, 2, 3)] * 3), AssertionError,
     "was expecting embedding dimension of 4, but got 3"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="x"), RuntimeError, "relu/gelu, not x"),
    (lambda: nn.LazyConv2d(2, 3)(fb.zeros(2)), RuntimeError, "Expected 3D (unbatched) or 4D"),
])
def test_refused(act, error, words):
    with pytest.raises(error) as info:
        act()
    assert words in str(info.value)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_packed_sequences_through_layers_equal_torch(kind):
    torch = pytest.importorskip("torch")

    def run(ns):
        ns.manual_seed(2)
        m = getattr(ns.nn, kind)(2, 3, num_layers=2, bidirectional=True)
        utils = ns.nn.utils.rnn
        packed = utils.pack_sequence(sequences(ns), enforce_sorted=False)
        out, hidden = m(packed)
        padded, _ = utils.pad_packed_sequence(out)
        padded.sum().backward()
        hidden = hidden if isinstance(hidden, tuple) else (hidden,)
        return [t.detach().numpy() for t in (padded, *hidden)] + [
            p.grad.numpy() for p in m.parameters()]

    for mine, theirs in zip(run(fb), run(torch), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [
    lambda ns: ns.nn.LazyLinear(3), lambda ns: ns.nn.LazyConv1d(4, 2, groups=2),
    lambda ns: ns.nn.LazyConvTranspose2d(4, 2), lambda ns: ns.nn.LazyBatchNorm2d(),
    lambda ns: ns.nn.LazyInstanceNorm1d(affine=True)])
def test_lazy_modules_equal_torch(layer):
    torch = pytest.importorskip("torch")

    def run(ns):
        ns.manual_seed(2)
        m = layer(ns)
        n = {"1": 3, "2": 4}.get(type(m).__name__[-2], 2)
        out = m(ns.from_numpy(array(0, *(3, 4, 5, 6)[:n])))
        return out.detach().numpy(), type(m).__name__, {
            k: v.numpy() for k, v in m.state_dict().items()}

    (mine, name, state), (theirs, other, their_state) = run(fb), run(torch)
    assert name == other and list(state) == list(their_state)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    for key in state:
        np.testing.assert_allclose(state[key], their_state[key], rtol=1e-6)


def test_lazy_modules_load_save_and_move():
    lazy, done = nn.LazyLinear(3), nn.Linear(2, 3)
    assert lazy.has_uninitialized_params() and "weight" in lazy.state_dict()
    lazy.double()
    lazy.load_state_dict(done.state_dict())
    assert lazy.weight.tolist() == done.weight.tolist() and lazy.weight.dtype is fb.float64
    lazy(fb.ones(1, 2, dtype=fb.float64))
    assert type(lazy) is nn.Linear and lazy.in_features == 2
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized"):
        nn.Linear(2, 3).load_state_dict(nn.LazyLinear(3).state_dict())


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("masks", ["none", "padding", "boolean", "causal", "per_head", "both"])
def test_attention_masks_equal_torch(masks, need_weights):
    torch = pytest.importorskip("torch")

    def run(ns):
        ns.manual_seed(5)
        m = ns.nn.MultiheadAttention(8, 2, batch_first=True, add_zero_attn=masks == "both")
        x = ns.from_numpy(array(0, 3, 4, 8)).requires_grad_()
        padding = ns.tensor([[False] * 4, [False, False, True, True], [False] * 3 + [True]])
        causal = ns.nn.Transformer.generate_square_subsequent_mask(4)
        given = {
            "none": {}, "padding": {"key_padding_mask": padding},
            "boolean": {"attn_mask": causal < 0},
            "causal": {"attn_mask": causal, "is_causal": True},
            "per_head": {"attn_mask": ns.from_numpy(array(1, 6, 4, 4))},
            "both": {"attn_mask": causal < 0, "key_padding_mask": padding},
        }[masks]
        out, weights = m(x, x, x, need_weights=need_weights, **given)
        out.sum().backward()
        return [out.detach().numpy(), x.grad.numpy()] + (
            [weights.detach().numpy()] if need_weights else [])

    for mine, theirs in zip(run(fb), run(torch), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_transformer_equals_torch():
    torch = pytest.importorskip("torch")

    def run(ns):
        ns.manual_seed(5)
        m = ns.nn.Transformer(8, 2, 2, 2, 16, dropout=0.0, norm_first=True)
        src, tgt = ns.from_numpy(array(0, 5, 2, 8)), ns.from_numpy(array(1, 3, 2, 8))
        mask = m.generate_square_subsequent_mask(3)
        out = m(src, tgt, tgt_mask=mask)
        out.sum().backward()
        return [out.detach().numpy(), *(p.grad.numpy() for p in m.parameters())]

    for mine, theirs in zip(run(fb), run(torch), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
