"""Level 4: small trainings, whose losses fall and agree with the oracle's.

Each runs from the same weights and data on the device in float32 and on the oracle in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np

import flambeau
from flambeau import dtypes
from flambeau.device import device
from flambeau.dtypes import dtype
from flambeau.kind import kind_of
from flambeau.tensor import Tensor
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.compare import Want, describe, mismatches, require
from flambeau_conformance.config import Config
from flambeau_conformance.levels import models
from flambeau_conformance.oracle import NAME
from flambeau_conformance.reference import exact, quiet
from flambeau_conformance.transfer import Array, from_host, to_host

STEPS: Final = 8


def cases(config: Config) -> Iterator[Case]:
    """A case per training, and one of state dictionaries."""
    if config.holds(dtypes.float32):
        for name in models.TRAININGS:
            yield Case(f"L4/{name}", partial(_train, config, name))
        yield Case("L4/state_dict", partial(_state_dict, config))


def _train(config: Config, name: str, check: Checks) -> None:
    training, seed = models.TRAININGS[name], config.seed
    states: list[dict[str, Array]] = []
    with check("losses"):
        with quiet():
            got, state = _losses(training, str(config.place), dtypes.float32, seed)
        with exact():
            want, exact_state = _losses(training, NAME, dtypes.float64, seed)
        states += [state, exact_state]
        require(all(map(np.isfinite, got)), f"losses are not finite: {got}")
        require(got[-1] < 0.95 * got[0], f"the loss does not fall: {got}")
        _agree(np.array(got, np.float32), np.array(want), "losses")
    if states:
        with check("weights"):
            for key, values in states[0].items():
                if values.dtype == np.float32:
                    _agree(values, states[1][key], key)


def _made(training: models.Training, seed: int) -> Any:
    """The model on the CPU in float32, always with the same weights."""
    before = dtypes.get_default_dtype()
    dtypes.set_default_dtype(dtypes.float32)
    try:
        flambeau.manual_seed(seed)
        return training.model()
    finally:
        dtypes.set_default_dtype(before)


def _losses(
    training: models.Training, place: str, what: dtype, seed: int
) -> tuple[list[float], dict[str, Array]]:
    """The losses of a training and the state that it ends in."""
    model = _made(training, seed).to(device=place, dtype=what)
    optimizer = training.optimizer(model.parameters())
    inputs, targets = (
        _placed(a, place, what) for a in training.data(np.random.default_rng(seed))
    )
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = training.loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(float(to_host(loss)))
    return losses, {k: to_host(t) for k, t in model.state_dict().items()}


def _placed(array: Array, place: str, what: dtype) -> Tensor:
    held = what if array.dtype.kind == "f" else dtypes.int64
    return from_host(array.astype(held.numpy), kind_of(device(place), held))


def _agree(got: Array, want: Array, name: str) -> None:
    answer = Want(want)
    bad = mismatches(got, answer, dtypes.float32, "training")
    require(not bad.any(), f"{name}: {describe(got, answer, bad, dtypes.float32)}"
            if bad.any() else "")


def _state_dict(config: Config, check: Checks) -> None:
    """To the device and back, and from one model into another there."""
    training = models.TRAININGS["cnn"]
    model = _made(training, config.seed)
    before = {k: to_host(t) for k, t in model.state_dict().items()}
    with check("to_device"):
        there = model.to(config.place)
        require(
            all(t.device is config.place for t in there.state_dict().values()),
            "parameters or buffers were left behind",
        )
        _same_state(there.state_dict(), before)
    with check("load_on_device"):
        other = _made(training, config.seed + 1).to(config.place)
        other.load_state_dict(there.state_dict())
        _same_state(other.state_dict(), before)
    with check("back"):
        other = _made(training, config.seed + 1)
        other.load_state_dict(there.state_dict())
        require(all(t.device.type == "cpu" for t in other.state_dict().values()),
                "loading moved parameters to another device")
        _same_state(other.state_dict(), before)


def _same_state(state: Any, want: dict[str, Array]) -> None:
    require(list(state) == list(want), f"keys {list(state)}, want {list(want)}")
    for key, t in state.items():
        require(to_host(t).tobytes() == want[key].tobytes(), f"{key} has other values")
