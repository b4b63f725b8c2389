"""Tables, traces and stacks of events."""

from __future__ import annotations

import gzip
import json

import pytest

import flambeau as fb
from flambeau import profiler
from flambeau.profiler import table
from flambeau.profiler.events import EventList, FunctionEvent


def recorded():
    """Events of known times: "a" (0 to 100) calls "b" twice (10 to 30, 40 to 80)."""
    events = [FunctionEvent(i + 1, n, 7, 0.0) for i, n in enumerate(("a", "b", "b"))]
    for event, start, end in zip(events, (0, 10, 40), (100, 30, 80), strict=True):
        event.start_us, event.end_us = start, end
    events[0].cpu_children = events[1:]
    events[1].cpu_parent = events[2].cpu_parent = events[0]
    events[1].input_shapes, events[2].input_shapes = [[2, 3]], [[4]]
    events[1].stack = events[2].stack = ["program.py(3): inner", "program.py(9): <module>"]
    events[0].cpu_memory_usage, events[2].cpu_memory_usage = 3072, 2048
    return EventList(events, profile_memory=True)


def test_averages():
    averages = {e.key: e for e in recorded().key_averages()}
    assert averages["a"].self_cpu_time_total == 40 and averages["a"].cpu_time_total == 100
    assert averages["b"].cpu_time_total == 60 and averages["b"].cpu_time == 30
    assert averages["b"].count == 2 and averages["a"].self_cpu_memory_usage == 1024
    assert len(recorded().key_averages(group_by_input_shapes=True)) == 3
    assert len(recorded().key_averages(group_by_stack_n=1)) == 2
    total = recorded().total_average()
    assert (total.key, total.count, total.self_cpu_time_total) == ("Total", 3, 100)
    assert "self_cpu_time=40.000us" in repr(averages["a"])
    assert "cpu_children=[2, 3]" in repr(recorded()[0])


def cells(text):
    """The rows of a table, by column."""
    lines = [line for line in text.split("\n") if line.strip() and set(line) - set("- ")]
    names = [c.strip() for c in lines[0].split("  ") if c.strip()]
    return [
        dict(zip(names, (c.strip() for c in line.split("  ") if c.strip()), strict=True))
        for line in lines[1:] if not line.startswith("Self CPU time")]


def test_tables():
    rows = cells(recorded().key_averages().table(sort_by="self_cpu_time_total"))
    assert [row["Name"] for row in rows] == ["b", "a"]
    assert rows[0] == {
        "Name": "b", "Self CPU %": "60.00%", "Self CPU": "60.000us", "CPU total %": "60.00%",
        "CPU total": "60.000us", "CPU time avg": "30.000us", "CPU Mem": "2.00 KB",
        "Self CPU Mem": "2.00 KB", "# of Calls": "2"}
    text = recorded().table(row_limit=1, header="Header", time_unit="ns")
    assert "Header" in text and "100000.000ns" in text
    assert text.endswith("Self CPU time total: 100000.000ns\n")
    only = recorded().table(top_level_events_only=True)
    assert " b " not in only and " a " in only
    by_device = recorded().key_averages().table(sort_by="self_cuda_time_total")
    assert [row["Name"] for row in cells(by_device)] == ["a", "b"]
    with pytest.raises(AttributeError, match="nope"):
        recorded().key_averages().table(sort_by="nope")
    assert EventList().table() == ""


def test_shapes_and_callers_in_tables():
    text = recorded().key_averages(group_by_input_shapes=True).table()
    assert "Input Shapes" in text and "[[2, 3]]" in text
    text = recorded().key_averages(group_by_stack_n=2).table()
    assert "Source Location" in text
    assert text.index("program.py(3): inner") < text.index("program.py(9): <module>")
    long = EventList([FunctionEvent(1, "x" * 80, 1, 0.0)]).table(max_name_column_width=20)
    assert "x" * 17 + "..." in long


@pytest.mark.parametrize("us", [0, 5.1234, 999.9999, 1000, 1.5e6, 12.0])
@pytest.mark.parametrize("nbytes", [0, 5, -68, 1024, 2**21, -5 * 2**30])
def test_numbers_are_written_as_pytorch_s(us, nbytes):
    theirs = pytest.importorskip("torch.autograd.profiler_util")
    assert table.format_time(us) == theirs._format_time(us)
    assert table.format_memory(nbytes) == theirs._format_memory(nbytes)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_traces_are_chrome_s(tmp_path, ending):
    with profiler.profile(record_shapes=True, with_stack=True) as p, (
            profiler.record_function("mine")):
        fb.ones(2, 3) @ fb.ones(3, 1)
    p.add_metadata("author", "somebody")
    p.add_metadata_json("numbers", "[1, 2]")
    path = tmp_path / f"trace.json{ending}"
    p.export_chrome_trace(str(path))
    text = gzip.decompress(path.read_bytes()).decode() if ending else path.read_text()
    document = json.loads(text)
    assert document["author"] == "somebody" and document["numbers"] == [1, 2]
    entries = document["traceEvents"]
    assert {e["name"] for e in entries if e["ph"] == "M"} == {"process_name", "thread_name"}
    calls = [e for e in entries if e["ph"] == "X"]
    assert [c["name"] for c in calls] == [e.name for e in p.events()]
    for call in calls:
        assert call["dur"] >= 0 and call["ts"] >= 0
        assert {"pid", "tid", "args", "cat"} <= call.keys()
    by_name = {c["name"]: c for c in calls}
    mine, product = by_name["mine"], by_name["aten::matmul"]
    assert mine["cat"] == "user_annotation" and product["cat"] == "cpu_op"
    assert product["args"]["Input Dims"] == [[2, 3], [3, 1]]
    assert mine["ts"] <= product["ts"]
    assert product["ts"] + product["dur"] <= mine["ts"] + mine["dur"] + 0.01


def test_stacks_are_lines_of_flame_graphs(tmp_path):
    path = tmp_path / "stacks.txt"
    recorded().export_stacks(str(path))
    assert path.read_text().split("\n") == [
        "program.py(9):_<module>;program.py(3):_inner 20",
        "program.py(9):_<module>;program.py(3):_inner 40", ""]
    recorded().export_stacks(str(path), "self_device_time_total")
    assert path.read_text() == ""
    with pytest.raises(ValueError, match="metric should be one of"):
        recorded().export_stacks(str(path), "count")


def test_traces_for_tensorboard(tmp_path):
    for gz in (False, True):
        handler = profiler.tensorboard_trace_handler(str(tmp_path / "logs"), "worker", gz)
        with profiler.profile(on_trace_ready=handler):
            fb.ones(1)
    files = sorted(p.name for p in (tmp_path / "logs").iterdir())
    assert len(files) == 2 and all(f.startswith("worker.") for f in files)
    assert files[0].endswith(".pt.trace.json") and files[1].endswith(".pt.trace.json.gz")


def test_names():
    assert profiler.supported_activities() == {profiler.ProfilerActivity.CPU}
    assert not profiler.kineto_available()
    assert profiler.DeviceType.CPU.value == 0
