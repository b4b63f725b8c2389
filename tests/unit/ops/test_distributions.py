"""Tensors filled from distributions, in place and from tensors of parameters."""

from __future__ import annotations

import pytest
from tests.unit.ops.random_parity import check

import flambeau as fb
from flambeau.autograd import gradcheck
from flambeau.modes import DispatchMode

FILLS = [
    "uniform_()", "uniform_(-1, 3)", "uniform_(to=3)", "normal_()", "normal_(1, 2.5)",
    "normal_(std=3)", "random_()", "random_(5)", "random_(2, 5)", "random_(to=7)",
    "exponential_()", "exponential_(2)", "exponential_(lambd=0.5)", "cauchy_(1, 2)",
    "log_normal_()", "log_normal_(0, 0.5)", "geometric_(0.2)", "bernoulli_()", "bernoulli_(0.2)",
    "bernoulli_(p=0.9)", "normal_(generator=T.Generator())",
]  # fmt: skip
LAYOUTS = {
    "contiguous": "T.zeros(6, 8)", "few": "T.zeros(5)", "0d": "T.zeros(())", "empty": "T.zeros(0)",
    "transposed": "T.zeros(8, 6).t()", "strided": "T.zeros(12, 16)[::2, ::2]",
    "permuted": "T.zeros(4, 5, 6).permute(1, 2, 0)",
    "channels_last": "T.zeros(2, 3, 4, 5).contiguous(memory_format=T.channels_last)",
    "size_one": "T.zeros(3, 1, 4).permute(2, 1, 0)",
}
DTYPES = ["float64", "float16", "bfloat16", "int64", "uint8", "bool", "complex64"]
CALLS = """
T.bernoulli(T.rand(5, 7))
T.bernoulli(T.rand(5, 7).t())
T.bernoulli(T.rand(5, 7).double())
T.bernoulli(T.rand(5, 7).half())
T.bernoulli(T.rand(5, 7), 0.3)
T.bernoulli(T.rand(5), out=T.empty(5))
T.rand(5, 7).bernoulli()
T.rand(5, 7).bernoulli(0.3)
T.zeros(5, 7).t().bernoulli_(T.rand(7, 5))
T.zeros(5, 7, dtype=T.int64).bernoulli_(T.rand(7))
T.zeros(5, 7).t().bernoulli_(T.rand(7, 1, dtype=T.float64))
T.poisson(T.rand(5, 7) * 20)
T.poisson(T.rand(5, 7).t() * 20, generator=T.Generator().manual_seed(1))
T.multinomial(T.rand(7), 3)
T.multinomial(T.rand(5, 7), 3)
T.multinomial(T.rand(5, 7).t(), 3)
T.multinomial(T.rand(5, 14)[:, ::2].t(), 3)
T.multinomial(T.rand(5, 7), 1)
T.multinomial(T.rand(5, 7), 30, True)
T.multinomial(T.rand(5, 7).double(), 30, replacement=True)
T.multinomial(T.ones(5), 2, out=T.empty(0, dtype=T.int64))
T.normal(0, 1, (5,))
T.normal(2.0, 3.0, size=(50,), dtype=T.float64)
T.normal(T.arange(20.0))
T.normal(T.arange(20.0), 0.5)
T.normal(mean=0.5, std=T.arange(1.0, 21.0))
T.normal(T.arange(20.0), T.arange(20.0))
T.normal(T.arange(20.0).reshape(4, 5).t(), T.arange(20.0).reshape(4, 5).t())
T.normal(T.arange(20.0).reshape(4, 5), T.arange(5.0))
T.normal(T.arange(20.0).half(), 0.5)
T.normal(T.arange(20.0), T.arange(20.0).double())
T.normal(T.arange(20.0).double(), T.arange(20.0))
T.normal(0.0, 1.0, (20,), out=T.empty(0))
T.normal((x := T.arange(20.0).requires_grad_()), 0.5)
T.bernoulli((x := T.rand(5).requires_grad_()))
T.poisson((x := T.rand(5).requires_grad_()))
(x := T.rand(5).requires_grad_()).mul(2).uniform_()
""".strip().splitlines()
REFUSED = """
T.ones(3).uniform_(2, 1)
T.ones(3).uniform_('a')
T.ones(3).uniform_(1, 2, 3)
T.ones(3, dtype=T.int64).uniform_()
T.ones(3).normal_(0, -1)
T.ones(3).normal_(generator=3)
T.ones(3).exponential_(0)
T.ones(3).geometric_(1.0)
T.ones(3).geometric_()
T.ones(3, dtype=T.bool).geometric_(0.5)
T.ones(3).log_normal_(1, 0)
T.ones(3).cauchy_(0, 0)
T.ones(3).random_(5, 2)
T.ones(3).random_(0)
T.ones(3).random_(3.5)
T.ones(3).random_(1, 2, 3)
T.ones(3, dtype=T.complex64).random_()
T.ones(3).bernoulli_(2.0)
T.ones(3).bernoulli_(T.ones(2))
T.ones(3).bernoulli_(T.ones(3, dtype=T.int64))
T.ones(3, dtype=T.complex64).bernoulli_(0.2)
T.bernoulli(T.ones(3) * 2)
T.bernoulli(T.ones(3), 2.0)
T.bernoulli(T.ones(3, dtype=T.int64))
T.ones(3, requires_grad=True).uniform_()
T.ones(3, requires_grad=True)[0].normal_()
T.ones(3).expand(2, 3).uniform_()
T.multinomial(T.ones(3), 0)
T.multinomial(T.ones(3), 4)
T.multinomial(T.ones(2, 2, 2), 1)
T.multinomial(-T.ones(3), 1)
T.multinomial(T.zeros(3), 1)
T.multinomial(T.ones(3, dtype=T.int64), 1)
T.poisson(-T.ones(2))
T.poisson(T.ones(2, dtype=T.int64))
T.normal(T.zeros(3), -1.0)
T.normal(T.zeros(3), -T.ones(3))
T.normal(T.zeros(3), T.ones(2))
T.normal(0.0, 1.0)
T.normal(0.0, -1.0, (2,))
""".strip().splitlines()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fill", FILLS)
def test_filled_in_the_order_of_memory(fill, layout):
    check(f"{LAYOUTS[layout]}.{fill}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", FILLS)
