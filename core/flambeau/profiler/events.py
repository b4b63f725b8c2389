"""What a profiler has seen: events, in a tree by who called whom, and their averages by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from flambeau.profiler import table as tables
from flambeau.profiler import trace
from flambeau.profiler.actions import DeviceType

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg"]

STACK_METRICS: Final = ("self_cpu_time_total", "self_device_time_total")


class FunctionEvent:
    """One call.  Times are in microseconds since the recording began, memory in bytes.

    Attributes:
        cpu_memory_usage: bytes allocated less bytes freed, as the CPU's memory pool counts them:
            small arrays do not come from it.
    """

    is_async = is_remote = is_legacy = False
    device_type = DeviceType.CPU
    overload_name = ""
    node_id = sequence_nr = -1

    def __init__(self, id: int, name: str, thread: int, start_us: float) -> None:
        self.id, self.name, self.key, self.thread = id, name, name, thread
        self.start_us = self.end_us = start_us
        self.cpu_children: list[FunctionEvent] = []
        self.cpu_parent: FunctionEvent | None = None
        self.input_shapes: list[Any] = []
        self.input_types: list[str] = []
        self.concrete_inputs: list[Any] = []
        self.stack: list[str] = []
        self.cpu_memory_usage = self.device_memory_usage = 0
        self.flops = 0
        self.is_user_annotation = False
        self.count = 1

    @property
    def cpu_time_total(self) -> float:
        """How long the call took."""
        return self.end_us - self.start_us

    @property
    def cpu_time(self) -> float:
        """How long the call took."""
        return self.cpu_time_total

    @property
    def self_cpu_time_total(self) -> float:
        """How long it took without the calls within it."""
        return self.cpu_time_total - sum(c.cpu_time_total for c in self.cpu_children)

    @property
    def self_cpu_memory_usage(self) -> int:
        """Its memory without that of the calls within it."""
        return self.cpu_memory_usage - sum(c.cpu_memory_usage for c in self.cpu_children)

    @property
    def self_device_memory_usage(self) -> int:
        """Its memory on the device without that of the calls within it."""
        return self.device_memory_usage - sum(c.device_memory_usage for c in self.cpu_children)

    device_time = device_time_total = self_device_time_total = 0.0

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent id={self.id} name={self.name} cpu_time="
            f"{tables.format_time(self.cpu_time_total)} start_us={self.start_us:.3f} "
            f"end_us={self.end_us:.3f} cpu_children={[c.id for c in self.cpu_children]} "
            f"thread={self.thread} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage}>")


class FunctionEventAvg:
    """Events of one name together: totals, how many, and times per call."""

    device_type = DeviceType.CPU
    is_async = is_remote = is_legacy = False
    device_time = device_time_total = self_device_time_total = 0.0

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.count = self.flops = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = 0
        self.device_memory_usage = self.self_device_memory_usage = 0
        self.input_shapes: Any = ""
        self.stack: list[str] = []

    def add(self, event: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        """Take another event of this name in."""
        for name in (
            "count", "flops", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage",
            "self_cpu_memory_usage", "device_memory_usage", "self_device_memory_usage",
        ):
            setattr(self, name, getattr(self, name) + getattr(event, name))
        return self

    @property
    def cpu_time(self) -> float:
        """Time per call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time="
            f"{tables.format_time(self.self_cpu_time_total)} cpu_time="
            f"{tables.format_time(self.cpu_time)} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage}>")


class EventList(list[Any]):
    """Events, or their averages."""

    def __init__(
        self, events: Iterable[Any] = (), *, profile_memory: bool = False,
        with_flops: bool = False, metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(events)
        self._shows_memory, self._shows_flops = profile_memory, with_flops
        self.metadata = metadata or {}

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all events, each moment counted once."""
        return float(sum(event.self_cpu_time_total for event in self))

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """Events of one name together.

        Args:
            group_by_input_shapes: and of one list of shapes.
            group_by_stack_n: and of equal callers, so many lines of them.
            group_by_overload_name: accepted; operators have one form here.
        """
        found: dict[Any, FunctionEventAvg] = {}
        for event in self:
            key = "ProfilerStep*" if event.key.startswith("ProfilerStep#") else event.key
            shapes = event.input_shapes if group_by_input_shapes else ""
            stack = event.stack[:group_by_stack_n]
            average = found.get((key, str(shapes), tuple(stack)))
            if average is None:
                average = found[key, str(shapes), tuple(stack)] = FunctionEventAvg(key)
                average.input_shapes, average.stack = shapes, stack
            average.add(event)
        return self._like(found.values())

    def total_average(self) -> FunctionEventAvg:
        """All events together, as one named "Total"."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.add(event)
        return total

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80,
        header: str | None = None, top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """The events as a table.

        Args:
            sort_by: the attribute that puts rows in order, greatest first, such as
                "self_cpu_time_total" or "cpu_memory_usage"; "cuda" in it means any device.
            row_limit: how many rows; -1 for all.
            header: a line above the table.
            top_level_events_only: leave out what was called by another event.
            time_unit: "s", "ms", "us" or "ns" for all times; each its own by default.
        """
        rows = [e for e in self if not top_level_events_only or not _is_called(e)]
        if sort_by is not None:
            name = re.sub("cuda|xpu|privateuse1", "device", sort_by)
            rows.sort(key=lambda e: getattr(e, name), reverse=True)
        return tables.table(
            rows if row_limit < 0 else rows[:row_limit], self.self_cpu_time_total,
            shows_memory=self._shows_memory, shows_flops=self._shows_flops, header=header,
            time_unit=time_unit, widths=(
                max_name_column_width, max_shapes_column_width, max_src_column_width))

    def export_chrome_trace(self, path: str) -> None:
        """Write the events as a trace that chrome://tracing and Perfetto open."""
        trace.write(path, self, self.metadata)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write the callers of events and what they took, a line each, as flame graphs read them.

        Raises:
            ValueError: for a metric that is neither "self_cpu_time_total" nor
                "self_device_time_total".
        """
        if metric not in STACK_METRICS:
            raise ValueError("metric should be one of: " + str(list(STACK_METRICS)))
        lines = []
        for event in self:
            amount = int(getattr(event, metric))
            if event.stack and amount > 0:
                callers = [frame.replace(";", ":").replace(" ", "_") for frame in event.stack]
                lines.append(";".join(reversed(callers)) + f" {amount}\n")
        Path(path).write_text("".join(lines))

    def __str__(self) -> str:
        return self.table()

    def _like(self, events: Iterable[Any]) -> EventList:
        return EventList(
            events, profile_memory=self._shows_memory, with_flops=self._shows_flops,
            metadata=self.metadata)


def _is_called(event: Any) -> bool:
    return getattr(event, "cpu_parent", None) is not None
