"""Reductions evaluated: against NumPy on every kind of axes, and where NumPy has no word."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau.codegen import ArgReduction, FormulaError, Reduction, evaluate_reduction

SUM = Reduction("0", "acc + x")
PROD = Reduction("1", "acc * x")
MAX = Reduction("lowest", "maximum(acc, x)")
MIN = Reduction("highest", "minimum(acc, x)")
MEAN = Reduction("0", "acc + x", final="acc / n")
ARGMAX = ArgReduction("lowest", "x > acc || isnan(x) && !isnan(acc)")
ARGMIN = ArgReduction("highest", "x < acc || isnan(x) && !isnan(acc)")
ARRAY = np.random.default_rng(0).integers(-9, 9, (3, 4, 5)).astype(np.float64)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [None, 0, 1, -1, (0, 2), (2, 0), (-1, 1), (0, 1, 2), ()])
def test_axes(axes: int | tuple[int, ...] | None, keepdims: bool) -> None:
    for reduction, oracle in ((SUM, np.sum), (MAX, np.max), (MIN, np.min), (PROD, np.prod)):
        found = evaluate_reduction(reduction, ARRAY, axes, keepdims)
        expected = oracle(ARRAY, axis=axes, keepdims=keepdims)
        assert found.shape == expected.shape
        assert found.dtype == np.float64
        assert (found == expected).all()
    means = evaluate_reduction(MEAN, ARRAY, axes, keepdims)
    np.testing.assert_allclose(means, np.mean(ARRAY, axis=axes, keepdims=keepdims), rtol=1e-15)


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.int8, np.bool_])
def test_first_of_equal_indices_wins(axis: int | None, dtype: type) -> None:
    array = ARRAY.astype(dtype)
    assert (evaluate_reduction(ARGMAX, array, axis) == np.argmax(array, axis)).all()
    assert (evaluate_reduction(ARGMIN, array, axis) == np.argmin(array, axis)).all()


def test_index_over_several_axes_is_row_major() -> None:
    found = evaluate_reduction(ARGMAX, ARRAY, (2, 0))
    flat = ARRAY.transpose(1, 0, 2).reshape(4, 15)
    assert (found == flat.argmax(1)).all()


@pytest.mark.parametrize(
    ("values", "largest", "smallest"),
    [
        ([1.0, np.nan, np.nan, 9.0], 1, 1),
        ([np.nan, 1.0], 0, 0),
        ([-np.inf, -np.inf], 0, 0),
        ([np.inf, -np.inf, np.inf], 0, 1),
        ([-0.0, 0.0], 0, 0),
    ],
)
def test_nan_wins_and_infinities_are_values(
    values: list[float], largest: int, smallest: int
) -> None:
    assert evaluate_reduction(ARGMAX, values) == largest
    assert evaluate_reduction(ARGMIN, values) == smallest


def test_indices_do_not_wrap_in_a_narrow_type() -> None:
    values = np.full(1000, -128, np.int8)
    values[777] = 3
    found = evaluate_reduction(ARGMAX, values, dtype=np.int8)
    assert (found, found.dtype) == (777, np.int64)
    assert evaluate_reduction(ARGMAX, np.full(1000, -128, np.int8), dtype=np.int8) == 0


def test_maximum_propagates_nan() -> None:
    assert np.isnan(evaluate_reduction(MAX, [1.0, np.nan, 2.0]))


@pytest.mark.parametrize(
    ("reduction", "dtype", "identity"),
    [
        (SUM, np.float64, 0.0),
        (PROD, np.int64, 1),
        (MAX, np.float32, -np.inf),
        (MAX, np.int8, -128),
        (MIN, np.uint8, 255),
        (MAX, np.bool_, False),
        (MIN, np.bool_, True),
    ],
)
def test_no_elements_give_the_identity(reduction: Reduction, dtype: type, identity: float) -> None:
    found = evaluate_reduction(reduction, np.zeros((2, 0), dtype), 1, dtype=dtype)
    assert found.dtype == dtype
    assert found.tolist() == [identity, identity]


def test_axes_of_no_elements_beside_the_reduced_one() -> None:
    assert evaluate_reduction(SUM, np.zeros((0, 3)), 1).shape == (0,)
    assert evaluate_reduction(SUM, np.zeros((2, 0, 3)), (1, 2)).tolist() == [0.0, 0.0]


def test_indices_of_no_elements_are_refused() -> None:
    with pytest.raises(ValueError, match="no elements"):
        evaluate_reduction(ARGMAX, np.zeros((2, 0)), 1)


def test_integers_wrap_and_bools_are_counted() -> None:
    assert evaluate_reduction(SUM, np.full(3, 100, np.int8), dtype=np.int8) == 44
    assert evaluate_reduction(SUM, np.full(3, 100, np.int8)) == 300
    assert evaluate_reduction(SUM, [True, True, False]) == 2


def test_neighbours_are_combined_in_order() -> None:
    # A step that is associative but not commutative: the last element that is not 0.
    last = "init: 0; x != 0 ? x : acc"
    for count in range(1, 12):
        values = np.arange(1.0, count + 1)
        assert evaluate_reduction(last, values) == count


def test_errors_grow_with_the_logarithm_of_the_number() -> None:
    values = np.random.default_rng(1).random(2**16)
    exact = float(np.sum(values.astype(np.float32), dtype=np.float64))
    found = evaluate_reduction(SUM, values.astype(np.float32), dtype=np.float32)
    assert found.dtype == np.float32
    assert abs(float(found) - exact) <= 16 * 2.0**-24 * exact


def test_attributes_and_text_form() -> None:
    text = "init: 0; map: pow(abs(x), p); acc + x; final: pow(acc, 1.0 / p)"
    assert evaluate_reduction(text, [3.0, -4.0], attributes={"p": 2.0}) == 5.0


@pytest.mark.parametrize("axes", [3, -4, (0, 3)])
def test_axis_out_of_range(axes: int | tuple[int, ...]) -> None:
    with pytest.raises(np.exceptions.AxisError):
        evaluate_reduction(SUM, ARRAY, axes)


def test_axis_given_twice() -> None:
    with pytest.raises(ValueError, match="repeated axis"):
        evaluate_reduction(SUM, ARRAY, (0, -3))


def test_types_are_checked() -> None:
    with pytest.raises(FormulaError, match="final: '/'"):
        evaluate_reduction(MEAN, [1, 2])
