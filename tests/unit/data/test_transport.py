"""Batches through shared memory: both ends in one process."""

import contextlib
import errno
import gc
import multiprocessing
import os
import weakref

import numpy as np
import pytest

import flambeau as fb
from flambeau.data import transport
from flambeau.data.transport import SHORT, SMALL, Arena, Reader

pytestmark = pytest.mark.skipif(not transport.CAN_SHARE, reason="no shared memory on this system")


class Link:
    """A worker's arena and the main process's reader, joined by a pipe."""

    def __init__(self):
        self.arena, self.reader = Arena(), Reader()
        self.near, self.far = multiprocessing.Pipe()

    def send(self, value):
        message = self.arena.encode("batch", 0, value)
        self.arena.send(self.near, message)
        return message

    def receive(self):
        return self.reader.decode(self.reader.read(self.far))

    def through(self, value):
        self.send(value)
        return self.receive()

    def give_back(self):
        gc.collect()
        numbers = self.reader.released()
        self.arena.reclaim(numbers)
        return numbers


@pytest.fixture
def link():
    made = Link()
    yield made
    made.near.close()
    made.far.close()


def big(value=1.0, nbytes=4 * SMALL):
    return np.full(nbytes // 8, value)


def test_values_of_all_kinds(link):
    value = {"a": [1, "text", None], "b": (np.arange(3), big(), np.zeros((0, 3)), b"x" * 10)}
    out = link.through(value)
    assert out["a"] == value["a"]
    for sent, received in zip(value["b"][:3], out["b"][:3], strict=True):
        np.testing.assert_array_equal(sent, received)
        assert sent.dtype == received.dtype


def test_small_arrays_travel_in_the_pipe(link):
    message = link.send(np.arange(10))
    assert message.opened == []
    assert message.pieces == []
    assert link.receive().tolist() == list(range(10))


def test_large_arrays_share_one_segment_and_are_aligned(link):
    message = link.send([big(1), np.ones(SMALL + 1, np.uint8), big(2)])
    assert [segment for segment, _, _ in message.pieces] == [0, 0, 0]
    assert all(start % 64 == 0 for _, start, _ in message.pieces)
    first, _, last = link.receive()
    assert first[0] == 1
    assert last[-1] == 2


def test_received_arrays_are_writable(link):
    out = link.through(big())
    out += 1
    assert out[0] == 2


def test_a_long_pickle_travels_in_shared_memory(link):
    message = link.send("x" * 2 * SHORT)
    assert isinstance(message.stream, transport.Piece)
    assert link.receive() == "x" * 2 * SHORT
    assert link.give_back() == [0]


def test_a_segment_is_reused_once_nobody_looks_at_it(link):
    first = link.through(big(1))
    assert link.give_back() == []
    view = first[10:20]
    del first
    assert link.give_back() == []
    del view
    assert link.give_back() == [0]
    assert link.send(big(2)).pieces[0].segment == 0
    assert link.receive()[0] == 2


def test_a_segment_in_use_is_not_written(link):
    held = [link.through(big(i)) for i in range(5)]
    assert [array[0] for array in held] == [0, 1, 2, 3, 4]
    assert sorted(link.arena._segments) == [0, 1, 2, 3, 4]


def test_an_array_made_in_shared_memory_is_not_copied(link):
    shared = link.arena.empty(4 * SMALL)
    shared[:] = 7
    message = link.send([shared, shared[64:128]])
    assert message.pieces == [(0, 0, 4 * SMALL), (0, 64, 64)]
    whole, part = link.receive()
    assert np.shares_memory(whole, part)
    assert part.tolist() == [7] * 64


def test_a_worker_that_keeps_its_array_keeps_the_segment(link):
    shared = link.arena.empty(4 * SMALL)
    link.through(shared)
    link.give_back()
    assert link.send(big()).pieces[0].segment == 1
    link.receive()
    del shared
    link.give_back()
    assert link.send(big()).pieces[0].segment == 0
    link.receive()


def test_an_array_that_was_sent_before_is_copied_the_second_time(link):
    shared = link.arena.empty(4 * SMALL)
    shared[:] = 1
    first = link.through(shared)
    second = link.through(shared)
    first[0] = 9
    assert second[0] == 1


def test_free_segments_that_are_too_small_are_unmapped(link):
    for step in range(1, 6):
        arrays = [link.through(big(0, 2 * SMALL * step)) for _ in range(3)]
        del arrays
        link.give_back()
    assert len(link.arena._segments) <= 6
    assert set(link.reader._maps) == set(link.arena._segments)


def test_fortran_order_survives(link):
    array = np.asfortranarray(np.arange(4 * SMALL, dtype=np.float64).reshape(4, -1))
    out = link.through(array)
    assert out.flags.f_contiguous
    np.testing.assert_array_equal(out, array)


def test_who_keeps_every_batch_gets_copies_in_the_end(link, monkeypatch):
    monkeypatch.setattr(transport, "_MOST", 3)
    held = [link.through(big(i)) for i in range(6)]
    assert [array[0] for array in held] == list(range(6))
    assert len(link.arena._segments) == 3
    assert link.arena.empty(10) is None
    held[5] += 1
    del held[1]
    assert link.give_back() == [1]
    assert link.send(big(nbytes=8 * SMALL)).closed == [1]
    assert link.receive()[0] == 1


def test_without_memfd_a_temporary_file_serves(link, monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert link.through(big(3))[0] == 3


def test_without_file_passing_all_travels_in_the_pipe(link, monkeypatch):
    monkeypatch.setattr(transport, "CAN_SHARE", False)
    message = link.arena.encode("batch", 0, [np.zeros(20_000), "x" * 2 * SHORT])
    assert message.pieces == []
    assert isinstance(message.stream, bytes)


def test_too_many_open_files_is_an_error_with_advice(link):
    resource = pytest.importorskip("resource")
    link.send(big())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 5, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        os.close(taken.pop())  # one is left, for the socket
        with pytest.raises(RuntimeError, match=r"too many open files.*ulimit"):
            link.reader.read(link.far)
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_no_memory_left_is_an_error_with_advice(link, monkeypatch):
    def full(handle, offset, nbytes):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(RuntimeError, match=r"no shared memory left.*smaller batch_size"):
        link.arena.encode("batch", 0, big())
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_error_while_encoding_frees_the_segment(link):
    with pytest.raises(AttributeError):
        link.arena.encode("batch", 0, [link.arena.empty(4 * SMALL), lambda: None])
    gc.collect()
    assert link.send(big()).pieces[0].segment == 0
    link.receive()


def test_tensors_arrive_in_shared_memory(link):
    tensor = fb.arange(SMALL).view(4, -1)
    message = link.send({"x": tensor})
    assert len(message.pieces) == 1
    out = link.receive()["x"]
    assert out.tolist() == tensor.tolist()
    assert out.dtype is fb.int64
    out.add_(1)
    seen = weakref.ref(out)
    del out
    assert seen() is None
    assert link.give_back() == [0]


def test_views_keep_shape_and_order(link):
    tensor = fb.arange(2 * SMALL).view(4, -1).to(fb.float32)
    for view in (tensor.t(), tensor[:, ::2], tensor[1].expand(3, -1), tensor[0, 0]):
        out = link.through(view)
        assert out.tolist() == view.tolist()
    assert link.through(tensor.t()).stride() == tensor.t().stride()


@pytest.mark.parametrize("dtype", [fb.bool, fb.bfloat16, fb.float16, fb.complex64, fb.uint8])
def test_every_dtype(link, dtype):
    tensor = fb.ones(3, SMALL).to(dtype)
    out = link.through(tensor)
    assert out.dtype is dtype
    assert bool((out == tensor).all())


def test_requires_grad_travels(link):
    leaf = fb.ones(3, requires_grad=True)
    assert link.through(leaf).requires_grad
    with pytest.raises(RuntimeError, match="detach"):
        link.send(leaf * 2)


def test_stacking_in_a_worker_writes_to_shared_memory(link, monkeypatch):
    monkeypatch.setattr(transport, "arena", link.arena)
    rows = [fb.full((SMALL,), float(i)) for i in range(3)]
    batch = fb.data.default_collate(rows)
    assert batch[:, 0].tolist() == [0.0, 1.0, 2.0]
    message = link.send(batch)
    assert message.pieces[0].start == 0
    assert len(link.arena._segments) == 1
    assert link.receive().shape == (3, SMALL)
