"""Whatever happens to a file, loading it gives a value or a CheckpointError."""

import io
import os
import resource
import sys
import time
from collections import Counter
from contextlib import suppress

import damaged_files
import pytest

import flambeau as fb
from flambeau.serialization import CheckpointError

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
COUNT = 100_000 if DEEP else 600
FORBIDDEN = ("import", "exec", "compile", "open", "os.", "socket.", "subprocess.", "ctypes.")
WATCH = {"is_on": False, "seen": []}


def watch(event, args):
    if WATCH["is_on"] and event.startswith(FORBIDDEN):
        WATCH["seen"].append((event, str(args)[:80]))


def test_mutants_give_a_value_or_a_checkpoint_error():
    outcome = Counter()
    for data in damaged_files.mutants(COUNT):
        try:
            fb.load(io.BytesIO(data))
            outcome["loaded"] += 1
        except CheckpointError:  # any other exception fails the test
            outcome["refused"] += 1
    assert outcome.total() == COUNT
    assert outcome["refused"] > COUNT / 2 and outcome["loaded"] > COUNT / 100


def test_a_file_cut_anywhere_is_refused():
    data = damaged_files.whole()
    step = 1 if DEEP else 37
    for size in range(0, len(data) - 1, step):
        with pytest.raises(CheckpointError):
            fb.load(io.BytesIO(data[:size]))


def test_nothing_is_imported_opened_or_run():
    fb.load(io.BytesIO(damaged_files.whole()))  # what is needed is imported now
    fb.load(io.BytesIO(damaged_files.whole(is_zip=False)))
    sys.addaudithook(watch)
    cases = list(damaged_files.mutants(COUNT // 10, seed=1))
    WATCH["is_on"] = True
    try:
        for data in cases:
            with suppress(CheckpointError):  # without a place, the file's device is looked for
                fb.load(io.BytesIO(data), map_location="cpu")
    finally:
        WATCH["is_on"] = False
    assert WATCH["seen"] == []


def test_time_and_memory_stay_bounded():
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    slowest = 0.0
    for data in damaged_files.mutants(COUNT // 5, seed=2):
        start = time.monotonic()
        with suppress(CheckpointError):
            fb.load(io.BytesIO(data))
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 5
    assert time.monotonic() - began < COUNT / 50 + 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
