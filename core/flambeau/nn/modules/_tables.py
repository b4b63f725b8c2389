"""What every module holds: its tables of parameters, buffers, children and hooks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module
    from flambeau.nn.parameter import Parameter

Hook = Callable[..., Any]
HookTable = OrderedDict[int, Hook]

HOOK_TABLES = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Tables:
    """The attributes that the parts of :class:`~flambeau.nn.Module` share."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _non_persistent_buffers_set: set[str]
    _modules: dict[str, Module | None]
    _is_full_backward_hook: bool | None
    _backward_pre_hooks: HookTable
    _backward_hooks: HookTable
    _forward_hooks: HookTable
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: HookTable
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _state_dict_hooks: HookTable
    _state_dict_pre_hooks: HookTable
    _load_state_dict_pre_hooks: OrderedDict[int, tuple[Hook, bool]]
    _load_state_dict_post_hooks: HookTable

    def _get_name(self) -> str:
        return type(self).__name__

    def _make_tables(self) -> None:
        """Empty tables, written past ``__setattr__``, which looks into them."""
        held = self.__dict__
        held["training"] = True
        held["_parameters"] = {}
        held["_buffers"] = {}
        held["_non_persistent_buffers_set"] = set()
        held["_modules"] = {}
        held["_is_full_backward_hook"] = None
        for name in HOOK_TABLES:
            held[name] = OrderedDict()
