"""Parameters and buffers."""

from __future__ import annotations

import copy
import pickle

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.parameter import is_lazy


def test_shares_memory_and_is_a_leaf():
    data = fb.zeros(2)
    p = nn.Parameter(data)
    with fb.no_grad():
        p.add_(1.0)
    assert data.tolist() == [1.0, 1.0]
    assert p.requires_grad and p.is_leaf and isinstance(p, fb.Tensor)
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert nn.Parameter().shape == (0,)


def test_results_are_plain_tensors():
    p = nn.Parameter(fb.ones(2))
    for result in (p + 1, p[0], p.view(2, 1), p.detach(), p.data, p.sum()):
        assert type(result) is fb.Tensor


def test_integers_cannot_require_gradients():
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(fb.zeros(2, dtype=fb.int64))
    assert nn.Parameter(fb.zeros(2, dtype=fb.int64), requires_grad=False).dtype is fb.int64


def test_copies():
    p = nn.Parameter(fb.ones(2), requires_grad=False)
    p.note = "kept"
    p.grad = fb.ones(2)
    for other in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(other) is nn.Parameter and not other.requires_grad
        assert other.note == "kept" and other.tolist() == [1.0, 1.0]
    assert copy.deepcopy(p).grad is None


def test_repr():
    assert repr(nn.Parameter(fb.ones(1))) == (
        "Parameter containing:\ntensor([1.], requires_grad=True)")


def test_uninitialized():
    p = nn.UninitializedParameter(dtype=fb.float64)
    assert is_lazy(p) and p.requires_grad and p.dtype is fb.float64
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized"):
        _ = p.shape
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
        _ = p + 1
    twin = copy.deepcopy(p)
    p.materialize((2, 3))
    assert type(p) is nn.Parameter and p.shape == (2, 3) and p.dtype is fb.float64
    assert is_lazy(twin) and is_lazy(pickle.loads(pickle.dumps(twin)))
    assert repr(twin) == "<UninitializedParameter>"
    buffer = nn.UninitializedBuffer()
    buffer.materialize((1,))
    assert type(buffer) is fb.Tensor and not buffer.requires_grad
