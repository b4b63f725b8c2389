"""Sparse tensors do what PyTorch's do: layouts, shapes, values, gradients."""

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:Sparse", "ignore:.*prototype", "ignore:.*beta")
COMPRESSED = ("sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")


def tensors(m):
    """The same inputs of either library: uncoalesced, coalesced, compressed, hybrid, dense."""
    i = m.tensor([[0, 1, 1, 0], [2, 0, 2, 2]])
    v = m.tensor([3.0, -4.0, 5.0, 0.5])
    s = m.sparse_coo_tensor(i, v, (2, 3))
    return {
        "s": s, "o": m.sparse_coo_tensor(m.tensor([[0, 1], [2, 2]]), m.tensor([2.0, 7.0]), (2, 3)),
        "c": s.to_sparse_csr(), "d": m.arange(6.0).reshape(2, 3) - 2,
        "h": m.sparse_coo_tensor(
            m.tensor([[1, 0, 1]]), m.arange(6.0).reshape(3, 2), (3, 2)), "m": m}


EXPRESSIONS = [
    "s + o", "s - o", "s.add(o, alpha=2)", "d + s", "d.add(s, alpha=3)", "s * 2", "2 * s", "s * o",
    "s * d", "d * s", "s / 2", "s.div(2, rounding_mode='floor')", "s // 2", "s ** 2", "-s",
    "s.abs()", "s.relu()", "s.sin()", "s.sgn()", "s.expm1()", "s.isnan()", "m.neg(s)",
    "s @ d.t()", "s @ s.t()", "d @ s.t()", "m.mm(s, d.t())", "m.mv(s, m.ones(3))", "c @ d.t()",
    "c @ m.ones(3)", "m.addmm(m.ones(2, 2), s, d.t(), beta=2, alpha=3)", "m.smm(s, d.t())",
    "m.hspmm(s, d.t())", "m.sspaddmm(m.eye(2).to_sparse(), s, d.t(), beta=2, alpha=3)",
    "m.nn.functional.linear(d, s)", "m.nn.functional.linear(s, d)",
    "s.t()", "s.transpose(0, 1)", "s.permute(1, 0)", "s.T", "s.mT", "c.t()",
    "s[0]", "s[1]", "s[:, 2]", "s[0, 2]", "s[None]", "h[1]", "h[:, 1]", "s.select(1, 0)",
    "s.unsqueeze(0)", "s.unsqueeze(2)", "h.unsqueeze(2)", "s.unbind()", "s.narrow_copy(1, 1, 2)",
    "s.index_select(1, m.tensor([2, 0, 2]))", "h.index_select(1, m.tensor([1]))",
    "m.cat([s, s])", "m.cat([s, o], 1)", "m.cat([h, h], 1)", "m.stack([s, o], 1)",
    "m.bmm(m.stack([s, o]), m.ones(2, 3, 2))",
    "s.sum()", "s.sum(0)", "s.sum(1)", "s.sum((0, 1))", "m.sparse.sum(s, 0)", "m.sparse.sum(h, 1)",
    "m.sparse.sum(h, [0])", "m.sparse.sum(h)", "s.norm()", "s.any()", "c.sum()",
    "m.sparse.softmax(o, 1)", "m.sparse.softmax(s, 0)", "m.sparse.log_softmax(s, 1)",
    "m.sparse.softmax(h, 1)", "m.sparse.softmax(s, 1, dtype=m.float64)",
    "c + c", "c * 2", "c * c", "c + d", "c.abs()", "c.neg()", "c[0]", "c.sin()",
    "m.sparse.mm(c, d.t(), 'mean')", "m.sparse.mm(c, d.t(), 'amax')",
    "m.sparse.sampled_addmm(c, m.ones(2, 2), d, beta=2.0, alpha=3.0)",
    "m.sparse.addmm(m.ones(2, 2), s, d.t(), alpha=2)",
    "m.sparse.spdiags(m.arange(9.0).reshape(3, 3), m.tensor([0, 1, -2]), (3, 3))",
    "m.sparse.spdiags(m.ones(1, 3), m.tensor([1]), (3, 4), m.sparse_csr)",
    "s.coalesce()", "d.sparse_mask(o)", "s.sparse_mask(o)", "s.clone()", "s.detach()",
    "s.double()", "s.to(m.int64)", "c.to(m.float64)", "s.bool()", "m.zeros_like(s)",
    "m.zeros(2, 3, layout=m.sparse_coo)", "m.zeros(2, 3, layout=m.sparse_csr)",
    "m.sparse_coo_tensor((2, 3))", "m.sparse_coo_tensor([[0, 2]], [1.0, 2.0])",
    "d.to_sparse(1)", "h.to_dense()", "d.to_sparse(layout=m.sparse_bsr, blocksize=(1, 3))",
    "s.neg_()", "s.mul_(2)", "s.add_(o)", "s.sub_(o)", "s.div_(2)", "s.zero_()",
    "o.coalesce().sqrt_()",
    "s.copy_(o)", "d.add_(s)", "d.sub_(s, alpha=2)", "s.sparse_resize_((4, 5), 2, 0)",
    "s.sparse_resize_and_clear_((4, 5), 1, 1)", "o.zero_().resize_as_sparse_(h)",
    "c.to_sparse_coo()", "c.to_sparse(layout=m.sparse_csc)", "s.to_sparse_csc()",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_results_are_torchs(expression):
    ours, theirs = (eval(expression, tensors(m)) for m in (fb, torch))
    one, other = (x if isinstance(x, (tuple, list)) else (x,) for x in (ours, theirs))
    for a, b in zip(one, other, strict=True):
        assert str(a.layout) == str(b.layout).replace("torch", "flambeau")
        assert tuple(a.shape) == tuple(b.shape)
        assert str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1]
        np.testing.assert_allclose(
            a.to_dense().tolist(), b.to_dense().tolist(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("expression", [
    "s + 1", "s / o", "s ** 0", "s.exp()", "s == s", "s.view(6)", "s.reshape(6)",
    "s.numpy()", "s.tolist()", "s.item()", "s.contiguous()", "s.untyped_storage()", "s.indices()",
    "s.values()", "c.indices()", "s.crow_indices()", "d.indices()", "d.coalesce()", "m.cat([s, d])",
    "c.coalesce()", "c.ccol_indices()", "m.ones_like(s)", "s.fill_(1)", "s.copy_(d)",
    "s.softmax(1)", "d.clone().copy_(s)", "s.to_dense(m.float64)", "s.max()", "s @ d", "s.add(h)",
    "s.nbytes",
    "m.sparse_coo_tensor([[0, 1]], [1.0])", "m.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (2, 2))",
    "m.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (2,), check_invariants=True)",
    "m.sparse_csr_tensor([0, 1, 2], [0, 7], [1.0, 2.0], (2, 3), check_invariants=True)",
    "m.sparse_csr_tensor([0, 2, 2], [1, 0], [1.0, 2.0], (2, 3), check_invariants=True)",
    "m.sparse_compressed_tensor([0, 1], [0], [1.0], (1, 1))",
    "m.sparse.spdiags(m.ones(2, 3), m.tensor([1, 1]), (3, 3))", "s.sparse_resize_((1, 1), 2, 0)",
    "d.to_sparse(layout=m.sparse_bsr, blocksize=(2, 2))", "s.select(0, 2)",
])
def test_what_torch_refuses_is_refused(expression):
    with pytest.raises((RuntimeError, TypeError, IndexError, ValueError)) as theirs:
        eval(expression, tensors(torch))
    with pytest.raises(theirs.type):
        eval(expression, tensors(fb))


def test_an_op_that_is_not_there_is_named_with_the_layout():
    with pytest.raises(NotImplementedError, match=r"'exp'.*flambeau\.sparse_coo"):
        tensors(fb)["s"].exp()


@pytest.mark.parametrize("expression", [
    "s", "s.coalesce()", "c", "c.to_sparse_csc()", "m.eye(4).to_sparse_bsr((2, 2))", "h", "s * 2",
    "m.sparse_coo_tensor((2, 3))", "s.double()", "s.long()", "s.requires_grad_()",
    "c.double().requires_grad_()",
])
def test_texts_are_torchs(expression):
    # The longer name of the package may break lines elsewhere.
    ours, theirs = (" ".join(str(eval(expression, tensors(m))).split()) for m in (fb, torch))
    assert ours.replace("flambeau.", "torch.") == theirs


@pytest.mark.parametrize("layout", COMPRESSED)
@pytest.mark.parametrize("shape", [(4, 6), (2, 4, 6)])
def test_compressed_parts_are_torchs(layout, shape):
    block = (2, 3) if layout in ("sparse_bsr", "sparse_bsc") else None
    parts = []
    for m in (fb, torch):
        x = (m.arange(24 * (len(shape) - 1)) % 5).reshape(shape).float() * (
            m.arange(24).reshape(4, 6) % 3 == 0)
        if len(shape) == 3:
            x = x[:1].expand(shape)
        t = x.to_sparse(layout=getattr(m, layout), blocksize=block)
        names = ("crow_indices", "col_indices") if layout in ("sparse_csr", "sparse_bsr") else (
            "ccol_indices", "row_indices")
        parts.append([getattr(t, n)().tolist() for n in (*names, "values")])
        assert t.to_dense().tolist() == x.tolist()
        again = m.sparse_compressed_tensor(
            *(m.tensor(p) for p in parts[-1]), shape, layout=getattr(m, layout),
            check_invariants=True)
        assert again.to_dense().tolist() == x.tolist()
        assert t.transpose(-1, -2).to_dense().tolist() == x.transpose(-1, -2).tolist()
    assert parts[0] == parts[1]


LOSSES = [
    "x.to_dense()", "m.sparse.mm(x, d.t())", "x * 2", "x * x", "x * d", "m.sparse.sum(x)",
    "m.sparse.sum(x, 0)", "x.coalesce().values()", "x + x", "m.sparse.softmax(x, 1)",
    "m.sparse.log_softmax(x, 0)", "x.t()", "x.neg()", "m.sparse.mm(x, x.t())", "x / 3",
]


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_leaves_are_torchs(loss):
    found = []
    for m in (fb, torch):
        x = m.sparse_coo_tensor(
            m.tensor([[0, 1, 1], [2, 0, 2]]), m.tensor([3.0, 4.0, 5.0]), (2, 3), requires_grad=True)
        out = eval(loss, {"x": x, "m": m, "d": m.arange(6.0).reshape(2, 3)})
        out = out if out.layout is m.strided else out.to_dense()
        (out * m.arange(1.0, 1 + out.numel()).reshape(out.shape)).sum().backward()
        assert x.grad.layout is m.sparse_coo
        found.append(x.grad.to_dense().tolist())
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", [
    "x.to_sparse()", "x.to_sparse_csr()", "x.to_sparse_bsc((1, 3))", "x.to_sparse(1)",
    "x.sparse_mask(m.eye(2, 3).to_sparse())", "m.sparse.mm(m.eye(2).to_sparse(), x)",
])
def test_gradients_reach_dense_tensors(loss):
    found = []
    for m in (fb, torch):
        x = (m.arange(6.0).reshape(2, 3) + 1).requires_grad_()
        out = eval(loss, {"x": x, "m": m}).to_dense()
        (out * m.arange(6.0).reshape(2, 3)).sum().backward()
        found.append(x.grad.to_dense().tolist())
    assert found[0] == found[1]


