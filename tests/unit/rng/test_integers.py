from __future__ import annotations

import warnings

import numpy as np
import pytest

from flambeau import rng
from flambeau.dtypes import BY_NAME

INTEGRAL = ("bool", "uint8", "int8", "int16", "int32", "int64")
FLOATING = ("float32", "float64", "float16", "bfloat16")
BOUNDS: list[tuple[int | None, int | None]] = [
    (None, None), (0, 2), (1, None), (0, 10), (-100, 100), (0, 2**28 - 1), (0, 2**28),
    (-(2**28) - 2, 5), (-(2**62), 2**62), (-(2**63), 2**63 - 1), (0, 2**63 - 1),
    (-(2**63), None), (2049, 2053), (-4099, 4097), (0, 65504), (0, 2**24 + 3),
    (-(2**25) - 1, 2**25 + 3), (0, 2**53 + 1), (2049, None),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [*INTEGRAL, *FLOATING])
def test_shape_dtype_and_default_range(dtype: str, generator: rng.Generator) -> None:
    values = rng.random_(generator, (50, 40), dtype)
    assert values.shape == (50, 40)
    assert values.dtype == BY_NAME[dtype].numpy
    last = {"float32": 2**24, "float64": 2**53, "float16": 2**11, "bfloat16": 2**8, "bool": 1}
    end = last.get(dtype) or np.iinfo(dtype).max
    assert values.min() >= 0
    assert 0.95 * end <= float(values.max()) <= end


def test_randint_reaches_every_value_of_its_range(generator: rng.Generator) -> None:
    values = rng.randint(generator, -3, 4, 1000)
    assert values.dtype == np.int64
    assert np.unique(values).tolist() == [-3, -2, -1, 0, 1, 2, 3]


@pytest.mark.parametrize(("span", "words"), [(2**28 - 1, 1), (2**28, 2)], ids=["narrow", "wide"])
def test_ranges_from_2_to_the_28_take_two_words(span: int, words: int, generator) -> None:
    drawn = rng.random32(generator.clone_state(), 3)
    rng.randint(generator, 0, span, 1)
    assert rng.random32(generator, 1) == drawn[words]


def test_values_are_words_modulo_the_range(generator: rng.Generator) -> None:
    words = rng.random32(generator.clone_state(), 100)
    assert np.array_equal(rng.randint(generator, 5, 1005, 100), words.astype(np.int64) % 1000 + 5)


def test_floating_values_stay_in_the_range_when_rounded(generator: rng.Generator) -> None:
    with pytest.warns(UserWarning, match="to - 1=65471 is beyond 2\\*\\*11, up to which float16"):
        values = rng.random_(generator, 100_000, "float16", 0, 65504)
    assert values.max() == 65472


def test_exact_bounds_do_not_warn(generator: rng.Generator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rng.random_(generator, 3, "float16", -(2**11), 2**11 + 1)


@pytest.mark.parametrize(
    ("dtype", "low", "high", "words"),
    [
        ("int64", 3, 3, "got from=3 >= to=3"),
        ("int64", 5, 3, "got from=5 >= to=3"),
        ("uint8", 0, 257, "to - 1=256 is out of bounds for uint8"),
        ("uint8", -1, 3, "from=-1 is out of bounds for uint8"),
        ("int8", 128, None, "from=128 >= to=128"),
        ("bool", 0, 3, "to - 1=2 is out of bounds for bool"),
        ("float16", 0, 70000, "to - 1=69999 is out of bounds for float16"),
        ("float16", -70000, 0, "from=-70000 is out of bounds for float16"),
        ("float16", 2048, None, "when cast to float16"),
        ("float16", 4097, 4099, "when cast to float16, but got from=4100 and to=4099"),
    ],
)
def test_bad_ranges(dtype, low, high, words, generator) -> None:
    with pytest.raises(RuntimeError, match=words):
        rng.random_(generator, 3, dtype, low, high)


@pytest.mark.parametrize(("low", "high"), [(0, 2**63), (-(2**63) - 1, 0), (2**64, None)])
def test_bounds_must_fit_in_64_bits(low, high, generator) -> None:
    with pytest.raises(ValueError, match="does not fit in a 64-bit integer"):
        rng.random_(generator, 3, "int64", low, high)


def test_complex_dtypes_are_refused(generator: rng.Generator) -> None:
    with pytest.raises(NotImplementedError, match="random_ is not implemented for complex64"):
        rng.randint(generator, 0, 2, 3, "complex64")
    with pytest.raises(NotImplementedError, match=r"all 64-bit integers is not .* for int32"):
        rng.random_(generator, 3, "int32", -(2**63))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [*INTEGRAL, *FLOATING])
@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_agrees_with_pytorch(low, high, dtype: str, twins) -> None:
    bounds = () if low is None else (low, high)
    try:
        expected = twins.empty((40, 9), dtype).random_(*bounds, generator=twins.theirs)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            rng.random_(twins.ours, (40, 9), dtype, *bounds)
    else:
        twins.agree(rng.random_(twins.ours, (40, 9), dtype, *bounds), expected)


def test_randint_agrees_with_pytorch(twins) -> None:
    for shape in ((), (0,), (33_000,)):
        expected = twins.torch.randint(-7, 1000, shape, generator=twins.theirs)
        twins.agree(rng.randint(twins.ours, -7, 1000, shape), expected)
