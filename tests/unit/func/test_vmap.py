"""``vmap``: dimensions, nesting, randomness, writes, what is refused; values against PyTorch."""

import warnings

import pytest

import flambeau as fb
from flambeau import func as tf
from flambeau import nn
from flambeau.func.batched import BatchedTensor, Unbatchable
from flambeau.func.batching import fallbacks


def numbers(*shape, seed=0):
    fb.manual_seed(seed)
    return fb.randn(*shape, dtype=fb.float64)


def close(a, b):
    assert a.shape == b.shape
    assert fb.allclose(a, b)


# ---- dimensions --------------------------------------------------------------------------------
def test_dimensions_in_and_out():
    x, y = numbers(3, 5), numbers(5, 4)
    close(tf.vmap(fb.dot)(x, x), (x * x).sum(1))
    close(tf.vmap(lambda a, b: a * b[0, 0], in_dims=(1, None))(x, y), x.t() * y[0, 0])
    close(tf.vmap(lambda a: a, in_dims=-1, out_dims=-1)(x), x)
    close(tf.vmap(lambda a: a.sum(), in_dims=-2)(x), x.sum(1))
    out = tf.vmap(lambda d, k: {"s": d["a"] + k, "t": (d["b"], k)},
                  in_dims=({"a": 0, "b": None}, None), out_dims={"s": 1, "t": (None, None)})(
        {"a": x, "b": y}, fb.ones(5, dtype=fb.float64))
    close(out["s"], (x + 1).t())
    assert out["t"][0] is y
    assert fb.vmap is tf.vmap


def test_samples_hide_the_batch():
    seen = []

    def f(x):
        seen.extend([x.shape, x.ndim, x.numel(), x.size(0), x.stride(), len(x)])
        seen.append(tf.debug_unwrap(x).shape)
        assert isinstance(x, fb.Tensor)
        assert "BatchedTensor" in repr(x)
        return x.new_zeros(2) + fb.zeros_like(x[0, :2]) + fb.full_like(x[0, :2], 3)

    result = tf.vmap(f, in_dims=1)(numbers(4, 3, 5))
    assert seen == [(4, 5), 2, 20, 4, (15, 1), 4, (3, 4, 5)]
    assert result.tolist() == [[3, 3]] * 3


def test_calls_nest():
    x, y = numbers(4, 3), numbers(5, 3)
    close(tf.vmap(lambda a: tf.vmap(lambda b: a @ b)(y))(x), x @ y.t())
    pairs = tf.vmap(tf.vmap(lambda a, b: a - b.exp(), in_dims=(0, None)), in_dims=(None, 0))(x, y)
    close(pairs, x.unsqueeze(0) - y.exp().unsqueeze(1))
    stacked = tf.vmap(lambda a: fb.stack([a, tf.vmap(fb.sin)(a)]))(x)
    close(stacked, fb.stack([x, x.sin()], 1))


