"""Special functions: against mathematics that the standard library knows, and at their edges."""

import math

import numpy as np
import pytest

import flambeau as fb

S = fb.special
D = fb.float64


def values(*x):
    return fb.tensor(x, dtype=D)


def test_gamma_functions():
    x = values(0.1, 0.5, 1, 2.5, 30, 171)
    np.testing.assert_allclose(fb.lgamma(x).numpy(), [math.lgamma(v) for v in x.tolist()])
    assert fb.lgamma(values(0, -1, -math.inf, math.inf)).tolist() == [math.inf] * 4
    np.testing.assert_allclose(
        fb.digamma(values(1, 0.5)).numpy(),
        [-np.euler_gamma, -np.euler_gamma - 2 * math.log(2)], rtol=1e-14)
    assert fb.digamma(values(0.0, -0.0)).tolist() == [-math.inf, math.inf]
    assert math.isnan(fb.digamma(values(-1)).item())
    np.testing.assert_allclose(
        fb.polygamma(1, values(1, 0.5)).numpy(), [math.pi**2 / 6, math.pi**2 / 2], rtol=1e-14)
    np.testing.assert_allclose(values(2.5).mvlgamma(2).numpy(), [
        math.log(math.pi) / 2 + math.lgamma(2.5) + math.lgamma(2)])


def test_zeta():
    np.testing.assert_allclose(
        S.zeta(values(2, 4), values(1, 1)).numpy(), [math.pi**2 / 6, math.pi**4 / 90], rtol=1e-14)
    assert S.zeta(values(1), values(2)).item() == math.inf
    assert math.isnan(S.zeta(values(0.5), values(2)).item())
    np.testing.assert_allclose(
        S.zeta(values(3), values(-8.5)).numpy() - S.zeta(values(3), values(-7.5)).numpy(),
        [-8.5**-3.0 * 1], rtol=1e-12)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_the_normal_distribution_goes_there_and_back(dtype):
    p = fb.tensor([1e-30, 1e-7, 0.01, 0.5, 0.7, 0.999], dtype=dtype)
    np.testing.assert_allclose(S.ndtr(S.ndtri(p)).numpy(), p.numpy(), rtol=3e-5)
    np.testing.assert_allclose(S.log_ndtr(S.ndtri(p)).numpy(), np.log(p.numpy()), rtol=3e-5)
    assert S.ndtri(fb.tensor([0.0, 1.0], dtype=dtype)).tolist() == [-math.inf, math.inf]
    assert S.ndtri(fb.tensor([-0.1, 1.1], dtype=dtype)).isnan().all()


def test_what_neither_overflows_nor_underflows():
    np.testing.assert_allclose(S.erfcx(values(0, 1e9)).numpy(), [1, 1e-9 / math.sqrt(math.pi)])
    np.testing.assert_allclose(S.log_ndtr(values(-1e4)).numpy(), [-5e7 - math.log(
        1e4 * math.sqrt(2 * math.pi))], rtol=1e-12)
    assert S.entr(values(0, 1, -1)).tolist() == [0, 0, -math.inf]
    assert S.xlog1py(values(0, 0), values(-2, math.nan)).tolist()[0] == 0


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_polynomials_against_numpy(n):
    x = np.linspace(-1.5, 1.5, 7)
    basis = np.eye(n + 1)[n]
    for name, evaluate in {
        "chebyshev_polynomial_t": np.polynomial.chebyshev.chebval,
        "hermite_polynomial_h": np.polynomial.hermite.hermval,
        "hermite_polynomial_he": np.polynomial.hermite_e.hermeval,
        "laguerre_polynomial_l": np.polynomial.laguerre.lagval,
        "legendre_polynomial_p": np.polynomial.legendre.legval,
    }.items():
        found = getattr(S, name)(fb.from_numpy(x), n).numpy()
        np.testing.assert_allclose(found, evaluate(x, basis), atol=1e-12, err_msg=name)
    shifted = S.shifted_chebyshev_polynomial_t(fb.from_numpy(x), n)
    assert fb.allclose(shifted, S.chebyshev_polynomial_t(fb.from_numpy(2 * x - 1), n))


def test_bessel_functions_need_scipy(monkeypatch):
    pytest.importorskip("scipy")
    roots = S.bessel_j0(values(0, 2.404825557695773))
    np.testing.assert_allclose(roots.numpy(), [1, 0], atol=1e-15)
    from flambeau_cpu import scipy_functions

    monkeypatch.setattr(scipy_functions, "special", lambda: None)
    with pytest.raises(ImportError, match=r"flambeau\[special\]"):
        S.bessel_j1(values(1, 2))
