"""Losses against PyTorch: every reduction, weights, shapes, older flags, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradgradcheck
from flambeau.nn import functional as F

REDUCTIONS = ["mean", "sum", "none"]


# ---- differences -------------------------------------------------------------------------------
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options"), [
    ("mse_loss", {}), ("l1_loss", {}), ("smooth_l1_loss", {}), ("smooth_l1_loss", {"beta": 0.3}),
    ("smooth_l1_loss", {"beta": 0.0}), ("huber_loss", {}), ("huber_loss", {"delta": 0.4})])
@pytest.mark.parametrize("shape", [(3, 4), (), (0, 3), (200, 100)])
def test_differences(parity, rand, name, options, reduction, shape):
    parity(f"nn.functional.{name}", rand(*shape), rand(*shape), reduction=reduction, **options)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weighted_differences(parity, rand, name, reduction):
    x, y, w = rand(3, 4), rand(3, 4), np.abs(rand(3, 4))
    parity(f"nn.functional.{name}", x, y, reduction=reduction, weight=w)


def test_shapes_that_differ_are_broadcast_with_a_warning(parity, rand):
    with pytest.warns(UserWarning, match="likely lead to incorrect results due to broadcasting"):
        loss = F.mse_loss(fb.ones(3, 1), fb.zeros(3))
    assert loss.item() == 1.0


def test_older_flags_mean_a_reduction():
    x, y = fb.tensor([1.0, 3.0]), fb.zeros(2)
    with pytest.warns(UserWarning, match="please use reduction='sum'"):
        assert F.mse_loss(x, y, size_average=False).item() == 10.0
    with pytest.warns(UserWarning, match="please use reduction='none'"):
        assert F.l1_loss(x, y, reduce=False).tolist() == [1.0, 3.0]


def test_an_unknown_reduction_is_named():
    for call in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.binary_cross_entropy_with_logits):
        with pytest.raises(ValueError, match="most is not a valid value for reduction"):
            call(fb.ones(2), fb.ones(2), reduction="most")


# ---- classes -----------------------------------------------------------------------------------
SHAPES = [(5, 4), (4,), (2, 4, 3), (2, 4, 3, 2), (300, 50)]


def _target(shape: tuple[int, ...], classes: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, classes, shape[:1] + shape[2:] if len(shape) > 1
                                             else ())


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [
    {}, {"ignore_index": 1}, {"label_smoothing": 0.2},
    {"label_smoothing": 0.2, "ignore_index": 0}])
def test_cross_entropy(parity, rand, shape, reduction, options):
    classes = shape[0] if len(shape) == 1 else shape[1]
    parity("nn.functional.cross_entropy", rand(*shape), _target(shape, classes),
           reduction=reduction, **options)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", SHAPES)
def test_weights_of_classes(rand, name, shape, reduction):
    torch = pytest.importorskip("torch")
    classes = shape[0] if len(shape) == 1 else shape[1]
    x, y = rand(*shape), _target(shape, classes)
    options = {"reduction": reduction, "ignore_index": 2}
    if name == "cross_entropy":
        options["label_smoothing"] = 0.1
    losses, gradients = [], []
    for library, functional in ((torch, torch.nn.functional), (fb, F)):
        leaf = library.from_numpy(x).requires_grad_()
        weight = library.linspace(0.5, 2, classes)
        loss = getattr(functional, name)(leaf, library.from_numpy(y), weight, **options)
        loss.backward()
        losses.append(loss.item())
        gradients.append(leaf.grad.numpy())
    np.testing.assert_allclose(losses[1], losses[0], 1e-5)
    np.testing.assert_allclose(gradients[1], gradients[0], 1e-4, 1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_with_probabilities(parity, rand, shape, reduction):
    parity("nn.functional.cross_entropy", rand(*shape), np.abs(rand(*shape)), reduction=reduction,
           label_smoothing=0.1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ignore_index", [-100, 1])
def test_nll(parity, rand, shape, reduction, ignore_index):
    classes = shape[0] if len(shape) == 1 else shape[1]
    parity("nn.functional.nll_loss", rand(*shape), _target(shape, classes), reduction=reduction,
           ignore_index=ignore_index)


def test_ignored_infinite_logits_do_not_spoil_the_loss():
    x = fb.tensor([[0.0, -math.inf], [1.0, 2.0]], requires_grad=True)
    loss = F.cross_entropy(x, fb.tensor([-100, 1]))
    loss.backward()
    assert math.isfinite(loss.item())
    assert x.grad[0].tolist() == [0.0, 0.0]


def test_all_ignored_is_nan_as_in_torch():
    assert math.isnan(F.cross_entropy(fb.ones(2, 3), fb.tensor([-100, -100])).item())


@pytest.mark.parametrize("wrong", [4, -1])
@pytest.mark.parametrize("call", [F.cross_entropy, F.nll_loss])
def test_classes_out_of_bounds_are_named(call, wrong):
    with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds"):
        call(fb.ones(2, 4), fb.tensor([0, wrong]))
    with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds"):
        call(fb.ones(2, 4, dtype=fb.float16), fb.tensor([0, wrong]))


def test_refusals_of_cross_entropy():
    x = fb.ones(2, 4)
    with pytest.raises(ValueError, match=r"batch_size \(2\) to match target batch_size \(3\)"):
        F.cross_entropy(x, fb.tensor([0, 1, 2]))
    with pytest.raises(RuntimeError, match="expected scalar type Long but found int32"):
        F.cross_entropy(x, fb.tensor([0, 1], dtype=fb.int32))
    with pytest.raises(RuntimeError, match="all 4 classes or no classes"):
        F.cross_entropy(x, fb.tensor([0, 1]), fb.ones(3))
    with pytest.raises(RuntimeError, match="label_smoothing must be between"):
        F.cross_entropy(x, fb.tensor([0, 1]), label_smoothing=2.0)


def test_second_derivative_of_cross_entropy_goes_through_the_input():
    x = fb.randn(3, 4, dtype=fb.float64, requires_grad=True)
    y = fb.tensor([0, 2, 3])
    assert gradgradcheck(lambda t: F.cross_entropy(t, y, label_smoothing=0.1), (x,))


# ---- probabilities -----------------------------------------------------------------------------
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(3, 4), (), (0, 2)])
def test_binary_cross_entropy(parity, rand, shape, reduction):
    x, y = 1 / (1 + np.exp(-rand(*shape))), np.abs(rand(*shape)) / 4
    parity("nn.functional.binary_cross_entropy", np.asarray(x, np.float32),
           np.asarray(y, np.float32), reduction=reduction)
    parity("nn.functional.binary_cross_entropy_with_logits", np.asarray(rand(*shape) * 9),
           np.asarray(y, np.float32), reduction=reduction)


def test_binary_cross_entropy_with_weights():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 4)), rng.random((3, 4))
    w, p = rng.random(4), rng.random(4)
    want = torch.nn.functional.binary_cross_entropy_with_logits(
        *map(torch.from_numpy, (x, y, w)), pos_weight=torch.from_numpy(p))
    got = F.binary_cross_entropy_with_logits(
        *map(fb.from_numpy, (x, y, w)), pos_weight=fb.from_numpy(p))
    assert math.isclose(got.item(), want.item(), rel_tol=1e-12)


def test_certain_and_wrong_is_100():
    assert F.binary_cross_entropy(fb.tensor([0.0]), fb.tensor([1.0])).item() == 100.0


def test_what_is_no_probability_is_refused():
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.binary_cross_entropy(fb.tensor([1.5]), fb.tensor([1.0]))


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_kl_div(parity, rand, reduction, log_target):
    target = rand(3, 4) if log_target else np.abs(rand(3, 4))
    parity("nn.functional.kl_div", rand(3, 4), target, reduction=reduction, log_target=log_target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", [
    {}, {"log_input": False}, {"full": True}, {"log_input": False, "full": True, "eps": 1e-3}])
def test_poisson(parity, rand, options, reduction):
    parity("nn.functional.poisson_nll_loss", np.abs(rand(3, 4)), np.abs(rand(3, 4)) * 3,
           reduction=reduction, **options)


@pytest.mark.parametrize("var", [(3, 4), (3, 1), (3,)])
def test_gaussian(parity, rand, var):
    parity("nn.functional.gaussian_nll_loss", rand(3, 4), rand(3, 4), np.abs(rand(*var)),
           full=True)


# ---- margins -----------------------------------------------------------------------------------
def _signs(rand, *shape: int) -> np.ndarray:
    return np.where(rand(*shape) > 0, 1, -1).astype(np.int64)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_margins(parity, rand, reduction):
    x, y = rand(5, 4), rand(5, 4)
    sign, one = _signs(rand, 5, 4), _signs(rand, 5)
    classes = np.array([0, 3, 2, 1, 1])
    parity("nn.functional.hinge_embedding_loss", x, sign, 0.7, reduction=reduction)
    parity("nn.functional.soft_margin_loss", x, sign, reduction=reduction)
    parity("nn.functional.margin_ranking_loss", x, y, sign, 0.3, reduction=reduction)
    parity("nn.functional.cosine_embedding_loss", x, y, one, 0.1, reduction=reduction)
    parity("nn.functional.multi_margin_loss", x, classes, p=2, margin=0.6, reduction=reduction)
    labels = np.array([[0, 2, -1, 1], [3, -1, 0, 0], [-1, 0, 0, 0], [0, 1, 2, 3], [1, 0, -1, -1]])
    parity("nn.functional.multilabel_margin_loss", x, labels, reduction=reduction)
    parity("nn.functional.multilabel_soft_margin_loss", x, np.abs(y) / 4, reduction=reduction)
    parity("nn.functional.triplet_margin_loss", x, y, rand(5, 4), swap=True, reduction=reduction)


def test_triplets_with_a_distance_of_ones_own():
    a, p, n = fb.zeros(1, 2), fb.ones(1, 2), fb.full((1, 2), 2.0)

    def city_block(x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        return (x - y).abs().sum(-1)

    loss = F.triplet_margin_with_distance_loss(a, p, n, distance_function=city_block, margin=5.0)
    assert loss.item() == 5 + 2 - 4


@pytest.mark.parametrize(("name", "options"), [
    ("cosine_similarity", {"dim": 0}), ("pairwise_distance", {"p": 1.0, "keepdim": True}),
    ("pairwise_distance", {"p": math.inf})])
def test_similarity(parity, rand, name, options):
    parity(f"nn.functional.{name}", rand(3, 4), rand(3, 4), **options)


def test_a_vector_of_zeros_has_a_direction_of_zeros(parity):
    parity("nn.functional.normalize", np.zeros((2, 3), np.float32))
    parity("nn.functional.cosine_similarity", np.zeros((2, 3), np.float32),
           np.ones((2, 3), np.float32))
