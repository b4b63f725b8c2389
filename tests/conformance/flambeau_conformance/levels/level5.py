"""Level 5: threads, forks, errors of kernels, running out of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import flambeau
from flambeau import dtypes
from flambeau.backend import OutOfMemoryError
from flambeau.kind import kind_of
from flambeau.tensor import Tensor
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.compare import ConformanceFailure, require
from flambeau_conformance.config import Config
from flambeau_conformance.levels import probes
from flambeau_conformance.transfer import from_host, to_host

TOO_MUCH = 1 << 60
"""Bytes that no device has."""


def cases(config: Config) -> Iterator[Case]:
    """Claims that are probed, and what must work after an error."""
    for name, probe in probes.PROBES.items():
        yield Case(f"L5/{name}", partial(_claim, config, name, probe))
    yield Case("L5/errors", partial(_errors, config))
    yield Case("L5/memory", partial(_memory, config))
    yield Case("L5/order", partial(_order, config))


def _claim(config: Config, name: str, probe: Callable[[str], None], check: Checks) -> None:
    """What is claimed must hold; what holds and is not claimed is worth a note."""
    if getattr(config.capabilities, name):
        with check("claimed"):
            probe(str(config.place))
    elif probes.holds_in_another_process(name, config.device):
        check.note("unclaimed", f"{name} seems to hold, and is not claimed in Capabilities")


def _ones(config: Config, *shape: int) -> Tensor:
    return from_host(np.ones(shape, np.float32), kind_of(config.place, dtypes.float32))


def _works(config: Config) -> None:
    """The device computes."""
    total = to_host(_ones(config, 10) + _ones(config, 10))
    require(bool((total == 2).all()), f"afterwards 1 + 1 gives {total!r}")


def _errors(config: Config, check: Checks) -> None:
    kind = kind_of(config.place, dtypes.int64)
    index = from_host(np.array([[7, 0]]), kind)
    with check("index_out_of_bounds"):
        try:
            result = _ones(config, 2, 2).gather(0, index)
            if config.capabilities.asynchronous:
                config.backend.synchronize(config.index)  # by then at the latest
        except (IndexError, RuntimeError):
            pass
        else:
            raise ConformanceFailure(
                f"gather read outside its input and gave {to_host(result)!r}; raise IndexError "
                "from the kernel, or from synchronize() if it is asynchronous"
            )
    with check("works_after_index_error"):
        _works(config)
    with check("shapes"):
        try:
            _ones(config, 2) + _ones(config, 3)
        except RuntimeError:
            _works(config)
        else:
            raise ConformanceFailure("tensors of shapes (2,) and (3,) were added")


def _memory(config: Config, check: Checks) -> None:
    backend, index = config.backend, config.index
    with check("alloc"):
        try:
            buffer = backend.alloc(TOO_MUCH, index)
        except OutOfMemoryError:
            pass
        else:
            raise ConformanceFailure(f"alloc({TOO_MUCH}) gave {type(buffer).__name__}")
    with check("empty"):
        try:
            flambeau.empty(TOO_MUCH, dtype=dtypes.float32, device=config.place)
        except OutOfMemoryError as error:
            require(bool(str(error)), "the error says nothing")
        else:
            raise ConformanceFailure("a tensor of 4 EiB was made")
    with check("works_after"):
        _works(config)
    with check("freed"):
        for _ in range(64):  # 4 GiB in all, 64 MiB at a time
            backend.alloc(1 << 26, index)


def _order(config: Config, check: Checks) -> None:
    """Kernels take effect in the order of their calls, and reading waits for them."""
    with check("chain"):
        x = _ones(config, 64, 64)
        for _ in range(50):
            x = x + x.abs()
            x = x * 0.5
        got = to_host(x)
        require(bool((got == 1).all()), f"50 doublings and halvings of 1 give {got.flat[0]!r}")
    with check("write_after_read"):
        x = _ones(config, 1000)
        y = x + 1
        x.fill_(5.0)
        got = to_host(y)
        require(bool((got == 2).all()), f"a result changed after its input did: {got.flat[0]!r}")
