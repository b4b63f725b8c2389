"""The two programs newcomers meet first give PyTorch's losses, step by step.

The example files are run twice: as they are, and with ``flambeau`` replaced by ``torch`` in their
imports.  Weights are copied over; the data are the same arrays.
"""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau

torch = pytest.importorskip("torch")
EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str, library: str) -> types.ModuleType:
    """An example with its imports taken from a library (pictures need none here)."""
    source = (EXAMPLES / f"{name}.py").read_text()
    if library == "torch":
        source = re.sub(r"^from flambeau\.vision import .*$", "", source, flags=re.MULTILINE)
        source = re.sub(
            r"^((?:import|from) )flambeau\b", r"\1torch", source, flags=re.MULTILINE)
        source = source.replace("import torch as torch", "import torch")
    module = types.ModuleType(f"{name}_{library}")
    exec(compile(source, f"{name} on {library}", "exec"), module.__dict__)
    return module


def batches(shape: tuple[int, ...], size: int, count: int) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    return [
        (rng.standard_normal((size, *shape), dtype=np.float32),
         rng.integers(0, 10, size).astype(np.int64))
        for _ in range(count)
    ]


def losses(name: str, model: str, data: list[tuple[Any, Any]]) -> tuple[list[float], list[float]]:
    ours, theirs = load(name, "flambeau"), load(name, "torch")
    torch.manual_seed(0)
    reference = getattr(theirs, model)()
    copy = getattr(ours, model)()
    copy.load_state_dict({
        k: flambeau.from_numpy(v.numpy().copy()) for k, v in reference.state_dict().items()})
    results = []
    for module, network, library in ((ours, copy, flambeau), (theirs, reference, torch)):
        loader = [(library.from_numpy(x), library.from_numpy(y)) for x, y in data]
        results.append(module.train(network, loader, epochs=2))
    return results[0], results[1]


@pytest.mark.parametrize(
    ("name", "model", "shape", "size"),
    [("mnist_linear", "Classifier", (1, 28, 28), 64), ("cifar10_cnn", "Net", (3, 32, 32), 4)],
)
def test_losses_agree_step_by_step(
    name: str, model: str, shape: tuple[int, ...], size: int
) -> None:
    ours, theirs = losses(name, model, batches(shape, size, 50))
    assert len(ours) == 100
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    assert ours[-1] < ours[0]