def test_every_dtype_is_filled_or_refused(fill, dtype):
    check(f"T.zeros(5, 7, dtype=T.{dtype}).{fill}")


@pytest.mark.parametrize("call", CALLS)
def test_same_as_torch(call):
    check(call)


@pytest.mark.parametrize("call", REFUSED)
def test_refused_as_torch_refuses(call):
    check(call)


def test_filling_counts_as_a_modification():
    x = fb.zeros(3, 4)
    for fill in (x.uniform_, x[:, 1:].normal_, x.bernoulli_):
        before = x._version
        fill()
        assert x._version == before + 1
    kept = fb.ones(2, requires_grad=True).exp()
    kept.detach().uniform_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.sum().backward()


def test_parameters_are_filled_without_grad():
    x = fb.ones(3, 4, requires_grad=True)
    with fb.no_grad():
        x.uniform_(2, 3)
        x[0].normal_()
        x.t()[1].random_(5)
    assert x.is_leaf and x.requires_grad
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.uniform_()


def test_filling_a_part_leaves_the_rest():
    x = fb.full((4, 4), 9.0)
    x[1:3, 1:3].uniform_()
    inside = x[1:3, 1:3]
    assert bool((inside < 1).all()) and int((x == 9).sum()) == 12


def test_what_was_there_gets_no_gradient():
    x = fb.ones(4, requires_grad=True)
    y = x * 2
    y[:2].uniform_()
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 2.0, 2.0]


def test_draws_depend_on_no_parameter():
    p = fb.full((4,), 0.5, dtype=fb.float64, requires_grad=True)

    def drawn(p):
        with fb.random.fork_rng():
            fb.manual_seed(1)
            return fb.bernoulli(p) + fb.poisson(p) + p

    assert gradcheck(drawn, (p,))


def test_modes_see_the_call():
    seen = []

    class Log(DispatchMode):
        def handle(self, op, args):
            seen.append(op.name)
            return NotImplemented

    with Log():
        fb.ones(3).uniform_().random_()
    assert seen == ["uniform", "random"]
