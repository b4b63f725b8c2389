"""Views, rearrangements, stacking, splitting, padding: values and gradients against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.registry import OPS

CASES = [
    ("flip", ((2, 3, 4),), {"dims": (0, 2)}),
    ("fliplr", ((2, 3),), {}),
    ("flipud", ((2, 3),), {}),
    ("roll", ((3, 4), (1, -2), (0, 1)), {}),
    ("roll", ((3, 4), 5), {}),
    ("rot90", ((2, 3, 4), -1, (1, 2)), {}),
    ("tile", ((2, 3), (2, 1, 2)), {}),
    ("repeat_interleave", ((2, 3), 2), {"dim": 1}),
    ("repeat_interleave", ((2, 3), np.array([2, 0, 3])), {"dim": 1}),
    ("repeat_interleave", (np.array([2, 0, 1]),), {}),
    ("movedim", ((2, 3, 4), (0, 2), (1, 0)), {}),
    ("ravel", ((2, 3),), {}),
    ("diag", ((3,), -1), {}),
    ("diag", ((3, 4), 1), {}),
    ("diag_embed", ((2, 3),), {"offset": 1, "dim1": 0, "dim2": 2}),
    ("diagflat", ((2, 2), 1), {}),
    ("trace", ((3, 4),), {}),
    ("tril", ((2, 3, 4), -1), {}),
    ("triu", ((4, 3), 1), {}),
    ("select_scatter", ((3, 4), (3,), 1, -1), {}),
    ("slice_scatter", ((3, 4), (3, 2), 1, 0, 4, 2), {}),
    ("diagonal_scatter", ((3, 4), (2,), 2), {}),
    ("hstack", ([(2, 3), (2, 1)],), {}),
    ("hstack", ([(2,), (3,)],), {}),
    ("vstack", ([(3,), (2, 3)],), {}),
    ("dstack", ([(2, 3), (2, 3)],), {}),
    ("column_stack", ([(2,), (2, 3)],), {}),
    ("tensor_split", ((7, 2), 3), {}),
    ("tensor_split", ((7, 2), [1, 3, 9]), {}),
    ("hsplit", ((4, 6), 3), {}),
    ("vsplit", ((4, 6), [1, 3]), {}),
    ("dsplit", ((2, 2, 4), 2), {}),
    ("combinations", ((4,), 3), {}),
    ("constant_pad_nd", ((3, 4), (1, -1, 2, 0), 1.5), {}),
    ("nn.functional.pad", ((2, 3, 5), (2, 1)), {"mode": "reflect"}),
    ("nn.functional.pad", ((2, 3, 4, 5), (2, -1, 1, 0)), {"mode": "replicate"}),
    ("nn.functional.pad", ((2, 3, 3, 4, 5), (1, 2, 0, 3, 2, 1)), {"mode": "circular"}),
    ("nn.functional.pad", ((3, 4), (1, 1)), {"value": 2.0}),
    ("pixel_shuffle", ((2, 8, 2, 3), 2), {}),
    ("pixel_unshuffle", ((1, 2, 4, 6), 2), {}),
    ("channel_shuffle", ((1, 6, 2, 2), 3), {}),
    ("nn.functional.unfold", ((2, 3, 6, 5), (2, 3)), {"dilation": 2, "padding": 1}),
    ("nn.functional.unfold", ((3, 6, 5), 3), {"stride": (1, 2)}),
    ("nn.functional.fold", ((2, 12, 12), (4, 5), 2), {}),
    ("nn.functional.fold", ((1, 8, 9), (6, 6), 2), {"dilation": 2, "stride": 2, "padding": 1}),
]  # fmt: skip


def _arrays(value, rand):
    """Shapes (tuples of sizes at the front, or lists of them) as arrays."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return [rand(*shape) for shape in value]
    return value


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES, ids=lambda v: str(v)[:40])
def test_same_as_torch(parity, rand, name, args, kwargs):
    first, *rest = args
    first = rand(*first) if isinstance(first, tuple) else _arrays(first, rand)
    if name.endswith("_scatter"):
        rest[0] = rand(*rest[0])
    parity(name, first, *rest, **kwargs)


