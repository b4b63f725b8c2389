"""Recording: a dispatch mode sees every call of its thread, also those within other calls."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flambeau import dispatch
from flambeau.autograd import inplace
from flambeau.autograd.node import Watch
from flambeau.data import iterator as loading
from flambeau.modes import DispatchMode, all_on
from flambeau.optim import _hooks as steps
from flambeau.plugins import backend_for
from flambeau.profiler.events import FunctionEvent
from flambeau.profiler.flops import flops_of
from flambeau.registry import Op
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.hooks import RemovableHandle

__all__ = ["Recorder", "current"]

_PACKAGE: Final = str(Path(__file__).resolve().parents[1])


class _Current(threading.local):
    recorder: Recorder | None = None


_current: Final = _Current()


def current() -> Recorder | None:
    """The recorder that is on in this thread."""
    return _current.recorder


class Recorder(DispatchMode):
    """Records calls, steps of the backward pass, optimizers' steps and batches of loaders.

    Args:
        record_shapes, profile_memory, with_stack, with_flops: what is noted of each call.
        records_ops: False notes only what the user marks.
    """

    def __init__(
        self, *, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, records_ops: bool = True,
    ) -> None:
        self._shapes, self._memory = record_shapes, profile_memory
        self._stacks, self._flops = with_stack, with_flops
        self._records_ops = records_ops
        self.events: list[FunctionEvent] = []
        self._open: list[FunctionEvent] = []
        self._passing: list[Op] = []
        self._handles: list[RemovableHandle] = []

    # ---- on and off ------------------------------------------------------------------------
    def start(self) -> None:
        """Record from now on.

        Raises:
            RuntimeError: if another recorder is on in this thread.
        """
        if _current.recorder is not None:
            raise RuntimeError("Profiler is already enabled on this thread")
        _current.recorder = self
        _Running.count += 1
        self._zero = time.perf_counter_ns()
        self._thread = threading.get_native_id()
        if self._records_ops:
            self.__enter__()
            Watch.run = _run_node
        loading.Watch.next = _next_batch
        self._handles = [
            steps.register_optimizer_step_pre_hook(_begin_step),
            steps.register_optimizer_step_post_hook(_end_step)]

    def stop(self) -> None:
        """Record no more; calls that are still running end here."""
        while self._open:
            self.end(self._open[-1])
        for handle in self._handles:
            handle.remove()
        if self._records_ops:
            self.__exit__()
        _current.recorder = None
        _Running.count -= 1
        if not _Running.count:
            Watch.run = loading.Watch.next = None

    # ---- events ----------------------------------------------------------------------------
    def begin(self, name: str, args: tuple[Any, ...] = ()) -> FunctionEvent:
        """An event that begins now, within the one that runs."""
        event = FunctionEvent(len(self.events) + 1, name, self._thread, 0.0)
        if self._open:
            event.cpu_parent = self._open[-1]
            self._open[-1].cpu_children.append(event)
        self.events.append(event)
        self._open.append(event)
        if self._shapes:
            _note_inputs(event, args)
        if self._stacks:
            event.stack = _callers()
        if self._memory:
            event.cpu_memory_usage = -_allocated("cpu")
            event.device_memory_usage = -_allocated(_device_of(args))
        event.start_us = self._now()
        return event

    def end(self, event: FunctionEvent, args: tuple[Any, ...] = ()) -> None:
        """End an event, and those within it that an error has left open."""
        now = self._now()
        if event not in self._open:  # the recorder has been stopped meanwhile
            return
        while True:
            last = self._open.pop()
            last.end_us = now
            if last is event:
                break
        if self._memory:
            event.cpu_memory_usage += _allocated("cpu")
            event.device_memory_usage += _allocated(_device_of(args))

    def _now(self) -> float:
        return (time.perf_counter_ns() - self._zero) / 1000

    # ---- calls -----------------------------------------------------------------------------
    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Run a call as an event, its parts recorded too."""
        return self._record(op, args, "", _call_view if op.kind == "view" else dispatch.call)

    def handle_write(self, op: Op, args: tuple[Any, ...]) -> Any:
        """The same for a call in place, which modes are asked about twice."""
        times = 1 if op.name == "copy" else 2
        return self._record(op, args, "_", inplace.call_inplace, times)

    def _record(
        self, op: Op, args: tuple[Any, ...], ending: str, call: Any, times: int = 1
    ) -> Any:
        if self._passing and self._passing[-1] is op:  # the call that is recorded already
            self._passing.pop()
            return NotImplemented
        event = self.begin(f"aten::{op.name}{ending}", args)
        self._passing = [op] * times
        try:
            with all_on():
                out = call(op, args)
        finally:
            self._passing = []
            self.end(event, args)
        if self._flops:
            event.flops = flops_of(op.name, args, out)
        return out


def _call_view(op: Op, args: tuple[Any, ...]) -> Any:
    return dispatch.call_view(op, args[0], args[1:])


class _Running:
    """How many recorders are on, in all threads."""

    count = 0


@contextmanager
def _event(name: str) -> Iterator[None]:
    recorder = current()
    if recorder is None:
        yield
        return
    event = recorder.begin(name)
    try:
        yield
    finally:
        recorder.end(event)


def _run_node(node: Any, g: Any) -> tuple[Any, ...]:
    name = node.name()
    if name == "_Probe":  # the engine's own
        return node.backward(g)  # type: ignore[no-any-return]
    with _event(f"autograd::engine::evaluate_function: {name}"), _event(name):
        results: tuple[Any, ...] = node.backward(g)
        return results


def _next_batch(loader: Any) -> Any:
    kind = "SingleProcess" if isinstance(loader, loading.InProcessIterator) else "MultiProcessing"
    with _event(f"enumerate(DataLoader)#_{kind}DataLoaderIter.__next__"):
        return loader._next_batch()


def _begin_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    recorder = current()
    if recorder is not None:
        recorder.begin(_name_of_step(optimizer))


def _end_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    recorder = current()
    if recorder is not None:
        name = _name_of_step(optimizer)
        for event in reversed(recorder._open):
            if event.name == name:
                recorder.end(event)
                return


def _name_of_step(optimizer: Any) -> str:
    return f"Optimizer.step#{type(optimizer).__name__}.step"


# ---- what is noted of a call ---------------------------------------------------------------
def _note_inputs(event: FunctionEvent, args: tuple[Any, ...]) -> None:
    for a in args:
        several = isinstance(a, (list, tuple)) and any(isinstance(t, Tensor) for t in a)
        if isinstance(a, Tensor):
            event.input_shapes.append(list(a.shape))
            event.input_types.append(a.dtype.name)
        elif several:
            event.input_shapes.append([list(t.shape) for t in a if isinstance(t, Tensor)])
            event.input_types.append("TensorList")
        else:
            event.input_shapes.append([])
            event.input_types.append("Scalar" if isinstance(a, (int, float)) else "")
        event.concrete_inputs.append("" if isinstance(a, Tensor) or several else str(a))


def _callers() -> list[str]:
    """The user's lines, innermost first."""
    return [
        f"{frame.filename}({frame.lineno}): {frame.name}"
        for frame in reversed(traceback.extract_stack())
        if not frame.filename.startswith((_PACKAGE, "<flambeau", contextlib.__file__))]


def _device_of(args: tuple[Any, ...]) -> str:
    """The device of the first tensor that is not on the CPU, "" if there is none."""
    for a in args:
        if isinstance(a, Tensor) and a.device.type not in ("cpu", "meta"):
            return a.device.type
    return ""


def _allocated(device: str) -> int:
    return backend_for(device).memory_stats(0).get("allocated", 0) if device else 0
