"""DataLoader with worker processes."""

import ctypes
import gc
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

import flambeau as fb
from flambeau.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="datasets of this file need fork"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

METHODS = multiprocessing.get_all_start_methods()


def forked(dataset, **options):
    options = {"num_workers": 2, "multiprocessing_context": "fork"} | options
    return DataLoader(dataset, **options)


def children():
    """Processes of this one that have not been waited for, zombies included."""
    try:
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    except FileNotFoundError:
        return multiprocessing.active_children()


@pytest.fixture(autouse=True)
def nothing_stays_behind():
    """No process, no zombie, no name in /dev/shm, no open file, after every test."""
    gc.collect()
    shm = Path("/dev/shm")
    before = (children(), set(shm.iterdir()) if shm.is_dir() else set(), open_files())
    yield
    gc.collect()
    # The server of "forkserver" and the tracker of "spawn" belong to Python and stay.
    after = (children(), set(shm.iterdir()) if shm.is_dir() else set(), open_files())
    assert after[1] == before[1]
    if not any(name in sys.modules for name in HELPERS):
        assert after == before


HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")


def open_files():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


class Function(Dataset):
    """Samples are what a function makes of the index."""

    def __init__(self, length, function):
        self.length, self.function = length, function

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return self.function(index)


class Stream(IterableDataset):
    """Each worker gives every n-th number."""

    def __init__(self, length):
        self.length = length

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.length, step))


def test_batches_come_in_order():
    def slow_at_first(index):
        time.sleep(0.05 if index < 3 else 0)
        return index

    loader = forked(Function(20, slow_at_first), batch_size=3, num_workers=3)
    assert [batch.tolist() for batch in loader] == [
        list(range(start, min(start + 3, 20))) for start in range(0, 20, 3)
    ]


def test_out_of_order_gives_what_is_ready():
    def slow_at_first(index):
        time.sleep(0.5 if index == 0 else 0)
        return index

    loader = forked(Function(6, slow_at_first), batch_size=None, in_order=False)
    batches = list(loader)
    assert sorted(batches) == list(range(6))
    assert batches[0] != 0


@pytest.mark.parametrize("method", METHODS)
def test_every_start_method(method):
    dataset = TensorDataset(fb.arange(6000).view(6, 1000), fb.arange(6))
    loader = DataLoader(dataset, batch_size=4, num_workers=1, multiprocessing_context=method)
    batches = list(loader)
    assert [labels.tolist() for _, labels in batches] == [[0, 1, 2, 3], [4, 5]]
    assert fb.cat([rows for rows, _ in batches]).tolist() == dataset.tensors[0].tolist()


def test_large_batches_of_tensors_arrays_and_containers():
    def sample(index):
        return {
            "image": fb.full((3, 64, 64), float(index)),
            "array": np.full((100, 100), index),
            "meta": [index, f"name {index}"],
        }

    for number, batch in enumerate(forked(Function(12, sample), batch_size=4)):
        first = 4 * number
        assert batch["image"].shape == (4, 3, 64, 64)
        assert batch["image"][:, 0, 0, 0].tolist() == [float(first + i) for i in range(4)]
        assert batch["array"].dtype is fb.int64
        assert bool((batch["array"][2] == first + 2).all())
        assert list(batch["meta"][1]) == [f"name {first + i}" for i in range(4)]


def test_kept_batches_stay_as_they_were():
    loader = forked(Function(40, lambda i: np.full(50_000, i)), batch_size=2)
    kept = list(loader)
    assert [batch[0, 0].item() for batch in kept] == list(range(0, 40, 2))
    assert all(bool((batch[1] == batch[1, 0]).all()) for batch in kept)


def test_batches_outlive_the_loader():
    batch = next(iter(forked(Function(4, lambda i: np.full(50_000, i)), batch_size=4)))
    gc.collect()
    batch += 1
    assert batch[:, -1].tolist() == [1, 2, 3, 4]