@pytest.mark.parametrize("name", [
    "expand_copy", "permute_copy", "select_copy", "slice_copy", "squeeze_copy", "t_copy",
    "transpose_copy", "unsqueeze_copy", "view_copy", "diagonal_copy", "unfold_copy",
    "as_strided_copy", "narrow_copy", "alias_copy", "split_copy", "unbind_copy",
])  # fmt: skip
def test_copies_share_nothing(name):
    class Make:
        dtype = fb.float32

        def __call__(self, *shape):
            return fb.zeros(*shape) if shape else fb.zeros(())

    op = OPS[name]
    for s in op.samples(Make()):
        out = op.function(*s.args, **s.kwargs)
        for t in out if isinstance(out, tuple) else (out,):
            t.fill_(7)
        assert not s.args[0].any()


def test_views_write_to_the_original():
    x = fb.zeros(4, 6)
    for i, part in enumerate(x.tensor_split(3, 1)):
        part.fill_(i)
    x.movedim(0, 1)[0].fill_(9)
    assert x[0].tolist() == [9, 0, 1, 1, 2, 2]


def test_repeat():
    x = fb.arange(3.0, requires_grad=True)
    y = x.repeat(2, 2)
    assert y.tolist() == [[0, 1, 2, 0, 1, 2]] * 2
    (y * fb.arange(12.0).reshape(2, 6)).sum().backward()
    assert x.grad.tolist() == [18, 22, 26]
    assert x.repeat(1).data_ptr() != x.data_ptr()
    with pytest.raises(RuntimeError, match="can not be smaller"):
        fb.zeros(2, 2).repeat(2)


def test_meshgrid():
    a, b = fb.arange(2), fb.arange(3)
    for indexing in ("ij", "xy"):
        want = np.meshgrid(a.numpy(), b.numpy(), indexing=indexing)
        have = fb.meshgrid(a, b, indexing=indexing)
        assert [h.tolist() for h in have] == [w.tolist() for w in want]
    with pytest.warns(UserWarning, match="indexing argument"):
        assert fb.meshgrid(a)[0].tolist() == [0, 1]


def test_grids_and_blocks():
    assert fb.cartesian_prod(fb.tensor([1, 2]), fb.tensor([3, 4])).tolist() == [
        [1, 3], [1, 4], [2, 3], [2, 4]]
    assert fb.block_diag(fb.ones(1, 2), fb.tensor(3.0)).tolist() == [[1, 1, 0], [0, 0, 3]]
    assert fb.block_diag().shape == (1, 0)
    assert [t.shape for t in fb.broadcast_tensors(fb.zeros(3, 1), fb.zeros(4))] == [(3, 4)] * 2
    whole = fb.zeros(3, 4)
    assert fb.broadcast_tensors(whole, fb.zeros(4))[0] is whole
    assert fb.broadcast_shapes((2, 1), 3, (1,)) == (2, 3)
    with pytest.raises(RuntimeError, match="Shape mismatch"):
        fb.broadcast_shapes((2,), (3,))


def test_at_least():
    x = fb.tensor(1.0)
    assert (fb.atleast_1d(x).ndim, fb.atleast_2d(x).ndim, fb.atleast_3d(x).ndim) == (1, 2, 3)
    assert fb.atleast_3d(fb.zeros(2)).shape == (1, 2, 1)
    assert isinstance(fb.atleast_1d(x, x), tuple)


def test_triangle_indices():
    assert fb.tril_indices(3, 3, -1).tolist() == [[1, 2, 2], [0, 0, 1]]
    assert fb.triu_indices(2, 3, 1, dtype=fb.int32).tolist() == [[0, 0, 1], [1, 2, 2]]
    with pytest.raises(RuntimeError, match="non-negative"):
        fb.tril_indices(2, -1)


