"""Probes of what a device claims: each raises if the claim does not hold.

``python -m flambeau_conformance.levels.probes NAME DEVICE`` runs one in a process of its own, for
claims that are not made: what is not safe may take the process down.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flambeau import dtypes
from flambeau.device import device
from flambeau.kind import kind_of
from flambeau.tensor import Tensor
from flambeau_conformance.case import Skip
from flambeau_conformance.compare import require
from flambeau_conformance.transfer import from_host, to_host

TIMEOUT: Final = 60.0
THREADS, ROUNDS = 4, 25


def _values(place: str, *shape: int, seed: int = 0) -> Tensor:
    random = np.random.default_rng(seed)
    values = random.uniform(-1, 1, shape).astype(np.float32)
    return from_host(values, kind_of(device(place), dtypes.float32))


def _indices(place: str, high: int, *shape: int) -> Tensor:
    values = np.random.default_rng(1).integers(0, high, shape)
    return from_host(values, kind_of(device(place), dtypes.int64))


def _work(place: str, seed: int) -> bytes:
    """A few kernels on tensors of a seed, and the bits of the result."""
    x, y = _values(place, 32, 32, seed=seed), _values(place, 32, 32, seed=seed + 1)
    z = (x @ y).exp() + x.t() * 2
    return to_host(z.sum(1)).tobytes() + to_host(z.amax(0)).tobytes()


def thread_safe(place: str) -> None:
    """Several threads compute at once, each as if alone."""
    wanted = [_work(place, seed) for seed in range(THREADS)]
    wrong: list[str] = []

    def run(seed: int) -> None:
        try:
            for _ in range(ROUNDS):
                if _work(place, seed) != wanted[seed]:
                    wrong.append(f"thread {seed} computed other values than alone")
                    return
        except Exception as error:  # told by the main thread
            wrong.append(f"thread {seed}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(THREADS)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(interval)
    require(not wrong, "; ".join(wrong[:3]))


def deterministic(place: str) -> None:
    """Sums in which the order of additions matters give the same bits every time."""

    def run() -> bytes:
        x = _values(place, 300, 40)
        index = _indices(place, 7, 300, 40)
        zeros = from_host(np.zeros((7, 40), np.float32), x._kind)
        parts = (x.sum(), x.cumsum(0), x @ x.t(), zeros.scatter_add(0, index, x))
        return b"".join(to_host(part).tobytes() for part in parts)

    first = run()
    require(all(run() == first for _ in range(5)), "the same calls gave other bits")


def fork_safe(place: str) -> None:
    """A forked child computes what its parent does."""
    if not hasattr(os, "fork"):
        raise Skip("there is no fork on this system")
    wanted = _work(place, 3)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if _work(place, 3) == wanted else 2
        finally:
            os._exit(status)
    status = _wait_for(child)
    require(status != 2, "the child computed other values")
    require(status == 0, f"the child ended with status {status}")
    require(_work(place, 3) == wanted, "after the fork the parent computes other values")


def _wait_for(child: int) -> int:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise TimeoutError(f"the child did not end within {TIMEOUT} s")


PROBES: Final[dict[str, Callable[[str], None]]] = {
    "thread_safe": thread_safe, "deterministic": deterministic, "fork_safe": fork_safe,
}
"""By the name of the capability."""


def holds_in_another_process(name: str, place: str) -> bool:
    """Whether a probe passes in a process of its own."""
    command = [sys.executable, "-m", __name__, name, place]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main(argv: list[Any]) -> int:
    """Run one probe."""
    name, place = argv
    PROBES[name](place)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
