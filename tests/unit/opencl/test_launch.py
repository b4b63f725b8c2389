"""Launching passes each argument in its type, from any thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyopencl")

from flambeau.backend import BackendError, OutOfMemoryError
from flambeau.backend.generated import KernelSource, Parameter
from flambeau_opencl import launch
from flambeau_opencl.queue import Queue

TYPES = {
    "i8": ("char", np.int8), "u8": ("uchar", np.uint8), "i16": ("short", np.int16),
    "u16": ("ushort", np.uint16), "i32": ("int", np.int32), "u32": ("uint", np.uint32),
    "i64": ("long", np.int64), "u64": ("ulong", np.uint64), "f32": ("float", np.float32),
    "f64": ("double", np.float64),
}


def store(type_: str) -> KernelSource:
    """A kernel that stores its number in its buffer."""
    word = TYPES[type_][0]
    text = f"__kernel void store(__global {word} *to, const {word} value) {{ to[0] = value; }}"
    parameters = (Parameter("to", type_, True, True), Parameter("value", type_, False))
    return KernelSource("store", text, parameters, 1)


def values(type_: str) -> list[Any]:
    kind = TYPES[type_][1]
    if type_[0] == "f":
        return [0.0, -1.5, math.inf, math.nan, float(np.finfo(kind).max), 3]
    info = np.iinfo(kind)
    return [0, 1, True, int(info.min), int(info.max)]


@pytest.mark.parametrize("type_", TYPES)
def test_numbers_arrive_in_every_type(backend: Any, type_: str) -> None:
    if type_ == "f64" and not backend.traits(0).has_f64:
        pytest.skip("the device has no double precision")
    kind = TYPES[type_][1]
    handle = backend.compile(store(type_), 0)
    buffer = backend.alloc(8, 0)
    for value in values(type_):
        backend.launch(handle, 1, [buffer, value], 0)
        found = np.frombuffer(backend.copy_out(buffer, 0, kind().itemsize, 0), kind)[0]
        assert found == kind(value) or (math.isnan(value) and np.isnan(found))


def test_where_longs_are_short_wide_integers_are_packed_apart(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on Windows, where the C type long has 4 bytes
    monkeypatch.setitem(launch.CHARACTERS, "i64", "q")
    handle = backend.compile(store("i64"), 0)
    buffer = backend.alloc(8, 0)
    for value in (-(2**63), 2**40 + 1):
        backend.launch(handle, 1, [buffer, value], 0)
        assert np.frombuffer(backend.copy_out(buffer, 0, 8, 0), np.int64)[0] == value


def test_a_bool_is_packed_as_a_byte() -> None:
    assert launch.CHARACTERS["bool"] == launch.CHARACTERS["u8"] == "B"


ORDER = KernelSource("order", """
__kernel void order(const int a, __global int *x, const float b, __global int *y) {
  const int i = get_global_id(0);
  x[i] = a + i;
  y[i] = (int)(b * 2) + (int)get_local_size(0);
}""", (
    Parameter("a", "i32", False), Parameter("x", "i32", True, True),
    Parameter("b", "f32", False), Parameter("y", "i32", True, True)), 4)


def test_arguments_keep_their_places_and_groups_their_size(backend: Any) -> None:
    x, y = backend.alloc(48, 0), backend.alloc(48, 0)
    backend.launch(backend.compile(ORDER, 0), 3, (7, x, 1.5, y), 0)
    assert np.frombuffer(backend.copy_out(x, 0, 48, 0), np.int32).tolist() == list(range(7, 19))
    assert np.frombuffer(backend.copy_out(y, 0, 48, 0), np.int32).tolist() == [7] * 12


def test_a_wrong_number_of_arguments_is_refused(backend: Any) -> None:
    handle = backend.compile(ORDER, 0)
    with pytest.raises(ValueError, match="not enough values to unpack"):
        backend.launch(handle, 1, [7], 0)


class FakeKernel:
    """A kernel that takes any arguments."""

    def take(self, given: Any) -> None: ...

    _set_arg_multi = _set_arg_buf_pack_multi = _set_arg_buf_multi = take


@pytest.fixture
def launch_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Launches a kernel on a queue of a device that fails with these errors, one by one."""

    def launch_on(errors: list[Exception]) -> tuple[list[Any], list[str]]:
        """What was enqueued, and how often the memory was emptied."""
        enqueued: list[Any] = []
        emptied: list[str] = []

        def enqueue(*given: Any) -> None:
            enqueued.append(given)
            if errors:
                raise errors.pop(0)

        monkeypatch.setattr(launch.cl, "enqueue_nd_range_kernel", enqueue)
        launch._maker.cache_clear()
        queue = object.__new__(Queue)
        queue.name = "a device"
        queue.memory = SimpleNamespace(free=lambda: emptied.append("once"))
        function = launch.launcher(
            launch.PerThread(FakeKernel), [Parameter("to", "i32", True)], "queue", 8,
            lambda error, again: queue._recover(error, again, "launch of the kernel 'add'"))
        function(3, ["buffer"])
        return enqueued, emptied

    yield launch_on
    launch._maker.cache_clear()


def test_a_launch_is_enqueued_once(launch_on: Any) -> None:
    [(queue, kernel, size, local)], emptied = launch_on([])
    assert (queue, type(kernel), size, local) == ("queue", FakeKernel, (24,), (8,))
    assert emptied == []


def test_a_launch_that_the_driver_refuses_names_the_kernel(
    launch_on: Any, make_error: Any
) -> None:
    cause = make_error(-38)
    with pytest.raises(BackendError, match="launch of the kernel 'add' failed") as caught:
        launch_on([cause])
    assert "INVALID_MEM_OBJECT" in str(caught.value)
    assert caught.value.__cause__ is cause


def test_a_launch_without_memory_is_tried_again_with_an_empty_pool(
    launch_on: Any, make_error: Any
) -> None:
    [first, second], emptied = launch_on([make_error(-4, "MemoryError")])
    assert first == second
    assert emptied == ["once"]


def test_a_launch_that_finds_no_memory_twice_is_out_of_memory(
    launch_on: Any, make_error: Any
) -> None:
    errors = [make_error(-4, "MemoryError"), make_error(-4, "MemoryError")]
    with pytest.raises(OutOfMemoryError, match="launch of the kernel 'add'"):
        launch_on(errors)
    assert errors == []


def test_threads_do_not_mix_up_each_others_arguments(backend: Any) -> None:
    if backend.device_info(0)["kind"] == "simulator":
        pytest.skip("oclgrind is not safe in threads")
    handle = backend.compile(ORDER, 0)
    wrong: list[tuple[int, Any]] = []

    def work(number: int) -> None:
        x, y = backend.alloc(16, 0), backend.alloc(16, 0)
        for n in range(200):
            a = number * 1000 + n
            backend.launch(handle, 1, [a, x, 0.5, y], 0)
            if n % 20 == 19:
                found = np.frombuffer(backend.copy_out(x, 0, 16, 0), np.int32)
                if found.tolist() != [a, a + 1, a + 2, a + 3]:
                    wrong.append((a, found))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_each_thread_has_a_kernel_of_its_own() -> None:
    class Kernel:
        _set_arg_multi = _set_arg_buf_pack_multi = _set_arg_buf_multi = None

    own = launch.PerThread(Kernel)
    here = own.parts[0]
    there: list[Any] = []
    thread = threading.Thread(target=lambda: there.append(own.parts[0]))
    thread.start()
    thread.join()
    assert own.parts[0] is here
    assert there[0] is not here
