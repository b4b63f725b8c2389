import os
import signal
import threading

import numpy as np
import pytest

from flambeau_cpu.onednn.kernels.matmul import matmul
from flambeau_cpu.onednn.threads import GRAIN, MOST, Pool, ranges


@pytest.mark.parametrize(("count", "cost"), [(1, 1e6), (7, 0), (7, 350), (100, 1e9), (5, 120)])
def test_ranges_cover_all_in_order(count, cost):
    cut = ranges(count, cost)
    assert [i for a, b in cut for i in range(a, b)] == list(range(count))
    assert len(cut) <= min(count, MOST, max(1, cost / GRAIN))


@pytest.mark.usefixtures("dnnl")
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_runs_every_part_once(limit):
    done = []
    Pool(limit).run([lambda i=i: done.append(i) for i in range(40)])
    assert sorted(done) == list(range(40))


@pytest.mark.usefixtures("dnnl")
def test_raises_what_a_part_raises_after_all_have_ended():
    done = []

    def part(i):
        if i == 1:
            raise KeyError(i)
        done.append(i)

    with pytest.raises(KeyError):
        Pool(2).run([lambda i=i: part(i) for i in range(6)])
    assert sorted(done) == [0, 2, 3, 4, 5]


@pytest.mark.usefixtures("dnnl")
def test_several_threads_call_at_once(rng):
    a, b = (rng.standard_normal((400, 400)).astype(np.float32) for _ in range(2))
    expected, right = matmul(a, b).tobytes(), []

    def call():
        right.extend(matmul(a, b).tobytes() == expected for _ in range(20))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert right == [True] * 80


@pytest.mark.usefixtures("dnnl")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_the_same(rng, monkeypatch):
    monkeypatch.setattr("flambeau_cpu.onednn.threads.POOL.limit", 2)
    a, b = (rng.standard_normal((500, 500)).astype(np.float32) for _ in range(2))
    expected = matmul(a, b).tobytes()
    child = os.fork()
    if not child:
        signal.alarm(20)  # a child that hangs is killed
        os._exit(0 if matmul(a, b).tobytes() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
