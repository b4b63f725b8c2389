"""Whole training steps and inference, against PyTorch in one run.

    python benchmarks/training.py --only mlp,gpt --output training.json

Both libraries start from the same weights and see the same data; the losses must agree.  Peak
memory and the time of the first step come from a process of its own for each library.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import Case, compare

CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    CASES[make.__name__] = make
    return make


def images(T: Any, *shape: int) -> Any:
    return T.from_numpy(np.random.default_rng(1).standard_normal(shape, dtype=np.float32))


def classes(T: Any, high: int, *shape: int) -> Any:
    return T.from_numpy(np.random.default_rng(2).integers(0, high, shape))


def with_weights(T: Any, model: Any) -> Any:
    """The same weights for every library: normal, by the number of inputs; biases zero."""
    rng = np.random.default_rng(0)
    with T.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1:
                w = rng.standard_normal(tuple(p.shape), dtype=np.float32)
                p.copy_(T.from_numpy(w / np.float32(math.sqrt(math.prod(p.shape[1:])))))
            elif "bias" in name:
                p.zero_()
    return model


def supervised(T: Any, model: Any, optimizer: Any, x: Any, y: Any) -> Callable[[], Any]:
    def step() -> Any:
        optimizer.zero_grad()
        loss = T.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def inference(T: Any, model: Any, x: Any) -> Callable[[], Any]:
    model.eval()

    def step() -> Any:
        with T.no_grad():
            return model(x).mean()

    return step


# ---- dense and convolutional ---------------------------------------------------------------------
@case
def logistic_regression(T: Any) -> Callable[[], Any]:
    model = with_weights(T, T.nn.Linear(784, 10))
    optimizer = T.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    return supervised(T, model, optimizer, images(T, 64, 784), classes(T, 10, 64))


@case
def mlp(T: Any) -> Callable[[], Any]:
    nn = T.nn
    model = with_weights(T, nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)))
    optimizer = T.optim.Adam(model.parameters(), lr=1e-3)
    return supervised(T, model, optimizer, images(T, 128, 784), classes(T, 10, 128))


def cnn(T: Any, batch: int) -> Callable[[], Any]:
    nn = T.nn
    model = with_weights(T, nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84),
        nn.ReLU(), nn.Linear(84, 10)))
    optimizer = T.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    return supervised(T, model, optimizer, images(T, batch, 3, 32, 32), classes(T, 10, batch))


@case
def cnn_batch_4(T: Any) -> Callable[[], Any]:
    return cnn(T, 4)


@case
def cnn_batch_128(T: Any) -> Callable[[], Any]:
    return cnn(T, 128)


def resnet18(T: Any) -> Any:
    nn = T.nn

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.way = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
                nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outputs))
            same = stride == 1 and inputs == outputs
            self.around = nn.Identity() if same else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.way(x) + self.around(x))

    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    inputs = 64
    for outputs, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
                            (512, 1)):
        layers.append(Block(inputs, outputs, stride))
        inputs = outputs
    return with_weights(T, nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)))


@case
def resnet18_batch_32(T: Any) -> Callable[[], Any]:
    model = resnet18(T)
    optimizer = T.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    return supervised(T, model, optimizer, images(T, 32, 3, 32, 32), classes(T, 10, 32))


@case
def resnet18_batch_32_inference(T: Any) -> Callable[[], Any]:
    return inference(T, resnet18(T), images(T, 32, 3, 32, 32))


# ---- sequences -----------------------------------------------------------------------------------
@case
def lstm_language_model(T: Any) -> Callable[[], Any]:
    nn = T.nn

    class Model(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(10_000, 200)
            self.lstm = nn.LSTM(200, 200, 2)
            self.out = nn.Linear(200, 10_000)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(self.words(x))[0]).flatten(0, 1)

    model = with_weights(T, Model())
    optimizer = T.optim.SGD(model.parameters(), lr=1.0)
    train = supervised(T, model, optimizer, classes(T, 10_000, 35, 20), classes(T, 10_000, 700))

    def step() -> Any:
        loss = train()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        return loss

    return step


def gpt(T: Any, layers: int, heads: int, width: int, length: int, words: int) -> Any:
    nn = T.nn

    class Attention(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.inputs = nn.Linear(width, 3 * width, bias=False)
            self.output = nn.Linear(width, width, bias=False)

        def forward(self, x: Any) -> Any:
            b, s, c = x.shape
            q, k, v = (t.view(b, s, heads, c // heads).transpose(1, 2)
                       for t in self.inputs(x).split(width, dim=2))
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.output(y.transpose(1, 2).contiguous().view(b, s, c))

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.Sequential(nn.LayerNorm(width), Attention())
            self.mlp = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 4 * width, bias=False), nn.GELU(),
                nn.Linear(4 * width, width, bias=False))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(x)
            return x + self.mlp(x)

    class Model(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, words, bias=False))

        def forward(self, x: Any) -> Any:
            at = self.places(T.arange(x.shape[1]))
            return self.out(self.blocks(self.words(x) + at)).flatten(0, 1)

    return with_weights(T, Model())


def gpt_training(
    T: Any, batch: int, layers: int, heads: int, width: int, length: int
) -> Callable[[], Any]:
    model = gpt(T, layers, heads, width, length, 65)
    optimizer = T.optim.AdamW(model.parameters(), lr=1e-3)
    return supervised(
        T, model, optimizer, classes(T, 65, batch, length), classes(T, 65, batch * length))


@case
def gpt_small(T: Any) -> Callable[[], Any]:
    return gpt_training(T, 12, 4, 4, 128, 64)


@case
def gpt_middle(T: Any) -> Callable[[], Any]:
    return gpt_training(T, 4, 6, 6, 384, 256)


@case
def gpt_small_inference(T: Any) -> Callable[[], Any]:
    return inference(T, gpt(T, 4, 4, 128, 64, 65), classes(T, 65, 12, 64))


@case
def tree_network(T: Any) -> Callable[[], Any]:
    """A network whose graph is another for every example: many small operations."""
    nn, width = T.nn, 32
    model = with_weights(T, nn.ModuleDict({
        "leaf": nn.Linear(16, width), "join": nn.Linear(2 * width, width),
        "out": nn.Linear(width, 2)}))
    optimizer = T.optim.SGD(model.parameters(), lr=0.01)
    leaves, label = images(T, 24, 16), classes(T, 2, 1)
    turns = np.random.default_rng(3).random(200)

    def step() -> Any:
        optimizer.zero_grad()
        nodes = [T.tanh(model["leaf"](leaves[i : i + 1])) for i in range(len(leaves))]
        for turn in turns:
            if len(nodes) == 1:
                break
            at = int(turn * (len(nodes) - 1))
            pair = T.cat([nodes.pop(at), nodes.pop(at)], 1)
            nodes.insert(at, T.tanh(model["join"](pair)))
        loss = nn.functional.cross_entropy(model["out"](nodes[0]), label)
        loss.backward()
        optimizer.step()
        return loss

    return step


# ---- measuring -----------------------------------------------------------------------------------
def alone(name: str, library: str) -> dict[str, float]:
    """Peak memory and the time of the first step, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--alone", name, "--library", library],
        capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _measure_alone(name: str, library: str) -> None:
    import importlib

    T = importlib.import_module(library)
    step = CASES[name](T)
    start = time.perf_counter()
    float(step().detach())
    first = time.perf_counter() - start
    for _ in range(4):
        step()
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent process had
        peak = int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"first_s": first, "peak_MiB": peak}))


