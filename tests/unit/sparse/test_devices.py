"""Sparse and nested tensors need nothing of a backend: the same results on other devices."""

import pytest

import flambeau as fb
from flambeau.plugins import BackendUnavailable, backend_for


@pytest.fixture(params=["opencl", "toy"])
def place(request):
    try:
        backend_for(request.param)
    except (BackendUnavailable, RuntimeError) as error:
        pytest.skip(f"no device: {error}")
    return request.param


def sparse(place):
    i = fb.tensor([[0, 1, 1, 0], [2, 0, 2, 2]], device=place)
    v = fb.tensor([3.0, -4.0, 5.0, 0.5], device=place, requires_grad=True)
    return v, fb.sparse_coo_tensor(i, v, (2, 3))


@pytest.mark.parametrize("function", [
    lambda s: s.to_dense(), lambda s: s.coalesce(), lambda s: s @ s.t(),
    lambda s: s @ fb.ones(3, 2, device=s.device), lambda s: s.to_sparse_csc(),
    lambda s: fb.sparse.softmax(s, 1), lambda s: s * s - s, lambda s: s.sum(0),
    lambda s: fb.cat([s, s.t().t()]).index_select(0, fb.tensor([3, 0], device=s.device)),
])
def test_sparse_results_and_gradients(function, place):
    found = []
    for where in ("cpu", place):
        v, s = sparse(where)
        out = function(s)
        assert out.device.type == where
        (out.to_dense() * 3).sum().backward()
        found.append((out.to_dense().cpu(), v.grad.cpu()))
    fb.testing.assert_close(found[0], found[1])


def test_steps_by_rows(place):
    found = []
    for where in ("cpu", place):
        e = fb.nn.Embedding(5, 2, sparse=True)
        with fb.no_grad():
            e.weight.fill_(1.0)
        e = e.to(where)
        for name in ("SGD", "Adagrad", "SparseAdam"):
            e.weight.grad = None
            e(fb.tensor([1, 1, 3], device=where)).sum().backward()
            assert e.weight.grad.is_sparse
            getattr(fb.optim, name)(e.parameters(), lr=0.1).step()
        found.append(e.weight.detach().cpu())
    fb.testing.assert_close(*found)


def test_sparse_tensors_move(place):
    _, s = sparse("cpu")
    assert s.to(place).device.type == place
    fb.testing.assert_close(s.to(place).cpu().to_dense(), s.to_dense())
    assert s.to("meta").shape == s.shape and (s.to("meta") * 2).device.type == "meta"


def test_nested_results(place):
    found = []
    for where in ("cpu", place):
        parts = [fb.ones(2, 4, device=where), fb.ones(3, 4, device=where) * 2]
        nt = fb.nested.nested_tensor(parts, layout=fb.jagged)
        heads = fb.nn.functional.linear(nt, fb.ones(4, 4, device=where)).view(
            2, -1, 2, 2).transpose(1, 2)
        out = fb.nn.functional.scaled_dot_product_attention(heads, heads, heads)
        found.append(out.transpose(1, 2).to_padded_tensor(0.0).cpu())
    fb.testing.assert_close(*found)
