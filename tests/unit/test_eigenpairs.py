import numpy as np
import pytest

import flambeau as fb


def symmetric(n, seed=0):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return fb.from_numpy(q @ np.diag(np.arange(1.0, n + 1)) @ q.T)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("preconditioned", [True, False])
def test_eigenpairs_of_a_dense_matrix(largest, preconditioned):
    a = symmetric(30)
    inverse = fb.linalg.inv(a) if preconditioned and not largest else None
    values, vectors = fb.lobpcg(a, 3, iK=inverse, largest=largest, niter=-1)
    wanted = [30, 29, 28] if largest else [1, 2, 3]
    np.testing.assert_allclose(values.tolist(), wanted, rtol=1e-6)
    assert (a @ vectors - vectors * values).abs().max() < 1e-5
    fb.testing.assert_close(vectors.mT @ vectors, fb.eye(3, dtype=fb.float64), rtol=0, atol=1e-9)


def test_generalized_and_batched_and_sparse():
    a, b = symmetric(20), fb.diag(fb.linspace(1, 2, 20, dtype=fb.float64))
    values, x = fb.lobpcg(a, 2, B=b)
    assert (a @ x - b @ x * values).abs().max() < 1e-5
    both = fb.stack([a, a * 2])
    values, vectors = fb.lobpcg(both, 2)
    np.testing.assert_allclose(values.tolist(), [[20, 19], [40, 38]], rtol=1e-6)
    assert vectors.shape == (2, 20, 2)
    sparse = fb.diag(fb.arange(1.0, 31)).double().to_sparse()
    np.testing.assert_allclose(fb.lobpcg(sparse, 2)[0].tolist(), [30, 29], rtol=1e-6)


def test_gradients_flow_to_the_matrix():
    a = symmetric(9).requires_grad_()
    values, vectors = fb.lobpcg(a, 1)
    grad, = fb.autograd.grad(values.sum(), a)
    fb.testing.assert_close(grad, (vectors @ vectors.mT).detach())


def test_too_small_matrices_are_refused():
    with pytest.raises(ValueError, match="3 x the number of requested eigenpairs"):
        fb.lobpcg(fb.eye(5), 2)
    with pytest.raises(RuntimeError, match="square"):
        fb.lobpcg(fb.ones(9, 3), 2)
