"""The momentum that rises while the rate falls."""

from __future__ import annotations

from typing import Any

from flambeau.optim.lr_scheduler.base import per_group
from flambeau.optim.optimizer import Optimizer


def uses_betas(optimizer: Optimizer) -> bool:
    """Whether the momentum is the first of the betas.

    Raises:
        ValueError: if the optimizer has neither.
    """
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError(
            "optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
    return "betas" in optimizer.defaults


def set_momentum(group: dict[str, Any], value: float, use_beta1: bool) -> None:
    """Change a group's momentum."""
    if use_beta1:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def start_momentum(
    optimizer: Optimizer, base: Any, greatest: Any, use_beta1: bool, is_start: bool
) -> tuple[list[float], list[float]]:
    """Both bounds for every group; at the start of a schedule the momentum is at the upper one."""
    bases = per_group("base_momentum", optimizer, base)
    greatests = per_group("max_momentum", optimizer, greatest)
    if is_start:
        for group, low, high in zip(optimizer.param_groups, bases, greatests, strict=True):
            set_momentum(group, high, use_beta1)
            group["max_momentum"], group["base_momentum"] = high, low
    return bases, greatests
