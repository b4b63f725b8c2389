"""Moving and converting modules."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau import nn


def module():
    m = nn.Linear(2, 3)
    m.register_buffer("steps", fb.tensor(4))
    m.register_buffer("mean", fb.ones(3))
    return m


def test_parameters_stay_the_same_objects():
    m = module()
    weight = m.weight
    weight.grad = fb.ones(3, 2)
    m.double()
    assert m.weight is weight
    assert weight.dtype is fb.float64 and weight.grad.dtype is fb.float64
    assert isinstance(weight, nn.Parameter) and weight.requires_grad and weight.is_leaf


def test_integers_keep_their_dtype():
    m = module().to(fb.float16)
    assert m.steps.dtype is fb.int64 and m.mean.dtype is fb.float16
    assert m.float().mean.dtype is fb.float32
    assert m.bfloat16().weight.dtype is fb.bfloat16
    assert m.half().bias.dtype is fb.float16


def test_to_takes_devices_dtypes_and_tensors():
    m = module().to(fb.zeros(1, dtype=fb.float64))
    assert m.weight.dtype is fb.float64
    m.to("cpu", fb.float32)
    assert m.weight.dtype is fb.float32
    m.to(device="meta")
    assert m.weight.device.type == m.steps.device.type == "meta"
    m.to_empty(device="cpu")
    assert m.weight.device.type == "cpu" and m.weight.shape == (3, 2)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="only accepts floating point or complex dtypes"):
        module().to(fb.int32)


def test_memory_format():
    m = nn.Conv2d(3, 4, 2).to(memory_format=fb.channels_last)
    assert m.weight.is_contiguous(memory_format=fb.channels_last)
    assert m.bias.shape == (4,)


def test_version_counter_survives():
    m = module()
    with fb.no_grad():
        m.weight.add_(1.0)
    before = m.weight._version
    m.double()
    assert m.weight._version == before