def test_chunks():
    sizes = []

    def f(x):
        sizes.append(tf.debug_unwrap(x).shape[0])
        return x * 2, x.sum()

    x = numbers(5, 2)
    doubled, sums = tf.vmap(f, out_dims=(1, 0), chunk_size=2)(x)
    assert sizes == [2, 2, 1]
    close(doubled, (x * 2).t())
    close(sums, x.sum(1))
    with pytest.raises(ValueError, match="chunk_size"):
        tf.vmap(f, chunk_size=0)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda x: tf.vmap(fb.sin)(3), ValueError, "non-Tensor"),
    (lambda x: tf.vmap(fb.sin, in_dims=2)(x), ValueError, "dimensionality 2"),
    (lambda x: tf.vmap(fb.sin, in_dims=None)(x), ValueError, "in_dims"),
    (lambda x: tf.vmap(fb.sin, in_dims=(None,))(x), ValueError, "at least one"),
    (lambda x: tf.vmap(fb.add, in_dims=(0,))(x, x), ValueError, "not compatible"),
    (lambda x: tf.vmap(fb.add)(x, x.t()), ValueError, "same size"),
    (lambda x: tf.vmap(fb.sin)(), ValueError, "no inputs"),
    (lambda x: tf.vmap(lambda a: 1)(x), ValueError, "must only return Tensors"),
    (lambda x: tf.vmap(fb.sin, out_dims=None)(x), ValueError, "out_dim is None"),
    (lambda x: tf.vmap(fb.sin, out_dims=(0, 1))(x), ValueError, "not compatible"),
    (lambda x: tf.vmap(fb.sin, out_dims=3)(x), IndexError, "out of range"),
    (lambda x: tf.vmap(fb.sin, randomness="some")(x), RuntimeError, "randomness"),
    (lambda x: tf.vmap(lambda a: a.sum(2))(x), IndexError, "Dimension out of range"),
])  # fmt: skip
def test_wrong_dimensions(call, error, words):
    with pytest.raises(error, match=words):
        call(numbers(2, 3))


# ---- what differs from sample to sample --------------------------------------------------------
@pytest.mark.parametrize("function", [
    lambda x: x.item(), lambda x: x.tolist(), lambda x: float(x), lambda x: x.numpy(),
    lambda x: x if x > 0 else -x, lambda x: x.reshape(1).nonzero(),
    lambda x: fb.ones(1)[x.reshape(1) > 0], lambda x: x.requires_grad_(),
    lambda x: fb.ones(()).add_(x), lambda x: x.data_ptr(),
])  # fmt: skip
def test_refused(function):
    with pytest.raises(Unbatchable, match="vmap"):
        tf.vmap(function)(fb.ones(3))


def test_samples_are_of_no_use_outside():
    kept = []
    tf.vmap(lambda x: (kept.append(x), x)[1])(fb.ones(3, 2))
    assert isinstance(kept[0], BatchedTensor)
    for use in (lambda x: x + 1, lambda x: x[0], lambda x: x.reshape(2, 1)):
        with pytest.raises(RuntimeError, match="kept beyond"):
            use(kept[0])


def test_writes():
    def f(x, y):
        out = x.clone()
        out[0] = y
        out[1:] += x[1:]
        out.mul_(2).clamp_(max=3)
        view = out[:2]
        view.copy_(view.flip(0))
        out.masked_fill_(x > 1, -1)
        return out

    x, y = numbers(4, 3), numbers(4)
    close(tf.vmap(f)(x, y), fb.stack([f(a, b) for a, b in zip(x, y, strict=True)]))
    target = numbers(3, 4)
    before = target.clone()
    tf.vmap(lambda t: t.add_(1), in_dims=1)(target)
    close(target, before + 1)


def test_indices_that_differ():
    x, at = numbers(4, 5, 3), fb.tensor([0, 4, 2, 2])
    close(tf.vmap(lambda a, i: a[i])(x, at), fb.stack([a[i] for a, i in zip(x, at, strict=True)]))
    rows = fb.tensor([[0, 1], [4, 4], [3, 0], [1, 2]])
    for f in (lambda a, i: a[i], lambda a, i: a.index_select(0, i), lambda a, i: a[:, [0, 2]][i],
              lambda a, i: a.gather(0, i.unsqueeze(1)), lambda a, i: a.index_put((i,), a[0] * 0)):
        close(tf.vmap(f)(x, rows), fb.stack([f(a, i) for a, i in zip(x, rows, strict=True)]))
    close(tf.vmap(lambda i: x[0][i])(rows), x[0][rows])


def test_numbers_give_way_to_tensors_with_dimensions():
    wide, narrow = fb.ones(3, dtype=fb.float64), fb.ones(3, 2)
    assert tf.vmap(lambda a, b: a * b)(wide, narrow).dtype is fb.float32
    assert tf.vmap(lambda a: a * fb.ones(2))(wide).dtype is fb.float32


