"""The pool is bounded, is emptied when memory is short, and errors tell sizes."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pyopencl")

from flambeau.backend import BackendError, OutOfMemoryError
from flambeau_opencl.memory import Memory

MIB = 1 << 20


class FakePool:
    """A pool of pyopencl's over a device with so many bytes."""

    def __init__(self, capacity: int, make_error: Any) -> None:
        self.capacity, self.make_error = capacity, make_error
        self.active_bytes = self.held_bytes = self.emptied = 0
        self.failure: Exception | None = None
        self.asked: list[int] = []

    @property
    def managed_bytes(self) -> int:
        return self.active_bytes + self.held_bytes

    @property
    def active_blocks(self) -> int:
        return int(self.active_bytes > 0)

    @property
    def held_blocks(self) -> int:
        return int(self.held_bytes > 0)

    def allocate(self, nbytes: int) -> Any:
        self.asked.append(nbytes)
        if self.failure is not None:
            raise self.failure
        if self.managed_bytes + nbytes > self.capacity:
            raise self.make_error(-4, "MemoryError")
        self.active_bytes += nbytes
        return SimpleNamespace(size=nbytes)

    def free_held(self) -> None:
        self.held_bytes, self.emptied = 0, self.emptied + 1


@pytest.fixture
def pool(make_error: Any) -> FakePool:
    return FakePool(64 * MIB, make_error)


def memory_of(pool: FakePool, bound: int = 64 * MIB, total: int = 64 * MIB) -> Memory:
    return Memory("a device (a platform)", pool, total, bound)


# ---- giving ----------------------------------------------------------------------------------
def test_no_bytes_are_a_buffer_too(pool: FakePool) -> None:
    assert memory_of(pool).allocate(0).size == 1


def test_a_small_buffer_asks_the_pool_and_nothing_else(pool: FakePool) -> None:
    pool.held_bytes = 60 * MIB
    assert memory_of(pool, bound=MIB).allocate(100).size == 100
    assert pool.emptied == 0


@pytest.mark.parametrize(("held", "emptied"), [(8 * MIB, 0), (8 * MIB + 1, 1)])
def test_the_pool_is_emptied_when_it_holds_more_than_its_bound(
    pool: FakePool, held: int, emptied: int
) -> None:
    pool.held_bytes = held
    memory_of(pool, bound=8 * MIB).allocate(2 * MIB)
    assert pool.emptied == emptied


# ---- shortage --------------------------------------------------------------------------------
def test_when_the_device_is_full_the_pool_is_emptied_and_asked_again(pool: FakePool) -> None:
    pool.capacity, pool.held_bytes = MIB, MIB
    assert memory_of(pool).allocate(1000).size == 1000
    assert (pool.emptied, pool.asked) == (1, [1000, 1000])


def test_buffers_in_cycles_are_collected_before_the_second_try(
    pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collect() -> int:
        pool.active_bytes = 0
        return 0

    monkeypatch.setattr(gc, "collect", collect)
    pool.capacity, pool.active_bytes = MIB, MIB
    assert memory_of(pool).allocate(1000).size == 1000


@pytest.mark.parametrize("code", [-4, -6, -61])
def test_a_device_that_stays_full_is_out_of_memory(
    pool: FakePool, make_error: Any, code: int
) -> None:
    pool.failure, pool.active_bytes = make_error(code), 3 * MIB
    with pytest.raises(OutOfMemoryError) as caught:
        memory_of(pool).allocate(5 * MIB + MIB // 2)
    words = str(caught.value)
    for expected in ("5.50 MiB", "3.00 MiB", "64.00 MiB", "a device (a platform)", "emptied"):
        assert expected in words
    assert len(pool.asked) == 2


def test_what_a_driver_promises_beyond_the_device_is_refused(pool: FakePool) -> None:
    pool.capacity, pool.active_bytes = 1 << 50, 40 * MIB
    memory = memory_of(pool)
    memory.allocate(24 * MIB)
    with pytest.raises(OutOfMemoryError, match=r"2\.00 MiB .* tensors use 64\.00 MiB"):
        memory.allocate(2 * MIB)
    assert len(pool.asked) == 1


def test_another_error_is_not_taken_for_a_shortage(pool: FakePool, make_error: Any) -> None:
    pool.failure = make_error(-34)
    with pytest.raises(BackendError, match="allocation of 100 bytes"):
        memory_of(pool).allocate(100)
    assert len(pool.asked) == 1


def test_the_sizes_of_small_buffers_are_told_in_bytes(pool: FakePool, make_error: Any) -> None:
    pool.failure = make_error(-4, "MemoryError")
    with pytest.raises(OutOfMemoryError, match="cannot allocate 100 bytes"):
        memory_of(pool).allocate(100)
    with pytest.raises(OutOfMemoryError, match=r"cannot allocate 2\.00 KiB"):
        memory_of(pool).allocate(2048)


# ---- counting --------------------------------------------------------------------------------
def test_statistics_and_emptying(pool: FakePool) -> None:
    memory = memory_of(pool)
    memory.allocate(1000)
    pool.held_bytes = 500
    found = memory.statistics()
    assert (found.used_bytes, found.used_buffers) == (1000, 1)
    assert (found.held_bytes, found.held_buffers) == (500, 1)
    memory.empty()
    assert memory.statistics().held_bytes == 0


# ---- a real device ---------------------------------------------------------------------------
def test_a_freed_buffer_is_given_out_again(backend: Any) -> None:
    backend.empty_cache()
    assert backend.memory_statistics().held_bytes == 0
    used = backend.memory_statistics().used_buffers
    one = backend.alloc(100_000, 0)
    number = one.int_ptr
    assert backend.memory_statistics().used_buffers == used + 1
    del one
    assert backend.memory_statistics().held_buffers >= 1
    assert backend.alloc(100_000, 0).int_ptr == number


def test_more_than_the_device_has_is_out_of_memory(backend: Any) -> None:
    total = backend.capabilities(0).total_memory
    with pytest.raises(OutOfMemoryError, match="opencl: cannot allocate"):
        backend.alloc(total + 1, 0)
    assert backend.alloc(100, 0).size >= 100  # and the device still works
