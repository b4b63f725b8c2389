"""Windows: their definitions, and PyTorch's values."""

import pytest

import flambeau as fb

W = fb.signal.windows
CASES = [
    ("bartlett", {}), ("blackman", {}), ("cosine", {}), ("hamming", {}), ("hann", {}),
    ("nuttall", {}), ("exponential", {"tau": 3.0}), ("gaussian", {"std": 2.0}),
    ("kaiser", {"beta": 8.0}), ("general_cosine", {"a": [0.4, 0.5, 0.1]}),
    ("general_hamming", {"alpha": 0.6}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[c[0] for c in CASES])
def test_a_periodic_window_is_the_start_of_a_longer_symmetric_one(name, options):
    if name == "kaiser":
        pytest.importorskip("scipy")
    window = getattr(W, name)
    assert fb.allclose(window(8, sym=False, **options), window(9, **options)[:8], atol=1e-6)
    symmetric = window(9, dtype=fb.float64, **options)
    assert fb.allclose(symmetric, symmetric.flip(0))
    assert window(1, **options).tolist() == [1]
    assert window(0, **options).shape == (0,)


@pytest.mark.parametrize(("name", "options"), CASES, ids=[c[0] for c in CASES])
@pytest.mark.parametrize("sym", [True, False])
def test_against_torch(name, options, sym):
    torch = pytest.importorskip("torch")
    if name == "kaiser":
        pytest.importorskip("scipy")
    for n in (1, 2, 7, 16):
        mine = getattr(W, name)(n, sym=sym, dtype=fb.float64, **options)
        theirs = getattr(torch.signal.windows, name)(n, sym=sym, dtype=torch.float64, **options)
        assert fb.allclose(mine, fb.from_numpy(theirs.numpy()))


def test_what_is_refused():
    with pytest.raises(ValueError, match="non-negative window length"):
        W.hann(-1)
    with pytest.raises(ValueError, match="float32 or float64"):
        W.hann(4, dtype=fb.int64)
    with pytest.raises(ValueError, match="Tau must be positive"):
        W.exponential(4, tau=0)
    with pytest.raises(TypeError, match="list/tuple"):
        W.general_cosine(4, a=1.0)
    assert W.hann(4, requires_grad=True).requires_grad
