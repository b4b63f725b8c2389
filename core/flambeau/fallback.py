"""Running an op on the CPU for a device that lacks its kernel: never silently.

The policy is ``"error"`` (the default), ``"warn"`` (once per op and device) or ``"allow"``; set it
with :func:`set_policy` or ``FLAMBEAU_FALLBACK``.  Every such run is counted.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from flambeau.caution import warn
from flambeau.device import CPU, device
from flambeau.errors import MissingKernelError

if TYPE_CHECKING:
    from flambeau.registry import Op

POLICIES: Final = ("error", "warn", "allow")
_counts: Final[Counter[tuple[str, str]]] = Counter()


class _Policy:
    name: str | None = None


def get_policy() -> str:
    """What happens when a device has no kernel for an op: "error", "warn" or "allow"."""
    return _Policy.name or _checked(os.environ.get("FLAMBEAU_FALLBACK", "error"))


def set_policy(policy: str) -> None:
    """Choose what happens when a device has no kernel for an op.

    Raises:
        ValueError: for anything but "error", "warn" and "allow".
    """
    _Policy.name = _checked(policy)


def _checked(policy: str) -> str:
    if policy not in POLICIES:
        known = ", ".join(POLICIES)
        raise ValueError(f"the fallback policy must be one of {known}; got {policy!r}")
    return policy


def counts() -> dict[tuple[str, str], int]:
    """How often an op ran on the CPU for a device, by (op, device type)."""
    return dict(_counts)


def reset_counts() -> None:
    """Start counting anew."""
    _counts.clear()


def run_on_host(op: Op, args: tuple[Any, ...], place: device, detail: str = "") -> Any:
    """Run a primitive on the CPU with copies there and back, if the policy admits it.

    A primitive that no backend must have always runs so, and is counted.

    Raises:
        MissingKernelError: if the policy does not admit it.
    """
    policy = get_policy() if op.is_required else "allow"
    if policy == "error":
        raise MissingKernelError(op.name, place.type, detail)
    if policy == "warn" and not _counts[op.name, place.type]:
        warn(
            f"{op.name} has no kernel on {place.type!r} and runs on the CPU, with copies there and "
            "back. This is counted in flambeau.fallback.counts().")
    _counts[op.name, place.type] += 1
    from flambeau.dispatch import run_primitive

    return _moved(run_primitive(op, _moved(args, CPU)), place)


def _moved(value: Any, place: device) -> Any:
    from flambeau.dispatch import move
    from flambeau.kind import kind_of
    from flambeau.tensor import Tensor

    if isinstance(value, Tensor):
        return value if value.device is place else move(value, kind_of(place, value.dtype))
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(v, place) for v in value)
    return value
