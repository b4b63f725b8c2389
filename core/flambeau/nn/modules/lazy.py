"""Modules that find the sizes of their parameters out from their first input."""

from __future__ import annotations

import itertools
from typing import Any

from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin(Module):
    """Mixed into a module whose first call materialises its parameters.

    Subclasses create uninitialised parameters, write ``initialize_parameters(*args)``, which has
    the arguments of ``forward``, and name in ``cls_to_become`` the class that they turn into.
    """

    cls_to_become: type[Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(
            materialize_from_state_dict, with_module=True)
        self._initialize_hook = self.register_forward_pre_hook(
            infer_parameters, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materialise the parameters from the arguments of ``forward``."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether any parameter or buffer has no shape yet."""
        values = itertools.chain(self._parameters.values(), self._buffers.values())
        return any(is_lazy(value) for value in values)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._persistent_items():
            destination[prefix + name] = (
                value if keep_vars or is_lazy(value) else value.detach())


def infer_parameters(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
) -> None:
    """The hook before the first forward: materialise, then become an ordinary module.

    Raises:
        RuntimeError: if parameters are still without shape afterwards.
    """
    module.initialize_parameters(*args, **(kwargs or {}))
    if module.has_uninitialized_params():
        raise RuntimeError(
            f"module {module._get_name()} has not been fully initialized")
    module._initialize_hook.remove()
    module._load_hook.remove()
    del module._initialize_hook, module._load_hook
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


def materialize_from_state_dict(
    module: Any, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
    missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
) -> None:
    """The hook before loading: take the shapes that the state dict has."""
    for name, held in module._persistent_items():
        given = state_dict.get(prefix + name)
        if is_lazy(held) and given is not None and not is_lazy(given):
            held.materialize(given.shape)
