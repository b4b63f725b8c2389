"""New tensors: the arguments that factories share, ranges, layouts."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb

CALLS = [
    "arange(5)", "arange(1, 6, 2)", "arange(0, 1, 0.1)", "arange(3, 0, -1)", "arange(end=3)",
    "arange(0, 2.5, dtype=X.int64)", "arange(0.5, 3, dtype=X.int64)", "arange(1., 4)",
    "arange(2**62, 2**62 + 3)", "arange(300, dtype=X.uint8)", "arange(3, dtype=X.float16)",
    "linspace(0, 1, 7)", "linspace(0, 10, 4, dtype=X.int64)", "linspace(-3, 3, 1)",
    "linspace(0, 1, 0)", "linspace(0, 1j, 3)", "linspace(5, -2, 50)", "logspace(0, 2, 3)",
    "logspace(0, 3, 4, base=2, dtype=X.int64)", "eye(2, 3)", "eye(3, dtype=X.bool)",
    "full((2, 2), 1.5)", "full((2,), True)", "full((2,), 3)", "full([2], X.tensor(2.))",
    "zeros(2, 3)", "zeros((2, 3), dtype=int)", "zeros([2])", "zeros(size=(2,))", "zeros(())",
    "ones(2, dtype=X.complex64)", "scalar_tensor(3)", "full_like(X.ones(2), 7, dtype=X.int32)",
    "ones_like(X.zeros(2, 3).t())", "zeros(1).new_full((2,), 3)", "zeros(1).new_tensor([1])",
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_same_as_torch(call):
    torch = pytest.importorskip("torch")
    have, want = eval(f"X.{call}", {"X": fb}), eval(f"X.{call}", {"X": torch})
    assert have.dtype.name == str(want.dtype).removeprefix("torch.")
    assert (have.shape, have.stride()) == (tuple(want.shape), want.stride())
    np.testing.assert_allclose(have.numpy(), want.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("arange(1, 0)", RuntimeError, "inconsistent with step sign"),
        ("arange(1, 2, 0)", RuntimeError, "step must be nonzero"),
        ("arange(float('inf'))", RuntimeError, "unsupported range"),
        ("arange('a')", TypeError, "must be Number, not str"),
        ("arange(3, dtype=X.bool)", NotImplementedError, "not implemented for 'bool'"),
        ("linspace(0, 1, -1)", RuntimeError, "non-negative"),
        ("linspace(X.zeros(2), 1, 3)", RuntimeError, "0-dimensional"),
        ("eye(-1)", RuntimeError, "greater or equal to 0"),
        ("full(2, 1)", TypeError, "tuple of ints, not int"),
        ("full((2,), 300, dtype=X.uint8)", RuntimeError, "without overflow"),
        ("zeros(2, -1)", RuntimeError, "negative dimension"),
        ("zeros(2.5)", TypeError, "tuple of ints"),
        ("zeros()", TypeError, "missing required argument 'size'"),
        ("zeros(2, dtype='float32')", TypeError, "must be flambeau.dtype, not str"),
        ("zeros(2, dtype=X.int64, requires_grad=True)", RuntimeError, "floating point"),
        ("zeros(2, dtype=X.float32, out=X.zeros(2).double())", RuntimeError, "not match dtype"),
        ("empty(2, 3, memory_format=X.channels_last)", RuntimeError, "rank 4"),
        ("empty_strided((2, 3), (1,))", RuntimeError, "must match dimensionality"),
        ("empty_permuted((2, 3), (0, 0))", RuntimeError, "duplicate"),
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        eval(f"X.{call}", {"X": fb})


def test_memory_orders():
    assert fb.empty(1, 2, 3, 4, memory_format=fb.channels_last).stride() == (24, 1, 8, 2)
    assert fb.empty_permuted((2, 3, 4), (2, 0, 1)).stride() == (3, 1, 6)
    x = fb.zeros(2, 3, 4)
    assert fb.empty_like(x.permute(2, 0, 1)[:, :, ::2]).stride() == (1, 8, 4)
    assert fb.empty_like(fb.zeros(2, 1).expand(2, 3)).stride() == (3, 1)
    assert fb.zeros(2, 3, 1).permute(2, 1, 0).expand(4, 3, 2).new_empty(2).stride() == (1,)


def test_out_is_written_and_resized():
    out = fb.zeros(0, dtype=fb.int64)
    assert fb.arange(3, out=out) is out
    assert out.tolist() == [0, 1, 2]


def test_default_device_and_dtype():
    fb.set_default_dtype(fb.float64)
    try:
        assert fb.zeros(1).dtype is fb.float64
    finally:
        fb.set_default_dtype(fb.float32)
    with fb.device("meta"):
        assert fb.zeros(2).device.type == "meta"
    assert fb.zeros(2).device.type == "cpu"


def test_range_is_deprecated():
    with pytest.warns(UserWarning, match="arange"):
        assert fb.range(1, 2, 0.5).tolist() == [1, 1.5, 2]
