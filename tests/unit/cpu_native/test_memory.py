"""The pool of memory for large arrays."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.memory import POOL, SMALLEST, Pool, empty, size_class

MiB = 1 << 20


@pytest.fixture
def clean():
    gc.collect()
    fb.cpu.empty_cache()
    fb.cpu.reset_peak_memory_stats()
    yield
    fb.cpu.empty_cache()


@pytest.mark.parametrize("nbytes", [1, 4095, 65536, 65537, 100_000, 3 * MiB + 5, (1 << 30) + 1])
def test_a_class_holds_the_bytes_and_wastes_at_most_an_eighth(nbytes):
    size = size_class(nbytes)
    assert nbytes <= size <= max(nbytes * 9 / 8, nbytes + 4096)
    assert size_class(size) == size


@pytest.mark.parametrize("shape", [(1 << 16,), (300, 301), (7, 11, 13, 17)])
def test_arrays_are_aligned_row_major_and_writable(shape):
    x = empty(shape, np.dtype(np.float32))
    x[...] = 1
    assert x.shape == shape
    assert x.flags.c_contiguous
    assert x.size * 4 < SMALLEST or not x.ctypes.data % 64
    assert type(x) is np.ndarray
    assert x.sum() == x.size


def test_a_freed_block_is_used_again(clean):
    x = empty((MiB,), np.dtype(np.float32))
    address = x.ctypes.data
    del x
    assert empty((MiB,), np.dtype(np.float32)).ctypes.data == address


def test_a_block_waits_for_its_last_view(clean):
    x = fb.empty(1024, 1024).fill_(1)
    used = fb.cpu.memory_allocated()
    assert used >= 4 * MiB
    view = x[5:].t()
    array = view.numpy()
    del x, view
    assert fb.cpu.memory_allocated() == used
    assert array[0, 0] == 1
    del array
    assert fb.cpu.memory_allocated() == used - size_class(4 * MiB)


def test_a_lent_array_keeps_its_block(clean):
    x = fb.empty(1024, 1024).fill_(3.0)
    borrowed = np.from_dlpack(x)
    used = fb.cpu.memory_allocated()
    del x
    others = [fb.empty(1024, 1024).zero_() for _ in range(3)]
    assert borrowed.min() == borrowed.max() == 3
    assert fb.cpu.memory_allocated() >= used
    del others


def test_statistics_and_empty_cache(clean):
    before = fb.cpu.memory_stats()
    x = fb.empty(MiB)
    assert fb.cpu.memory_allocated() == before["allocated"] + 4 * MiB
    del x
    stats = fb.cpu.memory_stats()
    assert stats["allocated"] == before["allocated"]
    assert stats["reserved"] >= stats["allocated"] + 4 * MiB
    assert fb.cpu.max_memory_allocated() == before["allocated"] + 4 * MiB
    fb.cpu.empty_cache()
    assert fb.cpu.memory_reserved() == fb.cpu.memory_allocated()
    y = fb.empty(MiB)
    assert fb.cpu.memory_stats()["reused"] == stats["reused"]
    del y


def test_a_somewhat_larger_block_serves(clean):
    pool = Pool(64 * MiB)
    lease = pool.lease(size_class(MiB + 1))
    size = len(lease)
    pool.give(lease.base)
    assert len(pool.lease(MiB)) == size


def test_unused_memory_is_bounded():
    pool = Pool(8 * MiB)
    leases = [pool.lease(MiB << (i % 2)) for i in range(20)]
    for lease in leases:
        pool.give(lease.base)
        assert pool.statistics.cached <= 8 * MiB
    kept = sum(len(b) for blocks in pool._free.values() for b in blocks)
    assert kept == pool.statistics.cached > 4 * MiB


def test_no_memory_is_an_error_that_can_be_caught(clean):
    with pytest.raises(RuntimeError, match="cannot allocate"):
        fb.empty(1 << 60, dtype=fb.uint8)
    assert fb.ones(MiB).sum() == MiB


def test_threads_never_share_a_block():
    errors = []

    def work(seed):
        for i in range(60):
            x = fb.full((SMALLEST // 4 + (i % 7) * 5000,), float(seed))
            y = x + 1
            if y.min() != seed + 1 or y.max() != seed + 1 or x.min() != seed:
                errors.append((seed, i))

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_write_to_its_parents_blocks():
    code = """
import os, flambeau as fb
x = fb.zeros(1 << 20)
free = fb.empty(1 << 20).fill_(1)
del free
child = os.fork()
if not child:
    y = fb.empty(1 << 20).fill_(7)
    os._exit(0 if y.sum() == 7 * (1 << 20) and x.sum() == 0 else 1)
status = os.waitpid(child, 0)[1]
assert status == 0
assert x.sum() == 0
z = fb.empty(1 << 20)
assert (z == 1).all(), "a kept block was changed by the child"
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_the_pool_outlives_the_interpreter():
    code = "import flambeau as fb; x = fb.ones(1 << 20); y = x[1:]"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""


def test_the_process_s_pool_serves_tensors():
    before = POOL.statistics.allocations
    fb.empty(MiB)
    assert POOL.statistics.allocations > before