def test_memory_does_not_grow():
    def mapped():
        return Path("/proc/self/maps").read_text().count("flambeau-batch")

    gc.collect()
    before = mapped()  # what other tests still hold
    most = 0
    loader = forked(Function(200, lambda i: np.zeros(100_000)), batch_size=2)
    for _ in loader:
        most = max(most, mapped() - before)
    assert 0 < most <= 2 * 6  # of four batches on the way, one in hand, one that makes room for it
    gc.collect()
    assert mapped() - before <= 1


def test_seeds_are_those_of_pytorch():
    def draws(index):
        drawn = fb.initial_seed(), random.random(), np.random.rand(), fb.rand(()).item()
        return (*drawn, get_worker_info().seed)

    fb.manual_seed(0)
    first, second = forked(Function(2, draws), batch_size=None)
    base = 900450186894289455
    assert first == [base, 0.21315340548154382, 0.8371640508861415, 0.7821398973464966, base]
    assert second[:3] == [base + 1, 0.7733861492043289, 0.6702704958690073]
    assert second[3] == 0.6938178539276123


def test_order_and_generator_are_those_of_pytorch():
    generator = fb.Generator()
    generator.manual_seed(3)
    loader = forked(range(10), batch_size=4, shuffle=True, collate_fn=list, generator=generator)
    assert list(loader) == [[7, 4, 2, 9], [1, 5, 0, 8], [6, 3]]


def test_worker_info_and_worker_init_fn():
    seen = []

    def prepare(worker_id):
        seen.append(worker_id)
        get_worker_info().dataset.length = -1

    def tell(index):
        info = get_worker_info()
        return info.id, info.num_workers, info.dataset.length, list(seen), os.getpid()

    rows = list(forked(Function(4, tell), batch_size=None, worker_init_fn=prepare))
    assert [row[:4] for row in rows] == [[0, 2, -1, [0]], [1, 2, -1, [1]]] * 2
    assert os.getpid() not in {row[4] for row in rows}
    assert seen == []


def test_streams_are_shared_out():
    loader = forked(Stream(10), batch_size=2)
    assert sorted(itertools.chain(*(batch.tolist() for batch in loader))) == list(range(10))
    assert list(forked(Stream(5), batch_size=None, num_workers=1)) == [0, 1, 2, 3, 4]


def test_a_stream_that_gives_too_much_is_explained():
    class Copies(IterableDataset):
        def __iter__(self):
            return iter(range(3))

        def __len__(self):
            return 3

    loader = forked(Copies(), batch_size=None)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="get_worker_info"):
        assert len(list(loader)) == 6


def test_persistent_workers_stay():
    loader = forked(
        Function(6, lambda i: (i, os.getpid())), batch_size=None, persistent_workers=True
    )
    first, second = list(loader), list(loader)
    assert [i for i, _ in second] == list(range(6))
    assert {pid for _, pid in first} == {pid for _, pid in second}
    next(iter(loader))
    third = list(loader)
    assert third == first


def test_persistent_streams_start_again():
    loader = forked(Stream(7), batch_size=2, persistent_workers=True)
    passes = [sorted(i for batch in loader for i in batch.tolist()) for _ in range(3)]
    assert passes == [list(range(7))] * 3


def test_persistent_workers_leave_with_the_loader():
    loader = forked(range(4), persistent_workers=True)
    assert len(list(loader)) == 4
    assert len(children()) >= 2
    gc.disable()
    try:
        del loader
        assert multiprocessing.active_children() == []
    finally:
        gc.enable()


def test_an_early_break_ends_the_workers():
    for _ in forked(Function(1000, lambda i: np.zeros(10_000)), batch_size=4):
        break
    assert multiprocessing.active_children() == []


def test_an_iterator_that_is_never_used_ends_its_workers():
    iterator = iter(forked(range(1000)))
    del iterator
    assert multiprocessing.active_children() == []


def test_two_loaders_at_once():
    one, two = forked(range(10), batch_size=2), forked(range(10, 20), batch_size=2)
    pairs = [(a.tolist(), b.tolist()) for a, b in zip(one, two, strict=True)]
    assert pairs[2] == ([4, 5], [14, 15])


