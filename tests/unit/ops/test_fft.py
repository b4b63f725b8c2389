"""Fourier transforms."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.backend import KernelTable
from flambeau.plugins import register_backend
from flambeau_conformance.oracle.device import OracleBackend


def test_against_numpy() -> None:
    x = np.random.default_rng(0).normal(size=(3, 8))
    t = fb.tensor(x)
    np.testing.assert_allclose(fb.fft.fft(t).numpy(), np.fft.fft(x))
    np.testing.assert_allclose(fb.fft.rfft2(t).numpy(), np.fft.rfft2(x), atol=1e-12)
    np.testing.assert_allclose(fb.fft.irfft(fb.fft.rfft(t)).numpy(), x)
    np.testing.assert_allclose(fb.fft.hfft(t, 5, norm="ortho").numpy(),
        np.fft.hfft(x, 5, norm="ortho"))
    np.testing.assert_allclose(fb.fft.ihfft(t).numpy(), np.fft.ihfft(x), atol=1e-12)


def test_integers_become_floats() -> None:
    assert fb.fft.fft(fb.arange(4)).dtype == fb.complex64
    assert fb.fft.irfft(fb.arange(4)).dtype == fb.float32


def test_halves_are_refused() -> None:
    with pytest.raises(RuntimeError, match="unsupported dtype float16"):
        fb.fft.fft(fb.ones(4, dtype=fb.float16))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_frequencies(n: int) -> None:
    np.testing.assert_allclose(fb.fft.fftfreq(n, 0.5).numpy(), np.fft.fftfreq(n, 0.5))
    np.testing.assert_allclose(fb.fft.rfftfreq(n, 0.5).numpy(), np.fft.rfftfreq(n, 0.5))
    x = fb.arange(n)
    assert fb.fft.ifftshift(fb.fft.fftshift(x)).equal(x)


def test_a_device_without_the_kernel_computes_on_the_host_and_counts() -> None:
    class Bare(OracleBackend):
        name = "bare"
        kernels = KernelTable(out={
            k: v for k, v in OracleBackend.kernels.out.items() if not k.startswith("fft")})

    register_backend(Bare())
    fb.fallback.reset_counts()
    x = fb.randn(4, 6)
    result = fb.fft.rfft(x.to("bare"))
    assert result.device.type == "bare"
    assert fb.allclose(result.to("cpu"), fb.fft.rfft(x))
    assert fb.fallback.counts() == {("fft_half", "bare"): 1}
    fb.fallback.reset_counts()
