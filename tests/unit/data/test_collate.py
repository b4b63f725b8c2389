"""From samples to batches."""

from collections import OrderedDict, UserDict, namedtuple

import numpy as np
import pytest

import flambeau as fb
from flambeau.data import collate, default_collate, default_convert

Point = namedtuple("Point", ["x", "y"])


class Frozen(tuple):
    """A sequence that cannot be rebuilt from its items."""

    def __new__(cls, a, b):
        return super().__new__(cls, (a, b))


@pytest.mark.parametrize(
    ("batch", "dtype", "values"),
    [
        ([1, 2], fb.int64, [1, 2]),
        ([1.5, 2], fb.float64, [1.5, 2.0]),
        ([True, False], fb.bool, [True, False]),
        ([np.float32(1), np.float32(2)], fb.float32, [1.0, 2.0]),
        ([np.int16(1), np.int16(2)], fb.int16, [1, 2]),
        ([np.bool_(True)] * 2, fb.bool, [True, True]),
        ([np.ones(2), np.zeros(2)], fb.float64, [[1.0, 1.0], [0.0, 0.0]]),
    ],
)
def test_leaves(batch, dtype, values):
    result = default_collate(batch)
    assert result.dtype is dtype
    assert result.tolist() == values


def test_tensors_are_stacked_with_their_history():
    a = fb.tensor([1.0, 2.0], requires_grad=True)
    batch = default_collate([a, fb.zeros(2)])
    assert batch.shape == (2, 2)
    batch.sum().backward()
    assert a.grad.tolist() == [1.0, 1.0]


def test_text_stays():
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate([b"a", b"b"]) == [b"a", b"b"]


def test_mappings():
    batch = default_collate([{"x": 1, "s": "p"}, {"x": 2, "s": "q"}])
    assert batch["x"].tolist() == [1, 2]
    assert batch["s"] == ["p", "q"]


def test_mappings_keep_their_type():
    samples = [OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)]
    batch = default_collate(samples)
    assert type(batch) is OrderedDict
    assert list(batch) == ["b", "a"]
    assert type(default_collate([UserDict(a=1)])) is UserDict
    assert samples[0] == {"b": 1, "a": 2}


def test_sequences():
    assert [t.tolist() for t in default_collate([(1, 2.0), (3, 4.0)])] == [[1, 3], [2.0, 4.0]]
    assert isinstance(default_collate([(1, 2)]), list)
    assert [t.tolist() for t in default_collate([[1, 2], [3, 4]])] == [[1, 3], [2, 4]]
    assert [t.tolist() for t in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


def test_named_tuples():
    batch = default_collate([Point(1, 2), Point(3, 4)])
    assert isinstance(batch, Point)
    assert batch.y.tolist() == [2, 4]


def test_nested():
    samples = [{"a": (np.zeros(2), [1, {"b": "t"}])} for _ in range(3)]
    batch = default_collate(samples)
    array, (number, inner) = batch["a"]
    assert array.shape == (3, 2)
    assert number.tolist() == [1, 1, 1]
    assert inner == {"b": ["t"] * 3}


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        ([None, None], TypeError, "NoneType"),
        ([1 + 2j], TypeError, "complex"),
        ([np.array(["a"])], TypeError, "<U1"),
        ([np.array([None])], TypeError, "object"),
        ([[1, 2], [3]], RuntimeError, "equal size"),
        ([fb.zeros(2), fb.zeros(3)], RuntimeError, r"\[2\].*\[3\]"),
    ],
)
def test_batches_that_cannot_be_made(batch, error, words):
    with pytest.raises(error, match=words):
        default_collate(batch)


def test_a_rule_for_a_type_of_ones_own():
    class Text(str):
        __slots__ = ()

    def joined(batch, *, collate_fn_map=None):
        return "".join(batch)

    assert collate([Text("a"), Text("b")], collate_fn_map={str: joined}) == "ab"


def test_an_exact_rule_wins():
    def exact(batch, *, collate_fn_map=None):
        return "bool"

    def general(batch, *, collate_fn_map=None):
        return "int"

    assert collate([True], collate_fn_map={int: general, bool: exact}) == "bool"
    assert collate([True], collate_fn_map={int: general}) == "int"


def test_convert_arrays_within_containers():
    out = default_convert({"a": (np.ones(1), 2), "s": "t", "n": [np.float32(1)]})
    assert out["a"][0].tolist() == [1.0]
    assert out["a"][1] == 2
    assert out["s"] == "t"
    assert out["n"][0].dtype is fb.float32
    assert isinstance(default_convert(Point(np.zeros(1), 1)).x, fb.Tensor)


def test_convert_leaves_text_arrays():
    words = np.array(["a"])
    assert default_convert(words) is words
