"""Reductions: NaN, zero sizes, dtypes, overloads, return types, refusals."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pytest

import flambeau as fb

NAN, INF = math.nan, math.inf


# ---- against torch -----------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["sum", "mean", "nansum", "nanmean", "amax", "amin", "logsumexp"])
@pytest.mark.parametrize(("shape", "dim"), [
    ((3, 4), 0), ((3, 4), (0, 1)), ((2, 3, 4), (0, -1)), ((5,), -1), ((), 0)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_over_dimensions(parity, rand, name, shape, dim, keepdim):
    parity(name, np.asarray(rand(*shape)), dim, keepdim)


@pytest.mark.parametrize("name", ["sum", "prod", "all", "any"])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.int32, np.int64])
def test_integers(parity, name, dtype):
    x = np.random.default_rng(0).integers(0, 3, (3, 4)).astype(dtype)
    parity(name, x)
    parity(name, x, 1)


@pytest.mark.parametrize("options", [
    {}, {"dim": 0}, {"dim": (0, 2), "correction": 0, "keepdim": True}, {"correction": 2.5},
    {"unbiased": False}, {"dim": 1, "unbiased": True}])
@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_moments(parity, rand, name, options):
    parity(name, rand(2, 3, 4), **options)


def test_moments_by_position(parity, rand):
    parity("var", rand(3, 4), 0, False, True)
    parity("std", rand(3, 4), False)


def test_moments_of_complex_numbers(parity, rand):
    parity("var", (rand(3, 4) + 1j * rand(3, 4)).astype(np.complex64), 1)


@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, INF, -INF, "fro"])
@pytest.mark.parametrize("dim", [None, 0, (0, 1)])
def test_norm(parity, rand, p, dim):
    if p == "fro" and dim == 0:
        pytest.skip("torch wants matrix dimensions or none")
    parity("norm", rand(3, 4), p, dim, tolerance=1e-4)


def test_norm_of_zeros_has_no_slope(parity):
    for p in (1, 2, 3, INF):
        parity("norm", np.zeros((3,), np.float32), p)


# ---- zero size and NaN -------------------------------------------------------------------------
def test_no_elements():
    none = fb.empty(0, 3)
    assert none.sum(0).tolist() == [0, 0, 0]
    assert none.prod().item() == 1
    assert none.all().item() is True
    assert none.any().item() is False
    assert math.isnan(none.mean().item())
    assert none.logsumexp(0).tolist() == [-INF] * 3
    assert none.max(1)[0].shape == (0,)
    assert none.norm().item() == 0
    for call in (none.amax, none.max, none.min, none.aminmax):
        with pytest.raises((RuntimeError, IndexError), match="numel\\(\\) == 0|no identity"):
            call()
    with pytest.raises(IndexError, match="non-zero size"):
        none.max(0)
    with pytest.raises(RuntimeError, match="does not have an identity"):
        none.norm(INF)


def test_nan_wins():
    x = fb.tensor([[1.0, NAN, 3.0], [1.0, 2.0, 0.0]])
    values, indices = x.max(1)
    assert math.isnan(values[0].item())
    assert indices.tolist() == [1, 1]
    assert math.isnan(x.amin().item())
    assert math.isnan(x.aminmax().max.item())
    assert fb.nansum(x).item() == 7
    assert x.all().item() is False  # NaN is not zero, 0 is


def test_gradient_of_equal_extremes_is_shared():
    x = fb.tensor([2.0, 1.0, 2.0], requires_grad=True)
    x.max().backward()
    assert x.grad.tolist() == [0.5, 0.0, 0.5]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_logsumexp_does_not_overflow():
    assert fb.logsumexp(fb.tensor([1e4, 1e4]), 0).item() == pytest.approx(1e4 + math.log(2))
    assert fb.logsumexp(fb.tensor([-INF, -INF]), 0).item() == -INF
    assert fb.logsumexp(fb.tensor([6e4] * 4, dtype=fb.float16), 0).item() > 5e4


def test_halves_are_summed_in_single():
    x = fb.ones(4096, dtype=fb.float16)
    assert x.sum().item() == 4096
    assert (x * 30).norm().item() == 1920
    assert fb.full((300,), 300.0, dtype=fb.float16).var().item() == 0


# ---- overloads ---------------------------------------------------------------------------------
def test_max_has_three_meanings():
    x, y = fb.tensor([[1.0, 5.0], [3.0, 2.0]]), fb.tensor([2.0, 4.0])
    assert fb.max(x).item() == 5
    assert fb.max(x, 0).values.tolist() == [3.0, 5.0]
    assert x.max(dim=1, keepdim=True).indices.tolist() == [[1], [0]]
    assert fb.max(x, y).tolist() == fb.max(x, other=y).tolist() == [[2.0, 5.0], [3.0, 4.0]]
    assert x.max(axis=0).values.tolist() == [3.0, 5.0]
    assert fb.min(fb.tensor([True, False]), 0).values.item() is False


def test_results_are_written_to_out():
    values, indices = fb.empty(0), fb.empty(0, dtype=fb.int64)
    result = fb.max(fb.tensor([[1.0, 5.0]]), 1, out=(values, indices))
    assert result.values is values
    assert result.indices is indices
    assert values.tolist() == [5.0]
    total = fb.empty(())
    assert fb.mean(fb.tensor([1.0, 3.0]), out=total) is total
    assert total.item() == 2


def test_return_types():
    result = fb.tensor([1.0, 3.0]).max(0)
    assert type(result) is fb.return_types.max
    assert repr(result).startswith("flambeau.return_types.max(\nvalues=tensor(3.)")
    values, _ = result
    assert result[0] is values is result.values
    assert pickle.loads(pickle.dumps(fb.return_types.sort((1, 2)))) == (1, 2)
    with pytest.raises(TypeError, match="takes a 2-sequence \\(1-sequence given\\)"):
        fb.return_types.max((1,))


def test_all_over_an_empty_list_reduces_nothing():
    assert fb.tensor([[True, False]]).all(dim=()).tolist() == [[True, False]]
    assert fb.tensor([[1.0, 2.0]]).sum(dim=()).item() == 3


def test_uint8_questions_get_uint8_answers():
    assert fb.tensor([2, 0], dtype=fb.uint8).any().dtype is fb.uint8


# ---- refusals ----------------------------------------------------------------------------------
def test_refusals():
    with pytest.raises(RuntimeError, match="std and var only support floating point"):
        fb.var(fb.tensor([1, 2]))
    with pytest.raises(RuntimeError, match="Convert the input with"):
        fb.mean(fb.tensor([1, 2]))
    with pytest.raises(RuntimeError, match="multiple times"):
        fb.all(fb.ones(2, 2), dim=(0, -2))
    with pytest.raises(IndexError, match="Dimension out of range"):
        fb.ones(2).std(1)
    with pytest.raises(TypeError, match="either 'unbiased' or 'correction'"):
        fb.var(fb.ones(3), unbiased=True, correction=1)


def test_too_few_degrees_of_freedom():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        assert math.isnan(fb.tensor([1.0]).var().item())
        assert fb.tensor([1.0, 2.0]).var(correction=5).item() == INF
    assert len([w for w in caught if "degrees of freedom is <= 0" in str(w.message)]) == 2
