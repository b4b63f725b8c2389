"""Random numbers in C are those of the core, and leave the generator in the same state."""

import ml_dtypes
import numpy as np
import pytest

from flambeau import rng
from flambeau.rng import host
from flambeau_cpu.native.library import runtime
from flambeau_cpu.native.samplers import find

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")

SIZES = [0, 5, 15, 16, 17, 31, 700, 5000, 66003]
CALLS = {
    **{f"uniform_{t}_{i}": (lambda g, n, t=t, b=b: rng.uniform(g, n, t, *b))
       for t in ("float32", "float64", "float16", "bfloat16", "complex64")
       for i, b in enumerate([(0.0, 1.0), (-0.3, 1.7), (-1.0, 0.0)])},
    **{f"normal_{t}_{i}": (lambda g, n, t=t, m=m: rng.normal(g, n, t, *m))
       for t in ("float32", "float64", "float16", "bfloat16", "complex64")
       for i, m in enumerate([(0.0, 1.0), (1.5, 0.3, False), (1.5, 0.3)])},
    **{f"random_{t}": (lambda g, n, t=t: rng.random_(g, n, t))
       for t in ("int64", "int32", "int16", "int8", "uint8", "bool", "float32")},
    **{f"randint_{high}": (lambda g, n, high=high: rng.randint(g, -3, high, n))
       for high in (-2, 5, 13, 2**28, 2**40, 2**62)},
    "every_integer": lambda g, n: rng.random_(g, n, "int64", -(2**63)),
    **{f"bernoulli_{p}": (lambda g, n, p=p: rng.bernoulli_scalar(g, n, p))
       for p in (0.0, 0.3, 1.0)},
    **{f"bernoulli_of_{t.__name__}": (lambda g, n, t=t: rng.bernoulli_probs(
        g, np.linspace(0, 1, n).astype(t)))
       for t in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)},
    **{f"exponential_{t}": (lambda g, n, t=t: rng.exponential(g, n, t, 1.7))
       for t in ("float32", "float64", "float16", "bfloat16")},
    **{f"gamma_{t}": (lambda g, n, t=t: rng.standard_gamma(g, np.linspace(0, 3, n).astype(t)))
       for t in ("float32", "float64")},
    "dirichlet": lambda g, n: rng.dirichlet(g, np.linspace(0.1, 3, n)[:, None]),
    **{f"poisson_{t}": (lambda g, n, t=t: rng.poisson(g, np.linspace(0, 30, n).astype(t)))
       for t in ("float32", "float64")},
    **{f"binomial_{t}": (lambda g, n, t=t: rng.binomial(
        g, np.arange(n).astype(t) % 200, np.linspace(0, 1, n).astype(t)))
       for t in ("float32", "float64")},
    "randperm": lambda g, n: rng.randperm(g, n),
    "randperm_int32": lambda g, n: rng.randperm(g, n, "int32"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_numbers_are_those_of_the_core(name, monkeypatch):
    draw, sizes = CALLS[name], SIZES
    if name == "bernoulli_of_float64":
        sizes = SIZES[1:]
    if name.startswith(("gamma", "dirichlet", "poisson", "binomial")):
        sizes = SIZES[:-1]  # slow one by one
    assert host.look()
    for n in sizes:
        ours, theirs = (rng.Generator().manual_seed(n) for _ in range(2))
        rng.uniform(ours, 100, "float32")
        rng.uniform(theirs, 100, "float32")  # begin within the words
        drawn = draw(ours, n)
        with monkeypatch.context() as patch:
            patch.setattr(host, "_found", {})
            wanted = draw(theirs, n)
        assert drawn.dtype == wanted.dtype
        assert drawn.tobytes() == wanted.tobytes(), n
        assert np.array_equal(ours.state_bytes(), theirs.state_bytes())


def test_the_samplers_are_in_use(monkeypatch):
    called = []
    monkeypatch.setattr(host, "_found", {
        name: lambda *given, f=f, name=name: called.append(name) or f(*given)
        for name, f in find().items()})
    generator = rng.Generator()
    for call in CALLS.values():
        call(generator, 100)
    assert set(called) == find().keys()
