"""Time the same code on PyTorch and on flambeau, in turns, in one process.

A case is ``make(T) -> function``; ``T`` is the library.  Rounds alternate between the libraries,
so that a change of the machine's speed hits both; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Case = Callable[[Any], Callable[[], Any]]
ROUNDS = 15
SECONDS = 0.02


def once(function: Callable[[], Any], count: int) -> float:
    """Seconds per call over ``count`` calls."""
    start = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - start) / count


def compare(make: Case, a: Any, b: Any) -> tuple[float, float, float]:
    """Median seconds of both sides, and the median ratio b / a of the rounds."""
    functions = make(a), make(b)
    return compare_functions(functions)


def compare_functions(functions: tuple[Callable[[], Any], ...]) -> tuple[float, float, float]:
    """The same for two functions."""
    counts = []
    for function in functions:
        once(function, 3)
        counts.append(max(1, int(SECONDS / max(once(function, 3), 1e-8))))
    rounds = [
        tuple(once(f, n) for f, n in zip(functions, counts, strict=True)) for _ in range(ROUNDS)
    ]
    return (
        statistics.median(r[0] for r in rounds), statistics.median(r[1] for r in rounds),
        statistics.median(r[1] / r[0] for r in rounds),
    )


def main(cases: dict[str, Case], title: str, words: str | None) -> None:
    """The command line of a file of cases: ``--only NAMES --output FILE``."""
    parser = argparse.ArgumentParser(description=(words or title).splitlines()[0])
    parser.add_argument("--only", help="names of cases, separated by commas")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else cases
    run({name: cases[name] for name in wanted}, title, options.output)


def run(cases: dict[str, Case], title: str, output: Path | None = None) -> dict[str, Any]:
    """Run the cases, print a table, and write the figures as JSON if asked."""
    import torch

    import flambeau

    print(f"{title}: torch {torch.__version__}, {torch.get_num_threads()} threads; "
          f"flambeau {flambeau.__version__}\n")
    print(f"| {'case':32} | torch us | flambeau us | ratio |")
    print(f"|{'-' * 34}|---------:|------------:|------:|")
    figures = {}
    for name, make in cases.items():
        a, b, ratio = compare(make, torch, flambeau)
        print(f"| {name:32} | {a * 1e6:8.2f} | {b * 1e6:11.2f} | {ratio:5.2f} |", flush=True)
        figures[name] = {"torch_us": a * 1e6, "flambeau_us": b * 1e6, "ratio": ratio}
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures, indent=1))
    return figures
