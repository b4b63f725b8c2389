from __future__ import annotations

import math

import numpy as np
import pytest

from flambeau.rng.boxmuller import pairs32, pairs64

QUARTERS = np.arange(8) / 8.0


def definition(u1: np.ndarray, u2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    radius = np.sqrt(-2.0 * np.log1p(-u1))
    return radius * np.cos(2 * math.pi * u2), radius * np.sin(2 * math.pi * u2)


@pytest.mark.parametrize(
    ("transform", "dtype", "tolerance"), [(pairs32, np.float32, 2e-6), (pairs64, np.float64, 1e-14)]
)
def test_close_to_the_definition_in_every_octant(transform, dtype, tolerance: float) -> None:
    grid = np.arange(1, 64) / 64.0
    u1, u2 = (x.ravel() for x in np.meshgrid(grid, grid))
    found = transform(u1.astype(dtype), u2.astype(dtype), 0.0, 1.0)
    for values, expected in zip(found, definition(u1, u2), strict=True):
        assert values.dtype == dtype
        assert np.abs(values - expected).max() < tolerance


def test_scale_and_shift() -> None:
    u1, u2 = np.full(8, 0.5, np.float32), QUARTERS.astype(np.float32)
    plain, scaled = pairs32(u1, u2, 0.0, 1.0), pairs32(u1, u2, 10.0, 3.0)
    for x, y in zip(plain, scaled, strict=True):
        assert y == pytest.approx(10.0 + 3.0 * x.astype(np.float64), rel=1e-6)


@pytest.mark.parametrize("transform", [pairs32, pairs64])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.0, 2.0)])
def test_a_radius_of_zero_gives_positive_zeros(transform, mean: float, std: float) -> None:
    dtype = np.float32 if transform is pairs32 else np.float64
    for values in transform(np.zeros(8, dtype), QUARTERS.astype(dtype), mean, std):
        assert (values == 0).all()
        assert not np.signbit(values).any()


def test_the_largest_uniform_gives_the_largest_normal() -> None:
    first, second = pairs32(np.array([1 - 2.0**-24], np.float32), np.zeros(1, np.float32), 0.0, 1.0)
    assert first == pytest.approx(math.sqrt(48 * math.log(2)), rel=1e-6)
    assert second == 0
