"""Rounding and remainders."""

from __future__ import annotations

import numpy as np

import flambeau
from flambeau.registry import OPS


def test_fmod_of_all_pairs_of_bytes_is_that_of_c():
    every = np.arange(-128, 128).astype(np.int8)
    x, y = every.reshape(-1, 1), every[every != 0].reshape(1, -1)
    decompose = OPS["fmod"].decompose
    got = decompose(flambeau.from_numpy(x.copy()), flambeau.from_numpy(y.copy()))
    assert got.dtype is flambeau.int8
    np.testing.assert_array_equal(got.numpy(), np.fmod(x.astype(int), y.astype(int)))
