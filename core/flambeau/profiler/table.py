"""Events as a table of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

__all__ = ["format_memory", "format_time", "table"]

WIDTH: Final = 12
GAP: Final = "  "
UNITS: Final = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}

Column = tuple[str, int, Callable[[Any], str]]


def format_time(us: float, unit: str | None = None) -> str:
    """Microseconds for people."""
    if unit is None:
        unit = "s" if us >= 1e6 else "ms" if us >= 1e3 else "us"
    return f"{us / UNITS[unit]:.3f}{unit}"


def format_memory(nbytes: int) -> str:
    """Bytes for people."""
    for name, size in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if abs(nbytes) >= size:
            return f"{nbytes / size:.2f} {name}"
    return f"{nbytes} B"


def table(
    rows: Sequence[Any], total: float, *, shows_memory: bool, shows_flops: bool,
    header: str | None, time_unit: str | None, widths: tuple[int, int, int],
) -> str:
    """Rows of events.

    Args:
        total: of all events' own times, which percentages are of, in microseconds.
        widths: the most that names, shapes and callers take.
    """
    if not rows:
        return ""
    columns = _columns(rows, total, shows_memory, shows_flops, time_unit, widths)
    rule = GAP.join("-" * width for _, width, _ in columns) + GAP
    lines = [rule, GAP.join(name.rjust(width) for name, width, _ in columns) + GAP, rule]
    if header is not None:
        lines = ["=" * len(rule), header, "=" * len(rule), *lines[1:]]
    for row in rows:
        lines.append(GAP.join(_fit(of(row), w).rjust(w) for _, w, of in columns) + GAP)
        lines += [
            GAP.join((_fit(caller, w) if i == len(columns) - 1 else "").rjust(w)
                     for i, (_, w, _) in enumerate(columns)) + GAP
            for caller in row.stack[1:] if columns[-1][0] == "Source Location"]
    lines += [rule, f"Self CPU time total: {format_time(total, time_unit)}", ""]
    return "\n".join(lines)


def _columns(
    rows: Sequence[Any], total: float, shows_memory: bool, shows_flops: bool,
    time_unit: str | None, widths: tuple[int, int, int],
) -> list[Column]:
    names, shapes, callers = widths

    def time(attribute: str) -> Callable[[Any], str]:
        return lambda e: format_time(getattr(e, attribute), time_unit)

    def share(attribute: str) -> Callable[[Any], str]:
        return lambda e: f"{100 * getattr(e, attribute) / total:.2f}%" if total else "NaN"

    def memory(attribute: str) -> Callable[[Any], str]:
        return lambda e: format_memory(getattr(e, attribute))

    longest = max(len(row.key) for row in rows) + 4
    columns: list[Column] = [
        ("Name", min(longest, names), lambda e: e.key),
        ("Self CPU %", WIDTH, share("self_cpu_time_total")),
        ("Self CPU", WIDTH, time("self_cpu_time_total")),
        ("CPU total %", WIDTH, share("cpu_time_total")),
        ("CPU total", WIDTH, time("cpu_time_total")),
        ("CPU time avg", WIDTH, time("cpu_time")),
    ]
    if shows_memory:
        columns += [
            ("CPU Mem", WIDTH, memory("cpu_memory_usage")),
            ("Self CPU Mem", WIDTH, memory("self_cpu_memory_usage"))]
        if any(row.device_memory_usage for row in rows):
            columns += [
                ("Device Mem", WIDTH, memory("device_memory_usage")),
                ("Self Device Mem", WIDTH + 3, memory("self_device_memory_usage"))]
    columns.append(("# of Calls", WIDTH, lambda e: str(e.count)))
    if any(row.input_shapes for row in rows):
        width = max(len(str(row.input_shapes)) for row in rows) + 4
        columns.append((
            "Input Shapes", max(WIDTH, min(width, shapes)),
            lambda e: str(e.input_shapes or "[]")))
    if shows_flops:
        columns.append(("Total MFLOPs", WIDTH, lambda e: f"{e.flops / 1e6:.3f}" if e.flops
                        else "--"))
    if any(row.stack for row in rows):
        width = max(len(line) for row in rows for line in row.stack) + 4
        columns.append((
            "Source Location", max(len("Source Location"), min(width, callers)),
            lambda e: e.stack[0] if e.stack else ""))
    return columns


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
