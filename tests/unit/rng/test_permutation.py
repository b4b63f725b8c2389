from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flambeau import rng
from flambeau.rng import permutation


def swapped(partners: list[int]) -> list[int]:
    """The shuffle as it is defined, one swap after the other."""
    order = list(range(len(partners)))
    for i, j in enumerate(partners):
        order[i], order[j] = order[j], order[i]
    return order


@st.composite
def partners(draw: st.DrawFn) -> list[int]:
    """Swaps towards the end, with many of the same partner."""
    n = draw(st.integers(0, 40))
    return [draw(st.one_of(st.integers(i, n - 1), st.just(n - 1), st.just(i))) for i in range(n)]


@settings(derandomize=True, deadline=None)
@given(partners())
def test_all_swaps_at_once_give_what_one_after_the_other_gives(chosen: list[int]) -> None:
    assert permutation._apply(np.array(chosen, np.int64)).tolist() == swapped(chosen)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 100, 1000, 65535, 65536, 70_000])
def test_follows_the_definition(n: int, generator: rng.Generator) -> None:
    words = rng.random32(generator.clone_state(), max(n - 1, 0)).tolist()
    chosen = [i + word % (n - i) for i, word in enumerate(words)]
    order = rng.randperm(generator, n)
    assert order.dtype == np.int64
    assert order.tolist() == swapped(chosen + [n - 1] * (n > 0))
    assert np.array_equal(np.sort(order), np.arange(n))


def test_the_shuffle_of_very_many_grows_from_the_front(monkeypatch, generator) -> None:
    monkeypatch.setattr(permutation, "_LONG", 50)
    words = rng.random64(generator.clone_state(), 50).tolist()
    expected: list[int] = []
    for i, word in enumerate(words):
        expected.append(i)
        j = word % (i + 1)
        expected[i], expected[j] = expected[j], i
    assert rng.randperm(generator, 50).tolist() == expected
    assert sorted(expected) == list(range(50))


def test_the_long_shuffle_begins_where_pytorchs_does() -> None:
    assert permutation._LONG == 214_748_364


@pytest.mark.parametrize(
    ("n", "dtype", "words"),
    [
        (-1, "int64", "n >= 0, but got n=-1"),
        (257, "uint8", "greater than 256 for randperm of uint8, got n=257"),
        (129, "int8", "greater than 128"),
        (2050, "float16", "greater than 2049 for randperm of float16"),
        (2**24 + 2, "float32", "greater than 16777217"),
    ],
)
def test_bad_lengths(n: int, dtype: str, words: str, generator: rng.Generator) -> None:
    with pytest.raises(RuntimeError, match=words):
        rng.randperm(generator, n, dtype)


@pytest.mark.parametrize("dtype", ["bool", "complex64"])
def test_dtypes_that_cannot_hold_it_are_refused(dtype: str, generator: rng.Generator) -> None:
    with pytest.raises(NotImplementedError, match=f"randperm is not implemented for {dtype}"):
        rng.randperm(generator, 2, dtype)


@pytest.mark.parametrize("dtype", [
    "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
])  # fmt: skip
def test_agrees_with_pytorch(dtype: str, twins) -> None:
    for n in (*range(20), 100, 128):
        expected = twins.torch.randperm(
            n, generator=twins.theirs, dtype=getattr(twins.torch, dtype)
        )
        twins.agree(rng.randperm(twins.ours, n, dtype), expected)


@pytest.mark.parametrize("n", [1000, 60_000, 65_536, 200_000])
def test_agrees_with_pytorch_on_data_sets(n: int, twins) -> None:
    expected = twins.torch.randperm(n, generator=twins.theirs)
    twins.agree(rng.randperm(twins.ours, n), expected)
