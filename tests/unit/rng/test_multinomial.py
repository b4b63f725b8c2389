from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng

FLOATING = ("float32", "float64", "float16", "bfloat16")


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize(("shape", "expected"), [((4,), (2,)), ((3, 4), (3, 2)), ((0, 4), (0, 2))])
def test_shape_and_dtype(shape, expected, replacement: bool, generator) -> None:
    picked = rng.multinomial(generator, np.ones(shape), 2, replacement)
    assert picked.shape == expected
    assert picked.dtype == np.int64


def test_frequencies_follow_the_weights(generator: rng.Generator) -> None:
    weights = np.array([[1.0, 3.0, 0.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    picked = rng.multinomial(generator, weights, 20_000, replacement=True)
    counts = np.stack([np.bincount(row, minlength=4) for row in picked]) / 20_000
    assert counts == pytest.approx(weights / weights.sum(axis=1, keepdims=True), abs=0.015)
    assert counts[0, 2] == 0


def test_without_replacement_every_category_comes_once(generator: rng.Generator) -> None:
    picked = rng.multinomial(generator, np.arange(1.0, 31.0).reshape(3, 10), 10)
    assert np.array_equal(np.sort(picked, axis=1), np.tile(np.arange(10), (3, 1)))


def test_one_sample_is_drawn_in_the_same_way_with_and_without_replacement(generator) -> None:
    weights = np.arange(1.0, 9.0, dtype=np.float32)
    twin = generator.clone_state()
    assert np.array_equal(
        rng.multinomial(generator, weights, 1, True), rng.multinomial(twin, weights, 1, False)
    )


@pytest.mark.parametrize(
    ("weights", "samples", "replacement", "words"),
    [
        (np.ones((2, 2, 2)), 1, True, "must be 1 or 2 dim, but has shape"),
        (np.array(1.0), 1, True, "must be 1 or 2 dim"),
        (np.array([1, 2]), 1, True, "only supports floating-point dtypes for input, got: int64"),
        (np.ones(3), 0, True, "n_sample <= 0"),
        (np.ones(3), 4, False, "4 samples of 3 categories"),
        (np.array([0.1, -0.2]), 2, True, "`inf`, `nan` or element < 0"),
        (np.array([0.1, np.inf]), 1, False, "`inf`, `nan` or element < 0"),
        (np.array([0.1, np.nan]), 2, True, "`inf`, `nan` or element < 0"),
        (np.array([[1.0, 1.0], [0.0, 0.0]]), 2, True, "sum of probabilities <= 0"),
        (np.ones((3, 0)), 1, True, "sum of probabilities <= 0"),
    ],
)
def test_bad_input(weights, samples, replacement, words, generator) -> None:
    with pytest.raises(RuntimeError, match=words):
        rng.multinomial(generator, weights, samples, replacement)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("shape", [(50,), (3, 40)])
def test_agrees_with_pytorch(shape, dtype: str, twins) -> None:
    torch = twins.torch
    weights = torch.rand(shape, dtype=torch.float64).to(getattr(torch, dtype))
    weights[..., 5] = 0
    for samples, replacement in ((1, True), (1, False), (7, True), (1000, True)):
        expected = torch.multinomial(weights, samples, replacement, generator=twins.theirs)
        found = rng.multinomial(twins.ours, twins.array(weights), samples, replacement)
        twins.agree(found, expected)


def test_weights_whose_sum_overflows_agree_with_pytorch(twins) -> None:
    weights = twins.torch.full((3,), 3e38)
    expected = twins.torch.multinomial(weights, 9, True, generator=twins.theirs)
    twins.agree(rng.multinomial(twins.ours, twins.array(weights), 9, True), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])  # half types have ties
def test_agrees_with_pytorch_without_replacement(dtype: str, twins) -> None:
    torch = twins.torch
    weights = torch.rand((3, 40), dtype=getattr(torch, dtype))
    for samples in (2, 7, 39, 40):
        expected = torch.multinomial(weights, samples, generator=twins.theirs)
        twins.agree(rng.multinomial(twins.ours, twins.array(weights), samples), expected)
