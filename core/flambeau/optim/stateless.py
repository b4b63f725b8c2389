"""An optimizer that works on other parameters and another state for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flambeau.optim.optimizer import Optimizer
from flambeau.tensor import Tensor

__all__ = ["swap_in_optimizer_params_and_state"]

NAME = "swap_in_optimizer_params_and_state"


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: dict[str, Tensor],
    swapin_optim_state: dict[str, Any],
) -> Iterator[None]:
    """Within the context, an optimizer has the parameters, state and settings that are given.

    Steps write to the tensors given; other changes of the state are lost at the end of the
    context, when the optimizer has its own again.

    Args:
        swapin_parameters: by name, in the order of the optimizer's own.
        swapin_optim_state: of the form that ``state_dict()`` has.

    Raises:
        RuntimeError: if the optimizer has no state yet, or parameters or groups are not as many.
    """
    if not optimizer.state:
        raise RuntimeError(f"{NAME} requires initialized optimizer state.")
    given = swapin_optim_state.get("param_groups")
    if not isinstance(given, list):
        raise RuntimeError(
            f"{NAME} requires swapin_optim_state['param_groups'] to be a list of param-group "
            f"dicts, got {type(given).__name__}.")
    own, params = optimizer.param_groups, list(swapin_parameters.values())
    if len(given) != len(own):
        raise RuntimeError(
            "swapin_optim_state has a different number of parameter groups than the live "
            "optimizer.")
    sizes = [len(group["params"]) for group in own]
    if sum(sizes) != len(params) or sizes != [len(group["params"]) for group in given]:
        raise RuntimeError(
            f"{NAME} requires the explicit parameter state to match optimizer.param_groups "
            "ordering.")
    rest = iter(params)
    groups = [
        {**mine, **group, "params": [next(rest) for _ in group["params"]]}
        for mine, group in zip(own, given, strict=True)]
    state: Any = defaultdict(dict)
    positions = [i for group in given for i in group["params"]]
    held = swapin_optim_state.get("state", {})
    for position, p in zip(positions, params, strict=True):
        if position in held:
            state[p] = dict(held[position])
    before = optimizer.state, [dict(group) for group in own]
    optimizer.state = state
    for mine, group in zip(own, groups, strict=True):
        mine.update(group)
    try:
        yield
    finally:
        optimizer.state = before[0]
        for mine, group in zip(own, before[1], strict=True):
            mine.clear()
            mine.update(group)
