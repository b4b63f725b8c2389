"""The older interface of the profiler: ``flambeau.profiler`` without a plan."""

from __future__ import annotations

from typing import Any

from flambeau.profiler import profiler as whole
from flambeau.profiler.actions import ProfilerActivity, kineto_available
from flambeau.profiler.annotate import record_function
from flambeau.profiler.events import EventList, FunctionEvent, FunctionEventAvg

__all__ = [
    "EventList", "FunctionEvent", "FunctionEventAvg", "kineto_available", "profile",
    "record_function",
]


class profile:
    """Records the operators that are called within the context.

    Args:
        enabled: False does nothing.
        record_shapes, with_flops, profile_memory, with_stack: what is noted of calls.
        use_cpu: False records only what ``record_function`` names.
        use_cuda, use_device, with_modules, use_kineto, experimental_config, acc_events: accepted
            without effect.
    """

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None,
        record_shapes: bool = False, with_flops: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_modules: bool = False, use_kineto: bool = False,
        use_cpu: bool = True, experimental_config: Any = None, acc_events: bool = False,
    ) -> None:
        self.enabled = enabled
        self._whole = whole.profile(
            record_shapes=record_shapes, with_flops=with_flops, profile_memory=profile_memory,
            with_stack=with_stack)
        if not use_cpu:
            self._whole.activities.discard(ProfilerActivity.CPU)

    def __enter__(self) -> profile:
        if self.enabled:
            self._whole.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            self._whole.stop()

    @property
    def function_events(self) -> EventList | None:
        """The events; None before the context has ended."""
        return None if self._whole._records is None else self._whole.events()

    def _events(self) -> EventList:
        if self.function_events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self.function_events

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """Events of one name together."""
        return self._events().key_averages(group_by_input_shape, group_by_stack_n)

    def table(self, sort_by: str | None = None, row_limit: int = 100, **kwargs: Any) -> str:
        """All events as a table."""
        return self._events().table(sort_by, row_limit, **kwargs)

    def export_chrome_trace(self, path: str) -> None:
        """Write a trace that chrome://tracing and Perfetto open."""
        self._events().export_chrome_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write callers and what they took, as flame graphs read them."""
        self._events().export_stacks(path, metric)

    def total_average(self) -> FunctionEventAvg:
        """All events together."""
        return self._events().total_average()

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all events, each moment counted once, in microseconds."""
        return self._events().self_cpu_time_total

    def __str__(self) -> str:
        if self.function_events is None:
            return "<unfinished flambeau.autograd.profile>"
        return str(self.function_events)
