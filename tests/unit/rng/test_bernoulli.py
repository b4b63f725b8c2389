from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng

FLOATING = ("float32", "float64", "float16", "bfloat16")


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_frequency(p: float, generator: rng.Generator) -> None:
    flips = rng.bernoulli_scalar(generator, (100, 400), p)
    assert flips.dtype == np.bool_
    assert flips.shape == (100, 400)
    assert flips.mean() == pytest.approx(p, abs=0.01 if 0 < p < 1 else 0)


@pytest.mark.parametrize("p", [0.0, 1.0, 0.5])
def test_every_flip_takes_two_words(p: float, generator: rng.Generator) -> None:
    words = rng.random32(generator.clone_state(), 7)
    rng.bernoulli_scalar(generator, 3, p)
    assert rng.random32(generator, 1) == words[6]


def test_the_chance_is_compared_with_all_53_bits(generator: rng.Generator) -> None:
    uniforms = rng.uniform(generator.clone_state(), 50, "float64")
    at_most = float(np.sort(uniforms)[20])
    flips = rng.bernoulli_scalar(generator.clone_state(), 50, at_most)
    assert np.array_equal(flips, uniforms < at_most)
    flips = rng.bernoulli_scalar(generator, 50, np.nextafter(at_most, 1.0))
    assert np.array_equal(flips, uniforms <= at_most)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_chances_outside_0_and_1_are_refused(p: float, generator: rng.Generator) -> None:
    with pytest.raises(RuntimeError, match=f"p to be in \\[0, 1\\], but got p={p}"):
        rng.bernoulli_scalar(generator, 3, p)
    with pytest.raises(RuntimeError, match="every probability to be in"):
        rng.bernoulli_probs(generator, np.array([0.5, p]))


def test_chances_must_be_floating(generator: rng.Generator) -> None:
    with pytest.raises(NotImplementedError, match="bernoulli is not implemented for int64"):
        rng.bernoulli_probs(generator, np.array([0, 1]))


def test_chances_given_one_by_one(generator: rng.Generator) -> None:
    chances = np.repeat(np.array([[0.0, 0.2, 1.0]], np.float32), 5000, axis=0)
    frequency = rng.bernoulli_probs(generator, chances).mean(axis=0)
    assert frequency == pytest.approx([0.0, 0.2, 1.0], abs=0.02)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "uint8", "bool"])
def test_scalar_agrees_with_pytorch(dtype: str, twins) -> None:
    for shape in ((), (0,), (5, 7), (33_000,)):
        for p in (0.0, 0.1, 1 / 3, 0.5, 1.0):
            expected = twins.empty(shape, dtype).bernoulli_(p, generator=twins.theirs)
            twins.agree(rng.bernoulli_scalar(twins.ours, shape, p), expected.bool())


@pytest.mark.parametrize("dtype", FLOATING)
def test_probs_agree_with_pytorch(dtype: str, twins) -> None:
    for shape in ((), (0,), (5, 7), (33_000,)):
        chances = twins.torch.rand(shape, dtype=twins.torch.float64)
        chances = chances.to(getattr(twins.torch, dtype))
        expected = twins.torch.bernoulli(chances, generator=twins.theirs)
        twins.agree(rng.bernoulli_probs(twins.ours, twins.array(chances)), expected.bool())


def test_dropout_can_be_made_of_it(twins) -> None:
    torch = twins.torch
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 999)
    keep = rng.bernoulli_scalar(twins.ours, (999,), 1 - 0.3)
    found = x.numpy() * (keep.astype(np.float32) / np.float32(1 - 0.3))
    assert np.array_equal(found, torch.nn.functional.dropout(x, 0.3).numpy())
