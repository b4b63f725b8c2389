"""Masked reductions: as if the elements that are left out did not exist."""

import math

import numpy as np
import pytest

import flambeau as fb

M = fb.masked
X = fb.tensor([[1.0, -2, 3], [4, 5, -6]])
KEEP = fb.tensor([[True, False, True], [True, True, False]])
KEPT = ([1.0, 3.0], [4.0, 5.0])


@pytest.mark.parametrize(("name", "plain"), [
    ("sum", np.sum), ("prod", np.prod), ("amax", np.max), ("amin", np.min), ("mean", np.mean),
    ("var", lambda v: np.var(v, ddof=1)), ("std", lambda v: np.std(v, ddof=1)),
    ("norm", np.linalg.norm), ("logsumexp", lambda v: np.log(np.exp(v).sum())),
])
def test_reductions_of_rows(name, plain):
    found = getattr(M, name)(X, dim=1, mask=KEEP)
    np.testing.assert_allclose(found.numpy(), [plain(v) for v in KEPT], rtol=1e-6)


def test_median_and_arguments():
    assert M.median(X, 1, mask=KEEP).tolist() == [1, 4]
    assert M.argmax(X, 1, mask=KEEP).tolist() == [2, 1]
    assert M.argmin(X, 1, mask=~KEEP).tolist() == [1, 2]
    assert M.median(X, 1, mask=KEEP & (X > 3)).isnan().tolist() == [True, False]
    with pytest.raises(ValueError, match="fully masked out"):
        M.median(X.long(), 1, mask=KEEP & (X > 3))


def test_scans_and_normalisers():
    assert M.cumsum(X, 1, mask=KEEP).tolist() == [[1, 1, 4], [4, 9, 9]]
    assert M.cumprod(X, 1, mask=KEEP).tolist() == [[1, 1, 3], [4, 20, 20]]
    soft = M.softmax(X, 1, mask=KEEP)
    assert soft[0, 1] == soft[1, 2] == 0
    assert fb.allclose(soft.sum(1), fb.ones(2))
    assert M.log_softmax(X, 1, mask=KEEP)[0, 1] == -math.inf
    assert fb.allclose(M.softmin(X, 1, mask=KEEP), M.softmax(-X, 1, mask=KEEP))
    assert fb.allclose(M.normalize(X, 2.0, 1, mask=KEEP).norm(dim=1), fb.ones(2))
    assert fb.allclose(M.logaddexp(X, X, other_mask=KEEP)[0, 1], X[0, 1])


def test_a_mask_broadcasts_and_gradients_stop_at_it():
    x = X.clone().requires_grad_()
    M.sum(x * x, mask=fb.tensor([True, False, True])).backward()
    assert x.grad.tolist() == [[2, 0, 6], [8, 0, -12]]
    with pytest.raises(IndexError, match="broadcastable mask"):
        M.sum(X[0], mask=KEEP)
    assert M.sum(X.bool(), dim=1).dtype == fb.int64
