"""What a profiler does at a step, and on which devices it looks."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable

__all__ = [
    "DeviceType", "ProfilerAction", "ProfilerActivity", "kineto_available", "schedule",
    "supported_activities",
]


class ProfilerAction(enum.Enum):
    """What is done at a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class ProfilerActivity(enum.Enum):
    """What can be looked at; the times of devices' own kernels cannot, as yet."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class DeviceType(enum.Enum):
    """Where the time of an event passed."""

    CPU = 0
    CUDA = 1
    OPENCL = 4
    Meta = 15
    PrivateUse1 = 20


def supported_activities() -> set[ProfilerActivity]:
    """The activities that are looked at: calls on the host, whatever device they are for."""
    return {ProfilerActivity.CPU}


def kineto_available() -> bool:
    """False: PyTorch's library for traces of GPUs is not used here."""
    return False


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:
    """A plan by which a profiler waits, warms up and records, in turn.

    Args:
        wait, warmup, active: how many steps of each a cycle has.
        repeat: how many cycles; 0 for no end.
        skip_first: steps before the first cycle.
        skip_first_wait: not 0: the first cycle does not wait.

    Raises:
        AssertionError: for a negative number, or no active step.
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} "
            f"(need >= 0), active={active} (need > 0), repeat={repeat} (need >= 0), "
            f"skip_first={skip_first} (need >= 0).")
    if warmup == 0:
        warnings.warn(
            "Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    length = wait + warmup + active

    def plan(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        if repeat > 0 and step // length >= repeat:
            return ProfilerAction.NONE
        at = step % length
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        last = at == length - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return plan
