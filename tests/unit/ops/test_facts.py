"""What a tensor tells of itself."""

from __future__ import annotations

import os

import pytest

import flambeau as fb


def test_kinds():
    x = fb.zeros(2, 3)
    assert x.is_floating_point()
    assert not x.is_complex()
    assert fb.is_complex(fb.tensor(1j))
    assert not fb.tensor(1, dtype=fb.uint8).is_signed()
    assert fb.is_nonzero(fb.tensor([2]))
    assert (fb.numel(x), x.ndimension(), x.get_device()) == (6, 2, -1)
    assert fb.result_type(fb.ones(1, dtype=fb.int32), 1.5) is fb.float32
    assert fb.typename(x) == "flambeau.FloatTensor"
    assert (x.is_cpu, x.is_cuda, x.is_sparse, x.layout) == (True, False, False, fb.strided)
    with pytest.raises(TypeError, match="must be Tensor, not int"):
        fb.is_floating_point(3)


def test_memory():
    x = fb.zeros(2, 3)
    y = x[1, 1:]
    assert y.data_ptr() == x.data_ptr() + 4 * x.itemsize
    assert y.untyped_storage() == x.untyped_storage()
    assert (x.untyped_storage().nbytes(), fb.zeros(0).data_ptr()) == (24, 0)
    assert x.is_set_to(x.view(2, 3))
    assert not x.is_set_to(x.t())
    assert x.t().dim_order() == (1, 0)
    assert x.pin_memory() is x


def test_shared_memory_is_seen_by_a_fork():
    x = fb.zeros(3).share_memory_()
    assert x.is_shared()
    child = os.fork()
    if not child:
        x.fill_(7)
        os._exit(0)
    os.waitpid(child, 0)
    assert x.tolist() == [7, 7, 7]
    y = fb.zeros(4)
    view = y[1:]
    with pytest.raises(RuntimeError, match="other tensors are views"):
        y.share_memory_()
    assert not view.is_shared()
