"""gather, scatter and the ops made of them: values and gradients against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.registry import OPS
from flambeau_cpu.kernels.index_dim import add_rows

ROWS = np.array([2, 0, 1, 2])
UNIQUE = np.array([2, 0, 1])


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("gather", ("x", 0, np.array([[0, 1, 2, 0], [2, 2, 0, 1]])), {}),
        ("gather", ("x", 1, np.array([[0, 3], [1, 1]], np.int32)), {}),
        ("scatter", ("x", 0, np.array([[1, 0, 2, 0]]), "row"), {}),
        ("scatter", ("x", 1, np.array([[1, 0]]), 2.5), {}),
        ("scatter_add", ("x", 0, np.array([[1, 1, 2, 0]] * 4), "y"), {}),
        ("index_select", ("x", 1, np.array([3, 3, 0])), {}),
        ("index_add", ("x", 0, ROWS, "y"), {"alpha": 2}),
        ("index_copy", ("x", 0, UNIQUE, "x"), {}),
        ("index_fill", ("x", 1, np.array([0, -1]), 2.5), {}),
        ("index_fill", ("x", 1, np.array([0, 0]), "scalar"), {}),
        ("masked_fill", ("x", "mask", "scalar"), {}),
        ("masked_select", ("x", "mask"), {}),
        ("masked_scatter", ("x", "mask", "y"), {}),
        ("take", ("x", np.array([[0, -1], [5, 5]])), {}),
        ("put", ("x", np.array([0, 5]), "pair"), {"accumulate": True}),
        ("take_along_dim", ("x", np.array([[0, -1, 2]]), 1), {}),
        ("nn.functional.embedding", (np.array([[0, 2], [2, 1]]), "x"), {"padding_idx": 1}),
        ("nn.functional.embedding", (ROWS, "x"), {"scale_grad_by_freq": True}),
        ("nn.functional.one_hot", (ROWS, 4), {}),
    ],
)  # fmt: skip
def test_same_as_torch(parity, rand, name, args, kwargs):
    arrays = {
        "x": rand(3, 4), "y": rand(4, 4), "mask": rand(3, 4) > 0, "pair": rand(2),
        "row": rand(1, 4), "scalar": rand(1).reshape(()),
    }  # fmt: skip
    args = [arrays[a] if isinstance(a, str) else a for a in args]
    parity(name, *args, **kwargs)


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")  # PyTorch's
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce(parity, rand, reduce, include_self):
    index = np.array([[0, 1, 0], [0, 1, 2], [0, 0, 2]])
    x, src = rand(3, 4), rand(3, 3)
    src[0, 0] = src[1, 1] = x[2, 2] = 0  # the gradient of a product at zeros
    src[1, 2] = src[2, 2]  # equal extremes share the gradient
    parity("scatter_reduce", x, 1, index, src, reduce, include_self=include_self)
    if reduce != "sum":
        parity("index_reduce", x, 0, ROWS, rand(4, 4), reduce, include_self=include_self)


def test_gradient_of_a_source_larger_than_the_index():
    src = fb.ones(2, 3, requires_grad=True)
    fb.zeros(3).unsqueeze(0).scatter_add(1, fb.tensor([[1, 1]]), src).sum().backward()
    assert src.grad.tolist() == [[1, 1, 0], [0, 0, 0]]


def test_nonzero_of_0d():
    assert fb.tensor(3).nonzero().shape == (1, 0)
    assert fb.tensor(0).nonzero().shape == (0, 0)
    assert [t.tolist() for t in fb.tensor(3).nonzero(as_tuple=True)] == [[0]]


@pytest.mark.parametrize("write", [
    lambda x: x.masked_fill(x > 1, 5.0),
    lambda x: x.masked_scatter(x > 1, fb.tensor([5.0])),
    lambda x: x.index_put((x > 1,), fb.tensor(5.0)),
    lambda x: x.index_fill(0, fb.tensor([0]), 5.0),
])
def test_0d_results_of_other_ops_are_written_to_copies(write):
    x = fb.tensor(1.0) + 1
    assert (write(x).item(), x.item()) == (5.0, 2.0)


def test_in_place_forms_write_to_the_given_memory():
    base = fb.zeros(4, 4)
    view = base[1:, ::2]
    index = fb.tensor([2, 0])
    view.index_add_(0, index, fb.ones(2, 2))
    view.index_copy_(1, fb.tensor([1]), fb.full((3, 1), 5.0))
    view.masked_fill_(view == 0, -1)
    view.index_put_((fb.tensor([0, 0]), fb.tensor([0, 0])), fb.tensor(1.0), accumulate=True)
    assert base.tolist() == [[0, 0, 0, 0], [3, 0, 5, 0], [-1, 0, 5, 0], [1, 0, 5, 0]]


def test_in_place_form_reads_what_it_overwrites_before():
    x = fb.arange(6.0)
    x.index_add_(0, fb.tensor([1, 2, 3]), x[:3])
    assert x.tolist() == [0, 1, 3, 5, 4, 5]


def test_in_place_form_records_history():
    x = fb.zeros(3, requires_grad=True) * 2
    v = fb.ones(2, requires_grad=True)
    x.index_add_(0, fb.tensor([0, 0]), v)
    (x * fb.tensor([3.0, 1.0, 1.0])).sum().backward()
    assert v.grad.tolist() == [3, 3]


@pytest.mark.parametrize("width", [1, 3, 40])
@pytest.mark.parametrize("entries", [3, 50, 5000])
def test_add_rows(width, entries):
    """Rows that occur once, a few times and very often."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, entries, 200)
    rows = rng.standard_normal((200, width))
    target = np.zeros((entries, width))
    add_rows(target, index, rows)
    expected = np.zeros((entries, width))
    for i, row in zip(index, rows, strict=True):
        expected[i] += row
    np.testing.assert_allclose(target, expected, atol=1e-12)


def test_gather_names_the_index_out_of_range():
    for name in ("gather", "scatter_add"):
        call = OPS[name].function
        args = (fb.zeros(3), 0, fb.tensor([-1])) + ((fb.ones(1),) if name == "scatter_add" else ())
        with pytest.raises(RuntimeError, match="index -1 is out of bounds for dimension 0 with s"):
            call(*args)


def test_max_norm_scales_rows_in_place():
    weight = fb.tensor([[3.0, 4.0], [0.3, 0.4]])
    OPS["embedding"].function(fb.tensor([0, 1]), weight, max_norm=1.0)
    np.testing.assert_allclose(weight.numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
