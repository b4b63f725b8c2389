"""Normalisation by batch, layer, group and instance, against PyTorch."""

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck
from flambeau.registry import OPS
from flambeau_cpu.kernels import TABLE

INTERNAL = (
    "native_layer_norm", "layer_norm_grads", "rms_norm", "rms_norm_grads", "group_norm_stats",
    "group_norm_grads", "batch_norm_train", "batch_norm_eval", "batch_norm_grads",
    "running_average")
F = "nn.functional."


@pytest.fixture(params=["kernel", "decomposition"], autouse=True)
def path(request, monkeypatch):
    """Run every test on the fused kernels, and on the decompositions that other backends use."""
    if request.param == "decomposition":
        for name in INTERNAL:
            monkeypatch.delitem(TABLE.fresh, name)
            monkeypatch.setattr(OPS[name], "fast", {})


@pytest.mark.parametrize(("x", "shape"), [
    ((3, 4, 5), (5,)), ((3, 4, 5), (4, 5)), ((5,), (5,)), ((0, 5), (5,)), ((300, 400), (400,))])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_layer_and_rms_norm(parity, rand, x, shape, affine, name):
    parameters = [rand(*shape)] * (2 if name == "layer_norm" else 1) if affine else []
    parity(F + name, rand(*x), shape, *(p.copy() for p in parameters), tolerance=2e-5)


def test_large_means_do_not_cancel(parity, rand):
    parity(F + "layer_norm", rand(8, 64) + 1000, (64,), tolerance=2e-3)
    parity(F + "batch_norm", rand(8, 4, 16) + 1000, None, None, training=True, tolerance=2e-3)


def test_half_is_computed_in_single(parity, rand):
    x, w = rand(4, 16, dtype=np.float16), rand(16)
    parity(F + "layer_norm", x, (16,), w, tolerance=2e-3)
    parity(F + "rms_norm", x, (16,), w.astype(np.float16), tolerance=2e-3)
    parity(F + "batch_norm", x, None, None, w, training=True, tolerance=3e-3)


@pytest.mark.parametrize("shape", [(4, 6), (2, 6, 5), (2, 6, 3, 4), (2, 6, 2, 3, 2)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(parity, rand, shape, groups):
    if len(shape) > 2 or groups < 6:
        parity(F + "group_norm", rand(*shape), groups, rand(6), rand(6), tolerance=2e-5)
        parity(F + "group_norm", rand(*shape), groups, tolerance=2e-5)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5)])
def test_instance_norm(parity, rand, shape):
    parity(F + "instance_norm", rand(*shape), None, None, rand(3), rand(3), tolerance=2e-5)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 5, 4), (40, 3, 40, 40)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_in_training(parity, rand, shape, affine):
    parity(F + "batch_norm", rand(*shape), None, None, *([rand(3), rand(3)] if affine else []),
           training=True, tolerance=2e-5)


def _constant(array):
    array.setflags(write=False)
    return array


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (0, 3, 5)])
def test_batch_norm_in_evaluation(parity, rand, shape):
    mean, var = _constant(rand(3)), _constant(np.abs(rand(3)) + 0.1)
    parity(F + "batch_norm", rand(*shape), mean, var, rand(3), rand(3), tolerance=2e-5)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_move(rand, name):
    torch = pytest.importorskip("torch")
    x, mean, var = rand(4, 3, 5), rand(3), np.abs(rand(3)) + 0.1
    moved = []
    for library, function in (
            (torch, getattr(torch.nn.functional, name)), (flambeau, OPS[name].function)):
        stats = [library.from_numpy(a.copy()) for a in (mean, var)]
        options = {"training": True} if name == "batch_norm" else {}
        function(library.from_numpy(x), *stats, momentum=0.3, **options)
        moved.append([s.numpy() for s in stats])
    assert all(s._version for s in stats)  # autograd sees that flambeau's were written to
    np.testing.assert_allclose(moved[0], moved[1], 1e-5)


def test_channels_last_is_kept(rand):
    x = flambeau.from_numpy(rand(2, 3, 4, 5)).contiguous(memory_format=flambeau.channels_last)
    function = OPS["batch_norm"].function
    y = function(x, None, None, training=True)
    expected = function(x.contiguous(), None, None, training=True)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), 1e-4, 1e-5)


def test_native_forms_return_statistics(parity, rand):
    x = rand(4, 6, 5)
    parity("native_layer_norm", x, (5,), rand(5), rand(5), 1e-5, tolerance=2e-5)
    parity("native_group_norm", x, rand(6), rand(6), 4, 6, 5, 3, 1e-5, tolerance=2e-5)
    parity("native_batch_norm", x, rand(6), None, None, None, True, 0.1, 1e-5, tolerance=2e-5)


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 5, 3, 4), (1, 5, 2, 3, 2)])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(parity, rand, shape, size):
    parity(F + "local_response_norm", rand(*shape), size, alpha=0.5, beta=0.6, k=2.0)


@pytest.mark.parametrize(("name", "args"), [
    ("layer_norm", ((4,),)), ("rms_norm", ((4,),)), ("group_norm", (2,))])
def test_double_backward(rand, name, args):
    x = flambeau.from_numpy(rand(3, 4, dtype=np.float64)).requires_grad_()
    w = flambeau.from_numpy(rand(4, dtype=np.float64)).requires_grad_()
    function = OPS[name].function
    assert gradgradcheck(lambda x, w: function(x, *args, w) ** 2, (x, w))


@pytest.mark.parametrize("training", [True, False])
def test_double_backward_of_batch_norm(rand, training):
    x = flambeau.from_numpy(rand(3, 2, 2, dtype=np.float64)).requires_grad_()
    w = flambeau.from_numpy(rand(2, dtype=np.float64)).requires_grad_()
    stats = [flambeau.from_numpy(np.abs(rand(2, dtype=np.float64)) + 0.2) for _ in range(2)]
    function = OPS["batch_norm"].function
    assert gradgradcheck(
        lambda x, w: function(x, *([None] * 2 if training else stats), w, None, training) ** 2,
        (x, w))


@pytest.mark.parametrize(("name", "shape", "args", "kind", "message"), [
    ("layer_norm", (3, 4), ((5,),), RuntimeError, r"expected input with shape \[\*, 5\]"),
    ("layer_norm", (3, 4), (4,), TypeError, "must be tuple of ints, not int"),
    ("rms_norm", (3, 4), ((5,),), RuntimeError, "expected input with shape"),
    ("group_norm", (2, 3, 4), (2,), RuntimeError, "divisible by num_groups"),
    ("group_norm", (1, 3), (3,), ValueError, "more than 1 value per channel"),
    ("batch_norm", (1, 3), (None, None, None, None, True), ValueError, "more than 1 value"),
    ("batch_norm", (2, 3), (None, None), RuntimeError, "evaluation mode"),
    ("instance_norm", (2, 3, 1), (), ValueError, "more than 1 spatial element"),
    ("local_response_norm", (3, 4), (2,), ValueError, "3D or higher"),
])
def test_refusals(name, shape, args, kind, message):
    with pytest.raises(kind, match=message):
        OPS[name].function(flambeau.ones(*shape), *args)


def test_statistics_of_another_size_are_refused():
    with pytest.raises(RuntimeError, match="running_mean should contain 3 elements not 4"):
        OPS["batch_norm"].function(flambeau.ones(2, 3), flambeau.zeros(4), flambeau.ones(3))
