"""Write golden.json: hashes of what PyTorch's CPU generator gives.  Needs torch 2.13.

Run ``python tests/unit/rng/make_golden.py``.  A case is a seed, the calls made with one generator,
and SHA-256 hashes of all the values' bytes and of the generator's state after them.
test_golden.py makes the same calls without torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

GOLDEN = Path(__file__).parent / "golden.json"
FLOATS = ("float32", "float64", "bfloat16", "float16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
SEEDS = (0, 1, 42, -1, 2**40 + 5, 67280421310721)
# Both algorithms of normals, both tail rules, and more than one of our chunks of 32768.
SIZES: tuple[Any, ...] = (0, [], 7, 15, 16, 17, 100, [3, 5, 11], 1003, 40009)

Call = dict[str, Any]


def call(function: str, shape: Any, dtype: str, **arguments: Any) -> Call:
    return {"function": function, "shape": shape, "dtype": dtype, "arguments": arguments}


def float_calls() -> Iterator[Call]:
    for dtype in (*FLOATS, "complex64", "complex128"):
        for shape in SIZES:
            yield call("uniform", shape, dtype)
            yield call("normal", shape, dtype)
        yield call("uniform", 1003, dtype, low=-0.1, high=0.23)
        yield call("uniform", 33, dtype, low=1.0, high=3.0)
        yield call("normal", 1003, dtype, mean=0.3, std=1.7)
        yield call("normal", 5, dtype, mean=0.3, std=1.7)
    for dtype in FLOATS:
        yield call("normal", [9, 7], dtype, mean=-2.0, std=0.5, contiguous=False)
        yield call("exponential", 1003, dtype, lambd=1.0)
        yield call("exponential", 40009, dtype, lambd=0.3)
        yield call("cauchy", 1003, dtype, median=2.0, sigma=3.0)
        yield call("log_normal", 1003, dtype, mean=1.0, std=2.0)
        yield call("geometric", 1003, dtype, p=0.1)
        yield call("bernoulli_probs", 1003, dtype)


def integer_calls() -> Iterator[Call]:
    for dtype in (*INTEGERS, "bool", *FLOATS):
        yield call("random_", 1003, dtype)
        yield call("random_", 1003, dtype, low=1, high=None)
        yield call("random_", 40009, dtype, low=0, high=2)
        yield call("bernoulli_scalar", 1003, dtype, p=0.3)
    for dtype in ("int64", "int32", "float32", "float64"):
        yield call("randint", 1003, dtype, low=0, high=10)
        yield call("randint", 1003, dtype, low=-(2**27), high=2**27 - 1)
        yield call("randint", 1003, dtype, low=-(2**27), high=2**27)
    yield call("randint", 1003, "int64", low=-(2**62), high=2**62 + 3)
    yield call("random_", 1003, "int64", low=-(2**63), high=None)
    yield call("random_", 1003, "float16", low=2049, high=2053)
    yield call("random_", 1003, "float32", low=-(2**25) - 1, high=2**25 + 3)
    for dtype in INTEGERS:
        yield call("geometric", 1003, dtype, p=0.7)
        yield call("randperm", 100, dtype)
    for n in (0, 1, 2, 3, 1000, 40009, 60000, 65536):
        yield call("randperm", n, "int64")
    for p in (0.0, 0.5, 0.9, 1.0):
        yield call("bernoulli_scalar", [4, 100], "float32", p=p)


def multinomial_calls() -> Iterator[Call]:
    for dtype in FLOATS:
        for shape in (50, [3, 40]):
            yield call("multinomial", shape, dtype, num_samples=1, replacement=False)
            yield call("multinomial", shape, dtype, num_samples=1000, replacement=True)
    for dtype in ("float32", "float64"):  # half types have ties
        yield call("multinomial", [3, 40], dtype, num_samples=39, replacement=False)


def poisson_calls() -> Iterator[Call]:
    for dtype in FLOATS:
        yield call("poisson", [3, 400], dtype, scale=4.0)
        yield call("poisson", 1003, dtype, scale=128.0)


def gamma_calls() -> Iterator[Call]:
    for dtype in ("float32", "float64"):  # the only ones that PyTorch has
        for scale in (0.1, 4.0, 512.0):
            yield call("standard_gamma", [3, 400], dtype, scale=scale)
        yield call("dirichlet", [400, 3], dtype, scale=2.0)
        for scale in (8.0, 64.0, 4096.0):
            yield call("binomial", 1003, dtype, scale=scale)


def mixed_calls() -> list[Call]:
    """A cached normal that is passed on, and draws that end at odd places of the state."""
    return [
        call("normal", 1, "float32"),
        call("uniform", 3, "float64"),
        call("log_normal", 2, "float32", mean=0.0, std=1.0),
        call("normal", 17, "float32"),
        call("normal", [], "float64", mean=1.0, std=3.0),
        call("standard_gamma", 3, "float32", scale=2.0),
        call("randperm", 10, "int64"),
        call("random_", [], "int64"),
        call("bernoulli_scalar", 11, "float32", p=0.25),
        call("normal", 3, "float16"),
    ]


def weights(shape: Any, dtype: torch.dtype) -> torch.Tensor:
    """Probabilities (k mod 97) / 97, exact to repeat without torch."""
    n = torch.Size([shape] if isinstance(shape, int) else shape)
    return ((torch.arange(n.numel()) * 31 % 97).double() / 97).to(dtype).reshape(n)


def with_torch(made: Call, generator: torch.Generator) -> torch.Tensor:
    """Make a call with PyTorch."""
    name, shape, arguments = made["function"], made["shape"], dict(made["arguments"])
    dtype = getattr(torch, made["dtype"])
    if name == "randperm":
        return torch.randperm(shape, generator=generator, dtype=dtype)
    if name == "randint":
        low, high = arguments["low"], arguments["high"]
        return torch.randint(low, high, (shape,), generator=generator, dtype=dtype)
    if name == "bernoulli_probs":
        return torch.bernoulli(weights(shape, dtype), generator=generator).bool()
    if name == "multinomial":
        return torch.multinomial(weights(shape, dtype), **arguments, generator=generator)
    if name == "poisson":
        return torch.poisson(weights(shape, dtype) * arguments["scale"], generator)
    if name in ("standard_gamma", "dirichlet"):
        sampler = {"standard_gamma": torch._standard_gamma, "dirichlet": torch._sample_dirichlet}
        return sampler[name](weights(shape, dtype) * arguments["scale"], generator)
    if name == "binomial":
        chances = weights(shape, dtype)
        return torch.binomial((chances * arguments["scale"]).ceil(), chances, generator)
    empty = torch.empty(shape, dtype=dtype)
    if not arguments.pop("contiguous", True):
        empty = empty.t()  # memory order is then that of the transpose, as for our call
        return empty.normal_(**arguments, generator=generator).t()
    if name == "random_":
        return empty.random_(*arguments.values(), generator=generator)
    if name == "uniform":
        return empty.uniform_(*arguments.values(), generator=generator)
    if name == "bernoulli_scalar":
        return empty.bernoulli_(arguments["p"], generator=generator).bool()
    return getattr(empty, f"{name}_")(**arguments, generator=generator)


def raw(tensor: torch.Tensor) -> bytes:
    flat = tensor.contiguous().flatten()
    return (flat.view(torch.int16) if flat.dtype is torch.bfloat16 else flat).numpy().tobytes()


def golden(seed: int, calls: list[Call]) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    values = hashlib.sha256()
    for made in calls:
        values.update(raw(with_torch(made, generator)))
    state = hashlib.sha256(raw(generator.get_state())).hexdigest()
    return {"seed": seed, "calls": calls, "values": values.hexdigest(), "state": state}


def main() -> None:
    singles = [
        *float_calls(), *integer_calls(), *multinomial_calls(), *poisson_calls(), *gamma_calls()]
    cases = [golden(SEEDS[i % len(SEEDS)], [made]) for i, made in enumerate(singles)]
    cases += [golden(seed, mixed_calls()) for seed in SEEDS]
    capability = torch.backends.cpu.get_cpu_capability()
    header = {"torch": torch.__version__, "cpu_capability": capability}
    lines = ",\n".join(json.dumps(case) for case in cases)
    GOLDEN.write_text(f'{{"made_with": {json.dumps(header)},\n"cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases written to {GOLDEN.name}")


if __name__ == "__main__":
    main()
