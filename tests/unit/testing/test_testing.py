"""Comparison of values, and inputs for tests."""

import math

import pytest

import flambeau as fb
from flambeau.testing import assert_close, make_tensor


@pytest.mark.parametrize(("a", "b"), [
    (1.0, 1.0 + 1e-9), (fb.ones(3), fb.ones(3) + 1e-7), (fb.arange(3), fb.arange(3)),
    ([fb.ones(2), 3], [fb.ones(2), 3]), ({"a": fb.zeros(2)}, {"a": fb.zeros(2)}),
    (fb.ones(2, dtype=fb.float16), fb.ones(2, dtype=fb.float16) + 0.0009765625),
    (fb.tensor(True), fb.tensor(True)), (None, None), (fb.ones(0), fb.ones(0)),
])
def test_close(a, b):
    assert_close(a, b)


@pytest.mark.parametrize(("a", "b", "match"), [
    (1.0, 2.0, r"Expected 2.0 but got 1.0.\nAbsolute difference: 1.0 \(up to 1e-07 allowed\)"),
    (fb.ones(2), fb.tensor([1.0, 1.1]), r"Mismatched elements: 1 / 2 \(50.0%\)"),
    (fb.ones(2), fb.ones(3), "'shape' do not match"),
    (fb.ones(2), fb.ones(2, dtype=fb.float64), "'dtype' do not match"),
    ({"a": [fb.ones(2), fb.ones(2)]}, {"a": [fb.ones(2), fb.zeros(2)]}, r"item \['a'\]\[1\]"),
    ([1], [1, 2], "length of the sequences mismatch: 1 != 2"),
    ({"a": 1}, {"b": 1}, "keys of the mappings do not match"),
    (fb.tensor(math.nan), fb.tensor(math.nan), "Scalars are not close"),
    (fb.tensor([1, 2]), fb.tensor([1, 3]), "Tensor-likes are not equal"),
    (None, 1, "None mismatch"),
])
def test_not_close(a, b, match):
    with pytest.raises(AssertionError, match=match):
        assert_close(a, b)


def test_settings():
    assert_close(fb.tensor(math.nan), fb.tensor(math.nan), equal_nan=True)
    assert_close(fb.ones(2), fb.ones(2, dtype=fb.float64), check_dtype=False)
    assert_close(1.0, 1.5, rtol=0, atol=0.5)
    with pytest.raises(AssertionError, match="^mine$"):
        assert_close(1, 2, msg="mine")
    with pytest.raises(AssertionError, match="^in all: Scalars"):
        assert_close(1, 2, msg=lambda words: f"in all: {words}")
    with pytest.raises(ValueError, match="must be either specified or unspecified"):
        assert_close(1, 2, rtol=1)
    with pytest.raises(TypeError, match="type str"):
        assert_close("a", "a")
    with pytest.raises(AssertionError, match=r"stride\(\)"):
        assert_close(fb.ones(2, 2), fb.ones(2, 2).t().contiguous().t(), check_stride=True)


@pytest.mark.parametrize(
    "dtype", [fb.bool, fb.uint8, fb.int64, fb.float16, fb.float64, fb.complex64])
def test_made_tensors(dtype):
    x = make_tensor(20, 30, dtype=dtype, exclude_zero=True)
    assert x.shape == (20, 30)
    assert x.dtype == dtype
    assert (x != 0).all()
    part = x.real if dtype.is_complex else x
    assert part.float().abs().max() <= 10
    assert part.unique().numel() > (0 if dtype == fb.bool else 5)
    sparse = make_tensor((4, 3), dtype=dtype, noncontiguous=True)
    assert not sparse.is_contiguous()
    assert sparse.shape == (4, 3)


def test_ranges_of_made_tensors():
    x = make_tensor((1000,), dtype=fb.float32, low=2, high=3, requires_grad=True)
    assert x.requires_grad
    assert x.min() >= 2
    assert x.max() <= 3
    with pytest.raises(ValueError, match="less than"):
        make_tensor(2, dtype=fb.int64, low=3, high=3)
    with pytest.raises(ValueError, match="requires_grad"):
        make_tensor(2, dtype=fb.int64, requires_grad=True)
