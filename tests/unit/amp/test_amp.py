"""Mixed precision."""

import math

import pytest

import flambeau as fb
from flambeau import nn

F = nn.functional


def test_products_run_in_16_bits_and_losses_in_single():
    a, b = fb.randn(4, 4), fb.randn(4, 4)
    with fb.autocast("cpu"):
        product = a @ b
        assert product.dtype == fb.bfloat16
        assert (a + b).dtype == fb.float32
        assert (product + a).dtype == fb.float32
        assert F.linear(a, b).dtype == fb.bfloat16
        assert F.mse_loss(product, b).dtype == fb.float32
        assert fb.cat([product, a]).dtype == fb.float32
        assert (a.double() @ b.double()).dtype == fb.float64
        with fb.autocast("cpu", enabled=False):
            assert (a @ b).dtype == fb.float32
    assert (a @ b).dtype == fb.float32


def test_float16_and_another_device_s_context():
    a = fb.randn(4, 4)
    with fb.autocast("cpu", dtype=fb.float16):
        assert (a @ a).dtype == fb.float16
    with pytest.warns(UserWarning, match="not supported"), fb.autocast("cpu", dtype=fb.float64):
        assert (a @ a).dtype == fb.float32
    with pytest.raises(TypeError, match="type `str`"):
        fb.autocast(fb.bfloat16)


def test_parameters_get_gradients_in_their_own_dtype():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    with fb.autocast("cpu"):
        out = model(fb.randn(2, 1, 4, 4))
        loss = F.cross_entropy(out, fb.tensor([0, 2]))
    assert out.dtype == fb.bfloat16
    assert loss.dtype == fb.float32
    loss.backward()
    assert all(p.grad.dtype == fb.float32 for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_parameter_is_cast_once():
    w = fb.randn(3, 3, requires_grad=True)
    x = fb.randn(3, 3)
    with fb.autocast("cpu"):
        first, second = (F.linear(x, w).grad_fn for _ in range(2))
    casts = [dict(n.next_functions) for n in (first, second)]
    assert casts[0].keys() & casts[1].keys()


def test_a_call_outside_does_not_remember_one_within():
    x, w = fb.randn(2, 3), fb.randn(5, 3)
    F.linear.op.fast.clear()
    with fb.autocast("cpu"):
        assert F.linear(x, w).dtype == fb.bfloat16
    assert F.linear(x, w).dtype == fb.float32


def test_it_decorates():
    @fb.autocast("cpu")
    def product(a):
        return a @ a

    assert product(fb.randn(2, 2)).dtype == fb.bfloat16


def test_dtypes_against_torch():
    torch = pytest.importorskip("torch")
    seen = []
    for T in (fb, torch):
        x, w = T.ones(2, 3, 8, 8), T.ones(4, 3, 3, 3)
        with T.autocast("cpu", dtype=T.bfloat16):
            f = T.nn.functional
            results = [
                f.conv2d(x, w), f.softmax(x, 1), f.layer_norm(x, (8,)), x.exp(), x.sum(),
                T.bmm(x[0], x[0]), f.gelu(f.linear(x, T.ones(5, 8))), T.prod(x.bfloat16()),
                f.scaled_dot_product_attention(x, x, x), f.l1_loss(x.bfloat16(), x.bfloat16())]
        seen.append([str(r.dtype).rpartition(".")[2] for r in results])
    assert seen[0] == seen[1]


class TestGradScaler:
    def train(self, values, **options):
        p = nn.Parameter(fb.ones(2))
        optimizer = fb.optim.SGD([p], lr=1.0)
        scaler = fb.amp.GradScaler(init_scale=8.0, growth_interval=2, **options)
        for value in values:
            optimizer.zero_grad()
            scaler.scale((p * value).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        return p, scaler

    def test_steps_are_as_without(self):
        p, scaler = self.train([0.25])
        assert p.tolist() == [0.75, 0.75]
        assert scaler.get_scale() == 8

    def test_it_grows_and_backs_off(self):
        assert self.train([0.25, 0.25])[1].get_scale() == 16
        p, scaler = self.train([0.25, math.inf, 0.25])
        assert scaler.get_scale() == 4
        assert p.tolist() == [0.5, 0.5]

    def test_unscale_lets_gradients_be_clipped(self):
        p = nn.Parameter(fb.ones(1))
        optimizer, scaler = fb.optim.SGD([p], lr=1.0), fb.amp.GradScaler(init_scale=4.0)
        scaler.scale((p * 3).sum()).backward()
        scaler.unscale_(optimizer)
        assert p.grad.tolist() == [3]
        with pytest.raises(RuntimeError, match="already been called"):
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        with pytest.raises(RuntimeError, match="step\\(\\) has already"):
            scaler.step(optimizer)

    def test_off_and_saved(self):
        p, scaler = self.train([0.5], enabled=False)
        assert p.tolist() == [0.5, 0.5]
        assert scaler.state_dict() == {}
        _, scaler = self.train([0.25])
        other = fb.amp.GradScaler()
        other.load_state_dict(scaler.state_dict())
        assert other.state_dict() == scaler.state_dict()
        with pytest.raises(AssertionError, match="No inf checks"):
            other.update()


def test_a_device_that_is_not_installed_disables_autocast():
    with pytest.warns(UserWarning, match="autocast is disabled: no backend for device"):
        context = fb.autocast("nosuchdevice")
    with context:
        assert (fb.ones(2, 2) @ fb.ones(2, 2)).dtype is fb.float32
    with fb.autocast("nosuchdevice", enabled=False):
        pass
