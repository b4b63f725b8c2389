"""Steps of optimizers in C: bit-equal to NumPy's, for any strides and any number of threads."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn, optim
from flambeau.ops import optim as steps_of
from flambeau_cpu.kernels.optim import kernels as plain
from flambeau_cpu.native.kernels.optim import kernels as native
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
SHAPES = [(3, 4), (301, 77), (5,), (), (0, 3), (7, 8, 9), (2, 3, 4, 5), (70001,)]
SGD = [
    {}, {"weight_decay": 0.1}, {"momentum": 0.9}, {"momentum": 0.9, "maximize": True},
    {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
]
ADAM = [
    {}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}, {"maximize": True},
    {"weight_decay": 0.1, "maximize": True},
]


def arrays(dtype, count, seed=1):
    """Lists of arrays; in the second and third some have other strides than in the first."""
    rng = np.random.default_rng(seed)
    lists = []
    for k in range(count):
        made = [np.asarray(abs(rng.standard_normal(s)), dtype) for s in SHAPES]
        if k:
            made[1] = np.asfortranarray(made[1])
            made[6] = np.ascontiguousarray(made[6].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        if k == 1:
            made[5] = np.repeat(made[5], 2, axis=1)[:, ::2]
            made[2] = made[2][::-1]
        lists.append(made)
    return lists


def sgd(settings):
    return {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False,
            "maximize": False} | settings


def adam(settings):
    return {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0,
            "maximize": False, "decoupled": False} | settings


def run_native(name, *args, **settings):
    result = native.fresh[name][1](*args, **settings)
    assert result is not NotImplemented
    return result


def check_equal(mine, theirs):
    for a, b in zip(mine, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = fb.get_num_threads()
    fb.set_num_threads(request.param)
    yield request.param
    fb.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", SGD, ids=str)
def test_sgd_equals_numpy(threads, dtype, settings):
    mine, theirs = arrays(dtype, 3), arrays(dtype, 3)
    if "momentum" not in settings:
        mine[2] = theirs[2] = []
    for _ in range(2):
        run_native("sgd_step_", *mine, **sgd(settings))
        plain.fresh["sgd_step_"](*theirs, **sgd(settings))
    check_equal(mine, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", ADAM, ids=str)
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_equals_numpy(threads, dtype, settings, amsgrad):
    count = 5 if amsgrad else 4
    mine, theirs = arrays(dtype, count), arrays(dtype, count)
    rest = [] if amsgrad else [[]]
    steps = [float(1 + i % 3) for i in range(len(SHAPES))]
    run_native("adam_step_", *mine, *rest, steps=steps, **adam(settings))
    plain.fresh["adam_step_"](*theirs, *rest, steps=steps, **adam(settings))
    check_equal(mine, theirs)


def by_ops(op, lists, *rest, **settings):
    """The op's decomposition, on copies; lists of arrays."""
    tensors = [[fb.from_numpy(np.array(a)) for a in x] for x in lists]
    op.op.decompose(*tensors, *rest, **settings)
    return [[t.numpy() for t in x] for x in tensors]


