"""``autograd.functional``."""

import pytest

import flambeau as fb
from flambeau.autograd import functional as AF

X = fb.tensor([0.5, -1.0, 2.0])


def test_against_torch():
    torch = pytest.importorskip("torch")
    results = []
    for T in (fb, torch):
        f = T.autograd.functional
        x, y, v = T.tensor([0.5, -1.0]), T.tensor([2.0, 3.0]), T.tensor([1.0, -2.0])

        def both(a, b):
            return a * b.sum(), (a * a).sum()

        def energy(a, b):
            return (a**2 * b).sum() + a.prod()

        results.append([
            f.jacobian(both, (x, y)), f.jacobian(both, (x, y), strategy="forward-mode")
            if T is fb else f.jacobian(both, (x, y)),
            f.hessian(energy, (x, y)), f.hvp(energy, (x, y), (v, v)), f.vhp(energy, (x, y), (v, v)),
            f.vjp(both, (x, y), (v, T.tensor(2.0))), f.jvp(both, (x, y), (v, v)),
            f.hessian(lambda a: (a**3).sum(), x)])

    def flat(tree):
        return [leaf for t in tree for leaf in flat(t)] if isinstance(tree, (tuple, list)) else [
            tree.tolist()]

    assert len(flat(results[0])) == len(flat(results[1]))
    for mine, theirs in zip(flat(results[0]), flat(results[1]), strict=True):
        assert fb.allclose(fb.tensor(mine), fb.tensor(theirs))


def test_graphs_and_strictness():
    x = X.clone().requires_grad_()
    table = AF.jacobian(lambda a: a**3, x, create_graph=True)
    table.sum().backward()
    assert x.grad.tolist() == (6 * X).tolist()
    assert not AF.jacobian(lambda a: a**3, X).requires_grad
    with pytest.raises(RuntimeError, match="strict mode"):
        AF.vjp(lambda a: fb.ones(()), X, strict=True)
    with pytest.raises(RuntimeError, match="invalid size"):
        AF.vjp(lambda a: a, X, fb.ones(2))
    with pytest.raises(RuntimeError, match="single element"):
        AF.hessian(lambda a: a, X)
    with pytest.raises(TypeError, match="Tensor or a tuple"):
        AF.vjp(lambda a: a, [X])
