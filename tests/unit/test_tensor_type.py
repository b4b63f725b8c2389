"""Types by their older names."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import dtypes
from flambeau.tensor_type import parse_type, type_name

TYPES = {
    fb.bool: "BoolTensor", fb.uint8: "ByteTensor", fb.int8: "CharTensor",
    fb.int16: "ShortTensor", fb.int32: "IntTensor", fb.int64: "LongTensor",
    fb.float16: "HalfTensor", fb.bfloat16: "BFloat16Tensor", fb.float32: "FloatTensor",
    fb.float64: "DoubleTensor",
}  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_every_type_is_named_constructs_and_recognises(dtype):
    kind = getattr(fb, TYPES[dtype])
    made = kind([0, 1])
    assert made.dtype is dtype and made.tolist() == [0, 1]
    assert made.type() == f"flambeau.{TYPES[dtype]}" == f"{kind.__module__}.{kind.__name__}"
    assert isinstance(made, kind) and not isinstance(made.cfloat(), kind)
    assert fb.ones(2).type(kind).dtype is fb.ones(2).type(made.type()).dtype is dtype


def test_names_are_parsed_back_for_every_dtype_and_device():
    for dtype in dtypes.ALL:
        for place in ("cpu", "meta", "cuda"):
            name = type_name(dtype, fb.device(place))
            assert parse_type(name) == (dtype, fb.device(place))
    assert type_name(fb.float32, fb.device("cuda:1")) == "flambeau.cuda.FloatTensor"
    assert parse_type("torch.LongTensor") == (fb.int64, fb.device("cpu"))


@pytest.mark.parametrize("name", ["FloatTensor", "flambeau.Float", "other.FloatTensor", "a.b.c.d"])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="invalid type"):
        fb.ones(1).type(name)


def test_converting():
    x = fb.ones(2)
    assert x.type("flambeau.FloatTensor") is x
    assert x.type("flambeau.meta.DoubleTensor").type() == "flambeau.meta.DoubleTensor"
    assert x.type(fb.int64).tolist() == [1, 1]
    with pytest.raises(ValueError, match="float"):
        x.type(float)
    with pytest.raises(TypeError, match="type, str, or dtype"):
        x.type(3)
    assert fb.nn.Parameter(x).type(fb.float64).requires_grad


def test_sizes_data_and_tensors():
    assert fb.FloatTensor().shape == (0,)
    assert fb.FloatTensor(2, 3).shape == fb.FloatTensor(fb.Size([2, 3])).shape == (2, 3)
    assert fb.FloatTensor(size=(2, 3)).shape == (2, 3)
    assert fb.LongTensor([1.5, 2]).tolist() == fb.LongTensor((1, 2)).tolist() == [1, 2]
    assert fb.FloatTensor(np.ones(2)).tolist() == [1.0, 1.0]
    x = fb.ones(2)
    fb.FloatTensor(x)[0] = 5
    assert x.tolist() == [5.0, 1.0]
    assert x.long().new([3]).type() == x.long().new(2, 3).type() == "flambeau.LongTensor"


def test_what_constructors_refuse():
    with pytest.raises(TypeError, match=r"expected flambeau.FloatTensor \(got flambeau.Double"):
        fb.FloatTensor(fb.ones(2).double())
    for data in (2.5, None, True, "a"):
        with pytest.raises(TypeError, match=r"new\(\)|tuple of ints"):
            fb.FloatTensor(data)
    with pytest.raises(RuntimeError, match="device type: cpu but device type: meta"):
        fb.FloatTensor(2, device="meta")
    with pytest.raises(RuntimeError, match="overflow"):
        fb.ByteTensor([300])


def test_default_type():
    try:
        fb.set_default_tensor_type(fb.DoubleTensor)
        assert fb.Tensor([1]).dtype is fb.float64
        fb.set_default_tensor_type("flambeau.HalfTensor")
        assert fb.zeros(1).dtype is fb.float16
    finally:
        fb.set_default_tensor_type("flambeau.FloatTensor")
    with pytest.raises(TypeError, match="floating"):
        fb.set_default_tensor_type(fb.LongTensor)
    with pytest.raises(TypeError, match="CPU"):
        fb.set_default_tensor_type("flambeau.meta.FloatTensor")


def test_a_copy_shares_memory() -> None:
    import copy

    for x in (fb.ones(2, 3), fb.nn.Parameter(fb.ones(2)), fb.ones(4)[1:]):
        y = copy.copy(x)
        assert type(y) is type(x)
        assert y.requires_grad == x.requires_grad
        assert y.data_ptr() == x.data_ptr()
        assert y.shape == x.shape
