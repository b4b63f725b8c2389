"""Layout arithmetic agrees with NumPy's strided arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flambeau.layout import (
    Layout,
    Recent,
    Size,
    broadcast_shapes,
    contiguous_strides,
    infer_shape,
    wrap_dim,
    wrap_dims,
)
from flambeau.registry import OPS, apply_view_rule

BASE = np.arange(4096)


def picture(layout: Layout) -> np.ndarray:
    """The elements that a layout names, as an array of their positions."""
    strides = tuple(s * BASE.itemsize for s in layout.strides)
    return np.lib.stride_tricks.as_strided(BASE[layout.offset :], layout.shape, strides)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Layouts of permuted and sliced row-major tensors."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    layout = Layout.contiguous(shape)
    if shape:
        layout = layout.permute(draw(st.permutations(range(len(shape)))))
        dim = draw(st.integers(0, len(shape) - 1))
        start = draw(st.integers(0, layout.shape[dim]))
        layout = layout.slice(dim, start, None, draw(st.integers(1, 3)))
    return layout


@given(layouts(), st.data())
def test_view_is_numpys_reshape_where_it_exists(layout: Layout, data: st.DataObject) -> None:
    factors = [n for n in layout.shape if n != 1]
    if layout.numel == 0:
        return
    cut = data.draw(st.integers(0, len(factors)))
    shape = (int(np.prod(factors[:cut], dtype=int)), *factors[cut:], 1)
    got = layout.view(shape)
    expected = picture(layout).reshape(shape)
    if got is not None:
        assert np.array_equal(picture(got), expected)
    else:  # no strides exist: numpy had to copy
        assert not np.shares_memory(expected, BASE)


@given(layouts())
def test_facts_about_memory(layout: Layout) -> None:
    positions = picture(layout).reshape(-1)
    assert layout.overlaps_itself() is False
    if layout.numel:
        assert layout.span() == positions.max() + 1
        assert layout.is_contiguous == np.array_equal(
            positions, np.arange(len(positions)) + positions[0])
        assert layout.is_dense() == (positions.max() - positions.min() + 1 == len(positions))


@given(layouts(), st.data())
def test_select_unsqueeze_squeeze(layout: Layout, data: st.DataObject) -> None:
    dim = data.draw(st.integers(0, layout.ndim))
    grown = layout.unsqueeze(dim)
    assert np.array_equal(picture(grown), np.expand_dims(picture(layout), dim))
    assert grown.squeeze([dim]).shape == layout.shape
    if layout.ndim and layout.shape[0]:
        index = data.draw(st.integers(-layout.shape[0], layout.shape[0] - 1))
        assert np.array_equal(picture(layout.select(0, index)), picture(layout)[index])


@pytest.mark.parametrize("offset", [-3, -2, -1, 0, 1, 2, 4, 5])
def test_diagonal(offset: int) -> None:
    layout = Layout.contiguous((3, 4, 2))
    got = picture(layout.diagonal(offset, 0, 1))
    assert np.array_equal(got, picture(layout).diagonal(offset, 0, 1))


def test_unfold() -> None:
    layout = Layout.contiguous((7, 2)).unfold(0, 3, 2)
    windows = np.lib.stride_tricks.sliding_window_view(picture(Layout.contiguous((7, 2))), 3, 0)
    assert np.array_equal(picture(layout), windows[::2])


def test_expand_overlaps_itself() -> None:
    layout = Layout.contiguous((3, 1)).expand((2, 3, 4))
    assert layout.strides == (0, 1, 0)
    assert layout.overlaps_itself()
    with pytest.raises(RuntimeError, match=r"must match the existing size \(3\)"):
        Layout.contiguous((3, 1)).expand((2, 4))
    with pytest.raises(RuntimeError, match="greater or equal to the number of dimensions"):
        Layout.contiguous((3, 1)).expand((3,))


def test_contiguous_layouts_are_interned() -> None:
    assert Layout.contiguous((2, 3)) is Layout.contiguous((2, 3))
    assert Layout.of((2, 3), (3, 1)) is Layout.contiguous((2, 3))


def test_layouts_at_other_offsets_are_interned_and_share_their_views() -> None:
    rows = Layout.contiguous((5, 2, 3))
    assert rows.select(0, 4) is rows.select(0, -1) is rows.select(0, 0).at(24)
    assert rows.select(0, 3).select(0, 1) is Layout.of((3,), (1,), 21)
    assert rows.slice(0, 1, 3) == Layout.of((2, 2, 3), (6, 3, 1), 6)
    assert rows.select(0, 1).memo is rows.select(0, 2).memo
    assert rows.expand((5, 2, 3)).at(2).overlaps_itself() is False
    assert Layout.of((2, 2), (0, 1), 7).overlaps_itself() is True


def test_a_table_forgets_what_is_not_used() -> None:
    table = Recent(room=2)
    for key in range(6):
        table.remember(key, key)
    assert table.keys() | table.older.keys() == {2, 3, 4, 5} and table[0] is None
    for key in range(6, 12):
        table.remember(key, key)
        assert table[5] == 5
    assert len(table) <= 2 and len(table.older) <= 2


def test_views_of_a_layout_are_remembered_for_all_its_offsets() -> None:
    rows = Layout.contiguous((4, 6))
    op = OPS["view"]
    folded = [apply_view_rule(op, rows.select(0, i), ((2, 3),)) for i in (0, 3)]
    assert folded == [Layout.of((2, 3), (3, 1), 0), Layout.of((2, 3), (3, 1), 18)]
    part = apply_view_rule(OPS["slice_dim"], rows.select(0, 2), (0, 1, 4, 1))
    assert part == Layout.of((3,), (1,), 13)
    placed = apply_view_rule(OPS["as_strided_view"], rows.select(0, 2), ((2,), (1,), 5))
    assert placed.offset == 5  # an offset given by hand does not move


def test_channels_last() -> None:
    layout = Layout.of((2, 3, 4, 5), (60, 1, 15, 3))
    assert layout.is_channels_last() and layout.is_dense() and not layout.is_contiguous


@given(st.lists(st.integers(1, 3), max_size=3), st.lists(st.integers(1, 3), max_size=3))
def test_broadcast_shapes(a: list[int], b: list[int]) -> None:
    try:
        expected = np.broadcast_shapes(tuple(a), tuple(b))
    except ValueError:
        with pytest.raises(RuntimeError, match="must match the size of tensor b"):
            broadcast_shapes(a, b)
    else:
        assert broadcast_shapes(a, b) == expected


@pytest.mark.parametrize(
    ("shape", "numel", "expected"),
    [((2, -1), 6, (2, 3)), ((-1,), 0, (0,)), ((), 1, ()), ((3, 0), 0, (3, 0))],
)
def test_infer_shape(shape: tuple[int, ...], numel: int, expected: tuple[int, ...]) -> None:
    assert infer_shape(shape, numel) == expected


@pytest.mark.parametrize(
    ("shape", "numel", "words"),
    [((2, -1), 7, "invalid for input of size 7"), ((-1, -1), 4, "only one dimension"),
     ((0, -1), 0, "ambiguous"), ((-2,), 2, "invalid shape dimension -2")],
)
def test_infer_shape_refuses(shape: tuple[int, ...], numel: int, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        infer_shape(shape, numel)


def test_dimensions_are_wrapped_and_checked() -> None:
    assert wrap_dim(-1, 3) == 2 and wrap_dim(0, 0) == 0
    assert wrap_dims((0, -1), 3) == (0, 2)
    with pytest.raises(IndexError, match=r"range of \[-3, 2\], but got 3"):
        wrap_dim(3, 3)
    with pytest.raises(RuntimeError, match="appears multiple times"):
        wrap_dims((0, -3), 3)


def test_size_is_a_tuple_that_knows_its_product() -> None:
    size = Size((2, 3))
    assert size == (2, 3) and size.numel() == 6 and repr(size) == "flambeau.Size([2, 3])"
    assert isinstance(size[:1], Size) and isinstance(size + Size((4,)), Size)
    assert contiguous_strides((2, 0, 3)) == (3, 3, 1)
