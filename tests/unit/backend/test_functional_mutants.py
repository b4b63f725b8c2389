"""The conformance suite finds an adapter with one thing wrong, at the check that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest
from frozen import FrozenArrays, backend_of, eagerly, lazily

from flambeau.backend import Layout
from flambeau.backend.functional import Buffer, Runtime, View, memory
from flambeau.plugins import register_backend
from flambeau_conformance import suite
from flambeau_conformance.config import Config

_read, _write, _put = Buffer.read, Buffer.write, Buffer.put


def wrong_stride_in_a_read(self: Buffer, what: Any, layout: Layout) -> Any:
    """Reads every matrix in the order of memory."""
    if layout.ndim >= 2 and layout.is_dense() and not layout.is_contiguous:
        layout = Layout.of(layout.shape, Layout.contiguous(layout.shape).strides, layout.offset)
    return _read(self, what, layout)


def offset_dropped_in_a_read(self: Buffer, what: Any, layout: Layout) -> Any:
    """Starts at the beginning of the memory."""
    return _read(self, what, Layout.of(layout.shape, layout.strides))


def write_into_a_view_lost(self: Buffer, what: Any, layout: Layout, values: Any) -> None:
    """Writes to the whole only."""
    if layout.numel * what.itemsize == self.nbytes:
        _write(self, what, layout, values)


def whole_where_a_view_was_meant(self: Buffer, what: Any, layout: Layout, values: Any) -> None:
    """Lets a write to a view replace everything around it."""
    blank = self.runtime.library.full((self.nbytes // what.itemsize,), what, 0)
    self.put(blank, what, blank.shape)
    _write(self, what, layout, values)


def permuted_write_not_undone(self: Buffer, what: Any, layout: Layout, values: Any) -> None:
    """Takes a whole write in another memory order for a row-major one."""
    if layout.is_dense() and layout.numel * what.itemsize == self.nbytes:
        layout = Layout.contiguous(layout.shape)
    _write(self, what, layout, values)


def view_remembers_its_elements(self: View) -> Any:
    """Goes stale when its memory is written to through another view."""
    if not hasattr(self.buffer, "remembered"):
        _remembered.setdefault(id(self), (self, self.buffer.read(self.dtype, self.layout)))
    return _remembered[id(self)][1]


_remembered: dict[int, Any] = {}


def copy_takes_the_place_of_bytes(self: Buffer, offset: int, data: Any) -> None:
    """Forgets what else the memory held."""
    whole = bytearray(self.nbytes)
    whole[offset : offset + len(bytes(data))] = bytes(data)
    self.host, self.array = memory.np.frombuffer(whole, memory.np.uint8), None
    self.dtype, self.shape = None, ()


def checks_dropped(self: Runtime) -> None:
    """Never looks at the indices that kernels were not sure of."""
    self._checks.clear()


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is wrong, and which check must find it."""

    owner: type
    method: str
    wrong: Callable[..., Any]
    finds: str
    call: Callable[..., Any] = eagerly


MUTANTS = [
    Mutant(Buffer, "read", wrong_stride_in_a_read, "L1/exp/float32/2d+reversed/forward"),
    Mutant(Buffer, "read", offset_dropped_in_a_read, "L1/exp/float32/2d+gapped/forward"),
    Mutant(Buffer, "write", write_into_a_view_lost, "L1/exp/float32/2d/kernel-gapped"),
    Mutant(Buffer, "write", whole_where_a_view_was_meant, "L1/exp/float32/2d/kernel-contiguous"),
    Mutant(Buffer, "write", permuted_write_not_undone, "L1/exp/float32/transposed/kernel-alias0"),
    Mutant(View, "read", view_remembers_its_elements, "L1/shared_memory/*"),
    Mutant(Buffer, "from_bytes", copy_takes_the_place_of_bytes, "L0/memory/offsets"),
    Mutant(Runtime, "settle", checks_dropped, "L5/errors/index_out_of_bounds", lazily),
]
CASES = (
    "L0/memory", "L0/copies/float32/forward", "L1/shared_memory", "L1/exp/float32/forward",
    "L4/mlp", "L5/errors", "L5/order",
)


def failures(name: str, call: Callable[..., Any]) -> list[str]:
    register_backend(backend_of(name, FrozenArrays(call)))

    return [r.id for case in suite.collect(Config(name)) if case.id in CASES
            for r in case.execute() if r.status == "failed"]


@pytest.mark.parametrize("call", [eagerly, lazily])
def test_the_adapter_passes(call: Callable[..., Any]) -> None:
    assert failures(f"frozen_{call.__name__}", call) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.wrong.__name__)
def test_a_mutant_fails_at_the_named_check(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutant.owner, mutant.method, mutant.wrong)
    failed = failures(f"frozen_{mutant.wrong.__name__}", mutant.call)
    assert any(fnmatchcase(i, mutant.finds) for i in failed), failed


@pytest.mark.parametrize("level", [0, 1, 4])
def test_a_part_of_the_suite_passes(level: int) -> None:
    name = f"frozen_level{level}"
    register_backend(backend_of(name, FrozenArrays(lazily)))
    for case in suite.collect(Config(name)):
        if case.level == level and (level != 1 or case.dtype == "float32"):
            assert [r.id for r in case.execute() if r.status == "failed"] == []
