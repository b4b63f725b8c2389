"""Utilities: clipping, vectors, fusing, parametrizations, functional calls."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils import parametrize
from flambeau.nn.utils.stateless import functional_call


def parameters(ns, *shapes):
    found = []
    for i, shape in enumerate(shapes):
        p = ns.nn.Parameter(ns.zeros(*shape))
        values = np.random.default_rng(i).standard_normal(shape).astype("float32")
        p.grad = ns.from_numpy(values)
        found.append(p)
    return [*found, ns.nn.Parameter(ns.zeros(2))]


# ---- gradients -----------------------------------------------------------------------------------
@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf"), 3])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_by_norm_equals_torch(norm_type, max_norm):
    torch = pytest.importorskip("torch")
    mine, theirs = (parameters(ns, (3, 4), (5,)) for ns in (fb, torch))
    a = nn.utils.clip_grad_norm_(mine, max_norm, norm_type)
    b = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert a.item() == pytest.approx(b.item(), rel=1e-6)
    for p, q in zip(mine[:2], theirs, strict=False):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


def test_clipping_by_value():
    items = parameters(fb, (3, 4))
    nn.utils.clip_grad_value_(items, 0.1)
    assert float(items[0].grad.abs().max()) == pytest.approx(0.1)
    assert items[1].grad is None


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_norms_that_are_not_finite():
    p = parameters(fb, (2,))[0]
    p.grad[0] = float("inf")
    with pytest.raises(RuntimeError, match="non-finite, so it cannot be clipped"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0.0
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        nn.utils.clip_grad_norm(p, 1.0)


# ---- vectors -------------------------------------------------------------------------------------
def test_parameters_as_a_vector():
    m = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(m.parameters())
    assert vector.shape == (9,) and vector.requires_grad
    nn.utils.vector_to_parameters(fb.arange(9.0), m.parameters())
    assert m.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert m.bias.tolist() == [6.0, 7.0, 8.0] and isinstance(m.bias, nn.Parameter)
    with pytest.raises(TypeError, match="but got: int"):
        nn.utils.vector_to_parameters(3, m.parameters())


# ---- fusing --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("layer", "norm", "shape", "transposed"), [
    (lambda: nn.Conv2d(2, 3, 2), lambda: nn.BatchNorm2d(3), (2, 2, 4, 4), False),
    (lambda: nn.Conv2d(2, 3, 2, bias=False), lambda: nn.BatchNorm2d(3, affine=False),
     (2, 2, 4, 4), False),
    (lambda: nn.ConvTranspose2d(2, 3, 2), lambda: nn.BatchNorm2d(3), (2, 2, 4, 4), True),
])
def test_fused_convolutions_give_the_same(layer, norm, shape, transposed):
    conv, bn = layer(), norm()
    bn(conv(fb.randn(8, *shape[1:])))  # so that there are statistics
    conv.eval()
    bn.eval()
    x = fb.randn(shape)
    fused = nn.utils.fuse_conv_bn_eval(conv, bn, transposed)
    np.testing.assert_allclose(
        fused(x).detach().numpy(), bn(conv(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_fused_linear_gives_the_same():
    linear, bn = nn.Linear(3, 4), nn.BatchNorm1d(4)
    bn(linear(fb.randn(9, 3)))
    with pytest.raises(AssertionError, match="Fusion only for eval!"):
        nn.utils.fuse_linear_bn_eval(linear, bn)
    linear.eval()
    bn.eval()
    x = fb.randn(5, 3)
    fused = nn.utils.fuse_linear_bn_eval(linear, bn)
    np.testing.assert_allclose(
        fused(x).detach().numpy(), bn(linear(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


# ---- parametrizations ----------------------------------------------------------------------------
class Doubled(nn.Module):
    def forward(self, x):
        return x * 2

    def right_inverse(self, x):
        return x / 2


def test_parametrized_parameter():
    m = nn.Linear(2, 3)
    before = m.weight.tolist()
    parametrize.register_parametrization(m, "weight", Doubled())
    assert parametrize.is_parametrized(m) and parametrize.is_parametrized(m, "weight")
    assert not parametrize.is_parametrized(m, "bias")
    assert m.weight.tolist() == before and not isinstance(m.weight, nn.Parameter)
    assert [n for n, _ in m.named_parameters()] == ["bias", "parametrizations.weight.original"]
    assert type(m).__name__ == "ParametrizedLinear" and isinstance(m, nn.Linear)
    m(fb.ones(1, 2)).sum().backward()
    assert m.parametrizations.weight.original.grad.tolist() == [[2.0, 2.0]] * 3
    m.weight = fb.ones(3, 2)
    assert m.parametrizations.weight.original.tolist() == [[0.5, 0.5]] * 3
    parametrize.remove_parametrizations(m, "weight")
    assert type(m) is nn.Linear and isinstance(m.weight, nn.Parameter)
    assert m.weight.tolist() == [[1.0, 1.0]] * 3


def test_parametrizations_stack_and_copy():
    m = nn.Linear(1, 1)
    for _ in range(2):
        parametrize.register_parametrization(m, "weight", Doubled())
    original = m.parametrizations.weight.original
    assert m.weight.item() == pytest.approx(4 * original.item())
    twin = copy.deepcopy(m)
    assert twin.weight.item() == m.weight.item()
    with fb.no_grad():
        original.add_(1.0)
    assert twin.weight.item() != m.weight.item()
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(m)
    other = nn.Linear(1, 1)
    for _ in range(2):
        parametrize.register_parametrization(other, "weight", Doubled())
    other.load_state_dict(m.state_dict())
    assert other.weight.item() == m.weight.item()


def test_values_are_computed_once_within_cached():
    class Counted(nn.Module):
        calls = 0

        def forward(self, x):
            Counted.calls += 1
            return x

    m = nn.Linear(1, 1)
    parametrize.register_parametrization(m, "weight", Counted())
    Counted.calls = 0
    with parametrize.cached():
        assert m.weight is m.weight
    assert Counted.calls == 1
    _ = m.weight, m.weight
    assert Counted.calls == 3


def test_leaving_the_original():
    m = nn.Linear(1, 1)
    parametrize.register_parametrization(m, "weight", Doubled())
    original = m.parametrizations.weight.original.item()
    parametrize.remove_parametrizations(m, "weight", leave_parametrized=False)
    assert m.weight.item() == original


def test_transfer():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    parametrize.register_parametrization(a, "weight", Doubled())
    parametrize.transfer_parametrizations_and_params(a, b)
    assert b.weight.tolist() == a.weight.tolist() and parametrize.is_parametrized(b, "weight")


class Wider(nn.Module):
    def forward(self, x):
        return fb.cat([x, x])


@pytest.mark.parametrize(("act", "error", "words"), [
    (lambda m: parametrize.register_parametrization(m, "x", Doubled()), ValueError,
     "does not have a parameter, a buffer"),
    (lambda m: parametrize.register_parametrization(m, "weight", Wider()), ValueError,
     "may not change the shape"),
    (lambda m: parametrize.remove_parametrizations(m, "weight"), ValueError,
     "does not have a parametrization on weight"),
    (lambda m: nn.utils.parametrizations.spectral_norm(m, "x"), ValueError,
     "has no parameter or buffer with name 'x'"),
    (lambda m: nn.utils.parametrizations.spectral_norm(m, n_power_iterations=0), ValueError,
     "n_power_iterations to be positive"),
    (lambda m: nn.utils.remove_weight_norm(m), ValueError, "weight_norm of 'weight' not found"),
    (lambda m: nn.utils.remove_spectral_norm(m), ValueError, "of 'weight' not found"),
])
def test_refused(act, error, words):
    with pytest.raises(error) as info:
        act(nn.Linear(2, 2))
    assert words in str(info.value)


def normed(ns, kind, module, **settings):
    ns.manual_seed(4)
    m = module(ns.nn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind.startswith("old_"):
            return getattr(ns.nn.utils, kind[4:])(m, **settings)
        return getattr(ns.nn.utils.parametrizations, kind)(m, **settings)


@pytest.mark.parametrize(("kind", "settings"), [
    ("weight_norm", {}), ("weight_norm", {"dim": 1}), ("weight_norm", {"dim": None}),
    ("old_weight_norm", {}), ("old_weight_norm", {"dim": None}), ("spectral_norm", {}),
    ("spectral_norm", {"n_power_iterations": 3}), ("old_spectral_norm", {}),
])
@pytest.mark.parametrize("module", [
    lambda nn: nn.Linear(3, 4), lambda nn: nn.Conv1d(2, 3, 2),
    lambda nn: nn.ConvTranspose1d(3, 2, 2)])
def test_norms_of_weights_equal_torch(kind, settings, module):
    torch = pytest.importorskip("torch")
    results = []
    for ns in (fb, torch):
        m = normed(ns, kind, module, **settings)
        shape = (5, 3) if "Linear" in type(m).__name__ else (2, m.in_channels, 4)
        x = ns.from_numpy(np.random.default_rng(0).standard_normal(shape).astype("float32"))
        for _ in range(2):
            out = m(x)
        out.sum().backward()
        m.eval()
        found = {n: t.numpy() for n, t in m.state_dict().items()}
        grads = {n: p.grad.numpy() for n, p in m.named_parameters()}
        results.append((found, grads, m(x).detach().numpy()))
    (state, grads, out), (their_state, their_grads, their_out) = results
    assert list(state) == list(their_state) and list(grads) == list(their_grads)
    for mine, theirs in ((state, their_state), (grads, their_grads)):
        for name in mine:
            np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(out, their_out, rtol=1e-4, atol=1e-5)


def test_norms_can_be_removed():
    for kind in ("weight_norm", "spectral_norm"):
        m = normed(fb, f"old_{kind}", lambda nn: nn.Linear(3, 2))
        m.eval()
        x = fb.randn(1, 3)
        want = m(x).tolist()
        getattr(nn.utils, f"remove_{kind}")(m)
        assert [n for n, _ in m.named_parameters()] == ["bias", "weight"]
        np.testing.assert_allclose(m(x).tolist(), want, rtol=1e-5)


def test_old_names_of_weight_norm_load():
    old = normed(fb, "old_weight_norm", lambda nn: nn.Linear(3, 2))
    new = normed(fb, "weight_norm", lambda nn: nn.Linear(3, 2))
    new.load_state_dict(old.state_dict())
    np.testing.assert_allclose(
        new.weight.detach().numpy(), old.weight.detach().numpy(), rtol=1e-6)


# ---- calls ---------------------------------------------------------------------------------------
def test_functional_call():
    m = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    weight = fb.zeros(1, 1, requires_grad=True)
    mean = fb.zeros(1)
    held = m[0].weight
    out = functional_call(m, {"0.weight": weight, "1.running_mean": mean}, fb.randn(4, 1))
    out.sum().backward()
    assert weight.grad is not None and m[0].weight is held and held.grad is None
    assert mean.item() != 0.0 and m[1].running_mean.item() == 0.0


def test_functional_call_with_ties():
    m = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    m[1].weight = m[0].weight
    two = {"0.weight": fb.full((1, 1), 2.0)}
    assert functional_call(m, two, fb.ones(1, 1)).item() == 4.0
    with pytest.raises(ValueError, match="which are tied"):
        functional_call(m, {**two, "1.weight": fb.ones(1, 1)}, fb.ones(1, 1))
    with pytest.raises(RuntimeError, match="Unexpected key\\(s\\): 'x'"):
        functional_call(m, {"x": fb.ones(1)}, fb.ones(1, 1), strict=True)
    with pytest.raises(ValueError, match="appeared in multiple dictionaries"):
        functional_call(m, (two, two), fb.ones(1, 1))


def test_skip_init():
    m = nn.utils.skip_init(nn.Linear, 2, 3)
    assert m.weight.device.type == "cpu" and m.weight.shape == (3, 2)
    with pytest.raises(RuntimeError, match="'device' arg"):
        nn.utils.skip_init(nn.ReLU)


def test_memory_format_of_weights():
    m = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Linear(2, 2))
    nn.utils.convert_conv2d_weight_memory_format(m, fb.channels_last)
    assert m[0].weight.is_contiguous(memory_format=fb.channels_last)
