"""Tensors travel without kernels, with strides, offsets and sharing."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau import dtypes
from flambeau.device import device
from flambeau.samples import Sample
from flambeau_conformance import oracle
from flambeau_conformance.arrangements import PATTERNS, arrange, expanded, rearranged
from flambeau_conformance.make import Maker
from flambeau_conformance.transfer import Carrier, tensors_in, to_host, wider

CPU = device("cpu")


@pytest.fixture(autouse=True)
def _registered() -> None:
    oracle.register()


def make(what: dtypes.dtype = dtypes.float32, grad: bool = False) -> Maker:
    return Maker(what, "test", 0, grad)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_keeps_values_and_changes_strides(pattern: str) -> None:
    t = make()(3, 4, 2)
    other = arrange(t, PATTERNS[pattern]((3, 4, 2)))
    assert other.stride() != t.stride()
    np.testing.assert_array_equal(to_host(other), to_host(t))
    moved = Carrier(CPU)(other)
    assert (moved.stride(), moved.storage_offset()) == (other.stride(), other.storage_offset())
    np.testing.assert_array_equal(to_host(moved), to_host(t))


def test_tensors_that_share_memory_share_it_there() -> None:
    x = make()(4, 4)
    one, two = Carrier(CPU)([x.narrow(0, 0, 2), x.t()])
    assert one.storage_() is two.storage_()


def test_gradients_are_required_there_as_here() -> None:
    x, y = make(grad=True)(3), make(grad=True)(3, requires_grad=False)
    there = Carrier(CPU)([x.narrow(0, 1, 2), y])
    assert [t.requires_grad for t in there] == [True, False]
    assert all(t.is_leaf for t in there)


def test_narrow_values_are_the_same_in_the_wide_type() -> None:
    x = make(dtypes.bfloat16)(5)
    there = Carrier(CPU, wider)(x)
    assert there.dtype is dtypes.float64
    np.testing.assert_array_equal(to_host(there), to_host(x).astype(np.float64))


def test_devices_in_the_arguments_are_replaced() -> None:
    assert Carrier(CPU)((3, device("oracle"), {"a": [device("oracle")]})) == (3, CPU, {"a": [CPU]})


def test_an_expanded_sample_repeats_its_first_row() -> None:
    x = make()(3, 2)
    found = expanded(Sample((x,), name="2d"))
    assert found is not None and found.name == "2d+expanded"
    [t] = tensors_in(found.args)
    assert t.stride() == (0, 1)
    np.testing.assert_array_equal(to_host(t), np.repeat(to_host(x)[:1], 3, 0))


def test_what_a_pattern_cannot_change_is_left_out() -> None:
    assert rearranged(Sample((make()(4),)), "reversed") is None
    assert rearranged(Sample((2, 3)), "gapped") is None


@pytest.mark.parametrize("what", dtypes.ALL, ids=lambda d: d.name)
def test_samples_are_the_same_every_time(what: dtypes.dtype) -> None:
    one, two = (to_host(make(what)(3, 4)) for _ in range(2))
    assert one.tobytes() == two.tobytes()
    assert Maker(what, "other")(50).tolist() != make(what)(50).tolist()


@pytest.mark.parametrize("what", [d for d in dtypes.ALL if d.category != 3], ids=lambda d: d.name)
def test_values_are_within_their_bounds(what: dtypes.dtype) -> None:
    values = to_host(make(what)(100, low=1, high=3)).astype(float)
    low = 0 if what.category == 0 else 1
    assert values.min() >= low and values.max() <= 3


@pytest.mark.parametrize("what", [dtypes.uint8, dtypes.int8, dtypes.float16, dtypes.float64],
                         ids=lambda d: d.name)
def test_distinct_values_are_distinct(what: dtypes.dtype) -> None:
    assert len(set(make(what).distinct(5, 6).reshape(-1).tolist())) == 30


def test_a_tensor_given_twice_is_one_tensor_there() -> None:
    x = make(grad=True)(3)
    one, two = Carrier(CPU)((x, x))
    assert one is two


def test_complex_samples_are_given_an_order_by_real_values() -> None:
    assert make(dtypes.complex64).distinct(5).dtype is dtypes.float32
