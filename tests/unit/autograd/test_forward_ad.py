"""Forward mode: dual tensors, writes, Functions; values against PyTorch."""

import pytest

import flambeau as fb
from flambeau import func as tf
from flambeau.autograd import forward_ad as fwd


def program(T, x):
    y = x.clone()
    y[0] = x[1] * x[2]
    y.mul_(2)
    z = y[1:]
    z.add_(x[:2].exp())
    fresh = T.zeros_like(x)
    fresh[1:].copy_(z)
    return y.prod() + fresh.cumsum(0).relu() + T.stack([x, y]).softmax(0)[1]


def test_tangents_go_through_writes_and_views():
    torch = pytest.importorskip("torch")
    values = []
    for T, ad in ((fb, fwd), (torch, torch.autograd.forward_ad)):
        x = T.tensor([0.5, -1.0, 2.0], dtype=T.float64)
        with ad.dual_level():
            out = ad.unpack_dual(program(T, ad.make_dual(x, x * 2 + 1)))
            values.append([out.primal.tolist(), out.tangent.tolist()])
    assert fb.allclose(fb.tensor(values[0]), fb.tensor(values[1]))


def test_levels():
    x = fb.ones(3)
    assert fwd.unpack_dual(x) == (x, None)
    with pytest.raises(RuntimeError, match="no level exists"):
        fwd.make_dual(x, x)
    level = fwd.enter_dual_level()
    with pytest.raises(RuntimeError, match="Nested forward mode"):
        fwd.enter_dual_level()
    dual = fwd.make_dual(x, x * 2)
    assert fwd.unpack_dual(dual.detach()).tangent is None
    with fb.no_grad():  # is about backward mode
        assert fwd.unpack_dual(dual * 3).tangent.tolist() == [6, 6, 6]
    assert fwd.unpack_dual(dual > 0).tangent is None
    for tangent, error, words in (
        (fb.ones(2), RuntimeError, "different size"), (x.long(), ValueError, "floating point"),
        (x.double(), RuntimeError, "dtype"),
    ):
        with pytest.raises(error, match=words):
            fwd.make_dual(x, tangent)
    fwd.exit_dual_level(level=level)
    with pytest.raises(RuntimeError, match="exit a forward AD level"):
        fwd.exit_dual_level()


def test_forward_and_backward_together():
    x = fb.tensor([0.5, 1.5], dtype=fb.float64, requires_grad=True)
    with fwd.dual_level():
        dual = fwd.make_dual(x, fb.ones_like(x))
        primal, tangent = fwd.unpack_dual((dual**3).sum())
    (slope,) = fb.autograd.grad(primal, x, retain_graph=True)
    assert fb.allclose(slope, 3 * x**2)
    (curve,) = fb.autograd.grad(tangent, x)
    assert fb.allclose(curve, 6 * x)


def test_levels_of_jvp_nest_and_mean_what_surrounds_them():
    t = fb.tensor(1.5, dtype=fb.float64)

    def inner(t):
        return tf.jvp(lambda x: t * t * x**3, (2 * t,), (fb.ones_like(t),))[1]  # 12 t^4

    assert tf.jvp(inner, (t,), (fb.ones_like(t),))[1].item() == pytest.approx(48 * 1.5**3)
    assert tf.grad(inner)(t).item() == pytest.approx(48 * 1.5**3)
    closed = tf.grad(lambda t: tf.grad(lambda x: t * t * x**3)(fb.full_like(t, 2)))  # 12 t^2
    assert closed(t).item() == pytest.approx(24 * 1.5)


class Product(fb.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_forward(x, y)
        return x * y, x.sign()

    @staticmethod
    def jvp(ctx, x_t, y_t):
        x, y = ctx.saved_tensors
        return 10 * (x_t * y + x * y_t), None  # ten times too much, to be told apart


def test_the_jvp_of_a_function():
    x, y = fb.tensor([1.0, 2.0]), fb.tensor([3.0, 5.0])
    out, moved = tf.jvp(lambda x: Product.apply(x, y)[0], (x,), (fb.ones(2),))
    assert out.tolist() == [3, 10]
    assert moved.tolist() == [30, 50]

    class Without(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="jvp"):
        tf.jvp(Without.apply, (x,), (x,))


def test_strict_and_aux():
    x = fb.ones(2)
    with pytest.raises(RuntimeError, match="independent"):
        tf.jvp(lambda x: fb.ones(1), (x,), (x,), strict=True)
    _, moved, aux = tf.jvp(lambda x: (x * 2, x.sum()), (x,), (x,), has_aux=True)
    assert moved.tolist() == [2, 2]
    assert aux.item() == 2
    assert fb.tensor(0.0) == tf.jvp(lambda x: fb.ones(()), (x,), (x,))[1]