def test_transposes_by_property():
    x = fb.zeros(2, 3, 4)
    assert (x.mT.shape, x[0].T.shape, x[0].H.shape) == ((2, 4, 3), (4, 3), (4, 3))
    with pytest.warns(UserWarning, match="deprecated"):
        assert x.T.shape == (4, 3, 2)
    with pytest.raises(RuntimeError, match="Got 1-D tensor"):
        fb.zeros(3).mT  # noqa: B018
    with pytest.raises(RuntimeError, match="consider using tensor.mH"):
        x.H  # noqa: B018
    z = fb.tensor([[1 + 2j, 3j]])
    assert z.H.tolist() == [[1 - 2j], [-3j]]


def test_view_as_another_dtype():
    x = fb.arange(8, dtype=fb.float32).reshape(2, 4)
    for what in (fb.int32, fb.int16, fb.float64, fb.uint8):
        want = x.numpy().view(what.numpy)
        np.testing.assert_array_equal(x.view(what).numpy(), want)
    x.view(fb.int32).zero_()
    assert not x.any()
    with pytest.raises(RuntimeError, match="divisible by 2"):
        fb.zeros(2, 3).view(fb.float64)


def test_in_place_views():
    x = fb.zeros(2, 3, requires_grad=True) * 1
    assert x.t_().shape == (3, 2)
    assert repr(x.grad_fn).startswith("<TBackward0")
    x.unsqueeze_(0).transpose_(0, 1).squeeze_()
    assert x.shape == (3, 2)
    leaf = fb.zeros(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        leaf.t_()
    y = leaf * fb.arange(6.0).reshape(2, 3)
    y.t_()
    (y * fb.tensor([1.0, 10.0])).sum().backward()
    assert leaf.grad.tolist() == [[0, 1, 2], [30, 40, 50]]


def test_fill_diagonal():
    assert fb.zeros(5, 2).fill_diagonal_(1, wrap=True).tolist() == [
        [1, 0], [0, 1], [0, 0], [1, 0], [0, 1]]
    assert float(fb.zeros(3, 3, 3).fill_diagonal_(2).sum()) == 6


def test_unravel_index():
    found = fb.unravel_index(fb.tensor([5, 0, 3]), (2, 3))
    assert [t.tolist() for t in found] == [[1, 0, 1], [2, 0, 0]]
    with pytest.raises(TypeError, match="integer dtype"):
        fb.unravel_index(fb.tensor([1.0]), (2,))


@pytest.mark.parametrize("dim", [0, -1])
def test_the_gradients_of_parts_are_joined_by_one_node(dim):
    x = fb.arange(12.0).reshape(3, 4).requires_grad_()
    a, b = x.split([1, x.shape[dim] - 1], dim)
    assert a.grad_fn is b.grad_fn
    assert a.grad_fn.name() == "SplitBackward0"
    (3 * b).sum().backward()  # nothing comes in for the first part
    expected = fb.full((3, 4), 3.0)
    expected.narrow(dim, 0, 1).zero_()
    assert (x.grad == expected).all()
    first, *_, last = x.unbind(dim)
    assert first.grad_fn is last.grad_fn
    found, = fb.autograd.grad((first * last * first).sum(), x, create_graph=True)
    again, = fb.autograd.grad(found.sum(), x)
    assert (again.select(dim, 0) == 2 * last + 2 * first).all()
    assert (again.select(dim, -1) == 2 * first).all()


def test_a_part_that_is_written_to_keeps_its_gradient():
    x = fb.ones(2, 4).requires_grad_()
    y = x * 2
    a, b = y.split(2, 1)
    a.mul_(5)
    (a.sum() + y.sum() + b.sum()).backward()
    assert x.grad.tolist() == [[20, 20, 4, 4]] * 2
