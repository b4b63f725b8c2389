"""Scaled dot-product attention, against PyTorch."""

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck
from flambeau.registry import OPS
from flambeau_cpu.kernels import TABLE
from flambeau_cpu.kernels import attention as kernel

F = "nn.functional.scaled_dot_product_attention"
attend = OPS["scaled_dot_product_attention"].function


@pytest.fixture(params=["kernel", "decomposition"])
def path(request, monkeypatch):
    """Run a test on the fused kernels, and on the decompositions that other backends use."""
    if request.param == "decomposition":
        for name in ("attention", "attention_grads"):
            monkeypatch.delitem(TABLE.fresh, name)
            monkeypatch.setattr(OPS[name], "fast", {})


@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.usefixtures("path")
def test_attention(parity, rand, lead, causal):
    parity(F, rand(*lead, 5, 4), rand(*lead, 6, 4), rand(*lead, 6, 3), is_causal=causal)


@pytest.mark.parametrize("shape", [(5, 6), (1, 6), (2, 1, 5, 6), (1, 3, 5, 6), (2, 3, 5, 6)])
@pytest.mark.usefixtures("path")
def test_masks(parity, rand, shape):
    q, k, v = rand(2, 3, 5, 4), rand(2, 3, 6, 4), rand(2, 3, 6, 3)
    allowed = rand(*shape) > 0
    allowed[..., 0] = True
    parity(F, q, k, v, allowed)
    parity(F, q, k, v, rand(*shape))  # a mask with gradient
    bias = rand(*shape)
    bias.setflags(write=False)
    parity(F, q, k, v, bias, scale=0.3)


@pytest.mark.usefixtures("path")
def test_rows_that_look_at_nothing_are_0(parity, rand):
    allowed = np.ones((5, 6), bool)
    allowed[2] = False
    parity(F, rand(2, 5, 4), rand(2, 6, 4), rand(2, 6, 3), allowed)


@pytest.mark.usefixtures("path")
def test_grouped_and_broadcast_heads(parity, rand):
    parity(F, rand(2, 4, 5, 4), rand(2, 2, 6, 4), rand(2, 2, 6, 3), enable_gqa=True)
    parity(F, rand(2, 1, 5, 4), rand(2, 3, 6, 4), rand(1, 3, 6, 3))


@pytest.mark.usefixtures("path")
def test_transposed_heads(rand):
    q, k, v = (flambeau.from_numpy(rand(2, 7, 3, 4)).transpose(1, 2) for _ in range(3))
    np.testing.assert_allclose(
        attend(q, k, v, is_causal=True).numpy(),
        attend(q.contiguous(), k.contiguous(), v.contiguous(), is_causal=True).numpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("block", [1, 40, 600])
def test_blocks_join(parity, rand, monkeypatch, causal, block):
    monkeypatch.setattr(kernel, "BLOCK", block)
    monkeypatch.setattr(kernel, "CAUSAL_ROWS", 3)
    q, k, v = (rand(2, 3, 10, 4) for _ in range(3))
    parity(F, q, k, v, is_causal=causal)
    parity(F, q, k, v, rand(1, 3, 10, 10) > -1)


def test_scores_are_never_whole(rand, monkeypatch):
    largest = []
    original = kernel._scores

    def watched(*args):
        scores = original(*args)
        largest.append(scores.size)
        return scores

    monkeypatch.setattr(kernel, "_scores", watched)
    x = rand(1, 2, 1500, 8)
    fresh = kernel.kernels.fresh
    out = fresh["attention"](x, x, x, None, False, 1.0)
    fresh["attention_grads"](x, x, x, x, None, *out, False, 1.0, True, True, True)
    assert max(largest) <= kernel.BLOCK < 1500 * 1500


def test_half_and_double(parity, rand):
    parity(F, *(rand(2, 5, 4, dtype=np.float64) for _ in range(3)), tolerance=1e-12)
    parity(F, *(rand(2, 5, 4, dtype=np.float16) for _ in range(3)), tolerance=3e-3)


def test_dropout_keeps_the_mean(rand):
    q, v = flambeau.zeros(1, 64, 8), flambeau.ones(1, 64, 8)
    out = attend(q, q, v, dropout_p=0.5)
    assert abs(out.mean().item() - 1) < 0.1
    assert out.std().item() > 0
    assert attend(q, q, v, dropout_p=1.0).abs().sum().item() == 0


@pytest.mark.parametrize("causal", [False, True])
def test_double_backward(rand, causal):
    q, k, v = (flambeau.from_numpy(rand(3, 2, dtype=np.float64)).requires_grad_()
               for _ in range(3))
    assert gradgradcheck(lambda *t: attend(*t, is_causal=causal), (q, k, v))


@pytest.mark.parametrize(("change", "message"), [
    ({"key": (2, 6, 5)}, "to match"), ({"value": (2, 5, 3)}, "to match"),
    ({"query": (4,)}, "at least 2 dimensional"), ({"dropout_p": 1.5}, "between 0 and 1"),
    ({"attn_mask": (5, 6), "is_causal": True}, "should not be set"),
    ({"attn_mask": (5, 7)}, "must match"), ({"enable_gqa": True, "key": (3, 6, 4)}, "must divide"),
])
def test_refusals(change, message):
    shapes = {"query": (2, 5, 4), "key": (2, 6, 4), "value": (2, 6, 3)}
    given = {**shapes, **change}
    given = {n: flambeau.ones(*v) if isinstance(v, tuple) else v for n, v in given.items()}
    with pytest.raises(RuntimeError, match=message):
        attend(**given)
