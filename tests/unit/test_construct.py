"""Tensors from Python data, arrays and buffers: dtypes, shapes and errors as in PyTorch."""

from __future__ import annotations

import array

import numpy as np
import pytest

import flambeau as fb

NAN, INF = float("nan"), float("inf")
DATA = [
    1, 1.5, True, 2j, [], [[]], [[], []], [1, 2.0], [True, 2], [True, False], [1, 2j], [2**40],
    [-(2**63)], (1, 2), range(3), [[1, 2], (3, 4)], 1e300, NAN,
    np.float64(1.5), np.float32(1.5), [np.float64(1.5)], [np.float32(1.5)], [np.int8(1)],
    [np.int8(1), 2.5], np.bool_(True), np.complex64(1j), np.arange(6).reshape(2, 3).T,
    [np.array([1, 2], np.float32)], bytearray(b"ab"), array.array("i", [1, 2]),
    np.zeros((2, 0), np.int16),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy:UserWarning")
@pytest.mark.parametrize("data", DATA, ids=repr)
def test_same_dtype_and_values_as_torch(data):
    torch = pytest.importorskip("torch")
    have, want = fb.tensor(data), torch.tensor(data)
    assert have.dtype.name == str(want.dtype).removeprefix("torch.")
    assert have.shape == tuple(want.shape)
    np.testing.assert_array_equal(have.numpy(), want.numpy())


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        ([[1, 2], [3]], {}, ValueError, "expected sequence of length 2 at dim 1"),
        ([[1], 2], {}, TypeError, "not a sequence"),
        ("a", {}, TypeError, "invalid data type 'str'"),
        (None, {}, RuntimeError, "Could not infer dtype of NoneType"),
        ([None], {}, RuntimeError, "Could not infer dtype of NoneType"),
        ({1, 2}, {}, RuntimeError, "Could not infer dtype of set"),
        (2**63, {}, ValueError, "Overflow"),
        (300, {"dtype": fb.uint8}, RuntimeError, "uint8 without overflow"),
        ([NAN, INF], {"dtype": fb.int32}, RuntimeError, "int32 without overflow"),
        (1j, {"dtype": fb.float32}, TypeError, "complex"),
        ([fb.zeros(2), fb.zeros(2)], {}, ValueError, "one element tensors"),
        (np.array(["a"]), {}, TypeError, "can't convert np.ndarray of type"),
        ([1], {"dtype": "float"}, TypeError, "must be flambeau.dtype, not str"),
    ],
)
def test_refused(data, options, error, words):
    with pytest.raises(error, match=words):
        fb.tensor(data, **options)


def test_conversions():
    assert fb.tensor(-1, dtype=fb.uint8).item() == 255
    assert fb.tensor(1.9, dtype=fb.int32).item() == 1
    assert fb.tensor([fb.tensor(1), fb.tensor(2.0)]).dtype is fb.float32
    assert fb.tensor([fb.tensor([1]), fb.tensor([2])]).tolist() == [1, 2]
    assert fb.tensor([1], dtype=float).dtype is fb.float64
    assert fb.tensor([0, 2], dtype=fb.bool).tolist() == [False, True]


def test_copy_of_a_tensor_warns():
    x = fb.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="copy construct"):
        y = fb.tensor(x)
    assert not y.requires_grad
    assert y.data_ptr() != x.data_ptr()


def test_sharing():
    a = np.zeros(3)
    fb.as_tensor(a)[0] = 1
    fb.asarray(a)[1] = 2
    fb.frombuffer(a, dtype=fb.float64)[2] = 3
    assert a.tolist() == [1, 2, 3]
    assert fb.as_tensor(a, dtype=fb.float32).tolist() == [1, 2, 3]
    assert fb.asarray(a, copy=True).data_ptr() != a.ctypes.data
    assert fb.asarray(bytearray(8), dtype=fb.int32).shape == (2,)
    assert fb.asarray([1, 2.0]).dtype is fb.float32
    for data, dtype in (([1], None), (a, fb.float32)):
        with pytest.raises(ValueError, match="can't alias"):
            fb.asarray(data, dtype=dtype, copy=False)


@pytest.mark.parametrize(
    ("buffer", "options", "words"),
    [
        (bytearray(7), {}, "multiple of element size"),
        (bytearray(8), {"offset": 9}, "no greater than buffer length"),
        (bytearray(0), {}, "must not be 0"),
        (3, {}, "does not implement Python buffer protocol"),
        (bytearray(8), {"count": 5}, "must not be greater than actual buffer length"),
    ],
)
def test_refused_buffers(buffer, options, words):
    with pytest.raises(ValueError, match=words):
        fb.frombuffer(buffer, dtype=fb.int32, **options)


def test_class_as_function():
    assert fb.Tensor(2, 3).shape == (2, 3)
    assert fb.Tensor([1, 2]).tolist() == [1, 2]
    assert fb.Tensor([1, 2]).dtype is fb.float32
    assert fb.Tensor().shape == (0,)
    assert fb.Tensor(fb.Size([2])).shape == (2,)
    assert fb.ones(1, dtype=fb.int32).new([3]).dtype is fb.int32
    with pytest.raises(TypeError, match="must be a sequence"):
        fb.Tensor(3.5)
