"""Chrome's trace format: https://chromium.googlesource.com/catapult, "Trace Event Format"."""

from __future__ import annotations

import gzip
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["write"]


def write(path: str, events: Iterable[Any], metadata: dict[str, Any]) -> None:
    """Write events as complete events ("X") in microseconds; compressed for ``.gz``."""
    process = os.getpid()
    held = list(events)
    entries: list[dict[str, Any]] = [
        _name("process_name", process, 0, platform.python_implementation().lower()),
        *(_name("thread_name", process, thread, f"thread {thread}")
          for thread in sorted({e.thread for e in held})),
        *(_complete(e, process) for e in held)]
    document = {
        "schemaVersion": 1, "deviceProperties": [], "displayTimeUnit": "ms",
        "host_name": platform.node(), **metadata, "traceEvents": entries}
    text = json.dumps(document)
    if str(path).endswith(".gz"):
        with gzip.open(path, "wt") as file:
            file.write(text)
    else:
        Path(path).write_text(text)


def _name(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "ts": 0,
            "args": {"name": name}}


def _complete(event: Any, process: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"Ev Idx": event.id}
    if event.input_shapes:
        facts |= {"Input Dims": event.input_shapes, "Input type": event.input_types,
                  "Concrete Inputs": event.concrete_inputs}
    if event.cpu_memory_usage:
        facts["Bytes"] = event.cpu_memory_usage
    if event.stack:
        facts["Call stack"] = ";".join(event.stack)
    return {
        "ph": "X", "cat": "user_annotation" if event.is_user_annotation else "cpu_op",
        "name": event.name, "pid": process, "tid": event.thread,
        "ts": round(event.start_us, 3), "dur": round(event.cpu_time_total, 3), "args": facts}
