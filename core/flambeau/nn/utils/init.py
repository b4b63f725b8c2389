"""Making modules without drawing their parameters."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

M = TypeVar("M")

__all__ = ["skip_init"]


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """A module with uninitialised parameters: made without memory, then given some.

    Raises:
        RuntimeError: for a class that is no module, or takes no ``device``.
    """
    from flambeau.nn.modules.module import Module

    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    place = kwargs.pop("device", "cpu")
    module = module_cls(*args, device="meta", **kwargs)
    return module.to_empty(device=place)
