"""The base class of all optimizers."""

from __future__ import annotations

import copy
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from flambeau.autograd.grad_mode import enable_grad, set_grad_enabled
from flambeau.optim._hooks import (
    Hooks,
    hooked,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from flambeau.optim._state_dict import packed, unpacked
from flambeau.tensor import Tensor

__all__ = [
    "Optimizer",
    "ParamsT",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "required",
]

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Closure = Callable[[], Any]


class _Required:
    """Stands in ``defaults`` for a setting that every group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required: Final = _Required()


class Optimizer(Hooks):
    """Base of all optimizers: derive, and write ``step``.

    Args:
        params: tensors, pairs of name and tensor, or dicts with a list ``params`` and settings.
        defaults: the settings of groups that do not give their own.
    """

    state: Any
    param_groups: list[dict[str, Any]]
    defaults: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if step is not None and not getattr(step, "hooked", False):
            cls.step = hooked(step)  # type: ignore[method-assign]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self._make_tables()
        self.defaults = defaults
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type_name(params)}")
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)  # type: ignore[arg-type]

    # ---- groups --------------------------------------------------------------------------
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters, with settings of their own.

        Raises:
            TypeError: for something that is no dict, a set, or a parameter that is no tensor.
            ValueError: for a parameter with a history or in another group, or a setting missing.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            param_group["params"] = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead.")
        else:
            param_group["params"] = list(params)
        _split_names(param_group)
        self._check_params(param_group["params"])
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}")
            param_group.setdefault(name, default)
        taken = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in taken for p in param_group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and (
            ("param_names" in param_group) != ("param_names" in self.param_groups[0])
        ):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                "without names to the optimizer with names or the reverse")
        self.param_groups.append(param_group)

    def _check_params(self, params: list[Any]) -> None:
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type_name(p)}")
            if not self.defaults.get("differentiable") and not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error; see github.com/pytorch/pytorch/issues/40967 for more "
                "information", stacklevel=4)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                grad = p._grad
                if grad is None:
                    continue
                if set_to_none:
                    p._grad = None
                    continue
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
                grad.zero_()

    # ---- a step --------------------------------------------------------------------------
    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters by their gradients.

        Args:
            closure: computes the loss again, gradients included.

        Returns:
            what the closure returned, else None.
        """
        raise NotImplementedError

    def _evaluate(self, closure: Closure | None) -> Any:
        """The loss of a closure, computed with gradients."""
        if closure is None:
            return None
        with enable_grad():
            return closure()

    _takes_sparse = False
    """Whether gradients may be sparse tensors."""
    _instead = ""

    def _refuse_sparse(self) -> None:
        from flambeau.sparse.rows import is_sparse

        for group in self.param_groups:
            if any(is_sparse(p._grad) for p in group["params"]):
                name = "Adam" if self._instead else type(self).__name__
                raise RuntimeError(f"{name} does not support sparse gradients{self._instead}")

    def _grad_mode(self) -> set_grad_enabled:
        """Steps are not recorded, unless they are to be differentiated themselves."""
        if not self._takes_sparse and "flambeau.sparse.tensor" in sys.modules:
            self._refuse_sparse()
        return set_grad_enabled(bool(self.defaults.get("differentiable", False)))

    # ---- state ---------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """The state per parameter, by position, and the settings of the groups."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        state_dict = packed(self.state, self.param_groups)
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        return state_dict

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict()`` gave, of an optimizer with the same groups.

        Raises:
            ValueError: for another number of groups, or a group of another size.
        """
        state_dict = state_dict.copy()  # hooks may edit it
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        given = {**state_dict, "param_groups": copy.deepcopy(state_dict["param_groups"])}
        state, groups = unpacked(given, self.param_groups)
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_tables()

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(
                f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
        return text + ")"


def _split_names(param_group: dict[str, Any]) -> None:
    """Move the names of named parameters to ``param_names``."""
    items = param_group["params"]
    named = [isinstance(item, tuple) for item in items]
    if not any(named):
        return
    if not all(named):
        raise ValueError(
            "all optimizer params should be with/without names. Some param names are missing")
    param_group["params"] = [p for _, p in items]
    param_group["param_names"] = [name for name, _ in items]


def type_name(value: Any) -> str:
    """How messages name the type of a value."""
    if isinstance(value, Tensor):
        return f"flambeau.{type(value).__name__} of {value.dtype}"
    return type(value).__name__
