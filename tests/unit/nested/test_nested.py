"""Nested tensors of both layouts: the same values part by part as PyTorch's, and gradients."""

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested")

BOTH = [
    "nt + nt", "nt * 2", "nt / 2", "-nt", "nt.relu()", "F.gelu(nt)", "F.silu(nt)",
    "F.dropout(nt, 0.0)", "F.linear(nt, w, m.ones(3))",
    "F.layer_norm(nt, (2,), m.ones(2), m.ones(2))",
    "nt.softmax(-1)", "nt.softmax(1)", "nt.transpose(1, 2)", "nt.unsqueeze(-1)", "nt.unsqueeze(2)",
    "nt.view(2, -1, 1, 2)", "nt.reshape(2, -1, 2)", "nt.chunk(2, -1)", "nt.clone()", "nt.detach()",
    "nt.double()", "nt.contiguous()", "m.zeros_like(nt)",
    "F.embedding(m.nested.nested_tensor([m.tensor([0]), m.tensor([1, 0])], layout=layout), w)",
    "nt.to_padded_tensor(-1.0)", "m.nested.to_padded_tensor(nt, 0.0, (2, 4, 2))", "nt[1]",
    "nt[0, 1]",
    "nt.unbind()", "nt.clone().add_(1)", "nt.numel()", "nt.dim()", "nt.is_nested", "nt.size(0)",
    "nt.size(2)", "nt.nbytes", "nt.requires_grad", "m.nested.as_nested_tensor(m.ones(2, 3, 2))",
]
JAGGED = [
    "2 - nt", "nt * m.arange(12.0).reshape(2, 3, 2)",
    "m.nested.as_nested_tensor(nt, layout=layout)",
    "nt + m.ones(2)", "nt * m.tensor([[[2.0]], [[3.0]]])", "nt + m.ones(1, 1, 2)", "nt.exp()",
    "nt + m.arange(4.0).reshape(2, 1, 2)", "nt ** 2", "m.where(nt > 1, nt, 0)", "nt @ w.t()",
    "nt.sum()", "nt.sum(1)", "nt.sum(-1)", "nt.mean(1)", "nt.max()", "nt.unflatten(-1, (2, 1))",
    "nt.values()", "nt.offsets()", "nt.view(2, nt.size(1), 1, 2).transpose(1, 2)", "nt == nt",
    "F.layer_norm(nt, (2,))", "len(nt)", "list(nt)", "F.rms_norm(nt, (2,))",
    "m.nested.nested_tensor_from_jagged(m.arange(10.0).reshape(5, 2), m.tensor([0, 2, 5]))",
    "m.nested.nested_tensor_from_jagged(m.ones(5, 2), lengths=m.tensor([2, 3]))",
    "m.nested.narrow(m.arange(24.0).reshape(2, 4, 3), 1, m.tensor([0, 1]), m.tensor([2, 3]),"
    " layout=layout)",
    "m.nested.masked_select(m.arange(8.0).reshape(2, 4), m.arange(8).reshape(2, 4) % 3 == 0)",
]
STRIDED = [
    "m.cat([nt, nt])", "nt.bmm(nt.transpose(1, 2))", "F.scaled_dot_product_attention(nt, nt, nt)",
    "nt.values()", "m.nested.nested_tensor([a, a.reshape(4, 1)])",
]


def inputs(m, layout):
    a, b = m.arange(4.0).reshape(2, 2), m.arange(6.0).reshape(3, 2) + 1
    layout = getattr(m, layout)
    return {
        "m": m, "F": m.nn.functional, "layout": layout, "a": a, "b": b,
        "w": m.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]]),
        "nt": m.nested.nested_tensor([a, b], layout=layout)}


def flat(value):
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in flat(v)]
    if hasattr(value, "is_nested") and value.is_nested:
        return flat(list(value.unbind()))
    return [value]


CASES = [(layout, e) for layout, own in (("jagged", JAGGED), ("strided", STRIDED))
         for e in BOTH + own]


@pytest.mark.parametrize(("layout", "expression"), CASES)
def test_results_are_torchs(layout, expression):
    ours, theirs = (eval(expression, inputs(m, layout)) for m in (fb, torch))
    assert getattr(ours, "is_nested", None) is getattr(theirs, "is_nested", None)
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        if isinstance(a, fb.Tensor):
            assert tuple(a.shape) == tuple(b.shape)
            assert str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1]
            np.testing.assert_allclose(a.tolist(), b.tolist(), rtol=1e-5, atol=1e-6)
        else:
            assert a == b


