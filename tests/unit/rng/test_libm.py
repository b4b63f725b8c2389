from __future__ import annotations

import math

import numpy as np

from flambeau.rng import libm


def test_a_function_of_every_element() -> None:
    x = np.random.default_rng(0).random(100)
    assert libm.map_libm(math.log, x).tolist() == [math.log(v) for v in x.tolist()]
    assert libm.map_libm(math.log, np.empty(0)).shape == (0,)


def test_ends_of_the_range_are_those_of_c() -> None:
    assert libm.log(0.0) == -math.inf
    assert libm.log(2.0) == math.log(2.0)
    assert libm.exp(1000.0) == math.inf
    assert libm.exp(-1000.0) == 0.0
    assert libm.exp(1.0) == math.e
