"""Trainings on the OpenCL backend: the losses of the cpu backend, and nothing runs on the host."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import fallback
from flambeau_conformance.levels.models import TRAININGS, Training


def _has_opencl() -> bool:
    try:
        return fb.zeros(1, device="opencl").item() == 0
    except RuntimeError:
        return False


pytestmark = pytest.mark.skipif(not _has_opencl(), reason="no OpenCL device")


def _losses(training: Training, device: str, steps: int) -> list[float]:
    fb.manual_seed(0)
    inputs, targets = training.data(np.random.default_rng(0))
    model = training.model().to(device)
    x = fb.tensor(inputs, dtype=fb.float32).to(device)
    y = fb.tensor(targets).to(device)
    y = y.float() if y.is_floating_point() else y
    optimizer = training.optimizer(model.parameters())
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = training.loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", TRAININGS)
def test_a_hundred_steps_give_the_losses_of_the_cpu(name: str) -> None:
    fallback.reset_counts()
    here, there = (_losses(TRAININGS[name], device, 100) for device in ("cpu", "opencl"))
    assert there[-1] < there[0] / 2
    np.testing.assert_allclose(there, here, atol=1e-5, rtol=1e-5)
    assert fallback.counts() == {}
