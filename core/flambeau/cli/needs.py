"""Which kernels each op needs, found by running the samples of every op on a recording device."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Final

from flambeau import dtypes
from flambeau.backend import KernelTable
from flambeau.device import device
from flambeau.dtypes import dtype
from flambeau.meta import MetaBackend
from flambeau.registry import Op, all_ops, primitives

DEVICE: Final = "recorder"


@dataclass(slots=True)
class Call:
    """How a kernel was called."""

    inputs: int
    """Number of positional arguments after ``out``."""
    attributes: tuple[str, ...]


@dataclass(slots=True)
class Needs:
    """What the samples of all ops asked of a backend."""

    kernels: dict[str, set[str]] = field(default_factory=dict)
    """By op: the primitives that it calls."""
    calls: dict[str, list[Call]] = field(default_factory=dict)
    """By primitive: the ways in which its kernel was called."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next kernel to write."""

    kernel: str
    unlocks: int
    """How many ops work with it and the kernels before it, and do not without it."""
    works: int
    """How many ops work by then."""


class _RecordingKernels(dict[str, Callable[..., Any]]):
    """A table that has a kernel for each primitive, which notes how it is called."""

    def __init__(self, seen: Callable[[str, int, tuple[str, ...]], None]) -> None:
        super().__init__()
        self._seen, self._primitives = seen, {op.name for op in primitives()}

    def get(self, name: str, default: Any = None) -> Any:
        if name not in self._primitives:
            return default

        def kernel(out: Any, *inputs: Any, **attributes: Any) -> None:
            self._seen(name, len(inputs), tuple(attributes))

        return kernel


class _Recorder(MetaBackend):
    """The meta device with kernels that note how they are called."""

    name = DEVICE
    kernels: ClassVar[KernelTable]
    op = ""
    needs: Needs

    def __init__(self) -> None:
        self.needs = Needs()
        type(self).kernels = KernelTable(out=_RecordingKernels(self.note))

    def note(self, kernel: str, inputs: int, attributes: tuple[str, ...]) -> None:
        self.needs.kernels[self.op].add(kernel)
        calls = self.needs.calls.setdefault(kernel, [])
        if (call := Call(inputs, attributes)) not in calls:
            calls.append(call)


class _MakeEmpty:
    """Makes tensors without data for samples."""

    dtype = dtypes.float32

    def __call__(self, *shape: int, dtype: Any = None, **_: Any) -> Any:
        return _empty(shape, dtype or self.dtype)

    def index(self, high: int, *shape: int) -> Any:
        return _empty(shape, dtypes.int64)

    def mask(self, *shape: int) -> Any:
        return _empty(shape, dtypes.bool)

    def distinct(self, *shape: int) -> Any:
        return _empty(shape, self.dtype)


def _empty(shape: tuple[int, ...], what: dtype) -> Any:
    from flambeau.dispatch import empty
    from flambeau.kind import kind_of
    from flambeau.layout import Layout

    return empty(kind_of(device(DEVICE), what), Layout.contiguous(shape))


def needs_of_all_ops() -> Needs:
    """Run the samples of every op; what cannot run without data counts as far as it came."""
    recorder = _recorder()
    recorder.needs.calls.clear()
    for op in all_ops():
        recorder.op = op.name
        recorder.needs.kernels[op.name] = {op.name} if op.kind == "primitive" else set()
        _run_samples(op)
    return recorder.needs


@cache
def _recorder() -> _Recorder:
    """The recording device: one per process, for tensors keep the backend they were made with."""
    from flambeau.plugins import register_backend

    recorder = _Recorder()
    register_backend(recorder)
    return recorder


def _run_samples(op: Op) -> None:
    if op.samples is None:
        return
    for sample in op.samples(_MakeEmpty()):
        # An op may look at values, and there are none; what is wrong with a sample itself is for
        # the conformance suite to say.
        with suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ops that are deprecated
            op.function(*sample.args, **sample.kwargs)


def order(needs: Needs) -> Iterator[Step]:
    """The primitives, each the one that makes most ops work that did not before it.

    Where no single kernel makes another op work, the one that most ops wait for comes next.
    """
    waiting = {name: set(kernels) for name, kernels in needs.kernels.items() if kernels}
    left = {op.name for op in primitives()}
    works = 0
    while left:
        best = max(sorted(left), key=lambda k: _worth(k, waiting))
        unlocks = sum(kernels == {best} for kernels in waiting.values())
        left.discard(best)
        waiting = {n: rest for n, kernels in waiting.items() if (rest := kernels - {best})}
        works += unlocks
        yield Step(best, unlocks, works)


def _worth(kernel: str, waiting: dict[str, set[str]]) -> tuple[int, int]:
    users = [kernels for kernels in waiting.values() if kernel in kernels]
    return sum(len(kernels) == 1 for kernels in users), len(users)
