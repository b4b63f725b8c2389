"""The suite finds what is wrong with generated kernels, at the check that names it.

A mutant changes the text of every kernel that it finds something in, and is otherwise the backend.
None may leave its buffers: that would be the process's end, not a failure.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import pytest

from flambeau.backend.generated import KernelSource, Traits
from flambeau.plugins import register_backend
from flambeau_conformance import suite
from flambeau_conformance.case import Result
from flambeau_conformance.config import Config


@dataclass(frozen=True)
class Mutant:
    """A fault: a pattern in the sources, what stands there instead, and the check that fails."""

    name: str
    pattern: str
    instead: str
    finds: str
    ops: tuple[str, ...]
    lanes: int = 1


MUTANTS = [
    Mutant("stride", r"\* step_self_0", "* 0", "L1/add/float32/*/forward",
           ("add",)),
    Mutant("offset", r"start_out \+ ", "", "L1/add/float32/*", ("add",)),
    Mutant("tail", r"if \(item_ < count\)", "if (item_ < count - 1)", "L1/exp/float32/*/forward",
           ("exp",)),
    Mutant("rounding", r"vstore_half_rte", "vstore_half_rtz", "L1/mul/float16/*/forward",
           ("mul",)),
    Mutant("barrier", r"barrier\([^;]*;", "", "L1/sum/float32/*/forward", ("sum",), lanes=32),
]


@pytest.fixture
def backend_of(backend: Any) -> Any:
    """A class of the backend with a fault."""
    from flambeau_opencl.device import OpenCLBackend

    def make(mutant: Mutant, changed: list[str]) -> type:
        class Changed(OpenCLBackend):
            name = f"opencl{mutant.name}"

            def traits(self, index: int) -> Traits:
                return replace(super().traits(index), lanes=mutant.lanes, group_size=64)

            def compile(self, source: KernelSource, index: int) -> Any:
                text = re.sub(mutant.pattern, mutant.instead, source.text)
                if text != source.text:
                    changed.append(source.name)
                return super().compile(replace(source, text=text), index)

        return Changed

    return make


def _failures(mutant: Mutant, name: str) -> Iterator[Result]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in suite.collect(Config(name)):
            if case.level == 1 and case.op in mutant.ops and case.dtype in ("float32", "float16"):
                yield from (r for r in case.execute() if r.status == "failed")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mutant_fails_at_the_named_check(mutant: Mutant, backend_of: Any) -> None:
    changed: list[str] = []
    backend = backend_of(mutant, changed)()
    register_backend(backend)
    failed = [r.id for r in _failures(mutant, backend.name)]
    assert changed
    assert [i for i in failed if fnmatchcase(i, mutant.finds)], failed


def test_with_cooperation_and_without_a_fault_nothing_fails(backend_of: Any) -> None:
    healthy = Mutant("healthy", "nothing that occurs", "", "", ("sum", "exp", "cumsum"), lanes=32)
    changed: list[str] = []
    backend = backend_of(healthy, changed)()
    register_backend(backend)
    assert [r.id for r in _failures(healthy, backend.name)] == []
    assert changed == []