RMSPROP = [{}, {"weight_decay": 0.1}, {"maximize": True, "weight_decay": 0.1}]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", RMSPROP, ids=str)
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_rmsprop_equals_its_ops(threads, dtype, settings, centered, momentum):
    lists = arrays(dtype, 5)
    lists[2] = [np.asarray(a + dtype(20)) for a in lists[2]]  # above the square of any mean
    lists[3] = lists[3] if centered else []
    lists[4] = lists[4] if momentum else []
    settings = {"weight_decay": 0.0, "maximize": False, "momentum": momentum} | settings
    expected = by_ops(steps_of.rmsprop_step_, lists, 0.1, 0.9, 1e-8, **settings)
    run_native("rmsprop_step_", *lists, 0.1, 0.9, 1e-8, **settings)
    check_equal(lists, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", RMSPROP, ids=str)
def test_adagrad_equals_its_ops(threads, dtype, settings):
    lists = arrays(dtype, 3)
    settings = {"weight_decay": 0.0, "maximize": False} | settings
    rates = [0.1 / (i + 1) for i in range(len(SHAPES))]
    expected = by_ops(steps_of.adagrad_step_, lists, rates, 1e-8, **settings)
    run_native("adagrad_step_", *lists, rates, 1e-8, **settings)
    check_equal(lists, expected)


def test_a_maximum_keeps_nan():
    lists = arrays(np.float32, 5)
    lists[4][2][:] = np.nan
    run_native("adam_step_", *lists, steps=[1.0] * len(SHAPES), **adam({}))
    assert np.isnan(lists[4][2]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_added_and_multiplied(threads, dtype):
    x, = arrays(dtype, 1)
    y = [a.copy() for a in x]
    run_native("foreach_add_", x, value=0.3)
    run_native("foreach_mul_", x, [np.asarray(0.7, dtype)])
    check_equal([x], [[(a + dtype(0.3)) * dtype(0.7) for a in y]])
    before = [a.copy() for a in x]
    run_native("foreach_mul_", x, [np.asarray(1, dtype)])
    check_equal([x], [before])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm_of_all(threads, dtype):
    x = arrays(dtype, 2)[1]
    exact = np.sqrt(sum((a.astype(np.float64) ** 2).sum() for a in x))
    got = run_native("total_norm", x, ord=2.0)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, exact, rtol=2e-7 if dtype == np.float32 else 1e-14)
    large = [np.full(3, 1e30, dtype)]
    np.testing.assert_allclose(run_native("total_norm", large, ord=2.0), np.sqrt(3.0) * 1e30, 1e-6)


def test_the_norm_is_the_same_for_any_number_of_threads():
    before = fb.get_num_threads()
    x = [np.random.default_rng(3).standard_normal(123_457).astype(np.float32)] * 3
    found = set()
    for count in (1, 2, 3):
        fb.set_num_threads(count)
        found.add(float(run_native("total_norm", x, ord=2.0)))
    fb.set_num_threads(before)
    assert len(found) == 1


def test_what_does_not_fit_is_declined_untouched():
    p, g = [np.ones(3, np.float32)], [np.ones(3, np.float32)]
    step = native.fresh["sgd_step_"][1]
    for grads in ([np.ones(4, np.float32)], [np.ones(3)], [], [np.float32(1)], [np.ones((3, 1))]):
        assert step(p, grads, [], **sgd({})) is NotImplemented
    assert step(p, g, [], **sgd({"lr": np.ones(1)})) is NotImplemented
    assert step([np.ones(3, np.float16)], [np.ones(3, np.float16)], [], **sgd({})) is NotImplemented
    assert step(p, g, [], **sgd({"momentum": 0.9})) is NotImplemented
    assert native.fresh["total_norm"][1]([np.float32(3)], 2.0) is NotImplemented
    assert native.fresh["total_norm"][1](p, 1.0) is NotImplemented
    np.testing.assert_array_equal(p[0], 1)


def test_a_parameter_given_twice_is_stepped_twice():
    p = nn.Parameter(fb.ones(40000))
    with pytest.warns(UserWarning, match="duplicate"):
        opt = optim.SGD([p, p], lr=0.25)
    p.grad = fb.ones(40000)
    opt.step()
    assert (p == 0.5).all()


def test_gradients_are_clipped():
    params = [nn.Parameter(fb.ones(3, 4)), nn.Parameter(fb.ones(()))]
    for p in params:
        p.grad = fb.full(p.shape, 2.0)
    version = params[0].grad._version
    norm = nn.utils.clip_grad_norm_(params, 1.0)
    assert norm.item() == pytest.approx(2 * 13**0.5)
    assert params[0].grad._version > version
    for p in params:
        np.testing.assert_allclose(p.grad.numpy(), 13**-0.5, rtol=1e-5)