# ---- random numbers ----------------------------------------------------------------------------
def test_randomness():
    torch = pytest.importorskip("torch")
    for how in ("same", "different"):
        values = []
        for T, vmap in ((fb, fb.vmap), (torch, torch.vmap)):
            T.manual_seed(3)
            F = T.nn.functional
            values.append([vmap(f, randomness=how)(T.ones(3, 4)).tolist() for f in (
                lambda x, T=T: x + T.rand(4), lambda x, F=F: F.dropout(x, 0.4),
                lambda x, T=T: T.randn_like(x))])
        assert fb.allclose(fb.tensor(values[0]), fb.tensor(values[1]))
    with pytest.raises(RuntimeError, match="randomness error mode"):
        tf.vmap(lambda x: x + fb.rand(()))(fb.ones(2))
    fb.manual_seed(0)
    chunks = tf.vmap(lambda x: x + fb.rand(()), randomness="same", chunk_size=1)(fb.zeros(3))
    assert chunks[0] == chunks[1] == chunks[2]
    with pytest.warns(UserWarning, match="bernoulli as a loop"):
        bits = tf.vmap(fb.bernoulli, randomness="different")(fb.full((64,), 0.5))
    assert 0 < bits.sum() < 64


# ---- with derivatives --------------------------------------------------------------------------
def f(x):
    return (x.exp() * x.sin()).sum() * x[0] + x.softmax(0)[1] + (x * x * x).sum()


@pytest.mark.parametrize("transform", [
    "grad", "hessian", "jacrev", "jacfwd", "jvp", "vjp", "jvp of grad", "grad of jvp"])
def test_composes_with_derivatives(transform):
    v = numbers(3, seed=1)
    derived = {
        "grad": tf.grad(f), "hessian": tf.hessian(f), "jacrev": tf.jacrev(
            lambda x: x.exp() * x.sum()), "jacfwd": tf.jacfwd(lambda x: x.sin() * x[1]),
        "jvp": lambda x: tf.jvp(f, (x,), (v,))[1],
        "vjp": lambda x: tf.vjp(lambda x: x.tanh() * x[0], x)[1](v),
        "jvp of grad": lambda x: tf.jvp(tf.grad(f), (x,), (v,))[1],
        "grad of jvp": tf.grad(lambda x: tf.jvp(f, (x,), (v,))[1]),
    }[transform]
    x = numbers(4, 3)
    close(tf.vmap(derived)(x), fb.stack([derived(a) for a in x]))
    # a cotangent for all samples, through vmap
    slope = tf.grad(lambda w: tf.vmap(lambda a: derived(a * w).sum())(x).sum())(v)
    each = tf.grad(lambda w: fb.stack([derived(a * w).sum() for a in x]).sum())(v)
    close(slope, each)


def test_gradients_per_sample():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.LayerNorm(16),
        nn.Linear(16, 3)).double()
    images, labels = numbers(5, 1, 6, 6), fb.tensor([0, 2, 1, 1, 0])

    def loss(p, x, y):
        out = tf.functional_call(model, p, (x.unsqueeze(0),))
        return nn.functional.cross_entropy(out, y.unsqueeze(0))

    p = {name: t.detach() for name, t in model.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no loops
        found = tf.vmap(tf.grad(loss), in_dims=(None, 0, 0))(p, images, labels)
    for i in range(5):
        one = tf.grad(loss)(p, images[i], labels[i])
        for name, g in one.items():
            close(found[name][i], g)


def test_ensembles():
    models = [nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)) for _ in range(3)]
    p, buffers = tf.stack_module_state(models)
    x = fb.randn(6, 3)

    def call(p, b, x):
        return tf.functional_call(models[0], (p, b), (x,))

    out = tf.vmap(call, in_dims=(0, 0, None))(p, buffers, x)
    assert fb.allclose(out, fb.stack([m(x) for m in models]), atol=1e-6)
    out.sum().backward()
    models[1](x).sum().backward()
    assert fb.allclose(p["0.weight"].grad[1], models[1][0].weight.grad, atol=1e-5)


