"""New tensors of random numbers."""

from __future__ import annotations

import pytest
from tests.unit.ops.random_parity import check

import flambeau as fb
from flambeau import rng

SHAPES = ["3, 4", "(5, 7)", "()", "[0, 3]", "17", "2, 16, 3"]
DTYPES = ["float32", "float64", "float16", "bfloat16", "complex64", "complex128"]
CALLS = """
T.randint(10, (3, 4))
T.randint(3, 10, (40,), dtype=T.int32)
T.randint(low=3, high=5, size=(100,))
T.randint(high=5, size=[2, 50])
T.randint(-2**27, 2**27, (100,))
T.randint(0, 2**40, (3,))
T.randint(0, 2, (50,), dtype=T.bool)
T.randint(0, 2, (50,), dtype=T.float16)
T.randperm(100)
T.randperm(10, dtype=T.int32)
T.randperm(0)
T.rand(size=(2, 3))
T.rand(T.zeros(2, 3).shape)
T.rand(5, requires_grad=True)
T.rand(5, out=T.empty(5, dtype=T.float64))
T.randint(5, (5,), out=T.empty(5))
T.rand(2, 3, generator=T.Generator().manual_seed(3))
T.randn(20, generator=T.Generator())
T.rand_like(T.zeros(3, 4).t())
T.rand_like(T.zeros(4, 12)[:, ::2].t())
T.rand_like(T.zeros(3, 1).expand(3, 4))
T.rand_like(T.zeros(3, dtype=T.int64), dtype=T.float64)
T.rand_like(T.zeros(2, 3, 4, 5).contiguous(memory_format=T.channels_last))
T.randn_like(T.zeros(4, 5).t())
T.randn_like(T.zeros(4, 12)[:, ::2].t())
T.randn_like(T.zeros(2, 3, 4, 5), memory_format=T.channels_last)
T.randint_like(T.zeros(4, 3).t(), 2, 5)
T.randint_like(T.zeros(4, 3), 5)
T.randint_like(T.zeros(4, 3), low=2, high=5)
""".strip().splitlines()
REFUSED = """
T.rand()
T.rand(-1)
T.rand('a')
T.rand(2.5)
T.rand(2, dtype=T.int64)
T.rand(2, generator=3)
T.rand(2, dtype=T.float32, out=T.empty(2, dtype=T.float64))
T.randn(2, dtype=T.bool)
T.randint(3, 3, (2,))
T.randint(1.5, (2,))
T.randint(5)
T.randint(5, 3)
T.randint(0, 300, (2,), dtype=T.uint8)
T.randperm(-1)
T.randperm(5.0)
T.rand_like(3)
T.rand_like(T.zeros(2, dtype=T.int64))
T.randint_like(T.zeros(2), 2, 1)
T.randint_like(T.zeros(2))
""".strip().splitlines()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["rand", "randn"])
def test_same_numbers_as_torch(name, shape, dtype):
    check(f"T.{name}({shape}, dtype=T.{dtype})")


@pytest.mark.parametrize("call", CALLS)
def test_same_as_torch(call):
    check(call)


@pytest.mark.parametrize("call", REFUSED)
def test_refused_as_torch_refuses(call):
    check(call)


def test_the_numbers_are_those_of_rng():
    with fb.random.fork_rng():
        fb.manual_seed(4)
        generator = rng.Generator().manual_seed(4)
        assert (fb.rand(3, 5).numpy() == rng.uniform(generator, (3, 5), "float32")).all()
        assert (fb.randn(40).numpy() == rng.normal(generator, 40, "float32")).all()
        assert (fb.randint(2, 9, (4,)).numpy() == rng.randint(generator, 2, 9, 4)).all()
        assert (fb.randperm(50).numpy() == rng.randperm(generator, 50)).all()


def test_arguments_that_are_refused_say_what_to_do():
    with pytest.raises(TypeError, match=r"missing required argument 'size'; rand\(\(\)\)"):
        fb.rand()
    with pytest.raises(TypeError, match=r"\(high, size\) or \(low, high, size\)"):
        fb.randint(5)
    with pytest.raises(TypeError, match="argument 'low' must be int, not float"):
        fb.randint(1.5, 3, (2,))
    with pytest.raises(TypeError, match=r"must be flambeau.Generator, not int"):
        fb.randn(3, generator=1)
    with pytest.raises(TypeError, match="multiple values for argument 'size'"):
        fb.rand(2, size=(3,))
    with pytest.raises(NotImplementedError, match="int64"):
        fb.rand(3, dtype=fb.int64)


def test_the_meta_device_draws_nothing():
    before = fb.get_rng_state()
    made = [
        fb.rand(2, 3, device="meta"), fb.randperm(6, device="meta").view(2, 3),
        fb.randn_like(fb.zeros(2, 3, device="meta")), fb.zeros(2, 3, device="meta").uniform_(),
        fb.bernoulli(fb.zeros(2, 3, device="meta")), fb.poisson(fb.zeros(2, 3, device="meta")),
        fb.normal(fb.zeros(2, 3, device="meta"), 1.0),
    ]
    assert all(t.shape == (2, 3) and t.device.type == "meta" for t in made)
    assert (fb.get_rng_state() == before).all()


@pytest.fixture
def oracle():
    """A device that is not the CPU."""
    from flambeau_conformance.oracle import NAME, register

    register()
    return fb.device(NAME)


MAKERS = {
    "rand": lambda **where: fb.rand(3, 5, **where),
    "randn": lambda **where: fb.randn(3, 7, **where),
    "randint": lambda **where: fb.randint(7, (5,), **where),
    "randperm": lambda **where: fb.randperm(40, **where),
    "rand_like": lambda **where: fb.rand_like(fb.zeros(5, 3, **where).t()),
    "uniform_": lambda **where: fb.zeros(3, 4, **where).uniform_(-1, 1),
    "strided": lambda **where: fb.zeros(6, 8, **where)[::2, ::2].t().normal_(),
    "bernoulli": lambda **where: fb.full((4, 5), 0.5, **where).t().bernoulli(),
    "multinomial": lambda **where: fb.ones(3, 6, **where).multinomial(2),
    "normal": lambda **where: fb.normal(fb.ones(20, **where), fb.ones(20, **where)),
    "dropout": lambda **where: fb.dropout(fb.ones(4, 5, **where), 0.3, True),
    "rrelu": lambda **where: fb.rrelu(-fb.ones(4, 5, **where), training=True),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_device_gets_the_same_numbers(oracle, name):
    with fb.random.fork_rng():
        fb.manual_seed(2)
        here = MAKERS[name]()
        fb.manual_seed(2)
        there = MAKERS[name](device=oracle)
    assert there.device.type == oracle.type
    assert there.stride() == here.stride()
    assert (there.cpu() == here).all()


def test_the_default_device_and_dtype():
    with fb.device("meta"):
        assert fb.rand(2).device.type == "meta"
    fb.set_default_dtype(fb.float64)
    try:
        assert fb.randn(2).dtype is fb.float64
    finally:
        fb.set_default_dtype(fb.float32)


def test_conveniences_for_out():
    out = fb.empty(0)
    assert fb.rand(3, 2, out=out) is out and out.shape == (3, 2)
    with pytest.warns(UserWarning, match="resized"):
        fb.randn(4, out=out)
    assert out.shape == (4,)
