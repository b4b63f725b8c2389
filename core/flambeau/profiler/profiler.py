"""``profile``: recording by a plan, and what becomes of the records."""

from __future__ import annotations

import json
import socket
import time
import warnings
from collections.abc import Callable, Iterable
from os import getpid
from pathlib import Path
from typing import Any, Final

from flambeau.profiler.actions import (
    ProfilerAction,
    ProfilerActivity,
    supported_activities,
)
from flambeau.profiler.annotate import record_function
from flambeau.profiler.events import EventList
from flambeau.profiler.recorder import Recorder

__all__ = ["profile", "tensorboard_trace_handler"]

RECORDING: Final = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """An ``on_trace_ready`` that writes a trace into a folder, in which TensorBoard looks.

    Args:
        worker_name: the first part of files' names: host and process by default.
        use_gzip: compress.
    """

    def write(profiler: Any) -> None:
        folder = Path(dir_name)
        folder.mkdir(parents=True, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{getpid()}"
        ending = ".gz" if use_gzip else ""
        profiler.export_chrome_trace(
            str(folder / f"{worker}.{time.time_ns()}.pt.trace.json{ending}"))

    return write


class profile:
    """Records what the program calls: a context manager, or ``start()`` and ``stop()``.

    The calls of the thread that starts it are recorded, those of backward passes too.  Times are
    those of the host: on a device that computes asynchronously they end before its kernels do.

    Args:
        activities: what to look at; what cannot be looked at brings a warning.
        schedule: ``plan(step) -> ProfilerAction``, as :func:`schedule` makes; ``step()`` goes on.
        on_trace_ready: called with this object whenever a cycle has been recorded.
        record_shapes: note the shapes of arguments.
        profile_memory: note how much memory calls take and free.
        with_stack: note the lines that call.
        with_flops: count operations of products, convolutions and arithmetic.
        acc_events: keep the events of all cycles, and not of the last one alone.
        with_modules, experimental_config, execution_trace_observer, use_cuda,
            custom_trace_id_callback, post_processing_timeout_s: accepted without effect.
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None, record_shapes: bool = False,
        profile_memory: bool = False, with_stack: bool = False, with_flops: bool = False,
        with_modules: bool = False, experimental_config: Any = None,
        execution_trace_observer: Any = None, acc_events: bool = False,
        use_cuda: bool | None = None, custom_trace_id_callback: Any = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        self.activities = set(supported_activities() if activities is None else activities)
        if not self.activities:
            raise AssertionError("No valid profiler activities found")
        for activity in self.activities - supported_activities():
            warnings.warn(
                f"{activity.name} is not available, disabling {activity.name} profiling",
                stacklevel=2)
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self._names_steps = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.with_stack, self.with_flops, self.acc_events = with_stack, with_flops, acc_events
        self.step_num = 0
        self.current_action = self.schedule(0)
        self._metadata: dict[str, Any] = {}
        self._recorder: Recorder | None = None
        self._records: list[Any] | None = None
        self._step: record_function | None = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # ---- the plan --------------------------------------------------------------------------
    def start(self) -> None:
        """Begin with step 0 of the plan."""
        if self.current_action in RECORDING:
            self.start_trace()
        self._begin_step()

    def stop(self) -> None:
        """End; what has been recorded since the last cycle is ready now."""
        self._end_step()
        if self._recorder is not None:
            self._finish_cycle()

    def step(self) -> None:
        """Go on to the next step of the plan."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        if before is ProfilerAction.RECORD and self.current_action not in RECORDING:
            warnings.warn(
                "Incorrect schedule: RECORD followed by " + self.current_action.name,
                stacklevel=2)
            self.stop_trace()
        if before is ProfilerAction.RECORD_AND_SAVE:
            self._finish_cycle()
        if self.current_action in RECORDING and self._recorder is None:
            self.start_trace()
        self._begin_step()

    def start_trace(self) -> None:
        """Record, whatever the plan says."""
        self._recorder = Recorder(
            record_shapes=self.record_shapes, profile_memory=self.profile_memory,
            with_stack=self.with_stack, with_flops=self.with_flops,
            records_ops=ProfilerActivity.CPU in self.activities)
        self._recorder.start()

    def stop_trace(self) -> None:
        """Record no more."""
        assert self._recorder is not None, "nothing is being recorded"
        self._recorder.stop()
        kept = self._records if self.acc_events and self._records else []
        self._records = [*kept, *self._recorder.events]
        self._recorder = None

    def _finish_cycle(self) -> None:
        self.stop_trace()
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def _begin_step(self) -> None:
        if self._names_steps and self._recorder is not None:
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.__exit__()
            self._step = None

    # ---- what was recorded -----------------------------------------------------------------
    def events(self) -> EventList:
        """All events of the last cycle."""
        if self._records is None:
            raise AssertionError("Profiler must be initialized before accessing events")
        return EventList(
            self._records, profile_memory=self.profile_memory, with_flops=self.with_flops,
            metadata=self._metadata)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """Events of one name together; of one list of shapes, or equal callers, if wanted."""
        if self._records is None:
            raise AssertionError("Profiler must be initialized before getting key averages")
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path: str) -> None:
        """Write a trace that chrome://tracing and Perfetto open; compressed for ``.gz``."""
        self.events().export_chrome_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write callers and what they took, as flame graphs read them; needs ``with_stack``."""
        self.events().export_stacks(path, metric)

    def add_metadata(self, key: str, value: str) -> None:
        """Put a text into traces."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """Put a value, written as JSON, into traces."""
        self._metadata[key] = json.loads(value)

    preset_metadata_json = add_metadata_json
