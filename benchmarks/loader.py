"""What a batch from two worker processes costs, against PyTorch in one run.

    python benchmarks/loader.py --output loader.json

Samples cost little to make, so the time is that of collating and of the way between processes.
A call takes 24 batches: the 4 that are loaded ahead while the other library runs are few of them.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import Case, run

CASES: dict[str, Case] = {}


class Samples:
    """A map-style dataset without end."""

    def __init__(self, sample: Callable[[], Any]) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> Any:
        return self.sample()


def batches(T: Any, sample: Callable[[], Any], **options: Any) -> Callable[[], Any]:
    data = T.data if hasattr(T, "data") else T.utils.data
    iterator = iter(data.DataLoader(Samples(sample), num_workers=2, **options))
    return lambda: deque(islice(iterator, 24), maxlen=0)


def tensors(T: Any, batch_size: int, *shape: int) -> Callable[[], Any]:
    image = T.from_numpy(np.random.default_rng(0).random(shape, np.float32))
    return batches(T, lambda: (image, 3), batch_size=batch_size)


CASES["numbers, batch of 16"] = lambda T: batches(T, lambda: (0.5, 1), batch_size=16)
CASES["3x32x32, batch of 4"] = lambda T: tensors(T, 4, 3, 32, 32)
CASES["3x32x32, batch of 128"] = lambda T: tensors(T, 128, 3, 32, 32)
CASES["3x224x224, batch of 64"] = lambda T: tensors(T, 64, 3, 224, 224)
CASES["16 arrays of 0.8 MB in a list"] = lambda T: batches(
    T, lambda: np.ones((100, 1000)), batch_size=16, collate_fn=list)
CASES["32 texts of 1 kB in a list"] = lambda T: batches(
    T, lambda: "".join(["x"] * 1000), batch_size=32, collate_fn=list)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    run(CASES, "24 batches from two worker processes", parser.parse_args().output)
