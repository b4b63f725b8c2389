"""``x[index]`` and ``x[index] = value`` against PyTorch, and their errors."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flambeau as fb

DATA = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)

# What stands for a tensor is made by the library under test.
PARTS = {
    "0": 0, "-1": -1, ":": slice(None), "1:": slice(1, None), "::2": slice(None, None, 2),
    "-2:10": slice(-2, 10), "None": None, "...": Ellipsis, "True": True, "False": False,
    "[0,1]": [0, 1], "[[0,1],[1,0]]": [[0, 1], [1, 0]], "[]": [], "range": range(2),
    "np.int64": np.int64(1), "np.array": np.array([0, 1]), "vector": "vector",
    "matrix": "matrix", "0d": "0d", "mask": "mask",
}


def _made(part, lib):
    if isinstance(part, str):
        return {
            "vector": lib.tensor([0, 2, 1]), "matrix": lib.tensor([[0], [1]]),
            "0d": lib.tensor(1), "mask": lib.tensor([True, False, True]),
        }[part]
    return part


def _outcome(lib, names):
    """Everything observable of reading and writing with an index."""
    index = tuple(_made(PARTS[n], lib) for n in names)
    index = index[0] if len(index) == 1 else index
    x = lib.from_numpy(DATA.copy()).requires_grad_()
    try:
        read = x[index]
    except (IndexError, TypeError, ValueError) as error:
        return type(error).__name__
    weights = lib.from_numpy(np.arange(read.numel(), dtype=np.float32)).reshape(read.shape)
    (read * weights).sum().backward()
    filled, copied = (lib.from_numpy(DATA.copy()) for _ in range(2))
    filled[index] = 7.0
    copied[index] = weights
    return (
        tuple(read.shape), read.is_contiguous(), read.grad_fn.name(), read.tolist(),
        x.grad.tolist(), filled.tolist(), copied.tolist(),
    )


def _combinations():
    rng = np.random.default_rng(1)
    yield from ((name,) for name in PARTS)
    yield from (n for n in itertools.product(PARTS, repeat=2) if n != ("...", "..."))
    for k in (3, 4):
        for _ in range(150):
            names = tuple(rng.choice(list(PARTS), k))
            if names.count("...") < 2:  # PyTorch mistakes the second for a dimension's worth
                yield names


def test_same_as_torch():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        different = [n for n in _combinations() if _outcome(torch, n) != _outcome(fb, n)]
    assert different == []


def test_basic_index_is_a_view():
    x = fb.zeros(3, 4)
    x[1][2:].fill_(5)
    x[0, None, ..., 1][0] = 7
    assert x.tolist() == [[0, 7, 0, 0], [0, 0, 5, 5], [0, 0, 0, 0]]


def test_remembered_index_does_not_confuse_types():
    """The layouts of views are remembered by their index: equal keys of other types are others."""
    x = fb.arange(6).reshape(2, 3)
    assert x[1].shape == (3,)
    assert x[True].shape == (1, 2, 3)
    assert x[0:1].shape == (1, 3)
    with pytest.raises(TypeError, match="slice indices must be integers"):
        x[0.0:1.0]
    assert x[0, 1].shape == ()
    assert x[0, True].shape == (1, 3)
    with pytest.raises(IndexError, match="got float"):
        x[0, 1.0]


def test_legacy_list_of_lists_counts_as_tuple():
    x = fb.arange(9).reshape(3, 3)
    with pytest.warns(UserWarning, match=r"use x\[tuple\(seq\)\]"):
        assert x[[[0, 1], [1, 2]]].tolist() == [1, 5]


def test_byte_mask_warns():
    x = fb.arange(3)
    with pytest.warns(UserWarning, match="dtype flambeau.bool"):
        assert x[fb.tensor([1, 0, 1], dtype=fb.uint8)].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 3"),
        (-4, IndexError, "index -4 is out of bounds for dimension 0 with size 3"),
        ((0, 9), IndexError, "index 9 is out of bounds for dimension 1 with size 4"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        (1.0, IndexError, "only integers, slices"),
        ("x", IndexError, r"got str"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        (slice(None, None, 0), ValueError, "slice step cannot be zero"),
        ([7], IndexError, "index 7 is out of bounds for dimension 0 with size 3"),
        ((slice(None), [-5]), IndexError, "index -5 is out of bounds for dimension 1 with size 4"),
        (([0, 1], [0, 1, 2]), IndexError, r"could not be broadcast together with shapes \[2\], \["),
        (np.array([True, False]), IndexError, r"shape of the mask \[2\]"),
        (np.array([1], np.int16), IndexError, "long, int, byte or bool"),
    ],
)  # fmt: skip
def test_refused(index, error, words):
    x = fb.zeros(3, 4)
    with pytest.raises(error, match=words):
        x[index]
    with pytest.raises(error, match=words):
        x[index] = 1.0


def test_index_of_0d():
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        fb.tensor(1.0)[0]
    assert fb.tensor(1.0)[...].shape == ()


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ([1.0, 2.0, 3.0, 4.0], TypeError, "can't assign a list"),
        (None, TypeError, "can't assign a NoneType"),
        (1 + 2j, RuntimeError, "without overflow"),
        (fb.ones(2), RuntimeError, r"\[2\]"),
    ],
)
def test_refused_values(value, error, words):
    x = fb.zeros(3, 4)
    with pytest.raises(error, match=words):
        x[0] = value
    assert not x.tolist()[0][0]


def test_value_of_another_dtype_is_converted_by_a_view_only():
    x = fb.zeros(3)
    x[1:] = fb.tensor([1, 2])
    assert x.tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="dtypes match"):
        x[[0, 1]] = fb.tensor([1, 2])


def test_write_counts_once_per_assignment():
    x = fb.zeros(3, 4)
    for index in (0, slice(1, 2), (0, 1), [0, 1], x > 0, (slice(None), [1, 2])):
        before = x._version
        x[index] = 1.0
        assert x._version == before + 1


def test_gradient_of_assignment():
    """d/dv and d/dx of x with x[0] = v, where x is no leaf."""
    leaf, v = fb.ones(2, 3, requires_grad=True), fb.ones(3, requires_grad=True)
    x = leaf * 2
    x[0] = v
    x[:, 1] = 0.0
    (x * fb.arange(6.0).reshape(2, 3)).sum().backward()
    assert leaf.grad.tolist() == [[0, 0, 0], [6, 0, 10]]
    assert v.grad.tolist() == [0, 0, 2]


def test_augmented_assignment():
    leaf = fb.ones(2, 3, requires_grad=True)
    x = leaf * 2
    x[0] += 1
    x[:, 1] *= x[0, 0].clone()
    x[[0, 1], [2, 2]] -= fb.tensor([1.0, 2.0])
    assert x.tolist() == [[3, 9, 2], [2, 6, 0]]
    x.sum().backward()
    # x[0, 0] = 2 leaf + 1 multiplies column 1, which holds 3 and 2.
    assert leaf.grad.tolist() == [[2 + 2 * (3 + 2), 6, 2], [2, 6, 2]]
    y = fb.zeros(2)
    before = y._version
    y[0] += 1
    assert y._version == before + 1


def test_leaf_is_protected():
    x = fb.ones(3, requires_grad=True)
    for index in (0, [0, 1], fb.tensor([True, False, True])):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            x[index] = 1.0
    with fb.no_grad():
        x[0] = 5.0
    assert x.tolist() == [5, 1, 1]


def test_many_indices_of_one_layout():
    """More different indices than a layout remembers."""
    x = fb.arange(1000)
    assert [int(x[i]) for i in range(1000)] == list(range(1000))
    assert [int(x[i : i + 2][1]) for i in range(999)] == list(range(1, 1000))


@st.composite
def _basic(draw):
    """A shape and a tuple of integers, slices with positive steps, None and one Ellipsis."""
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=4)))
    index = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        bound = st.none() | st.integers(-n - 2, n + 2)
        part = st.integers(-n, n - 1) | st.builds(
            slice, bound, bound, st.none() | st.integers(1, 3))
        index.append(draw(part))
        if draw(st.booleans()):
            index.append(None)
    if draw(st.booleans()):
        index.append(Ellipsis)
    return shape, tuple(index)


@given(_basic())
def test_basic_indices_mean_what_they_mean_to_numpy(case):
    shape, index = case
    array = np.arange(int(np.prod(shape))).reshape(shape)
    x = fb.from_numpy(array.copy())
    for _ in range(2):  # computed, then remembered
        np.testing.assert_array_equal(x[index].numpy(), array[index])
    x[index] = -1
    array[index] = -1
    np.testing.assert_array_equal(x.numpy(), array)


@given(st.data())
def test_gather_and_scatter_undo_each_other(data):
    rows, columns = (data.draw(st.integers(1, 5)) for _ in range(2))
    order = np.array([data.draw(st.permutations(range(columns))) for _ in range(rows)])
    x = fb.arange(rows * columns).reshape(rows, columns)
    index = fb.from_numpy(order.astype(np.int64))
    moved = x.gather(1, index)
    np.testing.assert_array_equal(moved.numpy(), np.take_along_axis(x.numpy(), order, 1))
    assert fb.zeros_like(x).scatter(1, index, moved).tolist() == x.tolist()