def test_values_learn_through_a_sparse_tensor_twice():
    v = fb.tensor([1.0, 2.0], dtype=fb.float64, requires_grad=True)
    i = fb.tensor([[0, 1], [1, 0]])

    def f(v):
        s = fb.sparse_coo_tensor(i, v, (2, 2))
        return fb.sparse.mm(s * s, fb.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=fb.float64))

    assert fb.autograd.gradcheck(f, (v,))
    assert fb.autograd.gradgradcheck(f, (v,))


def test_gradcheck_takes_sparse_inputs():
    x = fb.eye(3, dtype=fb.float64).to_sparse().requires_grad_()
    check = fb.sparse.as_sparse_gradcheck(fb.autograd.gradcheck)
    assert check(lambda t: fb.sparse.softmax(t * 2, 1), (x,), masked=True)


def test_duplicates_see_the_gradient_of_their_place():
    s = tensors(fb)["s"].requires_grad_()
    (s.to_dense() * fb.arange(6.0).reshape(2, 3)).sum().backward()
    assert s.grad.to_dense().tolist() == [[0, 0, 2], [3, 0, 5]]


@pytest.mark.parametrize("name", ["s", "c", "h"])
def test_copies_and_pickles_are_independent(name):
    t = tensors(fb)[name]
    for made in (copy.deepcopy(t), pickle.loads(pickle.dumps(t)), t.clone()):
        assert made.layout is t.layout and made.to_dense().tolist() == t.to_dense().tolist()
        made._held.zero_()
        assert t.to_dense().any()
    assert copy.copy(t).to_dense().tolist() == t.to_dense().tolist()