def test_batch_norm_without_running_statistics():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    x = fb.randn(2, 5, 3)
    with pytest.raises(RuntimeError, match="replace_all_batch_norm_modules_"):
        tf.vmap(model)(x)
    assert tf.replace_all_batch_norm_modules_(model) is model
    assert fb.allclose(tf.vmap(model)(x), fb.stack([model(a) for a in x]), atol=1e-6)


# ---- Functions ---------------------------------------------------------------------------------
class Cube(fb.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, k):
        return k * x**3, x.sign()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.mark_non_differentiable(output[1])
        ctx.k = inputs[1]

    @staticmethod
    def backward(ctx, g, _):
        (x,) = ctx.saved_tensors
        return g * 3 * ctx.k * x**2, None


class Scaled(fb.autograd.Function):
    seen = None

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y, g * x

    @staticmethod
    def vmap(info, in_dims, x, y):
        Scaled.seen = info.batch_size, info.randomness, in_dims
        return Scaled.apply(x.movedim(in_dims[0], 0), y), 0


def test_functions():
    x = numbers(4, 3)
    out, sign = tf.vmap(lambda x: Cube.apply(x, 2.0))(x)
    close(out, 2 * x**3)
    close(sign, x.sign())
    slope = tf.vmap(tf.grad(lambda x: Cube.apply(x, 2.0)[0].sum()))
    close(slope(x), 6 * x**2)
    close(tf.grad(lambda x: slope(x).sum())(x), 12 * x)
    inner = tf.vmap(tf.vmap(lambda a: Cube.apply(a, 1.0)[0]))
    close(tf.grad(lambda x: inner(x).sum())(x), 3 * x**2)
    y = numbers(3)
    close(tf.vmap(Scaled.apply, in_dims=(0, None), randomness="same")(x, y), x * y)
    assert Scaled.seen == (4, "same", (0, None))
    close(tf.vmap(tf.grad(lambda x: Scaled.apply(x, y).sum()))(x), y.expand(4, 3))


def test_functions_without_a_rule():
    class Plain(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    class Both(Cube):
        vmap = Scaled.vmap

    with pytest.raises(RuntimeError, match="generate_vmap_rule"):
        tf.vmap(Plain.apply)(fb.ones(2))
    with pytest.raises(RuntimeError, match="both"):
        tf.vmap(lambda x: Both.apply(x, 1.0))(fb.ones(2))


def test_loops_are_counted():
    before = fallbacks["cov"]
    x = numbers(3, 2, 20)
    weights = fb.arange(60).reshape(3, 20)
    with pytest.warns(UserWarning, match="cov as a loop"):
        found = tf.vmap(lambda a, w: fb.cov(a, fweights=w))(x, weights)
    assert fallbacks["cov"] == before + 1
    close(found, fb.stack([fb.cov(a, fweights=w) for a, w in zip(x, weights, strict=True)]))


def test_gradients_of_stacked_vectors():
    x, vectors = numbers(3).requires_grad_(), numbers(4, 5)
    out = (x * x).sum() * fb.arange(5.0, dtype=fb.float64) + x[1:].prod()
    found = fb.autograd.grad(out, x, vectors, is_grads_batched=True, retain_graph=True)[0]
    each = [fb.autograd.grad(out, x, v, retain_graph=True)[0] for v in vectors]
    close(found, fb.stack(each))
    with pytest.raises(ValueError, match="is_grads_batched"):
        fb.autograd.grad((out, x.sum()), x, (vectors, numbers(3)), is_grads_batched=True)
    assert tf.vmap(fb.sin)(fb.ones(3, 2, device="meta")).shape == (3, 2)
