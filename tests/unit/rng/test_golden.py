"""Numbers equal to PyTorch's, by the hashes in golden.json; torch is not needed."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flambeau import dtypes, rng
from flambeau.dtypes import BY_NAME

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())

# Their float64 results are those of the C library that PyTorch was measured with.
FROM_LIBM = (
    "normal", "log_normal", "exponential", "cauchy", "geometric", "standard_gamma", "dirichlet",
)


def identify(case: dict[str, Any]) -> str:
    if len(case["calls"]) > 1:
        return f"mixed-seed{case['seed']}"
    made = case["calls"][0]
    shape = "x".join(map(str, np.atleast_1d(made["shape"]))) or "scalar"
    arguments = "".join(f"-{k}={v}" for k, v in made["arguments"].items())
    return f"{made['function']}-{made['dtype']}-{shape}{arguments}-seed{case['seed']}"


def weights(shape: Any, dtype: str) -> np.ndarray[Any, Any]:
    n = int(np.prod(shape))
    values = (np.arange(n) * 31 % 97 / 97).astype(np.float64)
    if dtype in ("float16", "bfloat16"):  # as PyTorch converts
        values = values.astype(np.float32)
    return values.astype(BY_NAME[dtype].numpy).reshape(shape)


def with_flambeau(made: dict[str, Any], generator: rng.Generator) -> np.ndarray[Any, Any]:
    name, shape, dtype = made["function"], made["shape"], made["dtype"]
    arguments = made["arguments"]
    if name == "randint":
        return rng.randint(generator, arguments["low"], arguments["high"], shape, dtype)
    if name == "bernoulli_scalar":
        return rng.bernoulli_scalar(generator, shape, arguments["p"])
    if name == "bernoulli_probs":
        return rng.bernoulli_probs(generator, weights(shape, dtype))
    if name == "multinomial":
        return rng.multinomial(generator, weights(shape, dtype), **arguments)
    if name == "poisson":
        rates = weights(shape, dtype) * BY_NAME[dtype].numpy.type(arguments["scale"])
        return rng.poisson(generator, rates)
    if name in ("standard_gamma", "dirichlet"):
        given = weights(shape, dtype) * BY_NAME[dtype].numpy.type(arguments["scale"])
        return getattr(rng, name)(generator, given)
    if name == "binomial":
        chances = weights(shape, dtype)
        counts = np.ceil(chances * BY_NAME[dtype].numpy.type(arguments["scale"]))
        return rng.binomial(generator, counts, chances)
    return getattr(rng, name)(generator, shape, dtype, **arguments)


def needs_glibc(case: dict[str, Any]) -> bool:
    return any(
        made["function"] in FROM_LIBM and made["dtype"] in ("float64", "complex128")
        for made in case["calls"]
    )


@pytest.mark.filterwarnings("ignore:random_")  # bounds beyond a type's exact integers
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=identify)
def test_same_numbers_as_pytorch(case: dict[str, Any]) -> None:
    if needs_glibc(case) and platform.libc_ver()[0] != "glibc":
        pytest.skip("float64 values come from the C library, and this one is not glibc")
    generator = rng.Generator().manual_seed(case["seed"])
    values = hashlib.sha256()
    for made in case["calls"]:
        values.update(with_flambeau(made, generator).tobytes())
    assert values.hexdigest() == case["values"]
    assert hashlib.sha256(generator.state_bytes().tobytes()).hexdigest() == case["state"]


def test_the_file_covers_what_is_promised() -> None:
    made = [m for case in GOLDEN["cases"] for m in case["calls"]]
    assert len(GOLDEN["cases"]) >= 150
    assert {m["function"] for m in made} == {
        name for name in rng.__all__ if name[0].islower()
    } - {"random32", "random64"}  # fmt: skip
    assert {m["dtype"] for m in made} == {d.name for d in dtypes.ALL}