def test_invariants_are_checked_where_asked():
    def make():
        return fb.sparse_coo_tensor([[3]], [1.0], (2,))

    check = fb.sparse.check_sparse_tensor_invariants
    assert not check.is_enabled()
    make()
    with check(), pytest.raises(RuntimeError, match="size is 2 but found index 3"):
        make()
    check.enable()
    with check(False):
        make()
    check.disable()
    assert not check.is_enabled()


def test_parts_as_they_are_stored():
    t = tensors(fb)
    s, c = t["s"], t["c"]
    assert s._nnz() == 4 and s.coalesce()._nnz() == 3 and c._nnz() == 3
    assert s._indices().tolist() == [[0, 1, 1, 0], [2, 0, 2, 2]]
    assert s._values().tolist() == [3, -4, 5, 0.5]
    assert not s.is_coalesced() and s.coalesce().is_coalesced()
    assert fb.indices_copy(s.coalesce()).tolist() == [[0, 1, 1], [2, 0, 2]]
    assert fb.values_copy(c).tolist() == [3.5, -4, 5]
    assert fb.crow_indices_copy(c).tolist() == [0, 1, 3]
    assert fb.col_indices_copy(c).tolist() == [2, 0, 2]
    assert (t["h"].sparse_dim(), t["h"].dense_dim()) == (1, 1)
    assert (t["d"].sparse_dim(), t["d"].dense_dim()) == (0, 2)
    assert s.is_sparse and c.is_sparse_csr and not c.is_sparse and not t["d"].is_sparse