def losses(make: Case, T: Any) -> list[float]:
    step = make(T)
    return [float(step().detach()) for _ in range(3)]


def run_training(names: list[str], output: Path | None) -> dict[str, Any]:
    """Print a table; figures of each case by name."""
    import torch

    import flambeau

    print(f"training: torch {torch.__version__}, flambeau {flambeau.__version__}\n")
    print("| case | torch ms | flambeau ms | ratio | peak MiB | peak ratio | first step s |")
    print("|------|---------:|------------:|------:|---------:|-----------:|-------------:|")
    figures: dict[str, Any] = {}
    for name in names:
        expected, found = losses(CASES[name], torch), losses(CASES[name], flambeau)
        if not np.allclose(expected, found, rtol=2e-3):
            raise SystemExit(f"{name}: the losses differ: {expected} and {found}")
        a, b, ratio = compare(CASES[name], torch, flambeau)
        theirs, ours = alone(name, "torch"), alone(name, "flambeau")
        figures[name] = {
            "torch_us": a * 1e6, "flambeau_us": b * 1e6, "ratio": ratio,
            "torch_peak_MiB": theirs["peak_MiB"], "peak_MiB": ours["peak_MiB"],
            "first_s": ours["first_s"], "torch_first_s": theirs["first_s"]}
        print(f"| {name} | {a * 1e3:.3f} | {b * 1e3:.3f} | {ratio:.2f} | {ours['peak_MiB']:.0f} | "
              f"{ours['peak_MiB'] / theirs['peak_MiB']:.2f} | {ours['first_s']:.2f} |", flush=True)
    if output is not None:
        output.write_text(json.dumps(figures, indent=1))
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of cases, separated by commas")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--library", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        _measure_alone(options.alone, options.library)
    else:
        wanted = options.only.split(",") if options.only else list(CASES)
        run_training(wanted, options.output)
