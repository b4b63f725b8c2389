"""The pool of threads: every task once, alone when nested, fresh in a forked child."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.native.library import default_threads, describe, failures, runtime

pool = runtime()
pytestmark = pytest.mark.skipif(pool is None, reason="there is no C compiler")
TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)


@pytest.fixture(params=[1, 2, 3, 8])
def threads(request):
    before = fb.get_num_threads()
    fb.set_num_threads(request.param)
    yield request.param
    fb.set_num_threads(before)


def run(task, count):
    function = TASK(task)
    pool.fb_run(ctypes.cast(function, ctypes.c_void_p), None, count)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 500])
def test_every_task_runs_once(threads, count):
    seen = np.zeros(max(count, 1), np.int64)

    def task(_, i):
        seen[i] += 1

    for _ in range(20):
        run(task, count)
    assert seen.sum() == 20 * count
    assert (seen[:count] == 20).all()


def test_no_more_threads_work_than_allowed(threads):
    workers = set()

    def task(_, i):
        workers.add(threading.get_ident())
        time.sleep(0.002)

    run(task, 40)
    assert 1 <= len(workers) <= threads


def test_a_task_that_calls_runs_its_own_alone(threads):
    seen = []

    def inner(_, i):
        seen.append(threading.get_ident())

    def outer(_, i):
        before = len(seen)
        run(inner, 5)
        assert len(seen) >= before + 5

    run(outer, 6)
    assert len(seen) == 30


def test_two_callers_do_not_disturb_each_other(threads):
    totals = []

    def caller():
        total = np.zeros(64, np.int64)

        def task(_, i):
            total[i] += 1

        for _ in range(50):
            run(task, 64)
        totals.append(int(total.min()) == int(total.max()) == 50)

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert totals == [True] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_pool_of_its_own():
    code = """
import os, flambeau as fb
fb.set_num_threads(4)
a = fb.ones(300, 300)
want = (a @ a).sum().item()
for _ in range(5):
    child = os.fork()
    if not child:
        os._exit(0 if (a @ a).sum().item() == want else 1)
    assert os.waitpid(child, 0)[1] == 0
assert (a @ a).sum().item() == want
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_the_environment_sets_the_number(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert default_threads() >= 1


def test_doctor_names_the_compiler():
    (line, *more) = describe()
    assert line.startswith("kernels in C: ")
    assert len(more) == len(failures)
