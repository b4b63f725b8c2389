from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng
from flambeau.dtypes import BY_NAME

REAL = ("float32", "float64", "float16", "bfloat16")
SCALES = [(0.0, 1.0), (0.3, 1.7), (-5.0, 0.01), (2.0, 0.0)]


@pytest.mark.parametrize("dtype", [*REAL, "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(), 0, 3, (2, 0), (5, 7)])
def test_shape_and_dtype(shape, dtype: str, generator: rng.Generator) -> None:
    values = rng.normal(generator, shape, dtype)
    assert values.shape == (shape if isinstance(shape, tuple) else (shape,))
    assert values.dtype == BY_NAME[dtype].numpy


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("contiguous", [True, False])
def test_moments(dtype: str, contiguous: bool, generator: rng.Generator) -> None:
    values = rng.normal(generator, 20_000, dtype, 3.0, 0.5, contiguous).astype(np.float64)
    assert abs(values.mean() - 3.0) < 0.02
    assert abs(values.std() - 0.5) < 0.01


def test_the_parts_of_complex_numbers_share_the_variance(generator: rng.Generator) -> None:
    values = rng.normal(generator, 20_000, "complex64", 1.0, 2.0)
    assert values.real.std() == pytest.approx(2**0.5, rel=0.02)
    assert values.imag.std() == pytest.approx(2**0.5, rel=0.02)
    assert values.imag.mean() == pytest.approx(1.0, abs=0.05)


def test_an_odd_count_leaves_a_value_for_the_next_call(generator: rng.Generator) -> None:
    pair = rng.normal(generator.clone_state(), 2, "float64")
    first = rng.normal(generator, 1, "float64")
    before = generator.state_bytes()
    second = rng.normal(generator, 1, "float64", mean=10.0, std=2.0)
    assert first == pair[0]
    assert second == pytest.approx(10.0 + 2.0 * pair[1])
    words = slice(0, 5016)  # all but the cached value
    assert np.array_equal(generator.state_bytes()[words], before[words])
    assert generator.next_normal is None


def test_blocks_pass_over_the_cached_value(generator: rng.Generator) -> None:
    rng.normal(generator, 1, "float32")
    cached = generator.next_normal
    rng.normal(generator, 16, "float32")
    assert generator.next_normal == cached is not None


def test_negative_std_is_refused(generator: rng.Generator) -> None:
    with pytest.raises(RuntimeError, match=r"std >= 0\.0, but found std -1"):
        rng.normal(generator, 3, "float32", std=-1)
    with pytest.raises(RuntimeError, match=r"std > 0\.0, but found std=0"):
        rng.log_normal(generator, 3, "float32", std=0)


@pytest.mark.parametrize("function", [rng.normal, rng.log_normal])
def test_integral_dtypes_are_refused(function, generator: rng.Generator) -> None:
    with pytest.raises(NotImplementedError, match="normal_ is not implemented for int64"):
        function(generator, 3, "int64")


def test_log_normal_overflows_to_infinity(generator: rng.Generator) -> None:
    assert np.isinf(rng.log_normal(generator, 50, "float64", mean=1000.0)).all()
    assert np.isinf(rng.log_normal(generator, 50, "float16", mean=20.0)).all()


@pytest.mark.parametrize("dtype", [*REAL, "complex64", "complex128"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1003, 33_001])
def test_agrees_with_pytorch(size: int, dtype: str, twins) -> None:
    for mean, std in SCALES:
        expected = twins.empty(size, dtype).normal_(mean, std, generator=twins.theirs)
        twins.agree(rng.normal(twins.ours, (size,), dtype, mean, std), expected)


def test_agrees_with_pytorch_on_many(twins) -> None:
    expected = twins.torch.randn(1_000_000, generator=twins.theirs)
    twins.agree(rng.normal(twins.ours, (1_000_000,), "float32"), expected)


@pytest.mark.parametrize("dtype", REAL)
def test_agrees_with_pytorch_on_strided_tensors(dtype: str, twins) -> None:
    for rows, columns in ((3, 5), (9, 11)):
        tensor = twins.empty((columns, rows), dtype).t().normal_(1.0, 3.0, generator=twins.theirs)
        values = rng.normal(twins.ours, (columns, rows), dtype, 1.0, 3.0, contiguous=False)
        twins.agree(values.T, tensor)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("size", [5, 40])
def test_agrees_with_pytorch_on_extreme_scales(size: int, dtype: str, twins) -> None:
    for mean, std in ((1e300, 1.0), (0.0, 1e300), (-1e-300, 1e-310), (0.0, 3e-45), (-1e-40, 1e-42)):
        expected = twins.empty(size, dtype).normal_(mean, std, generator=twins.theirs)
        twins.agree(rng.normal(twins.ours, (size,), dtype, mean, std), expected)


@pytest.mark.parametrize("dtype", REAL)
def test_log_normal_agrees_with_pytorch(dtype: str, twins) -> None:
    for size in (0, 1, 16, 999):
        for mean, std in ((1.0, 2.0), (0.0, 1.0), (700.0, 30.0)):
            expected = twins.empty(size, dtype).log_normal_(mean, std, generator=twins.theirs)
            twins.agree(rng.log_normal(twins.ours, (size,), dtype, mean, std), expected)
