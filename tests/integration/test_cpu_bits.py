"""Training on the CPU: the same bits every time, for any number of threads, in bounded memory."""

import gc
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn


def convolutional():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10))
    return model, fb.randn(24, 3, 24, 24), fb.randint(0, 10, (24,)), fb.optim.SGD, 0.05


def transformer():
    model = nn.Sequential(
        nn.Embedding(50, 64), nn.TransformerEncoderLayer(64, 4, 128, batch_first=True),
        nn.LayerNorm(64), nn.Flatten(), nn.Linear(32 * 64, 7))
    return model, fb.randint(0, 50, (16, 32)), fb.randint(0, 7, (16,)), fb.optim.AdamW, 1e-3


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(24, 48, 2), nn.Linear(48, 5)

    def forward(self, x):
        return self.out(self.lstm(x)[0][-1])


def recurrent():
    return Recurrent(), fb.randn(20, 16, 24), fb.randint(0, 5, (16,)), fb.optim.Adam, 1e-2


def train(make, steps):
    """The digest of all parameters after some steps."""
    fb.manual_seed(7)
    model, x, y, optimizer, rate = make()
    optimizer = optimizer(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    digest = hashlib.sha256()
    for value in model.state_dict().values():
        digest.update(np.ascontiguousarray(value.numpy()).tobytes())
    return digest.hexdigest()


@pytest.fixture
def number_of_threads():
    before = fb.get_num_threads()
    yield fb.set_num_threads
    fb.set_num_threads(before)


@pytest.mark.parametrize("make", [convolutional, transformer, recurrent])
def test_results_do_not_depend_on_the_number_of_threads(make, number_of_threads):
    digests = set()
    for count in (1, 2, 3, 5):
        number_of_threads(count)
        digests.add(train(make, 4))
    assert len(digests) == 1


@pytest.mark.parametrize("make", [convolutional, transformer, recurrent])
def test_fifty_trainings_are_equal_to_the_bit(make):
    assert len({train(make, 2) for _ in range(50)}) == 1


@pytest.mark.parametrize("make", [convolutional, transformer, recurrent])
def test_two_processes_agree(make):
    code = (f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); "
            f"from test_cpu_bits import *; print(train({make.__name__}, 2))")
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == [train(make, 2)]


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_ten_thousand_steps_take_no_more_memory():
    fb.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = fb.optim.Adam(model.parameters())
    x, y = fb.randn(16, 20), fb.randint(0, 4, (16,))

    def steps(count):
        for _ in range(count):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = steps(1000)
    assert steps(10_000) - before < 1 << 20
