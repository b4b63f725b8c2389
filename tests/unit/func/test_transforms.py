"""Derivatives as functions."""

import math

import pytest

import flambeau as fb
from flambeau import func as tf
from flambeau import nn

X = fb.tensor([0.5, -1.0, 2.0], dtype=fb.float64)


def cubes(x):
    return (x**3).sum()


def test_gradients_nest():
    assert tf.grad(cubes)(X).tolist() == (3 * X**2).tolist()
    assert tf.grad(lambda x: tf.grad(cubes)(x).sum())(X).tolist() == (6 * X).tolist()
    third = tf.grad(tf.grad(tf.grad(fb.sin)))(fb.tensor(0.3, dtype=fb.float64))
    assert third.item() == pytest.approx(-math.cos(0.3))
    assert not third.requires_grad


def test_which_arguments_and_aux():
    def f(a, b, scale=1.0):
        return (a["w"] * b).sum() * scale, "aux"

    w, b = fb.ones(2), fb.tensor([3.0, 4.0])
    slopes, aux = tf.grad(f, argnums=(0, 1), has_aux=True)({"w": w}, b, scale=2.0)
    assert slopes[0]["w"].tolist() == [6, 8]
    assert slopes[1].tolist() == [2, 2]
    assert aux == "aux"
    slope, (value, _) = tf.grad_and_value(f, 1, has_aux=True)({"w": w}, b)
    assert slope.tolist() == [1, 1]
    assert value.item() == 7


def test_products():
    outputs, back = tf.vjp(lambda x, y: (x * y, x.sum()), X, X)
    slopes = back((fb.ones_like(X), fb.tensor(2.0, dtype=fb.float64)))
    assert slopes[0].tolist() == (X + 2).tolist()
    assert slopes[1].tolist() == X.tolist()
    assert outputs[1].item() == X.sum().item()
    value, moved = tf.jvp(fb.exp, (X,), (fb.ones_like(X) * 2,))
    assert fb.allclose(moved, 2 * value)
    value, along = tf.linearize(fb.sin, X)
    assert fb.allclose(along(X), X.cos() * X)


@pytest.mark.parametrize("jacobian", [tf.jacrev, tf.jacfwd])
def test_jacobians(jacobian):
    matrix = fb.arange(6.0, dtype=fb.float64).reshape(2, 3)
    assert jacobian(lambda x: matrix @ x)(X).tolist() == matrix.tolist()
    table = jacobian(lambda a, b: {"s": a * b, "t": b.sum()}, argnums=(0, 1))(X, X)
    assert table["s"][0].tolist() == fb.diag(X).tolist()
    assert table["t"][0].tolist() == [0, 0, 0]
    assert table["t"][1].tolist() == [1, 1, 1]


def test_hessians_and_torch():
    torch = pytest.importorskip("torch")
    values = []
    for T, f in ((fb, tf), (torch, torch.func)):
        x = T.tensor([0.5, -1.0, 2.0])
        values.append((
            f.hessian(lambda x: (x.sin() * x[0]).sum())(x).tolist(),
            f.jacrev(f.jacfwd(lambda x: x**3))(x).tolist(),
            f.jvp(f.grad(lambda x: (x**4).sum()), (x,), (x,))[1].tolist()))
    for mine, theirs in zip(*values, strict=True):
        assert fb.allclose(fb.tensor(mine), fb.tensor(theirs), atol=1e-5)


def test_modules():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    x = fb.randn(5, 3)
    parameters = dict(model.named_parameters())
    slopes = tf.grad(lambda p: tf.functional_call(model, p, x).square().sum())(parameters)
    assert slopes.keys() == parameters.keys()
    with pytest.raises(ValueError, match="multiple dictionaries"):
        tf.functional_call(model, [parameters, parameters], (x,))
    stacked, buffers = tf.stack_module_state([model, model])
    assert stacked["0.weight"].shape == (2, 4, 3)
    assert buffers["1.running_mean"].shape == (2, 4)
    with pytest.raises(RuntimeError, match="same class"):
        tf.stack_module_state([model, nn.Linear(2, 2)])


def test_what_is_refused():
    with pytest.raises(RuntimeError, match="scalar tensor, got a tensor with 1 dims"):
        tf.grad(lambda x: x)(X)
    with pytest.raises(RuntimeError, match="only 1 positional"):
        tf.grad(cubes, argnums=1)(X)
    with pytest.raises(RuntimeError, match="same structure and shapes"):
        tf.jvp(cubes, (X,), (X[:2],))
