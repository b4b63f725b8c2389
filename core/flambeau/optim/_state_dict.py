"""Optimizers' states as dicts of numbers: parameters are replaced by their positions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any

from flambeau.tensor import Tensor

Groups = list[dict[str, Any]]


def packed(state: Any, groups: Groups) -> dict[str, Any]:
    """``{"state": {position: ...}, "param_groups": [{..., "params": [positions]}]}``."""
    positions: dict[int, int] = {}
    for group in groups:
        for p in group["params"]:
            positions.setdefault(id(p), len(positions))
    return {
        "state": {
            positions[id(k)] if isinstance(k, Tensor) else k: v for k, v in state.items()},
        "param_groups": [
            {**_without_params(group), "params": [positions[id(p)] for p in group["params"]]}
            for group in groups],
    }


def _without_params(group: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k != "params"}


def unpacked(state_dict: dict[str, Any], groups: Groups) -> tuple[Any, Groups]:
    """State and groups of a state dict, for the parameters of the groups given.

    State tensors take the device of their parameter, and its dtype if it is floating; those named
    "step" stay what they are unless the group is ``capturable`` or ``fused``.

    Raises:
        ValueError: for another number of groups, or a group of another size.
    """
    saved = state_dict["param_groups"]
    if len(groups) != len(saved):
        raise ValueError("loaded state dict has a different number of parameter groups")
    if any(len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved, strict=True)):
        raise ValueError(
            "loaded state dict contains a parameter group that doesn't match the size of "
            "optimizer's group")
    positions = chain.from_iterable(s["params"] for s in saved)
    params = chain.from_iterable(g["params"] for g in groups)
    of_position = dict(zip(positions, params, strict=True))
    settings = {position: s for s in saved for position in s["params"]}
    state: Any = defaultdict(dict)
    for key, value in state_dict["state"].items():
        if key in of_position:
            param = of_position[key]
            state[param] = _cast(param, value, settings[key])
        else:
            state[key] = value
    return state, [_updated(g, s) for g, s in zip(groups, saved, strict=True)]


def _updated(group: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    """The saved settings for a group's own parameters, under their own names if they have any."""
    new = {**saved, "params": group["params"]}
    if "param_names" in group and "param_names" not in new:
        new["param_names"] = group["param_names"]
    return new


def _cast(param: Tensor, value: Any, settings: dict[str, Any], key: Any = None) -> Any:
    if isinstance(value, Tensor):
        return _cast_tensor(param, value, settings, key)
    if isinstance(value, dict):
        return {k: _cast(param, v, settings, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_cast(param, v, settings) for v in value)  # type: ignore[call-arg]
    return value


def _cast_tensor(param: Tensor, value: Any, settings: dict[str, Any], key: Any) -> Any:
    if key == "step":
        moves = settings.get("capturable") or settings.get("fused")
        return value.to(param.device) if moves else value
    if param.dtype.is_floating_point:
        return value.to(dtype=param.dtype, device=param.device)
    return value.to(param.device)
