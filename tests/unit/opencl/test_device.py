"""The device methods: copies, waiting, several devices, forks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyopencl")

import flambeau as fb
from flambeau.backend import BackendError, dtypes
from flambeau_opencl import device as module
from flambeau_opencl.device import OpenCLBackend


def view(data: bytes) -> memoryview:
    return memoryview(data)


def filled(backend: Any, data: bytes) -> Any:
    buffer = backend.alloc(len(data), 0)
    backend.copy_in(buffer, 0, view(data), 0)
    return buffer


def content(backend: Any, buffer: Any, nbytes: int, offset: int = 0) -> bytes:
    return bytes(backend.copy_out(buffer, offset, nbytes, 0))


# ---- copies ----------------------------------------------------------------------------------
@pytest.mark.parametrize("nbytes", [1, 2, 3, 4, 7, 8, 16, 17, 128, 129, 256, 100_003])
def test_bytes_come_back(backend: Any, nbytes: int) -> None:
    data = bytes(n * 7 % 251 for n in range(nbytes))
    assert content(backend, filled(backend, data), nbytes) == data


@pytest.mark.parametrize("nbytes", [1, 2, 4, 5, 8, 16, 100])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 6, 8, 17])
def test_bytes_are_written_and_read_where_they_belong(
    backend: Any, offset: int, nbytes: int
) -> None:
    before = bytes(range(200))
    buffer = filled(backend, before)
    data = bytes(255 - n % 50 for n in range(nbytes))
    backend.copy_in(buffer, offset, view(data), 0)
    expected = before[:offset] + data + before[offset + nbytes:]
    assert content(backend, buffer, 200) == expected
    assert content(backend, buffer, nbytes, offset) == data


@pytest.mark.parametrize("nbytes", [8, 1000])
def test_the_host_may_change_its_bytes_as_soon_as_they_were_copied(
    backend: Any, nbytes: int
) -> None:
    data = bytearray(b"a" * nbytes)
    buffer = backend.alloc(nbytes, 0)
    backend.copy_in(buffer, 0, memoryview(data), 0)
    data[:] = b"b" * nbytes
    assert content(backend, buffer, nbytes) == b"a" * nbytes


def test_nothing_is_copied_where_there_is_nothing(backend: Any) -> None:
    one, other = filled(backend, b"ab"), backend.alloc(0, 0)
    backend.copy_in(other, 0, view(b""), 0)
    backend.copy_device(one, 1, other, 0, 0, 0)
    assert content(backend, other, 0) == b""
    assert content(backend, one, 2) == b"ab"


@pytest.mark.parametrize(("to", "source", "nbytes"), [(0, 0, 64), (3, 10, 20), (63, 0, 1)])
def test_bytes_are_copied_on_the_device(backend: Any, to: int, source: int, nbytes: int) -> None:
    one, other = bytes(range(64)), bytes(range(100, 164))
    a, b = filled(backend, one), filled(backend, other)
    backend.copy_device(a, to, b, source, nbytes, 0)
    expected = one[:to] + other[source : source + nbytes] + one[to + nbytes:]
    assert content(backend, a, 64) == expected
    assert content(backend, b, 64) == other


@pytest.mark.parametrize(("to", "source"), [(0, 5), (5, 0), (8, 8), (0, 32), (32, 0)])
def test_parts_of_one_buffer_may_overlap(backend: Any, to: int, source: int) -> None:
    data = bytearray(range(64))
    buffer = filled(backend, bytes(data))
    backend.copy_device(buffer, to, buffer, source, 32, 0)
    data[to : to + 32] = bytes(data[source : source + 32])
    assert content(backend, buffer, 64) == bytes(data)


def test_a_copy_beyond_the_end_is_refused(backend: Any) -> None:
    buffer = backend.alloc(16, 0)
    with pytest.raises(BackendError, match="copy of 1000000 bytes to the host"):
        backend.copy_out(buffer, 0, 1_000_000, 0)
    with pytest.raises(BackendError, match="copy of 1000000 bytes to the device"):
        backend.copy_in(buffer, 0, view(bytes(1_000_000)), 0)


# ---- facts -----------------------------------------------------------------------------------
def test_the_device_describes_itself(backend: Any) -> None:
    assert backend.device_count() >= 1
    found = backend.capabilities(0)
    assert {dtypes.bool, dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.complex64} <= (
        found.dtypes)
    assert (dtypes.float64 in found.dtypes) == backend.traits(0).has_f64
    assert found.asynchronous
    assert found.thread_safe
    assert not found.fork_safe
    assert found.total_memory is not None
    assert backend.device_info(0)["name"]
    backend.synchronize(0)


def test_a_device_without_double_precision_refuses_it(backend: Any) -> None:
    class Narrow:
        has_f64, total_memory = False, 1

    class Queue:
        facts = Narrow

    other = object.__new__(OpenCLBackend)
    other._queues = [Queue]  # type: ignore[list-item]
    assert dtypes.ALL[0] in other.capabilities(0).dtypes
    assert not {dtypes.float64, dtypes.complex128} & other.capabilities(0).dtypes


# ---- several devices -------------------------------------------------------------------------
def test_a_buffer_is_known_by_its_device(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = backend._queues[0].device
    monkeypatch.setattr(module, "selected_devices", lambda: [device, device])
    two = OpenCLBackend()  # one device twice: two contexts, and nothing of one fits the other
    assert two.device_count() == 2
    buffers = [two.alloc(100, 0), two.alloc(100, 1)]
    assert [two.index_of(b) for b in buffers] == [0, 1]
    two.copy_in(buffers[1], 0, view(b"abcd"), 1)
    assert bytes(two.copy_out(buffers[1], 0, 4, 1)) == b"abcd"


def test_a_backend_can_be_collected(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    device = backend._queues[0].device
    monkeypatch.setattr(module, "selected_devices", lambda: [device])
    other = weakref.ref(OpenCLBackend())
    gc.collect()
    assert other() is None


# ---- forks -----------------------------------------------------------------------------------
FORK = """
import os, sys, threading, warnings
import flambeau as fb
warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
x = fb.tensor([1.0, 2.0, 3.0]).to("opencl")
y = x + x
child = os.fork()
if child == 0:
    found = []
    def attempt(action):
        try:
            action()
            found.append("nothing was raised")
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    attempt(lambda: x + x)
    attempt(lambda: x.to("cpu"))
    attempt(lambda: fb.zeros(3).to("opencl"))
    thread = threading.Thread(target=attempt, args=(lambda: x + x,))
    thread.start()
    thread.join()
    wrong = [f for f in found if "BackendError: opencl: a forked process cannot" not in f]
    print("\\n".join(wrong), file=sys.stderr)
    del x, y
    os._exit(1 if wrong else 0)
_, status = os.waitpid(child, 0)
assert (x + y).tolist() == [3.0, 6.0, 9.0]  # the parent goes on
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_is_told_and_does_not_wait_for_ever(backend: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


# ---- through tensors -------------------------------------------------------------------------
def test_tensors_move_there_and_back(backend: Any) -> None:
    x = fb.arange(12.0).reshape(3, 4)
    there = x.to("opencl")
    assert str(there.device) == "opencl:0"
    assert there.t()[1:].cpu().tolist() == x.t()[1:].tolist()
    assert np.array_equal(there.cpu().numpy(), x.numpy())
