"""Printed tensors, character by character as PyTorch prints them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as fb

RNG = np.random.default_rng(0)
ARRAYS = {
    "0d": np.array(1.5, np.float32),
    "0d_int": np.array(3),
    "0d_complex": np.array(1 - 2j, np.complex64),
    "vector": RNG.standard_normal(5).astype(np.float32),
    "matrix": RNG.standard_normal((3, 4)).astype(np.float32),
    "many_dims": RNG.standard_normal((2, 2, 3, 2)).astype(np.float32),
    "long_row": np.arange(40, dtype=np.float32) * 0.37,
    "wide_matrix": RNG.standard_normal((3, 30)).astype(np.float32),
    "whole": np.array([1.0, -20.0, 300.0], np.float32),
    "whole_with_inf": np.array([1.0, math.inf, math.nan, -3.0], np.float32),
    "large_whole": np.array([1.0, 1e9], np.float32),
    "ratio": np.array([1.0, 2000.5], np.float32),
    "small": np.array([1e-5, 0.5], np.float32),
    "large_exponent": np.array([1e-120, -3e200]),
    "inf": np.array([0.5, math.inf, -math.inf, math.nan], np.float32),
    "zeros": np.zeros(3, np.float32),
    "zeros_with_nan": np.array([0.0, math.nan], np.float32),
    "negative_zero": np.array([-0.0, 1.0], np.float32),
    "double": RNG.standard_normal(3),
    "half": RNG.standard_normal(3).astype(np.float16),
    "complex": (RNG.standard_normal(3) + 1j * RNG.standard_normal(3)).astype(np.complex64),
    "complex_whole": np.array([[1 + 2j, -3 - 40j]], np.complex64),
    "complex_many": np.arange(20) * (1.5 - 0.5j),
    "bool": np.array([[True, False], [False, False]]),
    "int": np.array([[1, -200], [30, 4]]),
    "int32": np.array([1, 2], np.int32),
    "uint8": np.arange(30, dtype=np.uint8),
    "empty": np.zeros(0, np.float32),
    "empty_matrix": np.zeros((0, 3), np.float32),
    "empty_int": np.zeros((2, 0), np.int64),
    "summary": np.arange(2000, dtype=np.float32),
    "summary_int": np.arange(3000).reshape(3, 1000),
    "summary_cube": RNG.standard_normal((20, 8, 20)).astype(np.float32),
    "summary_short_dims": RNG.standard_normal((2, 3, 400)).astype(np.float32),
    "summary_complex": (np.arange(1500) * (1 + 2j)).reshape(30, 50),
}
OPTIONS = [
    {}, {"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"profile": "short"},
    {"profile": "full"}, {"linewidth": 40}, {"threshold": 5, "edgeitems": 1},
    {"edgeitems": 0, "threshold": 3},
]  # fmt: skip


def _same_names(text: str) -> str:
    return text.replace("torch.", "flambeau.")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ARRAYS)
def test_same_as_torch(name, options):
    torch = pytest.importorskip("torch")
    array = ARRAYS[name]
    with fb.printoptions(**options):
        have = repr(fb.from_numpy(array.copy()))
    with torch._tensor_str.printoptions(**options):
        want = repr(torch.from_numpy(array.copy()))
    assert have == _same_names(want)


def test_bfloat16():
    torch = pytest.importorskip("torch")
    values = [0.1, -3.0, 1e-3]
    have = repr(fb.tensor(values, dtype=fb.bfloat16))
    assert have == _same_names(repr(torch.tensor(values, dtype=torch.bfloat16)))


def test_history_is_named():
    x = fb.ones(2, requires_grad=True)
    assert repr(x) == "tensor([1., 1.], requires_grad=True)"
    assert repr(x.exp()) == "tensor([2.7183, 2.7183], grad_fn=<ExpBackward0>)"
    assert repr(x[0]) == "tensor(1., grad_fn=<SelectBackward0>)"


def test_facts_go_to_a_new_line_when_they_do_not_fit():
    torch = pytest.importorskip("torch")
    for n in range(5, 14):
        array = (np.arange(n) / 7).astype(np.float32)
        have = repr(fb.from_numpy(array).requires_grad_())
        assert have == _same_names(repr(torch.from_numpy(array).requires_grad_()))


def test_meta():
    assert repr(fb.empty(2, 3, device="meta")) == "tensor(..., device='meta', size=(2, 3))"
    text = repr(fb.empty(2, device="meta", dtype=fb.int64))
    assert text == "tensor(..., device='meta', size=(2,), dtype=flambeau.int64)"


def test_default_dtype_is_not_named():
    fb.set_default_dtype(fb.float64)
    try:
        assert repr(fb.tensor([0.5])) == "tensor([0.5000])"
        assert repr(fb.ones(1, dtype=fb.float32)) == "tensor([1.], dtype=flambeau.float32)"
    finally:
        fb.set_default_dtype(fb.float32)


def test_parameter_and_subclass():
    class Named(fb.Tensor):
        __torch_function__ = classmethod(lambda cls, *args, **kwargs: NotImplemented)

    assert repr(fb.ones(1).as_subclass(Named)) == "Named([1.])"
    parameter = fb.nn.Parameter(fb.ones(1))
    assert repr(parameter) == "Parameter containing:\ntensor([1.], requires_grad=True)"


def test_transposed_and_strided():
    x = fb.arange(12).reshape(3, 4)
    assert repr(x.t()[::2]) == "tensor([[ 0,  4,  8],\n        [ 2,  6, 10]])"


def test_options_are_given_back():
    before = fb.get_printoptions()
    with fb.printoptions(precision=1, sci_mode=True):
        assert repr(fb.tensor(0.25)) == "tensor(2.5e-01)"
    assert fb.get_printoptions() == before
    with pytest.raises(ValueError, match="profile"):
        fb.set_printoptions(profile="loud")
    fb.set_printoptions(**before)


def test_format_of_a_scalar():
    assert f"{fb.tensor(1.23456):.2f}" == "1.23"
    assert f"{fb.tensor(3)} {fb.tensor(1.5)}" == "3 1.5"
    assert f"{fb.tensor([1])}" == "tensor([1])"
    assert f"{fb.ones((), device='meta')}" == repr(fb.ones((), device="meta"))
    assert f"{fb.ones(1)}" == "tensor([1.])"
