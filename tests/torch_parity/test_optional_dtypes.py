"""Dtypes to hold and to convert, against torch: every conversion to the bit."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import dtypes

torch = pytest.importorskip("torch")

OPTIONAL = dtypes.OPTIONAL
FLOAT8 = [d for d in OPTIONAL if d.is_floating_point]
UNSIGNED = [d for d in OPTIONAL if d.category == 1]
NUMBERS = [[1, 2, 4], [0, 3, 7]]

pytestmark = [
    pytest.mark.filterwarnings("ignore:ComplexHalf"),
    pytest.mark.filterwarnings("ignore:Casting complex values"),
    pytest.mark.filterwarnings("ignore:invalid value encountered in cast"),
]


def of_torch(d):
    return getattr(torch, d.name)


def bits(t):
    if isinstance(t, torch.Tensor):
        return t.contiguous().view(torch.uint8).numpy().tobytes()
    return t.contiguous().numpy().tobytes()


def both(d, values=NUMBERS):
    return fb.tensor(values).to(d), torch.tensor(values).to(of_torch(d))


# ---- conversions -------------------------------------------------------------------------------
def halves():
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def singles():
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32)
    edges = [448, 464, 464.1, 480, 240, 248, 57344, 61439, 61440, 1e9, np.inf, np.nan, 0.0]
    edges = np.float32([*edges, *(-v for v in edges)])
    near = (rng.normal(size=50_000) * 100).astype(np.float32)
    return np.concatenate([drawn.view(np.float32), near, edges])


@pytest.mark.parametrize("d", FLOAT8, ids=str)
@pytest.mark.parametrize("source", ["halves", "singles", "doubles", "bfloat16", "int64", "complex"])
def test_floats_become_8_bit_floats(d, source):
    values = {
        "halves": halves, "singles": singles,
        "doubles": lambda: singles().astype(np.float64) * (1 + 1e-9),
        "bfloat16": halves, "int64": lambda: np.arange(-70_000, 70_000, 7),
        "complex": lambda: halves().astype(np.complex64)}[source]()
    a, b = fb.from_numpy(values), torch.from_numpy(values)
    if source == "bfloat16":
        a, b = a.view(fb.bfloat16), b.view(torch.bfloat16)
    assert bits(a.to(d)) == bits(b.to(of_torch(d)))


@pytest.mark.parametrize("d", FLOAT8, ids=str)
def test_8_bit_floats_become_others(d):
    codes = np.arange(256, dtype=np.uint8)
    a, b = fb.from_numpy(codes).view(d), torch.from_numpy(codes).view(of_torch(d))
    for to in (fb.float32, fb.float16, fb.float64, fb.bfloat16, fb.complex64, fb.bool):
        found, expected = a.to(to), b.to(of_torch(to))
        np.testing.assert_array_equal(
            found.to(fb.complex128).numpy(), expected.to(torch.complex128).numpy())
    finite = np.isfinite(a.float().numpy()) & (abs(a.float().numpy()) < 2**31)
    assert a.int().numpy()[finite].tolist() == b.int().numpy()[finite].tolist()
    np.testing.assert_array_equal(a.float().numpy(), np.array(b.tolist(), np.float32))


def test_halves_of_complex_numbers():
    parts = singles()
    a, b = fb.from_numpy(parts), torch.from_numpy(parts)
    pairs = fb.complex(a, a.flip(0)), torch.complex(b, b.flip(0))
    found, expected = pairs[0].to(fb.complex32), pairs[1].to(torch.complex32)
    back = found.to(fb.complex64).numpy(), expected.to(torch.complex64).numpy()
    np.testing.assert_array_equal(*back)
    assert found.dtype.to_real() is fb.float16
    x = fb.tensor([1.5, -2.0])
    assert x.chalf().dtype is fb.complex32 and x.chalf().real.tolist() == [1.5, -2]


@pytest.mark.parametrize("d", UNSIGNED, ids=str)
def test_unsigned_integers(d):
    for values in ([-1.5, 3e5, 5.7, 1e4], [2**40 + 3, -5, 7], [True, False]):
        assert both(d, values)[0].tolist() == both(d, values)[1].tolist()
    top = fb.iinfo(d).max
    a, b = fb.tensor([top, 0], dtype=d), torch.tensor([top, 0], dtype=of_torch(d))
    for to in (fb.int32, fb.float32, fb.float64, fb.uint8, fb.bool):
        assert a.to(to).tolist() == b.to(of_torch(to)).tolist()
    assert fb.from_numpy(a.numpy()).dtype is d


# ---- what can be done with them ----------------------------------------------------------------
DOES = {
    "clone": lambda lib, t: t.clone(), "transpose": lambda lib, t: t.t().contiguous(),
    "slice": lambda lib, t: t[:, 1:], "row": lambda lib, t: t[1],
    "index": lambda lib, t: t[:, lib.tensor([2, 0])],
    "mask": lambda lib, t: t[lib.tensor([[True, False, True], [False, True, True]])],
    "cat": lambda lib, t: lib.cat([t, t]), "stack": lambda lib, t: lib.stack([t, t], 1),
    "where": lambda lib, t: lib.where(lib.tensor([True, False, True]), t, t[1]),
    "eq": lambda lib, t: t == t[0], "ne": lambda lib, t: t != t[0],
    "fill": lambda lib, t: t.clone().fill_(2), "zeros": lambda lib, t: lib.zeros_like(t),
    "full": lambda lib, t: lib.full((2,), 2, dtype=t.dtype),
    "repeat": lambda lib, t: t.repeat(2, 2),
    "roll": lambda lib, t: t.roll(1, 0),
    "expand": lambda lib, t: t[:, :1].expand(2, 3), "view": lambda lib, t: t.view(lib.uint8),
    "column": lambda lib, t: assigned(t.clone()), "real": lambda lib, t: t.real.contiguous(),
}


def assigned(t):
    t[:, 1] = t[:, 0]
    t[0, 2] = 1
    return t


@pytest.mark.parametrize("d", OPTIONAL, ids=str)
@pytest.mark.parametrize("name", DOES)
def test_operators(name, d):
    a, b = both(d)
    found, expected = DOES[name](fb, a), DOES[name](torch, b)
    assert found.dtype.name == str(expected.dtype)[6:] and found.shape == expected.shape
    assert bits(found) == bits(expected)


@pytest.mark.parametrize("d", OPTIONAL, ids=str)
def test_printing_values_and_facts(d):
    a, b = both(d, [1.0, 2.0, 4.5])
    assert repr(a).replace("flambeau", "torch") == repr(b)
    assert a.tolist() == b.tolist() and a[2].item() == b[2].item()
    assert a.type().replace("flambeau", "torch") == b.type()
    facts = (d.itemsize, d.is_floating_point, d.is_complex, d.is_signed)
    t = of_torch(d)
    assert facts == (t.itemsize, t.is_floating_point, t.is_complex, t.is_signed)


@pytest.mark.parametrize("d", OPTIONAL, ids=str)
def test_limits(d):
    if d.category == 1:
        ours, theirs = fb.iinfo(d), torch.iinfo(of_torch(d))
        names = ("bits", "min", "max", "dtype")
    else:
        ours, theirs = fb.finfo(d), torch.finfo(of_torch(d))
        names = ("bits", "min", "max", "eps", "tiny", "smallest_normal", "resolution", "dtype")
    for name in names:
        expected = getattr(theirs, name)
        assert getattr(ours, name) == (
            expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-6)), name


@pytest.mark.parametrize("d", OPTIONAL, ids=str)
def test_promotion(d):
    for other in (*dtypes.ALL, *OPTIONAL):
        try:
            expected = str(torch.promote_types(of_torch(d), of_torch(other)))[6:]
        except RuntimeError:
            with pytest.raises(RuntimeError, match="Promotion for"):
                fb.promote_types(d, other)
        else:
            assert fb.promote_types(d, other).name == fb.promote_types(other, d).name == expected
        assert fb.can_cast(d, other) == torch.can_cast(of_torch(d), of_torch(other)), other
        assert fb.can_cast(other, d) == torch.can_cast(of_torch(other), of_torch(d)), other


REFUSED = {
    "sum": lambda t: t.sum(), "sort": lambda t: t.sort(), "sqrt": lambda t: t.sqrt(),
    "matmul": lambda t: t[0] @ t[0], "maximum": lambda t: t.max(), "sign": lambda t: t.sign(),
    "less": lambda t: t < t, "cumsum": lambda t: t.cumsum(0), "clamp": lambda t: t.clamp(1, 2),
    "mean": lambda t: t.mean(), "exp": lambda t: t.exp(), "arange": lambda t: t.argmax(),
}


@pytest.mark.parametrize("d", [*FLOAT8, fb.complex32], ids=str)
@pytest.mark.parametrize("name", REFUSED)
def test_arithmetic_is_refused(name, d):
    for t in both(d):
        with pytest.raises((NotImplementedError, RuntimeError)):
            REFUSED[name](t)


@pytest.mark.parametrize("d", FLOAT8, ids=str)
def test_sums_of_8_bit_floats_are_refused(d):
    for t in both(d):
        with pytest.raises(NotImplementedError, match="not implemented for 'Float8"):
            t + t
        with pytest.raises(NotImplementedError):
            t + 1
        with pytest.raises(RuntimeError):
            t + t.float()


def test_arithmetic_of_halves_of_complex_numbers():
    a, b = both(fb.complex32, [1 + 2j, -3.5 + 1j])
    for call in (lambda t: t + t, lambda t: t * t, lambda t: -t, lambda t: t - t[0]):
        np.testing.assert_allclose(
            call(a).to(fb.complex64).numpy(), call(b).to(torch.complex64).numpy(), rtol=1e-3)


@pytest.mark.parametrize("d", UNSIGNED, ids=str)
def test_large_tensors_of_unsigned_integers(d):
    values = np.random.default_rng(0).integers(0, 60_000, 100_000)
    a, b = fb.from_numpy(values).to(d), torch.from_numpy(values).to(of_torch(d))
    assert a.sort()[0].tolist() == sorted(a.tolist())
    for call in (lambda t: t * t, lambda t: t & 3, lambda t: t == t[0], lambda t: t.sum(),
                 lambda t: t.cumsum(0), lambda t: t / 3, lambda t: t.clone(), lambda t: t.double(),
                 lambda t: t.to((fb if t is a else torch).uint8)):
        found, expected = call(a), call(b)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("d", UNSIGNED, ids=str)
def test_what_torch_computes_with_unsigned_integers(d):
    for call in (lambda t: t.sum(), lambda t: t * t, lambda t: t & 3, lambda t: t.sort()[0],
                 lambda t: t.cumsum(0), lambda t: t.prod(), lambda t: t / t[0],
                 lambda t: t.sqrt(), lambda t: t + 1.5):
        try:
            expected = call(both(d)[1])
        except (RuntimeError, NotImplementedError):
            continue
        found = call(both(d)[0])
        assert found.dtype.name == str(expected.dtype)[6:]
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)
