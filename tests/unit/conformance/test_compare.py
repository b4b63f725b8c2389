"""Comparison with the oracle: what is near enough, and the words for what is not."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from flambeau import dtypes
from flambeau_conformance.compare import Want, describe, mismatches, ulp

EPS = float(np.finfo(np.float32).eps)


def bad(got: Any, want: Any, what: Any = dtypes.float32, group: Any = "arithmetic") -> list[bool]:
    values = np.asarray(got, what.numpy)
    return [bool(b) for b in mismatches(values, Want(np.asarray(want)), what, group)]


def test_results_may_be_an_epsilon_off_and_no_more() -> None:
    assert bad([1 + EPS, 1 + 4 * EPS], [1.0, 1.0]) == [False, True]


def test_exact_ops_have_the_rounded_value_and_no_other() -> None:
    third = 1 / 3
    assert bad([np.float32(third), np.nextafter(np.float32(third), np.float32(1))],
               [third, third], group="exact") == [False, True]


def test_nan_matches_nan_alone() -> None:
    nan = float("nan")
    assert bad([nan, nan, 1.0], [nan, 1.0, nan]) == [False, True, True]


def test_infinities_have_a_sign() -> None:
    inf = float("inf")
    assert bad([inf, -inf, 1.0], [inf, inf, inf]) == [False, True, True]


def test_what_does_not_fit_is_infinite() -> None:
    assert bad([np.inf], [7e4], dtypes.float16) == [False]
    assert bad([np.inf, 65504.0], [65504.0, 65519.0], dtypes.float16) == [False, False]
    assert bad([np.inf], [6e4], dtypes.float16) == [True]


@pytest.mark.parametrize("what", [dtypes.int8, dtypes.int64, dtypes.bool])
def test_integers_and_booleans_are_exact(what: Any) -> None:
    assert bad([1, 0], [1, 1], what) == [False, True]


def test_large_integers_are_not_compared_as_floats() -> None:
    assert bad([2**60 + 1], [2**60], dtypes.int64) == [True]


def test_complex_values_are_compared_by_distance() -> None:
    assert bad([1 + 1j, 1 - 1j], [1 + 1j, 1 + 1j], dtypes.complex64) == [False, True]


def test_where_a_composite_jumps_either_side_is_right() -> None:
    want = Want(np.array([2.0, 2.0]), low=np.array([2.0, 2.0]), high=np.array([3.0, 2.0]))
    got = np.array([3, 3], np.float32)
    assert mismatches(got, want, dtypes.float32, "composite").tolist() == [False, True]


def test_a_difference_names_the_first_index_both_values_and_the_distance() -> None:
    got = np.array([[1, 2], [3, 4]], np.float32)
    want = Want(np.array([[1.0, 2.0], [3.5, 5.0]]))
    words = describe(got, want, mismatches(got, want, dtypes.float32, "exact"), dtypes.float32)
    assert "index (1, 0) of shape (2, 2), 2 of 4 differ" in words
    assert "got  3.0" in words and "want 3.5" in words
    assert f"ulp  {0.5 / (2 * EPS):.3g}" in words


@pytest.mark.parametrize(("what", "value"), [
    (dtypes.float16, 3.0), (dtypes.float32, 1.0), (dtypes.float64, 0.1), (dtypes.float32, 1e-30),
])
def test_ulp_is_the_distance_of_neighbours(what: Any, value: float) -> None:
    assert ulp(value, what) == float(np.spacing(what.numpy.type(value)))


def test_ulp_of_bfloat16() -> None:
    near = np.array(3.0, ml_dtypes.bfloat16)
    assert ulp(3.0, dtypes.bfloat16) == float(np.nextafter(near, near * 2)) - 3.0