def test_loaders_in_several_threads_while_another_one_draws():
    """A lock that is held in the main process must not be held for ever in a forked worker."""
    results, stop = [], threading.Event()

    def draw():
        while not stop.is_set():
            fb.rand(1000)
            np.random.rand(1000)

    def load():
        results.append([batch.tolist() for batch in forked(range(12), batch_size=4, timeout=20)])

    drawing = threading.Thread(target=draw)
    loading = [threading.Thread(target=load) for _ in range(3)]
    for thread in (drawing, *loading):
        thread.start()
    for thread in loading:
        thread.join()
    stop.set()
    drawing.join()
    assert results == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]] * 3


# ---- errors ------------------------------------------------------------------------------------
def raise_at_five(index):
    if index == 5:
        raise KeyError("colour")
    return index


def test_an_exception_arrives_with_its_traceback():
    iterator = iter(forked(Function(12, raise_at_five), batch_size=2))
    assert next(iterator).tolist() == [0, 1]
    assert next(iterator).tolist() == [2, 3]
    with pytest.raises(KeyError) as found:
        next(iterator)
    text = str(found.value)
    assert text.startswith("Caught KeyError in DataLoader worker process 0.\nOriginal Traceback")
    assert "in raise_at_five" in text
    assert next(iterator).tolist() == [6, 7]


def test_an_exception_of_worker_init_fn():
    def fail(worker_id):
        raise ValueError(f"no device for {worker_id}")

    with pytest.raises(ValueError, match="no device for 0"):
        list(forked(range(4), worker_init_fn=fail))


def test_a_batch_that_cannot_be_pickled():
    with pytest.raises(Exception, match=r"Caught .* in DataLoader worker process 0"):
        list(forked(Function(2, lambda i: lambda: i), batch_size=None))


def test_a_batch_that_cannot_be_read_here():
    class Odd:
        def __reduce__(self):
            return int, ("no number",)

    with pytest.raises(ValueError, match="Caught ValueError reading a batch of DataLoader worker"):
        list(forked(Function(2, lambda i: Odd()), batch_size=None))


def test_a_tensor_with_history_is_refused():
    weight = fb.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        list(forked(Function(2, lambda i: weight * i), batch_size=None))


def test_a_dataset_that_spawn_cannot_pickle_is_explained():
    loader = forked(Function(2, lambda i: i), multiprocessing_context="spawn")
    with pytest.raises((AttributeError, TypeError, Exception)) as found:
        list(loader)
    assert any("multiprocessing_context='fork'" in note for note in found.value.__notes__)


def test_no_shared_memory_left_is_an_error_of_the_dataset():
    def no_room(handle, offset, nbytes):
        raise OSError(28, "No space left on device")

    def prepare(worker_id):
        os.posix_fallocate = no_room

    loader = forked(Function(2, lambda i: np.zeros(50_000)), worker_init_fn=prepare)
    with pytest.raises(RuntimeError, match=r"no shared memory left for a batch of \d+ bytes"):
        list(loader)


def kill(index):
    os.kill(os.getpid(), signal.SIGKILL)


def crash(index):
    ctypes.string_at(0)


def leave(index):
    os._exit(7)


def leave_politely(index):
    sys.exit(3)


DEATHS = [
    (kill, "was killed by SIGKILL (9)", "memory"),
    (crash, "was killed by SIGSEGV (11)", "num_workers=0"),
    (leave, "exited with code 7", ""),
    (leave_politely, "exited with code 3", ""),
]


@pytest.mark.parametrize(("die", "how", "hint"), DEATHS, ids=[how for _, how, _ in DEATHS])
def test_a_worker_that_dies_is_reported(die, how, hint):
    at = multiprocessing.Value("d", 0.0)

    def sample(index):
        if index == 9:
            time.sleep(0.1)
            at.value = time.time()
            die(index)
        return index

    iterator = iter(forked(Function(40, sample), batch_size=4))
    assert next(iterator).tolist() == [0, 1, 2, 3]
    assert next(iterator).tolist() == [4, 5, 6, 7]
    with pytest.raises(RuntimeError) as found:
        next(iterator)
    assert time.time() - at.value < 1.0
    text = str(found.value)
    for words in ("exited unexpectedly", "worker 0 of 2", how, "[8, 9, 10, 11]", hint):
        assert words in text
    assert list(iterator) == []
    assert multiprocessing.active_children() == []


