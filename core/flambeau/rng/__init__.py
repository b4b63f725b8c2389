"""Random numbers, equal bit for bit to those of PyTorch 2.13's CPU generator.

Every function takes a :class:`Generator` and gives a NumPy array; nothing here knows of tensors.
Names and arguments are those of PyTorch.  What is promised: same seed, same numbers as PyTorch
on x86-64 with AVX2, for all functions here.  Where PyTorch calls the C library (float64 normals
and the distributions of :mod:`.continuous`), so does this, and the promise is for the same one.
"""

from flambeau.rng.bernoulli import bernoulli_probs, bernoulli_scalar
from flambeau.rng.binomial import binomial
from flambeau.rng.continuous import cauchy, exponential, geometric
from flambeau.rng.engine import DEFAULT_SEED, Generator, random32, random64
from flambeau.rng.gamma import dirichlet, standard_gamma
from flambeau.rng.integers import randint, random_
from flambeau.rng.multinomial import multinomial
from flambeau.rng.normal import log_normal, normal
from flambeau.rng.permutation import randperm
from flambeau.rng.poisson import poisson
from flambeau.rng.state import STATE_SIZE
from flambeau.rng.uniform import uniform

__all__ = [
    "DEFAULT_SEED",
    "STATE_SIZE",
    "Generator",
    "bernoulli_probs",
    "bernoulli_scalar",
    "binomial",
    "cauchy",
    "dirichlet",
    "exponential",
    "geometric",
    "log_normal",
    "multinomial",
    "normal",
    "poisson",
    "randint",
    "random32",
    "random64",
    "random_",
    "randperm",
    "standard_gamma",
    "uniform",
]
