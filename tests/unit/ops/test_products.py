"""einsum, tensordot, Kronecker, cross, chains, distances: values and gradients against PyTorch."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import flambeau as fb
from flambeau.ops import einsum as einsum_module
from flambeau.ops.products import _best_splits

EQUATIONS = [
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij,jk->ki", [(2, 3), (3, 4)]),
    ("ij,jk->", [(2, 3), (3, 4)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
    ("b...i,b...j->bij...", [(2, 3, 4), (2, 3, 5)]),
    ("...ij->ij", [(2, 2, 3)]),
    ("i...", [(2, 3)]),
    ("...", [(2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iij->ji", [(3, 3, 2)]),
    ("ji", [(2, 3)]),
    ("ij,j", [(2, 3), (1,)]),
    ("i,j->ij", [(2,), (3,)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]),
    ("ij,jk,kl,lm->im", [(2, 3), (3, 4), (4, 2), (2, 5)]),
    ("bn,anm,bm->ba", [(2, 3), (5, 3, 4), (2, 4)]),
    (" i j , j k -> i k ", [(2, 3), (3, 4)]),
    ("iJ,Jk", [(2, 3), (3, 4)]),
    ("ij,kj->ik", [(0, 3), (2, 3)]),
]


def _einsum(lib, equation, arrays):
    leaves = [lib.from_numpy(a.copy()).requires_grad_() for a in arrays]
    out = lib.einsum(equation, *leaves)
    weights = np.arange(out.numel(), dtype=np.float32).reshape(tuple(out.shape))
    (out * lib.from_numpy(weights)).sum().backward()
    return [out.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


@pytest.mark.parametrize("with_path", [True, False])
@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum(rand, monkeypatch, equation, shapes, with_path):
    torch = pytest.importorskip("torch")
    if not with_path:
        monkeypatch.setitem(sys.modules, "opt_einsum", None)
    einsum_module._path.cache_clear()
    arrays = [rand(*shape) for shape in shapes]
    for have, want in zip(
        _einsum(fb, equation, arrays), _einsum(torch, equation, arrays), strict=True
    ):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)
    einsum_module._path.cache_clear()


def test_einsum_with_sublists():
    a, b = fb.ones(2, 3), fb.ones(3, 4)
    assert fb.einsum(a, [0, 1], b, [1, 2], [0, 2]).shape == (2, 4)
    assert fb.einsum(a, [0, 1], b, [1, 2]).shape == (2, 4)
    assert fb.einsum(a, [0, ...], [...]).tolist() == [2, 2, 2]
    assert fb.einsum("ij,jk", [a, b]).shape == (2, 4)
    with pytest.raises(ValueError, match=r"\[0, 52\)"):
        fb.einsum(a, [0, 60])
    with pytest.raises(ValueError, match="at least one operand"):
        fb.einsum("ij")


@pytest.mark.parametrize(
    ("name", "shapes", "kwargs"),
    [
        ("tensordot", [(2, 3, 4), (3, 4, 5)], {}),
        ("tensordot", [(2, 3, 4), (4, 2)], {"dims": ([0, 2], [1, 0])}),
        ("tensordot", [(2, 3), (4,)], {"dims": 0}),
        ("inner", [(2, 3), (4, 5, 3)], {}),
        ("inner", [(2, 3), ()], {}),
        ("vdot", [(3,), (3,)], {}),
        ("kron", [(2, 3), (3, 1, 2)], {}),
        ("cross", [(2, 3, 4), (2, 3, 1)], {"dim": 1}),
        ("cdist", [(3, 4), (5, 4)], {}),
        ("cdist", [(2, 3, 4), (5, 4)], {"p": 1.0}),
        ("cdist", [(3, 4), (5, 4)], {"p": 3.5}),
        ("cdist", [(3, 4), (5, 4)], {"p": float("inf")}),
        ("cdist", [(30, 2), (40, 2)], {}),
        ("nn.functional.pdist", [(5, 3)], {"p": 1.5}),
    ],
)
def test_products(parity, rand, name, shapes, kwargs):
    parity(name, *(rand(*s) for s in shapes), tolerance=2e-5, **kwargs)


def test_complex_products():
    a, b = fb.tensor([1 + 2j, 3j]), fb.tensor([2 - 1j, 1j])
    assert fb.vdot(a, b).item() == np.vdot(a.numpy(), b.numpy())
    assert fb.linalg.vecdot(a, b).item() == np.vdot(a.numpy(), b.numpy())


def test_gradient_of_distance_to_itself_is_zero():
    x = fb.ones(2, 3, requires_grad=True)
    for p in (0.5, 1.0, 2.0, 3.0, float("inf")):
        (grad,) = fb.autograd.grad(fb.cdist(x, x.detach(), p).sum(), x)
        assert not grad.any()


def test_chain_is_split_where_it_is_cheapest():
    # (10x100)(100x5)(5x50): the first product first costs 7500, the second 75000.
    assert _best_splits([10, 100, 5, 50])[0][2] == 1
    assert _best_splits([50, 5, 100, 10])[0][2] == 0


def test_multi_dot(rand):
    arrays = [rand(3), rand(3, 40), rand(40, 2), rand(2, 5), rand(5)]
    have = fb.linalg.multi_dot([fb.from_numpy(a) for a in arrays])
    np.testing.assert_allclose(have.numpy(), np.linalg.multi_dot(arrays), rtol=1e-5)
    with pytest.warns(UserWarning, match="multi_dot"):
        assert fb.chain_matmul(fb.ones(2, 3), fb.ones(3, 4)).shape == (2, 4)


def test_cross_without_dim_warns():
    with pytest.warns(UserWarning, match="specifying the dim"):
        assert fb.cross(fb.tensor([1.0, 0, 0]), fb.tensor([0, 1.0, 0])).tolist() == [0, 0, 1]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(
    ("index", "options"),
    [
        ([[0, 2, 1], [4, 4, 3]], {}),
        ([[0, 2, 1], [4, 4, 3]], {"padding_idx": 4}),
        ([0, 2, 1, 4, 3], {"offsets": [0, 2, 2, 4]}),
        ([0, 2, 1, 4, 3], {"offsets": [0, 2, 5], "include_last_offset": True}),
    ],
)
def test_embedding_bag(parity, rand, mode, index, options):
    options = {k: np.array(v) if isinstance(v, list) else v for k, v in options.items()}
    parity("nn.functional.embedding_bag", np.array(index), rand(5, 3), mode=mode, **options)


def test_embedding_bag_with_weights(parity, rand):
    parity("nn.functional.embedding_bag", np.array([[0, 2], [1, 1]]), rand(4, 3), mode="sum",
           per_sample_weights=rand(2, 2))
