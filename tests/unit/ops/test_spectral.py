"""Short-time Fourier transforms."""

import numpy as np
import pytest

import flambeau as fb

WINDOW = fb.signal.windows.hann(16, sym=False)


@pytest.mark.parametrize("shape", [(100,), (3, 128)])
@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_there_and_back(shape, onesided, normalized):
    x = fb.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    spectrum = fb.stft(x, 16, window=WINDOW, onesided=onesided, normalized=normalized,
                       return_complex=True)
    assert spectrum.shape[-2:] == (9 if onesided else 16, shape[-1] // 4 + 1)
    back = fb.istft(spectrum, 16, window=WINDOW, onesided=onesided, normalized=normalized,
                    length=shape[-1])
    assert fb.allclose(back, x, atol=1e-5)


@pytest.mark.parametrize("options", [
    {}, {"center": False}, {"win_length": 10, "hop_length": 3}, {"pad_mode": "constant"}])
def test_against_torch(options):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).normal(size=(2, 64))
    mine = fb.stft(fb.from_numpy(x), 16, return_complex=True, **options)
    theirs = torch.stft(torch.from_numpy(x), 16, return_complex=True, window=torch.ones(
        options.get("win_length", 16), dtype=torch.float64), **options)
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=1e-10)


def test_gradients_and_errors():
    x = fb.randn(40, dtype=fb.float64, requires_grad=True)
    fb.stft(x, 8, return_complex=True).abs().sum().backward()
    assert x.grad.shape == (40,)
    with pytest.raises(RuntimeError, match="return_complex"):
        fb.stft(x, 8)
    with pytest.raises(RuntimeError, match="1D window tensor of size equal to win_length=8"):
        fb.stft(x, 8, window=fb.ones(5), return_complex=True)
    with pytest.raises(RuntimeError, match="complex-valued input"):
        fb.istft(fb.ones(5, 3), 8)
