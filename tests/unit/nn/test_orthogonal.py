"""Orthogonal weights."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils import parametrizations


@pytest.mark.parametrize("map", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("trivial", [True, False])
def test_weights_are_pytorch_s_and_orthogonal(map, shape, trivial):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(1).normal(size=shape)
    found = []
    for ns, orthogonal in (
        (fb, parametrizations.orthogonal), (torch, torch.nn.utils.parametrizations.orthogonal),
    ):
        ns.manual_seed(3)
        m = ns.nn.Linear(shape[1], shape[0], dtype=ns.float64)
        with ns.no_grad():
            m.weight.copy_(ns.tensor(values))
        ns.manual_seed(4)
        try:
            orthogonal(m, orthogonal_map=map, use_trivialization=trivial)
        except NotImplementedError as error:
            found.append(str(error))
            continue
        m.weight.square().mul(ns.tensor(values)).sum().backward()
        original = m.parametrizations.weight.original
        before = np.asarray(m.weight.detach())
        with ns.no_grad():
            original.add_(ns.tensor(np.tril(values, -1)) * 0.1)  # no gradient reaches the diagonal
        found.append([before, np.asarray(original.grad), np.asarray(m.weight.detach()),
                      sorted(m.state_dict())])
    if isinstance(found[0], str):
        assert found[0] == found[1]
        return
    (ours, theirs) = found
    assert ours[3] == theirs[3]
    for a, b in zip(ours[:3], theirs[:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)
    for weight in (ours[0], ours[2]):
        small = weight.T @ weight if shape[0] >= shape[1] else weight @ weight.T
        np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-10)


def test_assigning_and_complex_weights():
    m = parametrizations.orthogonal(nn.Linear(3, 3))
    q = fb.linalg.qr(fb.randn(3, 3))[0]
    m.weight = q
    np.testing.assert_allclose(m.weight.detach().numpy(), q.numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="of shape"):
        m.parametrizations.weight[0].right_inverse(fb.ones(2, 2))
    m = nn.Linear(3, 4, dtype=fb.complex64)
    parametrizations.orthogonal(m)
    w = m.weight.detach().numpy()
    np.testing.assert_allclose(w.conj().T @ w, np.eye(3), atol=1e-5)


def test_refusals():
    m = nn.Linear(3, 3)
    with pytest.raises(ValueError, match="no parameter or buffer with name 'other'"):
        parametrizations.orthogonal(m, "other")
    with pytest.raises(ValueError, match="matrix or batch of matrices"):
        parametrizations.orthogonal(m, "bias")
    with pytest.raises(ValueError, match="has to be one of"):
        parametrizations.orthogonal(m, orthogonal_map="rotation")
    with pytest.raises(ValueError, match="does not support complex"):
        parametrizations.orthogonal(
            nn.Linear(2, 2, dtype=fb.complex64), orthogonal_map="householder")