def test_a_death_is_noticed_although_a_grandchild_lives():
    def sample(index):
        if index == 2:
            if os.fork() == 0:
                time.sleep(3)
                os._exit(0)
            os._exit(5)
        return index

    began = time.time()
    with pytest.raises(RuntimeError, match="exited with code 5"):
        list(forked(Function(8, sample), batch_size=None))
    assert time.time() - began < 2.0


def test_a_death_within_a_stream():
    class Deadly(IterableDataset):
        def __iter__(self):
            yield 1
            os._exit(4)

    with pytest.raises(RuntimeError, match="code 4 while it read batch 1 from the stream"):
        list(forked(Deadly(), batch_size=None, num_workers=1))


def test_after_a_death_a_persistent_loader_starts_new_workers(tmp_path):
    flag = tmp_path / "died"

    def sample(index):
        if index == 3 and not flag.exists():
            flag.touch()
            os._exit(1)
        return index

    loader = forked(Function(6, sample), batch_size=None, persistent_workers=True)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader)
    assert list(loader) == list(range(6))


def test_timeout():
    def sample(index):
        time.sleep(30 if index == 2 else 0)
        return index

    iterator = iter(forked(Function(4, sample), batch_size=None, timeout=0.3))
    assert [next(iterator), next(iterator)] == [0, 1]
    began = time.time()
    with pytest.raises(RuntimeError, match=r"timed out after 0.3 seconds.*worker 0: 2"):
        next(iterator)
    assert time.time() - began < 0.8
    began = time.time()
    del iterator
    gc.collect()
    assert time.time() - began < 2.0


def test_many_tasks_and_much_data_do_not_block_each_other():
    def sample(index):
        return "text" * 1000

    batches = [[i] * 3000 for i in range(40)]
    loader = forked(
        Function(40, sample), batch_sampler=batches, prefetch_factor=20, collate_fn=list
    )
    assert sum(len(batch) for batch in loader) == 40 * 3000


# ---- whole programs ----------------------------------------------------------------------------
PROGRAM = """
import os, sys, time
import numpy as np
from flambeau.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self): return 1000
    def __getitem__(self, i):
        time.sleep(0.01)
        return np.zeros(10_000)

loader = DataLoader(Slow(), batch_size=2, num_workers=2, multiprocessing_context="fork"{options})
iterator = iter(loader)
next(iterator)
import multiprocessing
print(*[p.pid for p in multiprocessing.active_children()], flush=True)
{body}
"""


def run(body, options=""):
    """Start a program that has a loader with two workers; gives it and the workers' ids."""
    program = PROGRAM.replace("{options}", options).replace("{body}", dedent(body))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2
    return process, workers


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pids, seconds):
    deadline = time.time() + seconds
    while any(is_running(pid) for pid in pids) and time.time() < deadline:
        time.sleep(0.02)
    return [pid for pid in pids if is_running(pid)]


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@linux
@pytest.mark.parametrize("options", ["", ", persistent_workers=True"])
def test_a_program_that_ends_leaves_no_worker(options):
    process, workers = run("", options)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert wait_until_gone(workers, 1) == []


@linux
def test_ctrl_c_ends_everything_with_one_traceback():
    process, workers = run("for batch in iterator: pass")
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode != 0
    assert err.count("Traceback") == 1
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert wait_until_gone(workers, 1) == []


@linux
def test_workers_of_a_killed_program_leave():
    process, workers = run("time.sleep(60)")
    process.kill()
    process.communicate(timeout=20)
    assert wait_until_gone(workers, 3) == []


@linux
def test_workers_use_one_thread():
    body = """
    from flambeau.data import get_worker_info
    class Threads(Dataset):
        def __len__(self): return 1
        def __getitem__(self, i):
            np.ones((600, 600)) @ np.ones((600, 600))
            return len(os.listdir("/proc/self/task"))
    print(*DataLoader(Threads(), batch_size=None, num_workers=1))
    """
    process, _ = run(body)
    with process:
        # Not communicate(): what came together with the first line is in the reader's buffer.
        out, err = process.stdout.read(), process.stderr.read()
    assert err == ""
    assert int(out) <= 3
