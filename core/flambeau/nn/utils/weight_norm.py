"""Weight normalisation by a hook before forward; ``parametrizations.weight_norm`` is newer."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import Parameter
from flambeau.nn.utils._norms import norm_except_dim, weight_normed

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


class WeightNorm:
    """The hook: computes the weight from ``NAME_g`` and ``NAME_v``."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Any:
        """The weight."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return weight_normed(v, g, self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        """Replace a parameter by its norms and directions.

        Raises:
            RuntimeError: if it is replaced already.
        """
        if any(h.name == name for h in _hooks(module)):
            raise RuntimeError(
                f"Cannot register two weight_norm hooks on the same parameter {name}")
        hook = WeightNorm(name, dim)
        weight: Any = getattr(module, name)
        del module._parameters[name]
        norms = norm_except_dim(weight, 2, hook.dim)
        module.register_parameter(f"{name}_g", Parameter(norms.data))
        module.register_parameter(f"{name}_v", Parameter(weight.data))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Module) -> None:
        """Make the weight a parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[f"{self.name}_g"]
        del module._parameters[f"{self.name}_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Module, inputs: Any) -> None:
        """Compute the weight before ``forward``."""
        setattr(module, self.name, self.compute_weight(module))


def _hooks(module: Module) -> list[WeightNorm]:
    return [h for h in module._forward_pre_hooks.values() if isinstance(h, WeightNorm)]


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Learn norms and directions of a weight apart (https://arxiv.org/abs/1602.07868)."""
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of "
        "`nn.utils.parametrizations.weight_norm`.", FutureWarning, stacklevel=2)
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again.

    Raises:
        ValueError: if it was not replaced.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
