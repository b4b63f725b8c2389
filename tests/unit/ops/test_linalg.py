"""Factorizations: that they factorize, and the gradients that samples cannot look at."""

import numpy as np
import pytest

import flambeau as fb

L = fb.linalg
RNG = np.random.default_rng(0)


def random(*shape, dtype=np.float64):
    x = RNG.normal(size=shape)
    return (x + 1j * RNG.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=tolerance, rtol=tolerance)


DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.complex128])
SHAPES = pytest.mark.parametrize("shape", [(3, 3), (2, 5, 3), (3, 5), (2, 0, 2, 2)])


@DTYPES
@SHAPES
def test_lu_qr_and_svd_multiply_to_the_matrix(shape, dtype):
    a = fb.from_numpy(random(*shape, dtype=dtype))
    p, lower, upper = L.lu(a)
    close(p @ lower @ upper, a)
    q, r = L.qr(a)
    close(q @ r, a)
    u, s, vh = L.svd(a, full_matrices=False)
    close((u * s.unsqueeze(-2).to(u.dtype)) @ vh, a)
    close(L.pinv(a) @ a @ L.pinv(a), L.pinv(a))
    packed, tau = fb.geqrf(a)
    if shape[-2] >= shape[-1]:
        close(L.householder_product(packed, tau) @ packed.triu()[..., : shape[-1], :], a)


@DTYPES
def test_eigenvectors(dtype):
    a = fb.from_numpy(random(4, 4, dtype=dtype))
    values, vectors = L.eig(a)
    close(a.to(vectors.dtype) @ vectors, vectors * values)
    h = a + a.mH
    values, vectors = L.eigh(h)
    close(h @ vectors, vectors * values.to(vectors.dtype))
    close(L.eigvalsh(h.triu(), "U"), values)


@DTYPES
def test_systems(dtype):
    a, b = (fb.from_numpy(random(*s, dtype=dtype)) for s in ((2, 4, 4), (2, 4, 3)))
    close(a @ L.solve(a, b), b)
    close(L.solve(a, b.mT, left=False) @ a, b.mT)
    packed, pivots = L.lu_factor(a)
    close(a @ L.lu_solve(packed, pivots, b), b)
    close(a.mH @ L.lu_solve(packed, pivots, b, adjoint=True), b)
    close(L.lu_solve(packed, pivots, b.mT, left=False) @ a, b.mT)
    positive = a @ a.mH
    close(positive @ fb.cholesky_solve(b, L.cholesky(positive)), b, 1e-8)
    close(positive @ fb.cholesky_solve(b, L.cholesky(positive, upper=True), True), b, 1e-8)
    sign, logarithm = L.slogdet(a)
    close(sign * fb.exp(logarithm).to(sign.dtype), L.det(a))


def test_ldl():
    pytest.importorskip("scipy")
    a = fb.from_numpy(random(4, 4))
    a, b = a + a.mT, fb.from_numpy(random(4, 2))
    close(a @ L.ldl_solve(*L.ldl_factor(a), b), b)


def test_what_cannot_be_factorized_is_named():
    with pytest.raises(L.LinAlgError, match=r"\(Batch element 1\): .* minor of order 2"):
        L.cholesky(fb.tensor([[[1.0, 0], [0, 1]], [[1, 0], [0, -1]]]))
    with pytest.raises(L.LinAlgError, match="diagonal element 2 is zero"):
        L.inv(fb.tensor([[1.0, 2], [0, 0]]))
    result, info = L.inv_ex(fb.tensor([[[1.0, 2], [0, 0]], [[2.0, 0], [0, 2]]]))
    assert info.tolist() == [2, 0]
    close(result[1], fb.eye(2) / 2)


def test_the_gradient_of_a_singular_determinant():
    a = fb.tensor([[1.0, 2], [2, 4]], dtype=fb.float64, requires_grad=True)
    L.det(a).backward()
    close(a.grad, fb.tensor([[4.0, -2], [-2, 1]], dtype=fb.float64))


@DTYPES
@pytest.mark.parametrize("function", [
    lambda a: L.cholesky(a), lambda a: L.cholesky(a, upper=True), lambda a: L.eigvalsh(a),
    lambda a: abs(L.eigh(a)[1]), lambda a: L.pinv(a, hermitian=True),
    lambda a: fb.cholesky_inverse(L.cholesky(a)), lambda a: abs(L.svd(a)[0]),
    lambda a: abs(L.eig(a + a[0])[1]),
], ids=["cholesky", "upper", "eigvalsh", "eigh", "pinv", "cholesky_inverse", "svd", "eig"])
def test_gradients_on_hermitian_matrices(function, dtype):
    """Along a Hermitian direction, against central differences."""
    base = random(3, 3, dtype=dtype)
    base = base @ base.conj().T + np.diag([1.0, 4, 9])
    direction = random(3, 3, dtype=dtype)
    direction = direction + direction.conj().T
    a = fb.from_numpy(base.copy()).requires_grad_()
    weights = np.cos(np.arange(function(a).numel())).reshape(function(a).shape)

    def loss(x):
        y = function(x)
        return ((y.real if y.is_complex() else y) * fb.from_numpy(weights)).sum()

    loss(a).backward()
    along = float((a.grad.numpy().conj() * direction).real.sum())
    step = 1e-6
    above, below = (loss(fb.from_numpy(base + s * direction)).item() for s in (step, -step))
    assert along == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-7)


def test_low_rank():
    fb.manual_seed(0)
    a = fb.from_numpy(random(20, 3) @ random(3, 15))
    u, s, v = fb.svd_lowrank(a, 3)
    close(u @ fb.diag(s) @ v.mT, a, 1e-8)
    u, s, v = fb.pca_lowrank(a, 4)
    close(u @ fb.diag(s) @ v.mT, a - a.mean(0), 1e-8)
    with pytest.raises(ValueError, match="not greater than"):
        fb.pca_lowrank(a, 16)
