"""Zeros and slopes at random."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.ops.random_parity import check

import flambeau as fb
import flambeau.nn.functional as F
from flambeau.autograd import gradcheck, gradgradcheck

INPUTS = {
    "4d": "T.randn(2, 6, 4, 5)", "double": "T.randn(2, 6, 4, 5).double()",
    "half": "T.randn(2, 6, 4, 5).half()", "bfloat16": "T.randn(2, 6, 4, 5).bfloat16()",
    "permuted": "T.randn(2, 6, 4, 5).permute(0, 2, 3, 1)",
    "channels_last": "T.randn(2, 6, 4, 5).contiguous(memory_format=T.channels_last)",
    "strided": "T.randn(2, 12, 4, 5)[:, ::2]", "empty": "T.randn(0, 6, 4, 5)",
    "expanded": "T.randn(1, 6, 4, 5).expand(3, 6, 4, 5)",
}
CALLS = [
    "F.dropout(x)", "F.dropout(x, 0.2)", "F.dropout(x, 0.77)", "F.dropout(x, 1.0)",
    "F.dropout(x, 0.0)", "F.dropout(x, 0.3, False)", "F.alpha_dropout(x, 0.3, True)",
    "F.alpha_dropout(x, 0.3)", "F.feature_alpha_dropout(x, 0.3, True)", "F.dropout2d(x, 0.3)",
    "F.dropout3d(x, 0.3)", "T.feature_dropout(x, 0.3, True)", "T.dropout(x, 0.3, True)",
    "F.dropout(x * 1, 0.3, True, True)", "F.dropout2d(x * 1, 0.3, True, True)",
    "F.dropout3d(x * 1, 0.3, True, True)", "F.dropout(x * 1, 1.0, True, True)",
    "F.alpha_dropout(x * 1, 0.3, True, True)", "T.dropout_(x * 1, 0.3, True)",
    "T.alpha_dropout(x, 0.3, True)", "T.feature_dropout_(x * 1, 0.3, True)",
    "T.feature_alpha_dropout_(x * 1, 0.3, True)",
]  # fmt: skip
OTHER_RANKS = [
    ("T.randn(3, 4)", "F.dropout1d(x)"), ("T.randn(2, 3, 4)", "F.dropout1d(x)"),
    ("T.randn(3, 4)", "F.dropout1d(x * 1, 0.5, True, True)"),
    ("T.randn(6, 4, 5, 2)", "F.dropout3d(x)"), ("T.randn(2, 6, 4, 5, 2)", "F.dropout3d(x)"),
    ("T.randn(())", "F.dropout(x)"), ("T.randn(7)", "F.dropout(x)"),
    ("T.randn(300, 200)", "F.dropout(x, 0.1)"),
]  # fmt: skip
REFUSED = """
F.dropout(T.ones(3), 1.5)
F.dropout(T.ones(3), -1)
T.dropout(T.ones(3), -1.0, True)
F.dropout(0.5, 0.5, False)
F.dropout(T.ones(3, dtype=T.int64))
F.dropout(T.ones(3) > 0)
F.dropout(T.ones(3, dtype=T.complex64))
F.alpha_dropout(T.ones(3, dtype=T.int64), 0.5, True)
F.dropout(T.ones(3, requires_grad=True), 0.5, True, True)
F.dropout1d(T.ones(2, 3, 4, 5))
F.dropout2d(T.ones(2, 3, 4), 2.0)
F.feature_alpha_dropout(T.ones(3), 0.3, True)
T.feature_dropout(T.ones(3), 0.3, True)
F.rrelu(T.ones(3), 0.5, 0.2, True)
F.rrelu(T.ones(3, dtype=T.int64), training=True)
F.gumbel_softmax(T.ones(3), dim=2)
""".strip().splitlines()


@pytest.mark.filterwarnings("ignore:dropout[23]d")
@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("call", CALLS)
def test_same_as_torch(call, name):
    check(f"((x := {INPUTS[name]}.requires_grad_()), {call})[1]")


@pytest.mark.parametrize(("made", "call"), OTHER_RANKS)
def test_other_ranks(made, call):
    check(f"((x := {made}.requires_grad_()), {call})[1]")


@pytest.mark.parametrize("name", ["4d", "double", "permuted", "strided", "empty"])
@pytest.mark.parametrize("call", [
    "F.rrelu(x, 0.1, 0.3, True)", "F.rrelu(x).contiguous()", "F.rrelu(x * 1, 0.1, 0.3, True, True)",
    "F.rrelu(x * 1, 0.1, 0.3, False, True)", "T.rrelu(x, 0.1, 0.3, True)",
])  # fmt: skip
def test_rrelu(call, name):
    check(f"((x := {INPUTS[name]}.requires_grad_()), {call})[1]")


@pytest.mark.parametrize("name", ["4d", "double", "permuted"])
@pytest.mark.parametrize("options", ["", ", 0.5, True, dim=0", ", 2.0, dim=1", ", hard=True"])
def test_gumbel_softmax(options, name):
    check(f"((x := {INPUTS[name]}.requires_grad_()), F.gumbel_softmax(x{options}))[1]", False)


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("train", [True, False, None])
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_native_dropout(p, train, part):
    recorded = part == 0 and train is not None  # PyTorch's gradient lacks the scale for None
    x = "(x := T.randn(4, 5).requires_grad_())" if recorded else "T.randn(4, 5)"
    check(f"T.native_dropout({x}, {p}, {train})[{part}]")


@pytest.mark.parametrize("call", REFUSED)
def test_refused_as_torch_refuses(call):
    check(call)


def test_an_input_that_is_kept_is_returned_itself():
    x = fb.ones(3)
    assert F.dropout(x, 0.0) is F.dropout(x, 0.5, False) is F.alpha_dropout(x) is x


def test_elements_are_dropped_with_the_chance_given():
    out = F.dropout(fb.ones(100000), 0.3)
    values = out.numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    assert abs((values == 0).mean() - 0.3) < 0.01


def test_channels_are_dropped_whole():
    out = F.dropout2d(fb.ones(20, 30, 2, 3), 0.5).numpy().reshape(600, 6)
    assert set(map(tuple, np.unique(out, axis=0))) == {(0.0,) * 6, (2.0,) * 6}


def test_alpha_dropout_keeps_mean_and_variance():
    with fb.random.fork_rng():
        fb.manual_seed(0)
        out = F.alpha_dropout(fb.randn(200000), 0.2, True).numpy()
    assert abs(out.mean()) < 0.02 and abs(out.var() - 1) < 0.02


def test_infinity_times_zero_is_not_a_number():
    x = fb.tensor([float("inf"), float("nan")])
    assert np.isnan(F.dropout(x, 1.0).numpy()).all()


@pytest.mark.parametrize("name", ["dropout2d", "dropout3d"])
def test_other_ranks_are_warned_of(name):
    with pytest.warns(UserWarning, match=name):
        getattr(F, name)(fb.ones(2, 3, 4))


def test_gradients_to_second_order():
    x = fb.randn(3, 4, 5, dtype=fb.float64, requires_grad=True)

    def seeded(function):
        def run(x):
            with fb.random.fork_rng():
                fb.manual_seed(3)
                return function(x) ** 2

        return run

    for function in (
        F.dropout, F.dropout1d, lambda x: F.alpha_dropout(x, 0.4, True),
        lambda x: F.rrelu(x, training=True), lambda x: F.gumbel_softmax(x, 0.7),
    ):
        assert gradcheck(seeded(function), (x,))
        assert gradgradcheck(seeded(function), (x,))


def test_the_mask_is_kept_as_bytes():
    x = fb.ones(64, 128, requires_grad=True)
    out = F.dropout(x)
    kept = [v for v in out.grad_fn.saved if isinstance(v, fb.Tensor)]
    assert [t.dtype for t in kept] == [fb.bool]