@pytest.mark.parametrize(("layout", "expression"), [
    ("jagged", e) for e in (
        "nt.sum(0)", "nt.unsqueeze(0)", "nt.transpose(0, 1)", "m.cat([nt, nt])", "nt.flatten(1, 2)",
        "nt + m.nested.nested_tensor([b, a], layout=layout)", "nt + m.ones(2, 4, 2)",
        "m.nested.nested_tensor([], layout=layout)",
        "m.nested.nested_tensor([a, b[0]], layout=layout)",
        "m.nested.nested_tensor([a, m.ones(3, 3)], layout=layout)", "nt.numpy()", "nt.tolist()",
        "nt.fft()", "nt.view(3, -1, 2)", "m.nested.nested_tensor_from_jagged(a)",
    )] + [("strided", e) for e in (
        "nt.size(1)", "m.nested.nested_tensor(a)", "nt.offsets()", "a.to_padded_tensor(0.0)",
        "m.nested.to_padded_tensor(nt, 0.0, (2, 2, 2))", "nt.cumsum(1)",
        "nt.requires_grad_().add_(1)",
    )])
def test_what_torch_refuses_is_refused(layout, expression):
    for m in (torch, fb):
        with pytest.raises((RuntimeError, TypeError, ValueError, AttributeError)):
            eval(expression, inputs(m, layout))


def test_texts_are_torchs():
    nt = inputs(fb, "strided")["nt"]
    assert repr(nt) == repr(inputs(torch, "strided")["nt"])
    text = repr(inputs(fb, "jagged")["nt"])
    assert text.startswith("NestedTensor(size=(2, j") and text.endswith(
        ", 2), offsets=tensor([0, 2, 5]), contiguous=True)")


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_gradients_reach_the_tensors_it_was_made_of(layout):
    found = []
    for m in (fb, torch):
        given = inputs(m, layout)
        a, b, w = (given[k].clone().requires_grad_() for k in "abw")
        nt = m.nested.as_nested_tensor([a, b], layout=given["layout"])
        out = m.nn.functional.linear(nt * nt, w).relu().to_padded_tensor(0.0)
        (out * m.arange(18.0).reshape(2, 3, 3)).sum().backward()
        found.append([t.grad.tolist() for t in (a, b, w)])
    for x, y in zip(*found, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_leaves_have_nested_gradients(layout):
    nt = inputs(fb, layout)["nt"].requires_grad_()
    (nt * 3).to_padded_tensor(0.0).sum().backward()
    (nt * 3).to_padded_tensor(0.0).sum().backward()
    assert nt.grad.is_nested and nt.grad.shape == nt.shape
    assert [t.tolist() for t in nt.grad.unbind()] == [[[6.0] * 2] * 2, [[6.0] * 2] * 3]


def test_attention_with_heads_is_that_of_each_part():
    q = fb.nested.nested_tensor([fb.randn(3, 8), fb.randn(5, 8)], layout=fb.jagged)
    heads = q.view(2, -1, 2, 4).transpose(1, 2)
    out = fb.nn.functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
    for part, given in zip(out.transpose(1, 2).unbind(), q.unbind(), strict=True):
        split = given.reshape(1, -1, 2, 4).transpose(1, 2)
        wanted = fb.nn.functional.scaled_dot_product_attention(split, split, split, is_causal=True)
        fb.testing.assert_close(part, wanted[0].transpose(0, 1))


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_copies_and_pickles(layout):
    nt = inputs(fb, layout)["nt"]
    for made in (copy.deepcopy(nt), pickle.loads(pickle.dumps(nt)), copy.copy(nt)):
        assert made.layout is nt.layout
        assert [t.tolist() for t in made.unbind()] == [t.tolist() for t in nt.unbind()]


def test_modules_run_on_jagged_batches():
    nn = fb.nn
    layer = nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 1))
    nt = inputs(fb, "jagged")["nt"]
    for part, out in zip(nt.unbind(), layer(nt).unbind(), strict=True):
        fb.testing.assert_close(layer(part), out)
